#!/bin/sh
# check.sh BUILD - the short version: every fault once, in an order that a fixed
# seed gives; and whether the run sees what it has to see.
set -u
run="$(dirname "$0")/run.sh $1"
rc=0
if [ "${GFL_SKIP:-}" = netns ]; then
	echo "ok 1 # SKIP GFL_SKIP=netns"
	exit
fi

all=$(mktemp) || exit
trap 'rm -f "$all"' EXIT
trap 'exit 1' HUP INT TERM

one() { # ARGUMENT of chaos...
	$run --seed 1 --nodes 3 "$@" || rc=1
}

# Most of them wait most of the time, so the long one runs beside the others.
one --rounds 1 >"$all" &
one --rounds 5 --faults power-one,power-all
one --rounds 3 --faults lying-disks --expect 'logs differ'
one --rounds 3 --faults lying-wal --expect 'logs differ'
one --rounds 2 --faults pause-follower --stale-reads --expect 'stale read'
wait $!
cat "$all"
! grep -q '^not ok' "$all" || rc=1
grep -q '^ok' "$all" || rc=1
exit $rc
