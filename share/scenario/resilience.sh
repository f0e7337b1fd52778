# resilience - gateway, leader and node are lost, then partition

append() { # VALUE OPTION... - a committed entry
	echo '{}' | gfl-log append noop - -t 20 >>"$dir/expect.log"
}

# The members that a list has alive.
listed() {
	gfl-list "$@" -o tsv -F id,status | awk '$2 == "alive" { print $1 }' |
		paste -sd ' '
}

# Until the gateway lists these, and no others, for alive.
gateway_lists() { # IDS
	until [ "$(listed --node "$gateway")" = "$1" ]; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
	done
}

lose_gateway() {
	say "the gateway is killed"
	kill_hard gateway
	expect "the nodes list themselves" prints '1 2 3' listed
	expect "they send" gfl-send 2 'without a gateway' -t 20
	expect "and receive" prints 'without a gateway' \
		gfl-recv --node 2 -n 1 -t 20
	expect "they commit" append
	say "node 4 joins by one of them"
	start node4 gfl-node --node-id 4 --db "$dir/node4.db" \
		--gateway "$gateway" --join "$(url_of node1)"
	find_leader
	say "the leader, node $leader, is killed"
	kill_hard "node$leader"
	expect "another is elected" gfl-wait leader --not "$leader" -t 30
	expect "which commits" append
	restart_node "$leader"
	say "the gateway comes back, without its database"
	rm -f "$dir"/gateway.db*
	restart_gateway
	deadline=$(($(now_ms) + 10500))
	expect "within two heartbeats it lists all 4" gateway_lists '1 2 3 4'
}

lose_node() {
	say "node 3 is killed for good"
	kill_hard node3
	expect "messages for it are refused by name" \
		ended_with 3 gfl-send 3 hello -t 20
	expect "the others commit" append
	expect "the leader sees that it is down" gfl-wait nodes 3 -t 30
	say "node 2 is stopped for 2 seconds, as if starved"
	kill -STOP "$(pid_of node2)"
	sleep 2
	kill -CONT "$(pid_of node2)"
	expect "it was taken for dead by nobody" \
		sh -c '! grep -hE "event=(expired node=2|\"node down\" node=2)" "$@"' \
		sh "$dir"/*.log
	say "node 3 comes back"
	restart_node 3
	gfl-wait nodes 4 -t 30 2>>"$dir/wait.log" || fail "node 3 did not come back"
	find_leader
	append
	compare_logs 4
}

resilience() {
	say "a gateway and 3 nodes"
	start_gateway
	start_nodes 3
	lose_gateway
	lose_node
	say "paths between nodes break"
	if [ "${GFL_SKIP:-}" = netns ]; then
		say "  left out, as GFL_SKIP=netns says"
	else
		"$0" partition &
		followers=$!
		wait "$followers" || fail "partition did not hold"
		followers=
	fi
	say "held: whoever was lost, the others went on, and nobody was evicted"
}
