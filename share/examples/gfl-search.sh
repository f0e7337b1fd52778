#!/bin/sh
# gfl-search.sh - try 24 settings of a small network on Fashion-MNIST, four at a
# time, and print the best three. One worker is killed in the middle: what it
# had goes to another, and each setting is tried once all the same.
#
#	gfl-search.sh [EXAMPLES] [DATA]
#
# EXAMPLES (6000): train on so many of the first. On several machines start the
# workers there, with -m http://MASTER:50051, instead of here.
set -eu
examples=${1:-6000}
data=${2:-/usr/share/datasets/fashion-mnist}
gfl-data info --data "$data" >/dev/null
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || :; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The master tells when it serves, and where.
mkfifo "$dir/ready"
gfl-master --listen 127.0.0.1:0 --db "$dir/master.db" --silence 2 \
	--port-file "$dir/port" --ready-fd 9 9>"$dir/ready" 2>"$dir/master.log" &
pids=$!
read -r _ <"$dir/ready"
GFL_MASTER=http://127.0.0.1:$(cat "$dir/port")
export GFL_MASTER

for i in 1 2 3 4; do
	gfl-worker --worker-id "worker$i" --data "$data" --heartbeat 0.5 \
		2>"$dir/worker$i.log" &
	pids="$pids $!"
	[ "$i" != 1 ] || first=$!
done

jq -nc --argjson examples "$examples" '{
	architecture: "dense \(32, 64, 128); relu; dense 10",
	learning_rate: (0.01, 0.05, 0.1, 0.2),
	batch_size: (32, 128),
	$examples
}' | gfl-submit --wait -t 60 -o jsonl | tee "$dir/results" |
	while read -r _; do
		done=$((${done:-0} + 1))
		[ "$done" != 6 ] || kill -9 "$first"
		echo "$done of 24" >&2
	done

gfl-list workers -F id,status,done -o tsv >&2
jq -r '[.accuracy, .task.architecture, .task.learning_rate, .task.batch_size]
	| @tsv' "$dir/results" | sort -rg | head -n 3
