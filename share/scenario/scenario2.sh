# scenario2 - nodes join, leave and die while messages flow

sent=0

# flow N - so many more messages to node 1, as lines of their numbers
flow() {
	upto=$((sent + $1))
	seq $((sent + 1)) "$upto" >&8
	sent=$upto
	say "  messages up to $sent are on their way"
}

# The sender and the reader of node 1, which run until the end.
begin_flow() {
	mkfifo "$dir/flow"
	gfl-send 1 -l -t 30 <"$dir/flow" >"$dir/sent" 2>"$dir/send.log" &
	sender=$!
	gfl-recv --node 1 -n 500 -t 60 >"$dir/received" 2>"$dir/recv.log" &
	reader=$!
	followers="$sender $reader"
	exec 8>"$dir/flow"
}

end_flow() {
	exec 8>&-
	wait "$sender" || fail "not all was sent: $(cat "$dir/send.log")"
	wait "$reader" || fail "not all was received: $(cat "$dir/recv.log")"
	followers=
}

members() { gfl-list -F id | paste -sd ' '; }

scenario2() {
	say "a gateway and 3 nodes, of which node 1 receives"
	start_gateway
	start_nodes 3
	begin_flow
	flow 100
	say "node 4 joins"
	start_node 4
	expect "the members are 1 2 3 4" becomes '1 2 3 4' members
	flow 100
	say "node 2 leaves"
	stop node2
	expect "the members are 1 3 4" becomes '1 3 4' members
	flow 100
	say "node 3 is killed"
	kill_hard node3
	flow 100
	say "node 3 comes back, and node 2 joins again"
	restart_node 3
	start_node 2
	expect "4 nodes are there" gfl-wait nodes 4 -t 30
	flow 100
	end_flow
	seq 500 >"$dir/all"
	expect "node 1 has all 500 messages, once each, in order" \
		cmp "$dir/all" "$dir/received"
	gfl-wait nodes 4 -t 30 2>>"$dir/wait.log"
	compare_logs 4
	say "held: all came and went, no message was lost, doubled or overtaken"
}
