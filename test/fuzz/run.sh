#!/bin/sh
# run.sh SECONDS RUNS SEED PROGRAM... - each fuzz target over its corpus, then
# over what libFuzzer makes of it for so many seconds and inputs at most (-1: no
# matter how many), two targets at a time; TAP on stdout. SEED 0 is another one
# each time; with any other the inputs are the same each time, if the addresses
# are and the target has one thread. A failing input stays beside the program,
# in found/; what reached new code, in grown/, where a run of SEED 0 begins.
if [ "$1" != --one ]; then
	seconds=$1 runs=$2 seed=$3
	shift 3
	printf '%s\n' "$@" |
		xargs -P 2 -n 1 "$0" --one "$seconds" "$runs" "$seed" &&
		rc=0 || rc=1
	echo "1..$#"
	exit $rc
fi

seconds=$2 runs=$3 seed=$4 program=$5
name=${program##*/}
dir=$(dirname "$program")
grown=$dir/grown/$name
same=
if [ "$seed" != 0 ]; then
	grown=$dir/seeded/$name
	rm -rf "$grown"
	setarch -R true 2>/dev/null && same='setarch -R'
fi
mkdir -p "$grown" "$dir/found"
log=$dir/$name.log
if "$program" -runs=0 -timeout=20 -artifact_prefix="$dir/found/$name-" \
	"test/fuzz/corpus/$name" >"$log" 2>&1 &&
	$same "$program" -max_total_time="$seconds" -runs="$runs" \
		-seed="$seed" -max_len=4096 -timeout=20 -rss_limit_mb=1024 \
		-reload=0 -artifact_prefix="$dir/found/$name-" \
		"$grown" "test/fuzz/corpus/$name" >"$log" 2>&1; then
	echo "ok $name: $(sed -n 's/^Done //p' "$log")"
	exit 0
fi
# One write, so that the other target's lines do not come in between; without
# libFuzzer's progress, and what is no text.
echo "$(grep -av '^#' "$log" | tr -cd '[:print:]\n' | cut -c 1-200 |
	tail -n 40 | sed 's/^/# /')
not ok $name"
exit 1
