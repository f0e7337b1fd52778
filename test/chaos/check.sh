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

one() { # ARGUMENT of chaos...
	$run --seed 1 --nodes 3 "$@" || rc=1
}

one --rounds 1
one --rounds 5 --faults power-one,power-all
one --rounds 1 --faults lying-disks --expect 'logs differ'
one --rounds 1 --faults lying-wal --expect 'logs differ'
one --rounds 1 --faults pause-follower --stale-reads --expect 'stale read'
exit $rc
