#!/bin/sh
# failover.sh - how long nobody can write after kill -9 of the leader: the gap
# between two answers that clients see who write to every member all the time
# (gap.py). Nodes with elections of 150 to 300 ms, etcd with 250, both with a
# heartbeat of 50. Prints a record for each kill.
#
#	failover.sh [KILLS]
set -eu
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/pair.sh"
here=$(dirname "$0")
kills=${1:-10}

# MORE - wait until the clients have had so many more answers
written() {
	had=$(wc -l <"$dir/answers")
	until [ "$(wc -l <"$dir/answers")" -ge $((had + $1)) ]; do
		kill -0 "$clients"
		sleep 0.02
	done
}

gfl_who() { gfl-leader -t 10; }
gfl_again() { # N - on the port that it had
	port=$(cat "$dir/node$1.port")
	start "node$1" gfl-node --node-id "$1" --db "$dir/node$1.db"
	port=
}
etcd_again() {
	launch_etcd "$1"
	until curl -fs "$(url_of "etcd$1")/health" >"$dir/health"; do
		kill -0 "$(cat "$dir/etcd$1.pid")"
	done
}

# WHO NAME METHOD MESSAGE - of members NAME1, NAME2, NAME3
run() {
	: >"$dir/answers"
	/usr/bin/python3 "$here/gap.py" "$3" "$4" \
		$(for i in 1 2 3; do url_of "$2$i" | cut -d/ -f3; done) \
		>"$dir/answers" &
	clients=$!
	pids="$clients $pids"
	for _ in $(seq "$kills"); do
		written 100
		who=$("${1}_who")
		at=$(date +%s%3N)
		kill -9 "$(cat "$dir/$2$who.pid")"
		written 50
		awk -v at="$at" '
			$1 >= at && last && $1 - last > gap { gap = $1 - last }
			{ last = $1 }
			END { print gap }' "$dir/answers" >"$dir/gap"
		record failover_ms "$1" "$(cat "$dir/gap")"
		record failover_ms_max "$1" "$(cat "$dir/gap")"
		"${1}_again" "$who"
	done
	kill "$clients"
}

start_nodes 3
run gfl node /gfl.v1.NodeService/Propose "$dir/propose"
start_etcd --snapshot-count 1000000
run etcd etcd /etcdserverpb.KV/Put "$dir/put"
