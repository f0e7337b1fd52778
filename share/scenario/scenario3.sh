# scenario3 - one message to all nodes, one of which is away

# got TEXT ID... - each of these has it, and nothing else
got() {
	words=$1
	shift
	for id in "$@"; do
		expect "node $id has: $words" prints "$words" \
			gfl-recv --node "$id" -n 1 -t 20
		expect "and nothing else" becomes 0 \
			gfl-status "$id" -o tsv -F inbox
	done
}

scenario3() {
	say "a gateway and 4 nodes"
	start_gateway
	start_nodes 4
	say "a message to all"
	gfl-send --all 'to whom it may concern' -t 20 || fail "it was not sent"
	got 'to whom it may concern' 1 2 3 4
	say "node 3 is killed, then a message to all"
	kill_hard node3
	expect "the sender is told of one who did not get it, by status 6" \
		ended_with 6 gfl-send --all 'are you all there?' -t 20
	expect "and of whom" grep -q 'node 3\|to 3' "$dir/expect.log"
	got 'are you all there?' 1 2 4
	say "a message for node 3 waits at node 1, until node 3 is back"
	gfl-send 3 'see you' --via 1 --expire 60 -t 20 || fail "it was not taken"
	restart_node 3
	got 'see you' 3
	say "held: who was there had each message once, who was not was named"
}
