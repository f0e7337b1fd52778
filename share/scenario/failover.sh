# failover - 3 nodes; the leader is killed and started again, several times

failover() {
	start_gateway
	start_nodes 3
	k=1
	while [ "$k" -le "$times" ]; do
		old=$(gfl-leader) || fail "no node leads"
		kill_hard "node$old"
		began=$(now_ms)
		gfl-wait leader --not "$old" -t 10 2>>"$dir/wait.log" ||
			fail "nobody took over from node $old"
		took=$(($(now_ms) - began))
		new=$(gfl-leader) || fail "no node leads"
		say "killed leader $old; node $new leads after $took ms"
		restart_node "$old"
		gfl-wait nodes 3 -t 30 2>>"$dir/wait.log" ||
			fail "node $old did not come back"
		k=$((k + 1))
	done
	compare_logs 3
	say "the logs of all nodes are identical up to entry $common"
}
