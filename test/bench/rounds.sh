#!/bin/sh
# rounds.sh - what a round of gossip costs when there is next to nothing to
# compute: a gateway, a node and 4 trainers here. Prints records.
#
# Runs in a network of its own, so that all the bytes on its loopback, TCP's and
# IP's headers included, are the cluster's; where that is not allowed they are
# not counted.
set -eu
inside=${1:-}
if [ "$inside" ]; then
	ip link set lo up
elif unshare --map-root-user --net true; then
	exec unshare --map-root-user --net "$0" inside
fi
. "$(dirname "$0")/cluster.sh"
mnist=/usr/share/datasets/fashion-mnist
rounds=1000 c=10

# 64 images of 2 by 2, in two classes: a model of them has 10 parameters.
tiny_data() {
	mkdir "$dir/tiny"
	{
		printf '\0\0\10\3\0\0\0\100\0\0\0\2\0\0\0\2'
		head -c 256 /dev/urandom
	} >"$dir/tiny/train-images-idx3-ubyte"
	{
		printf '\0\0\10\1\0\0\0\100'
		for _ in $(seq 32); do printf '\0\1'; done
	} >"$dir/tiny/train-labels-idx1-ubyte"
}

since_midnight() { # of what gfl-run shows, in ms
	awk -F'[T:Z]' '{ printf "%.0f\n", ($2 * 3600 + $3 * 60 + $4) * 1000 }'
}

at() { # ROUND - when its last trainer had done it
	awk -F'\t' -v r="$1" '$1 == r { print $2 }' "$dir/rounds" | sort |
		tail -n 1 | since_midnight
}

loopback() { awk '$1 == "lo:" { print $10 }' /proc/net/dev; }

private_mb() { # of a trainer, on average
	for i in 1 2 3 4; do
		cat "/proc/$(cat "$dir/trainer$i.pid")/smaps_rollup"
	done | awk '/^Private/ { kb += $2 } END { print kb / 1024 / 4 }'
}

per() { awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'; }

# NAME MODEL PARAMETERS DATA - whole runs of a cluster that is only for it
run() {
	begun=$(date -u +%FT%T.%NZ | since_midnight)
	start_nodes 1
	for i in 1 2 3 4; do
		launch "trainer$i" gfl-trainer --listen 127.0.0.1:0 \
			--config none --db "$dir/trainer$i.db" \
			--node "$(url_of node1)" --data "$4"
	done
	before=$(loopback)
	gfl-run start --model "$2" --rounds "$rounds" --steps 1 --batch 1 \
		--keep 0.$((100 / c)) --min-trainers 4 --give-up 20 --wait \
		>>"$dir/run.log"
	after=$(loopback)
	gfl-run show --history -o tsv -F round,at >"$dir/rounds"
	record "first_round_ms_$1" gfl $(($(at 1) - begun))
	record "round_ms_$1" gfl "$(per $(($(at "$rounds") - $(at 1))) $((rounds - 1)))"
	record "trainer_mb_$1" gfl "$(private_mb)"
	values=$((4 * (($3 + c - 1) / c)))
	record "round_bytes_$1" theory "$values"
	record "round_bytes_$1" gfl "$(gfl-run show -o tsv \
		-F bytes_sent,exchanges | awk '{ b += $1; n += $2 }
			END { print b / n }')"
	if [ "$inside" ]; then
		record "wire_bytes_$1" theory "$values"
		record "wire_bytes_$1" gfl \
			"$(per $((after - before)) $((rounds * 4)))"
	fi
	stop
}

stop() {
	# shellcheck disable=SC2086 # one word a process
	kill $pids
	wait
	pids=
	rm -f "$dir"/*.db* "$dir"/*.ready "$dir"/*.safetensors
}

tiny_data
run tiny 'input 1 2 2; dense 2' 10 "$dir/tiny"
run mlp mlp 101770 "$mnist"
