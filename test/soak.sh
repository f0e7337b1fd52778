#!/bin/sh
# soak.sh BUILD MINUTES SEEDS FROM PART... - tests that may go on for as long as
# there is time; each part says in one line what it ran and how much failed.
# MINUTES are for each part. A part is a function here, NAME_soak: it ends by
# $deadline, and fails if something did.
set -u
build=$1 minutes=$2 seeds=$3 from=$4
shift 4
make=${MAKE:-make}
seconds=$((minutes * 60))
log=$build/soak
mkdir -p "$log"

# Simulated Raft clusters: so many seeds, or as many as there is time for.
sim_soak() {
	# Fresh ones each time, unless told where to begin.
	first=${from:-$(date +%s)000}
	next=$first bad=0 chunk=500
	: >"$log/sim"
	while [ "${seeds:-$chunk}" -gt 0 ] &&
		{ [ "$seeds" ] || [ "$(date +%s)" -lt "$deadline" ]; }; do
		[ "${seeds:-$chunk}" -ge $chunk ] || chunk=$seeds
		GFL_FROM=$next GFL_SEEDS=$chunk "$build/test/sim/raft_sim" \
			random_clusters >"$log/sim.part" 2>&1 || bad=$((bad + 1))
		cat "$log/sim.part" >>"$log/sim"
		sed -n 's|GFL_SEED=[0-9]*$|& '"$build"'/test/sim/raft_sim|
			s/^# \(seed [0-9]* \)/\1/p; /^not ok/p' "$log/sim.part"
		next=$((next + chunk))
		[ -z "$seeds" ] || seeds=$((seeds - chunk))
	done
	echo "sim: $((next - first)) seeds from $first: $(sum_up "$log/sim")," \
		"$bad pieces with a failure"
	[ $bad = 0 ]
}

# The numbers of all lines "# N seeds: N this, N that", added up.
sum_up() {
	sed -n 's/^# [0-9]* seeds: //p' "$1" | tr , '\n' | awk '
		{ n = $1; sub(/^ *[0-9]+ /, "")
		  if (!($0 in sum)) name[++names] = $0
		  sum[$0] += n }
		END { for (i = 1; i <= names; i++)
			printf "%s%d %s", (i > 1 ? ", " : ""), sum[name[i]], name[i] }'
}

# Whatever reads bytes from outside; all targets share the time.
fuzz_soak() {
	targets=$(ls test/fuzz/*.c | wc -l)
	each=$((seconds * 2 / targets)) # two at a time
	$make --no-print-directory SECONDS=$((each > 0 ? each : 1)) run-fuzz \
		>"$log/fuzz" 2>&1
	status=$?
	grep -B 20 '^not ok' "$log/fuzz"
	echo "fuzz: $(grep -c '^ok ' "$log/fuzz") of $targets targets for" \
		"$each s each without a failure"
	return $status
}

# Clusters of real processes, one after the other, each for two minutes; SEEDS
# of them at most.
chaos_soak() {
	first=${from:-$(date +%s)}
	next=$first bad=0 left=${seeds:-1000000}
	: >"$log/chaos"
	while [ "$left" -gt 0 ] && [ "$(date +%s)" -lt "$deadline" ]; do
		TMPDIR=$PWD/$log test/chaos/run.sh "$build" --seed "$next" \
			--seconds 120 >"$log/chaos.part" 2>&1 ||
			bad=$((bad + 1))
		cat "$log/chaos.part" >>"$log/chaos"
		grep -E '^not ok|^# (logs|again)' "$log/chaos.part"
		next=$((next + 1)) left=$((left - 1))
	done
	echo "chaos: $((next - first)) clusters from seed $first:" \
		"$(sum_up "$log/chaos"), $bad with a failure"
	[ $bad = 0 ]
}

# Every request for memory of a member's SQLite, and every operation on its
# disk, fails once; the number of them ends it.
torture_soak() {
	GFL_TORTURE=1 "$build/test/unit/raft_torture_test" >"$log/torture" 2>&1
	status=$?
	grep '^not ok' "$log/torture"
	echo "torture: $(sed -n 's/^# \([0-9]* runs\).*/\1/p' "$log/torture" |
		paste -sd ' ') without a loss"
	return $status
}

rc=0
trap 'exit 130' INT TERM
for part; do
	deadline=$(($(date +%s) + seconds))
	"${part}_soak" || rc=1
done
exit $rc
