#!/bin/sh
# gfl-central.sh - a federation with a centre, here: a server and trainers, each
# with its own part of the data. Prints each round's number and accuracy.
#
#   gfl-central.sh [DATA [TRAINERS [ROUNDS [OPTION OF gfl-server]...]]]
set -eu
data=${1:-/usr/share/datasets/fashion-mnist}
trainers=${2:-3}
rounds=${3:-5}
shift $(($# < 3 ? $# : 3))
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || :; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
gfl-data split --data "$data" --parts "$trainers" --by dirichlet:0.5 \
	--out "$dir/parts" >"$dir/split.log"
mkfifo "$dir/ready"
gfl-server --listen 127.0.0.1:0 --port-file "$dir/port" --ready-fd 9 \
	--db "$dir/server.db" --test "$data" --rounds "$rounds" \
	--min-participants "$trainers" -o tsv -F round,accuracy "$@" \
	9>"$dir/ready" 2>"$dir/server.log" &
server=$!
pids=$server
read -r _ <"$dir/ready" || { cat "$dir/server.log" >&2; exit 1; }
for i in $(seq "$trainers"); do
	gfl-trainer --server "http://127.0.0.1:$(cat "$dir/port")" \
		--data "$data" --index "$dir/parts/part-$i.idx" \
		--db "$dir/trainer-$i.db" 2>"$dir/trainer-$i.log" &
	pids="$pids $!"
done
wait "$server" || { tail -n 1 "$dir/server.log" >&2; exit 1; }
wait
