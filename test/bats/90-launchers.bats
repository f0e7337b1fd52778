# Members that a launcher starts all alike: each knows its place from its rank.

load helpers

eval "$(declare -f setup teardown | sed 's/^setup /open_bed /; s/^teardown /close_bed /')"

examples=$BATS_TEST_DIRNAME/../../share/examples
full=/usr/share/datasets/fashion-mnist

# Open MPI asks root whether it means it, and whether there are so many cores.
setup() {
	open_bed
	unset OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID \
		JOB_COMPLETION_INDEX
	export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
		OMPI_MCA_rmaps_base_oversubscribe=1
	mpi=
}

# mpirun that is killed leaves what it started: it is told to stop.
teardown() {
	if [ -n "$mpi" ] && kill -TERM "$mpi"; then
		wait "$mpi" || :
	fi
	close_bed
}

@test "an example that cannot run says so at once" {
	says() { # TEXT COMMAND...
		run timeout 10 "${@:2}"
		[[ $status == [12] && $output == *"$1"* ]]
	}
	MPIRUN='./none --bind-to core' says 'no ./none here' "$examples/gfl-mpirun.sh" 2
	says 'usage: gfl-mpirun.sh' "$examples/gfl-mpirun.sh"
	says './none: No such file' "$examples/gfl-search.sh" 100 ./none
	says './none: No such file' "$examples/gfl-central.sh" ./none
	says 'usage: gfl-participant.sh' "$examples/gfl-participant.sh" http://127.0.0.1:1
	says 'usage: gfl-lead.sh' "$examples/gfl-lead.sh"
}

nodes_by_mpirun() { # N
	mpirun -np "$1" gfl-node --listen 127.0.0.1:0 >mpi.out 2>mpi.log 3>&- &
	mpi=$!
	gfl-wait nodes "$1" -t 60
}

@test "mpirun starts nodes by rank; one leaves, the others go on; all leave, and it is done" {
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	nodes_by_mpirun 4
	[ "$(gfl-list -o tsv -F id,status | tr '\t\n' ' ;')" = \
		'1 alive;2 alive;3 alive;4 alive;' ]
	for id in 1 2 3 4; do [ -s "state/gfl/node-$id.db" ]; done
	gfl-send 2 shutdown --type 2
	until [ "$(gfl-list -o tsv -F id | tr '\n' ' ')" = '1 3 4 ' ]; do :; done
	gfl-wait leader -t 30
	kill -0 "$mpi"
	echo '{}' | gfl-log append noop -
	gfl-send --all shutdown --type 2
	wait "$mpi" # status 0
	mpi=
}

@test "a rank is where the node serves" {
	[[ ${GFL_SKIP-} != *netns* ]] || skip 'GFL_SKIP has netns'
	cat >inner <<'END'
ip link set lo up
mkfifo ready
gfl-gateway --db gw.db --ready-fd 9 9>ready 2>gw.log 3>&- &
gateway=$!
read -r _ <ready
mpirun -np 2 gfl-node 2>mpi.log 3>&- &
trap 'kill "$gateway"; wait' EXIT
gfl-wait nodes 2 -t 60
gfl-list -o tsv -F id,url >list
gfl-send --all shutdown --type 2
wait $!
END
	if [ "$EUID" = 0 ]; then
		unshare -n bash -euo pipefail inner
	else
		unshare -rn bash -euo pipefail inner
	fi
	[ "$(tr '\t\n' ' ;' <list)" = \
		'1 http://127.0.0.1:8901;2 http://127.0.0.1:8902;' ]
}

@test "the rank is Open MPI's, PMIx's, PMI's, Slurm's or Kubernetes'; GFL_RANK is above them" {
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	rank=0
	for name in OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID \
		JOB_COMPLETION_INDEX; do
		start "n$rank" env "$name=$rank" gfl-node
		rank=$((rank + 1))
	done
	start above env SLURM_PROCID=0 GFL_RANK=6 gfl-node
	start named env SLURM_PROCID=0 gfl-node --node-id 9
	[ "$(gfl-list -o tsv -F id | tr '\n' ' ')" = '1 2 3 4 5 7 9 ' ]
	stop named above n4 n3 n2 n1 n0
	SLURM_PROCID=first fails 2 gfl-node
	[[ $said == *SLURM_PROCID* ]]
}

@test "trainers and workers have their place by rank, too" {
	node 1 --bootstrap
	printf '0\n2\n4\n' >part-1.idx
	printf '1\n3\n' >part-2.idx
	for rank in 0 1; do
		start "t$rank" env "SLURM_PROCID=$rank" gfl-trainer \
			--node "$n1_url" --data "$full" --index part-%d.idx
		[ -s "state/gfl/trainer-$((rank + 1)).db" ]
	done
	grep -q 'event=serving.* examples=3' t0.log
	grep -q 'event=serving.* examples=2' t1.log
	gfl-wait trainers 2 --node "$n1_url" -t 30
	[ "$(gfl-list trainers --node "$n1_url" -o tsv -F id | tr '\n' ' ')" = \
		'1 2 ' ]
	start master gfl-master --db master.db
	start w env PMIX_RANK=2 gfl-worker -m "$master_url" --exec true
	until [ "$(gfl-list workers -m "$master_url" -o tsv -F id)" = worker-3 ]
	do :; done
}

@test "the example for Open MPI trains and ends" {
	read -r accuracy count < <("$examples/gfl-mpirun.sh" 3 --model softmax \
		--rounds 20)
	jq -en "$accuracy > 0.7 and $count == 10000"
}

# A stand-in for srun: ranks as it gives them, signals as it passes them on.
srun() {
	mkdir -p bin
	cat >bin/srun <<'END'
#!/bin/bash
[ "$1 $2" = '--overlap --ntasks' ]
n=$3
shift 3
for ((rank = 0; rank < n; rank++)); do
	SLURM_PROCID=$rank "$@" &
	pids+=($!)
done
trap 'kill "${pids[@]}"' TERM
while ! wait "${pids[@]}"; do
	for pid in "${pids[@]}"; do
		! kill -0 "$pid" 2>/dev/null || continue 2
	done
	break
done
END
	chmod +x bin/srun
	export PATH=$PWD/bin:$PATH
}

@test "the example for Slurm trains and ends" {
	srun
	gfl-data split --data "$full" --parts 2 --out parts
	export SLURM_NTASKS=2 SLURM_JOB_ID=7 SLURM_TMPDIR=$PWD/tmp SLURM_PROCID=0
	export GFL_HOST=127.0.0.1 GFL_PORT=0
	"$examples/gfl-slurm.sbatch" "$full" parts models --model softmax \
		--rounds 20 >out 2>log
	gfl-model average models/model-1.safetensors \
		models/model-2.safetensors --out mean
	gfl-model eval mean --data "$full" -o json |
		jq -e '.[0].accuracy > 0.7'
}

@test "the commands of the example for Kubernetes are ones" {
	export JOB_COMPLETION_INDEX=2
	sed -n 's/^ *- exec //p' "$examples/gfl-kubernetes.yaml" >commands
	[ "$(wc -l <commands)" = 3 ]
	while read -r command; do
		eval "$command --show-config" >"config.${command%% *}"
	done <commands
	grep -q $'^rank\t2\tJOB_COMPLETION_INDEX' config.gfl-node
	grep -q $'^advertise\thttp://gfl-node-2.gfl:8901\t' config.gfl-node
	grep -q $'^rank\t2\tJOB_COMPLETION_INDEX' config.gfl-trainer
}
