#!/bin/sh
# run.sh SECONDS SEED PROGRAM... - each fuzz target over its corpus, then over
# what libFuzzer makes of it for so many seconds, two targets at a time; TAP on
# stdout. SEED 0 is another one each time. A failing input stays beside the
# program, in found/; what reached new code, in grown/, where the next run
# begins.
if [ "$1" != --one ]; then
	seconds=$1 seed=$2
	shift 2
	printf '%s\n' "$@" |
		xargs -P 2 -n 1 "$0" --one "$seconds" "$seed" && rc=0 || rc=1
	echo "1..$#"
	exit $rc
fi

seconds=$2 seed=$3 program=$4
name=${program##*/}
dir=$(dirname "$program")
mkdir -p "$dir/grown/$name" "$dir/found"
log=$dir/$name.log
if "$program" -runs=0 -timeout=20 -artifact_prefix="$dir/found/$name-" \
	"test/fuzz/corpus/$name" >"$log" 2>&1 &&
	"$program" -max_total_time="$seconds" -seed="$seed" -max_len=4096 \
		-timeout=20 -rss_limit_mb=1024 -reload=0 \
		-artifact_prefix="$dir/found/$name-" \
		"$dir/grown/$name" "test/fuzz/corpus/$name" >"$log" 2>&1; then
	echo "ok $name: $(sed -n 's/^Done //p' "$log")"
	exit 0
fi
# One write, so that the other target's lines do not come in between; without
# libFuzzer's progress, and what is no text.
echo "$(grep -av '^#' "$log" | tr -cd '[:print:]\n' | cut -c 1-200 |
	tail -n 40 | sed 's/^/# /')
not ok $name"
exit 1
