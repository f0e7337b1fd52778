# failover - 3 nodes; the leader is killed and started again, several times

failover() {
	start_gateway
	start_nodes 3
	k=1
	while [ "$k" -le "$times" ]; do
		find_leader
		old=$leader
		kill_hard "node$old"
		began=$(now_ms)
		find_leader "$old"
		took=$(($(now_ms) - began))
		say "killed leader $old; node $leader leads after $took ms"
		restart_node "$old"
		gfl-wait nodes 3 -t 30 2>>"$dir/wait.log" ||
			fail "node $old did not come back"
		k=$((k + 1))
	done
	compare_logs 3
	say "the logs of all nodes are identical up to entry $common"
}
