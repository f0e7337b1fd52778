#!/bin/sh
# bench.sh - run the benches in turn, several times, and print one table of the
# medians. Ours and a peer's are always of the same run, one after the other.
#
#	bench.sh BUILD [train|exchange|plan|rounds|proposals|slowsync|failover|
#		saturation|unary|tensor|calls|hold|participants|nodes|small|
#		messages|tasks|aggregate|server|exec|compare]...
#
# compare, which only comes when asked for, is of simulated runs: the same each
# time. It comes once, with tables of its own; its records and curves are in
# BUILD/compare, and what is there is not computed again.
#
# BENCH_ROUNDS (5) and BENCH_SECONDS (1, of each measurement; of saturation,
# which comes once, as plan does, a minute) may be set.
set -eu
here=$(dirname "$0")
build=$1
shift
[ $# -gt 0 ] || set -- train exchange plan rounds proposals slowsync \
	failover saturation unary tensor calls hold participants nodes small \
	messages tasks aggregate server exec
seconds=${BENCH_SECONDS:-1}
PATH=$build/bin:$PATH
records=$(mktemp)
trap 'rm -f "$records"' EXIT

bench() {
	case $1 in
	train) "$here/train.sh" "$build/test/bench/train_bench" "$seconds" ;;
	exchange) "$build/test/bench/exchange_bench" "$seconds" ;;
	plan) "$build/test/bench/plan_bench" "$here/../../share/data/sites-14.tsv" ;;
	rounds) "$here/rounds.sh" ;;
	server) "$here/server.sh" ;;
	proposals) "$here/proposals.sh" "$seconds" ;;
	slowsync) "$here/proposals.sh" "$seconds" slow ;;
	failover) "$here/failover.sh" 10 ;;
	unary) "$here/unary.sh" "$build" "$seconds" ;;
	tensor) "$here/tensor.sh" "$build" ;;
	messages) "$here/messages.sh" ;;
	tasks) "$here/tasks.sh" "$build" ;;
	calls) "$here/calls.sh" "$build" "$seconds" ;;
	hold) "$here/hold.sh" "$build" ;;
	participants) "$here/participants.sh" "$build" ;;
	nodes) "$here/nodes.sh" "$build" ;;
	small) "$here/small.sh" "$build" ;;
	exec) "$here/exec.sh" ;;
	aggregate) "$here/aggregate.sh" "$build" "$seconds" ;;
	*) echo "bench: there is no \"$1\"" >&2; return 2 ;;
	esac
}

table() {
	sort -k1,2 -k3,3g "$records" | awk -F'\t' '
	function median(k) { # or the largest, of what is called so
		if (!n[k])
			return ""
		return at[k, index(k, "_max" SUBSEP) ? n[k] : int((n[k] + 1) / 2)]
	}
	function shown(v) {
		return v == "" ? "-" : sprintf(v < 100 ? "%.3g" : "%.0f", v)
	}
	BEGIN {
		line = "%-50s %9s %9s  %-22s %7s  %s\n"
		printf line, "figure (median)", "ours", "peer", "which peer",
			"ratio", "aim"
	}
	NR == FNR { k = $1 SUBSEP $2; at[k, ++n[k]] = $3; next }
	{
		ours = median($1 SUBSEP "gfl")
		peer = median($1 SUBSEP $3)
		if (ours != "")
			printf line, $2, shown(ours), shown(peer), $4,
				(peer == "" ? "-" : sprintf("%.2f", ours / peer)),
				$5
	}' - "$here/figures.tsv"
}

for round in $(seq "${BENCH_ROUNDS:-5}"); do
	for name; do
		echo "round $round: $name" >&2
		case $name in
		plan | saturation | compare) ;;
		*) bench "$name" >>"$records" ;;
		esac
	done
done
for name; do # once is enough
	case $name in
	train) "$here/train.sh" "$build/test/bench/train_bench" accuracy ;;
	plan) bench plan ;;
	saturation) "$here/saturation.sh" "${BENCH_SECONDS:-60}" ;;
	esac >>"$records"
done
[ ! -s "$records" ] || table
for name; do
	if [ "$name" = compare ]; then
		"$here/compare.sh" "$build" "$build/compare"
	fi
done
