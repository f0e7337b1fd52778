# Clusters of clusters: whoever leads one is a member of the upper one.

load helpers

# below NAME COUNT [OPTION...] - a gateway gNAME and nodes NAME1 to NAMECOUNT of
# a cluster below that of the gateway up.
below() {
	local id name=$1 count=$2
	shift 2
	start "g$name" gfl-gateway --db "g$name.db"
	for ((id = 1; id <= count; id++)); do
		member "$name" "$id" "$@"
	done
	local -n at=g${name}_url
	gfl-wait nodes "$count" -g "$at" -t 20
}

member() { # NAME ID [OPTION...]
	local -n at=g$1_url
	start "$1$2" gfl-node --node-id "$2" --db "$1$2.db" -g "$at" \
		--upper "$up_url" --fail-after 1 --min-election-timeout 300 \
		--max-election-timeout 600 --heartbeat 75 "${@:3}"
}

three_by_three() {
	local name
	start up gfl-gateway --db up.db
	for name in a b c; do below "$name" 3; done
	gfl-wait trainers 3 -g "$up_url" -t 30
}

leader_of() { # NAME - the id of who leads it
	local -n at=g$1_url
	gfl-leader -g "$at" -t 20
}

# The fields of the cluster NAME as the upper one has them.
above() { # NAME FIELD,...
	local id
	id=$(cluster_of "$1")
	gfl-list clusters -g "$up_url" -o tsv -F "cluster,$2" |
		awk -F'\t' -v id="$id" '$1 == id' | cut -f2-
}

cluster_of() { # NAME
	local -n at=g$1_url
	gfl-list -g "$at" -o tsv -F cluster | sort -u
}

# Follow the upper log, from a member of it that speaks for cluster NAME.
follow() {
	local member
	member=$(above "$1" node)
	watch "$(gfl-list -g "$up_url" -o tsv -F id,url |
		awk -F'\t' -v id="$member" '$1 == id { print $2 }')" \
		gfl.v1.NodeService/ReadLog '{"follow":true}'
}

# Until an entry says that another node than OLD speaks for cluster NAME.
succeeded() { # NAME OLD
	await ".entry.trainer.trainer | .instanceId == \"$(cluster_of "$1")\" and
		.nodeId != \"$2\""
}

# Until NAME has logged such a line.
logs() { # NAME TEXT
	local line
	exec {tail}< <(exec $mortal tail -n +1 -f "$1.log" 3>&-)
	running[tail]=$!
	while read -r -t 30 -u "$tail" line; do
		if [[ $line == *"$2"* ]]; then break; fi
	done
	kill "${running[tail]}"
	reap tail || [ $? = 143 ]
	[[ $line == *"$2"* ]]
}

@test "the leaders of three clusters are the members of the upper one" {
	three_by_three
	until [ "$(gfl-list clusters -g "$up_url" -F status,members |
		sort -u)" = $'live\t3' ]; do :; done
	[ "$(gfl-list -g "$up_url" -o tsv -F status)" = $'alive\nalive\nalive' ]
	for name in a b c; do
		here=$name$(leader_of $name)_url
		gfl-status "${!here}" -o json >status
		jq -e --arg cluster "$(cluster_of $name)" \
			--argjson above "$(above $name id)" \
			'.[0] | .upper != .cluster and .cluster == $cluster and
			.upper_trainer == $above and .upper_error == ""' status
	done
}

@test "a leader that is killed is replaced above too, and the upper log goes on" {
	three_by_three
	follow b
	old=$(leader_of a)
	before=$(above a id,node,term)
	crash "a$old"
	echo '{}' | gfl-log append noop - -g "$up_url"
	succeeded a "$(cut -f2 <<<"$before")"
	await '.entry.membership.action == "REMOVE"'
	unwatch
	after=$(above a id,node,term)
	[ "$(cut -f1 <<<"$after")" = "$(cut -f1 <<<"$before")" ]
	[ "$(cut -f3 <<<"$after")" -gt "$(cut -f3 <<<"$before")" ]
	gfl-status -g "$up_url" -o json | jq -e '.[0] | .members == 3'
	echo '{}' | gfl-log append noop - -g "$up_url"

	# Back, it follows below, and is no member above any more.
	again "a$old"
	logs "a$old" event=upper_member_no_more
	here=a${old}_url
	gfl-status "${!here}" -o json | jq -e '.[0].upper == ""'
}

@test "a leader that leaves is followed without a gap" {
	three_by_three
	follow b
	old=$(leader_of a)
	node=$(above a node)
	stop "a$old"
	succeeded a "$node"
	await '.entry.membership.action == "REMOVE"'
	gfl-status -g "$up_url" -o json | jq -e '.[0] | .members == 3'
	grep -q event=upper_member_no_more "a$old.log"
}

@test "with most members above killed it waits for one of them, and loses nothing" {
	three_by_three
	index=$(echo '{}' | gfl-log append noop - -g "$up_url")
	url=$(gfl-list -g "$up_url" -o tsv -F url | head -n 1)
	gfl-log --node "$url" --to "$index" -o tsv >before
	a=a$(leader_of a) b=b$(leader_of b)
	crash "$a"
	crash "$b"
	follow c
	again "$a"
	succeeded b 0
	succeeded a 0
	await '.entry.membership.action == "REMOVE"'
	gfl-log -g "$up_url" --to "$index" -o tsv | cmp - before
}

@test "a cluster cannot be above itself" {
	start up gfl-gateway --db up.db
	ga_url=$up_url
	member a 1
	logs a1 event=upper_cluster
	grep 'cannot be its own upper cluster' a1.log
	gfl-status "$a1_url" -o json | jq -e \
		'.[0] | .role == "leader" and .upper == "" and
		(.upper_error | contains("its own upper cluster"))'
	[ "$(gfl-list -g "$up_url" | wc -l)" = 1 ]
}

@test "a cluster cannot be above one that is above it" {
	start up gfl-gateway --db up.db
	start ga gfl-gateway --db ga.db
	member a 1
	gfl-wait trainers 1 -g "$up_url" -t 20
	up_url=$(gfl-list -g "$up_url" -F url)
	call "$ga_url" GatewayService/GetNodes '{}'
	# The upper cluster, of a1 alone, asks to be below a's.
	call "$a1_url" gfl.v1.NodeService/Join "{\"member\":{
		\"url\":\"http://127.0.0.1:1\",\"instanceId\":\"x\",
		\"lowerId\":\"$(gfl-status "$up_url" -o tsv -F cluster)\"}}"
	[ "$code" = 400 ]
	is '.message | contains("it is that, or above it")'
}

@test "a cluster whose upper one is out of reach goes on, and says so" {
	start ga gfl-gateway --db ga.db
	up_url=http://127.0.0.1:1
	member a 1
	logs a1 event=upper_cluster
	echo '{}' | gfl-log append noop - -g "$ga_url"
	gfl-status "$a1_url" -o json | jq -e \
		'.[0].upper_error | contains("Connection refused")'
	stop a1
}
