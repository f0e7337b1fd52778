#!/bin/sh
# rounds.sh - what a round of gossip costs when there is next to nothing to
# compute, and one of a local epoch of mlp: a gateway, a node and 4 trainers
# here. Prints records.
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
parts='' index=''

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

# DATA [OPTION...] - of each trainer; with PARTS each its part of the data
launch_trainers() {
	data=$1
	shift
	for i in 1 2 3 4; do
		[ -z "$parts" ] || index="--index $parts/part-$i.idx"
		# shellcheck disable=SC2086 # words on purpose
		launch "trainer$i" gfl-trainer --listen 127.0.0.1:0 \
			--config none --db "$dir/trainer$i.db" \
			--node "$(url_of node1)" --data "$data" $index "$@"
	done
}

train() { # OPTION... - a whole run
	gfl-run start --min-trainers 4 --give-up 20 --wait "$@" >>"$dir/run.log"
	gfl-run show --history -o tsv -F round,at >"$dir/rounds"
}

# NAME MODEL PARAMETERS DATA - whole runs of a cluster that is only for it
run() {
	begun=$(date -u +%FT%T.%NZ | since_midnight)
	start_nodes 1
	launch_trainers "$4"
	before=$(loopback)
	train --model "$2" --rounds "$rounds" --steps 1 --batch 1 \
		--keep 0.$((100 / c))
	after=$(loopback)
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

# As FedLab's server was measured: 4 trainers, Dirichlet 0.5, a local epoch of
# mlp in each of 20 rounds, batches of 64; a round takes as long as both cores
# need for the epochs. FedLab's accuracy is that of its server's model; here it
# is that of the average of the models, beside the mean of theirs.
run_trained() {
	parts=$dir/parts
	gfl-data split --data "$mnist" --parts 4 --by dirichlet:0.5 --seed 1 \
		--out "$parts" >"$dir/split.log"
	start_nodes 1
	launch_trainers "$mnist" --test "$mnist" --eval-every 20
	train --model mlp --rounds 20 --steps 234 --batch 64 --lr 0.05 \
		--lr-cosine --scheme dense --policy ring
	record trained_ms gfl "$(per $(($(at 20) - $(at 1))) 19)"
	record trained_mean gfl "$(gfl-run show -o tsv -F accuracy |
		awk '{ a += $1 } END { print a / NR }')"
	# shellcheck disable=SC2046 # one word a model; the directory is ours
	gfl-model average --out "$dir/average.safetensors" \
		$(gfl-run show -o tsv -F model) >"$dir/average.log"
	record trained_accuracy gfl "$(gfl-model eval "$dir/average.safetensors" \
		--data "$mnist" --part test -o tsv -F accuracy)"
	record trained_mb gfl "$(private_mb)"
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
run_trained
