#!/bin/sh
# server.sh - what a round of gfl-server costs: with 4 trainers and next to
# nothing to compute, with 100, and with an epoch of training. Prints records.
#
# As FedLab's synchronous server was measured, with 4 processes: 6.7 ms a round
# of 10 parameters, 14.9 ms of 101,770; 480 ms with MLP training (Dirichlet 0.5,
# a local epoch, batch 64, lr 0.05), which came to 0.845 after 20 rounds.
set -eu
. "$(dirname "$0")/cluster.sh"
mnist=/usr/share/datasets/fashion-mnist

# 64 images of 2 by 2, in two classes: a model of them has 10 parameters.
mkdir "$dir/tiny"
{
	printf '\0\0\10\3\0\0\0\100\0\0\0\2\0\0\0\2'
	head -c 256 /dev/urandom
} >"$dir/tiny/train-images-idx3-ubyte"
{
	printf '\0\0\10\1\0\0\0\100'
	for _ in $(seq 32); do printf '\0\1'; done
} >"$dir/tiny/train-labels-idx1-ubyte"

# run CLIENTS DATA INDEX OPTION... - to the end; rounds are in $dir/rounds.
# INDEX has a %d for the client, or is empty.
run() {
	clients=$1 data=$2 index=$3
	shift 3
	rm -f "$dir"/*.db*
	start server gfl-server --db "$dir/server.db" -o tsv \
		-F round,seconds,accuracy,at --min-participants "$clients" "$@"
	url=http://127.0.0.1:$(cat "$dir/server.port")
	for i in $(seq "$clients"); do
		set -- --db "$dir/t$i.db" --data "$data" --server "$url"
		[ -z "$index" ] || set -- "$@" --index \
			"$(printf "$index" "$i")"
		launch "t$i" gfl-trainer --listen 127.0.0.1:0 --config none "$@"
	done
	# shellcheck disable=SC2046 # one word
	wait $(cat "$dir/server.pid")
	wait
	pids=
	grep -v '^time=' "$dir/server.log" >"$dir/rounds"
}

# ms from the end of the 10th round (or FIRST) to that of the last, each
each_ms() { # [FIRST]
	awk -F'\t' -v first="${1:-10}" '
		{ split($4, t, /[T:Z]/); at = (t[2] * 3600 + t[3] * 60 + t[4]) * 1000 }
		$1 == first { from = at; n = 0 }
		{ last = at; n++ }
		END { print (last - from) / (n - 1) }' "$dir/rounds"
}

run 4 "$dir/tiny" '' --model 'input 1 2 2; dense 2' --rounds 1000 --steps 1 \
	--batch 1
record server_ms_tiny gfl "$(each_ms)"
run 4 "$mnist" '' --model mlp --rounds 500 --steps 1 --batch 1
record server_ms_mlp gfl "$(each_ms)"
run 100 "$dir/tiny" '' --model 'input 1 2 2; dense 2' --rounds 200 --steps 1 \
	--batch 1
record server_rounds_100 gfl "$(each_ms | awk '{ print 1000 / $1 }')"
gfl-data split --data "$mnist" --parts 4 --by dirichlet:0.5 --seed 1 \
	--out "$dir/parts" >"$dir/split.log"
run 4 "$mnist" "$dir/parts/part-%d.idx" --model mlp --rounds 20 --epochs 1 \
	--batch 64 --lr 0.05 --test "$mnist" --eval-every 20
record server_trained_ms gfl "$(each_ms 1)"
record server_trained_accuracy gfl "$(awk -F'\t' 'END { print $3 }' \
	"$dir/rounds")"
