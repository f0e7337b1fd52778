#!/bin/sh
# gfl-mpirun.sh - a federation under Open MPI: N nodes and N trainers, started by
# two mpirun. They train one model on a data set that is cut in N, the trainers
# average it, and all end. Prints the accuracy of the average.
#
#	gfl-mpirun.sh N [RUN-OPTION...]
#	gfl-mpirun.sh 4 --model mlp --rounds 300 --keep 0.1
#
# GFL_DATA: a folder with MNIST's names (/usr/share/datasets/fashion-mnist).
# MPIRUN: the launcher with its options ("mpirun"). On several machines give it a
# hostfile, --listen an address of each ("$(hostname -i):0"), certificates
# (gfl-certs.sh) or --insecure to all, and folders that all of them see.
#
# A process knows its rank from Open MPI's environment: node RANK + 1 serves and
# keeps node-(RANK + 1).db; trainer RANK + 1 has part RANK + 1 of the data. One
# that leaves exits 0, so mpirun keeps the others.
set -eu
n=${1:?usage: gfl-mpirun.sh N [RUN-OPTION...]}
shift
data=${GFL_DATA:-/usr/share/datasets/fashion-mnist}
mpirun=${MPIRUN:-mpirun}
command -v "${mpirun%% *}" >/dev/null || {
	echo "gfl-mpirun.sh: no ${mpirun%% *} here: install openmpi-bin, or name it in MPIRUN" >&2
	exit 1
}
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || :; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export XDG_STATE_HOME="$dir/state"

mkfifo "$dir/ready"
gfl-gateway --listen 127.0.0.1:0 --port-file "$dir/port" --ready-fd 9 \
	9>"$dir/ready" 2>"$dir/gateway.log" &
pids=$!
read -r _ <"$dir/ready"
GFL_GATEWAY=http://127.0.0.1:$(cat "$dir/port")
export GFL_GATEWAY

$mpirun -np "$n" gfl-node --listen 127.0.0.1:0 2>"$dir/nodes.log" &
nodes=$!
pids="$pids $nodes"
gfl-wait nodes "$n" -t 60

gfl-data split --data "$data" --parts "$n" --out "$dir/parts" >&2
$mpirun -np "$n" gfl-trainer --data "$data" --test "$data" \
	--index "$dir/parts/part-%d.idx" \
	--model-out "$dir/model-%d.safetensors" 2>"$dir/trainers.log" &
pids="$pids $!"
gfl-wait trainers "$n" -t 60

run=$(gfl-run start --min-trainers "$n" "$@")
gfl-wait run "$run" -t 0
gfl-model average "$dir"/model-*.safetensors --out "$dir/mean.safetensors"
gfl-model eval "$dir/mean.safetensors" --data "$data" -F accuracy,examples

gfl-send --all shutdown --type 2 >&2
wait "$nodes" # 0: all of them have left
