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
	gfl-wait trainers 3 -g "$up_url" -t 60
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

# Follow what comes to the upper log from now on, from a member of it that
# speaks for cluster NAME.
follow() {
	local member url from
	member=$(above "$1" node)
	url=$(gfl-list -g "$up_url" -o tsv -F id,url |
		awk -F'\t' -v id="$member" '$1 == id { print $2 }')
	from=$(gfl-log --node "$url" -F index | tail -n 1)
	watch "$url" gfl.v1.NodeService/ReadLog \
		"{\"from\":\"$((from + 1))\",\"follow\":true}"
}

# Until entries say, in whichever order, that other nodes than these speak for
# the clusters, and that these are members no more.
succeeded() { # [NAME OLD]...
	local left=() i
	while [ $# -gt 0 ]; do
		left+=(".entry.trainer.trainer |
			.instanceId == \"$(cluster_of "$1")\" and .nodeId != \"$2\""
			".entry.membership |
			.action == \"REMOVE\" and .member.id == \"$2\"")
		shift 2
	done
	while [ ${#left[@]} -gt 0 ]; do
		event
		for i in "${!left[@]}"; do
			! is "${left[i]}" || unset "left[i]"
		done
	done
}

@test "the leaders of three clusters are the members of the upper one" {
	three_by_three
	until [ "$(gfl-list clusters -g "$up_url" -F status,members |
		sort -u)" = $'live\t3' ]; do :; done
	[ "$(gfl-list -g "$up_url" -o tsv -F status)" = $'alive\nalive\nalive' ]
	for name in a b c; do
		until
			here=$name$(leader_of $name)_url
			gfl-status "${!here}" -o json >status
			jq -e --arg cluster "$(cluster_of $name)" \
				--argjson above "$(above $name id)" \
				'.[0] | .upper != .cluster and
				.cluster == $cluster and
				.upper_trainer == $above and
				.upper_error == ""' status
		do :; done
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
	unwatch
	after=$(above a id,node,term)
	[ "$(cut -f1 <<<"$after")" = "$(cut -f1 <<<"$before")" ]
	[ "$(cut -f3 <<<"$after")" -gt "$(cut -f3 <<<"$before")" ]
	[ "$(gfl-status -g "$up_url" --linearizable -F members)" = 3 ]
	echo '{}' | gfl-log append noop - -g "$up_url"

	# Back, it follows below, and is no member above any more.
	again "a$old"
	logged "a$old" event=upper_member_no_more
	here=a${old}_url
	until gfl-status "${!here}" -o json | jq -e '.[0].upper == ""'; do
		:
	done
}

@test "a leader that leaves is followed without a gap" {
	three_by_three
	follow b
	old=$(leader_of a)
	node=$(above a node)
	stop "a$old"
	succeeded a "$node"
	[ "$(gfl-status -g "$up_url" --linearizable -F members)" = 3 ]
	grep -q event=upper_member_no_more "a$old.log"
}

@test "with most members above killed it waits for one of them, and loses nothing" {
	three_by_three
	index=$(echo '{}' | gfl-log append noop - -g "$up_url")
	url=$(gfl-list -g "$up_url" -o tsv -F url | head -n 1)
	gfl-log --node "$url" --to "$index" -o tsv >before
	a=a$(leader_of a) b=b$(leader_of b)
	a_node=$(above a node) b_node=$(above b node)
	follow c
	crash "$a"
	crash "$b"
	# Back any sooner it would lead on.
	until [ "a$(leader_of a)" != "$a" ]; do :; done
	again "$a"
	succeeded a "$a_node" b "$b_node"
	gfl-log -g "$up_url" --to "$index" -o tsv | cmp - before
}

@test "a cluster cannot be above itself" {
	start up gfl-gateway --db up.db
	ga_url=$up_url
	member a 1
	logged a1 event=upper_cluster
	grep 'cannot be its own upper cluster' a1.log
	until gfl-status "$a1_url" -o json | jq -e \
		'.[0] | .role == "leader" and .upper == "" and
		(.upper_error | contains("its own upper cluster"))'
	do :; done
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
	logged a1 event=upper_cluster
	echo '{}' | gfl-log append noop - -g "$ga_url"
	until gfl-status "$a1_url" -o json | jq -e \
		'.[0].upper_error | contains("Connection refused")'
	do :; done
	stop a1
}
