# Members: who votes, who takes the place of one that dies, who is gone.

load helpers

quick='--fail-after 1 --remove-after 1'

# members FILTER - what the leader's state says of them, as jq sees the list
members() {
	call "$asked" gfl.v1.NodeService/GetState '{"linearizable":true}'
	is "[.members[] | .role //= \"ROLE_NONE\"] | $1"
}

# The member ID is removed, at the sight of node NODE.
removed() { # ID NODE
	local -n url_=n$2_url
	watch "$url_" gfl.v1.NodeService/ReadLog '{"follow":true}'
	await '.entry.membership.action == "REMOVE" and
		.entry.membership.member.id == "'"$1"'"'
	unwatch
}

# Wait for a state that the next entries of the log bring.
until_members() { # FILTER
	watch "$asked" gfl.v1.NodeService/ReadLog '{"follow":true}'
	until members "$1"; do event; done
	unwatch
}

@test "of seven nodes five vote; a standby takes the place of a voter that dies, which is removed, told so, and comes again as new" {
	# shellcheck disable=SC2086
	cluster 3 $quick
	for id in 4 5 6 7; do
		# shellcheck disable=SC2086
		node "$id" $quick
	done
	asked=$n1_url
	until_members 'length == 7 and
		([.[] | select(.role == "VOTER")] | length == 5) and
		([.[] | select(.role == "STANDBY")] | length == 2)'
	gfl-list --linearizable -F role | sort | uniq -c >roles
	grep -q '1 leader$' roles
	grep -q '4 voter$' roles
	grep -q '2 standby$' roles
	[ "$(gfl-status -F voters,members --linearizable)" = $'5\t7' ]
	gfl-wait voters 5 -t 20
	waits_in_vain '6 voters: 5 joined (' voters 6

	old=$(gfl-leader)
	victim=$(gfl-list --linearizable -F id,role |
		awk '$2 == "voter" { print $1; exit }')
	crash "n$victim"
	for asked_id in 1 2 3; do
		[ "$asked_id" = "$victim" ] || break
	done
	asked=n${asked_id}_url asked=${!asked}
	removed "$victim" "$asked_id"
	until_members 'length == 6 and all(.liveness != "DOWN") and
		([.[] | select(.role == "VOTER")] | length == 5)'

	# shellcheck disable=SC2086
	fails 5 gfl-node --node-id "$victim" --db "n$victim.db" \
		--listen 127.0.0.1:0 $quick
	[[ $said == *"node $victim was removed from cluster $(gfl-status \
		-F cluster)"* ]]
	again "n$victim" # as a new member, with another instance
	until_members 'length == 7 and
		([.[] | select(.role == "VOTER")] | length == 5)'
	append=$(echo '{}' | gfl-log append noop -)
	committed "$victim" "$append"
}

@test "a node that was removed comes back as new at once with --rejoin" {
	# shellcheck disable=SC2086
	cluster 3 $quick --rejoin
	instance=$(gfl-status "$n3_url" -F instance)
	crash n3
	removed 3 1
	again n3
	asked=$n1_url
	until_members 'length == 3 and all(.role == "VOTER")'
	grep -q 'event=removed error="node 3 was removed from cluster' n3.log
	[ "$(gfl-status "$n3_url" -F instance)" != "$instance" ]
	committed 3 "$(echo '{}' | gfl-log append noop -)"
	same_logs 1 2
}

@test "a leader that dies makes room for a standby, and the cluster bears another death" {
	# shellcheck disable=SC2086
	cluster 3 $quick --max-voters 3
	# shellcheck disable=SC2086
	node 4 $quick --max-voters 3
	asked=$n4_url
	until_members '[.[] | select(.role == "STANDBY").id] == ["4"]'
	old=$(gfl-leader)
	crash "n$old"
	removed "$old" 4
	until_members 'length == 3 and all(.role == "VOTER")'
	next=$(gfl-leader)
	crash "n$next"
	gfl-wait leader --not "$next" --node 4 -t 20 2>>wait.err
	echo '{}' | gfl-log append noop - --node 4
}

@test "whatever is of another cluster is refused, and both are named" {
	start n9 gfl-node --bootstrap --gateway http://127.0.0.1:1 --db n9.db
	theirs=$(gfl-status "$n9_url" -F cluster)
	cluster 1
	ours=$(gfl-status -F cluster)
	both() { is '(.message | test($a) and test($b)) and
		.code == "failed_precondition"' --arg a "$ours" --arg b "$theirs"; }
	# a peer, whose messages come as a stream
	watch "$n1_url" gfl.v1.RaftService/Step \
		'{"clusterId":"'"$theirs"'","from":9}'
	event
	reap stream
	answer=$(jq .error <<<"$answer")
	both
	# a member that asks to be known, and a newcomer that was sent elsewhere
	member='{"id":"9","instanceId":"x","url":"http://127.0.0.1:9"}'
	call "$n1_url" gfl.v1.NodeService/Join \
		'{"clusterId":"'"$theirs"'","member":'"$member"'}'
	both
	# a gateway's registrant, and who sends it heartbeats
	call "$gw_url" GatewayService/RegisterNode '{"nodeId":9,
		"instanceId":"00112233445566778899aabbccddeeff",
		"url":"http://127.0.0.1:9","clusterId":"'"$theirs"'"}'
	both
	# a database, which a gateway of another cluster is named for
	crash n9
	fails 5 gfl-node --listen 127.0.0.1:0 --db n9.db
	[[ $said == *$ours* && $said == *$theirs* ]]
	# a trainer
	call "$n1_url" gfl.v1.NodeService/AttachTrainer \
		'{"clusterId":"'"$theirs"'","trainer":{"instanceId":"t",
		"url":"http://127.0.0.1:9"}}'
	both
}

@test "a new leader takes nobody for alive whom it has not heard" {
	cluster 3 --fail-after 1
	leader=$(gfl-leader)
	gone=$((leader % 3 + 1)) next=$(((leader + 1) % 3 + 1))
	url=n${next}_url
	watch "${!url}" gfl.v1.NodeService/ReadLog '{"follow":true}'
	crash "n$gone"
	await '.entry.membership.action == "MARK_DOWN"'
	gfl-send "$leader" "transfer $next" --type 2
	gfl-wait leader --not "$leader" -t 20
	echo '{}' | gfl-log append noop - -t 20 >before
	index=$(echo '{}' | gfl-log append noop - -t 20)
	again "n$gone"
	await '.entry.membership.action | . == "MARK_UP" or . == "ADD"'
	is "(.index | tonumber) > $index"
}
