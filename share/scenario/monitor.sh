# monitor - gfl-monitor and gfl-check watch a cluster that changes

# Read the monitor's events until one is WHAT EVENT [NODE].
see() {
	while IFS=$tab read -r what event node; do
		[ "$what $event ${3:+$node}" != "$1 $2 ${3-}" ] || {
			say "  gfl-monitor saw: $what $event${node:+, node $node}"
			return 0
		}
	done <&7
	fail "gfl-monitor saw no \"$1 $2${3:+ $3}\""
}

begin_to_watch() {
	tab=$(printf '\t')
	mkfifo "$dir/events"
	timeout 80 gfl-monitor -o tsv -F what,event,node >"$dir/events" \
		2>"$dir/monitor.log" &
	followers=$!
	exec 7<"$dir/events"
}

# check NAME STATUS - what gfl-check says of it, or will soon
check() {
	deadline=$(($(now_ms) + 30000))
	until
		said=$(gfl-check "$1" -t 3)
		code=$?
		[ "$code" = "$2" ]
	do
		[ "$(now_ms)" -lt "$deadline" ] || fail "gfl-check $1 says \"$said\""
	done
	say "  gfl-check $1: ${said%% |*}"
}

monitor() {
	say "a gateway and 3 nodes, of whom one is down after 2 s of silence"
	node_options='--fail-after 2'
	start_gateway
	start_nodes 3
	begin_to_watch
	see watch connected
	check cluster 0
	say "node 4 joins"
	start_node 4
	see node joined 4
	check nodes 0
	find_leader
	say "the leader, node $leader, is killed"
	kill_hard "node$leader"
	see leader elected
	see node down "$leader"
	check nodes 1
	check leader 0
	say "it comes back"
	restart_node "$leader"
	see node up "$leader"
	check nodes 0
	say "the gateway is killed"
	kill_hard gateway
	see watch lost
	check gateway 2
	check cluster 1
	say "it comes back"
	restart_gateway
	see watch connected
	check cluster 0
	say "held: each change was seen, and each fault was told from health"
}
