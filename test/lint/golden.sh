#!/bin/sh
# golden.sh - what numpy computed for the tests is what it computes now. TAP on
# stdout.
cd "$(dirname "$0")/../.." || exit 1
made=test/data/aggregate.h

wrong=$(/usr/bin/python3 test/data/aggregate.py | diff - $made | head -n 4 2>&1)
if [ -z "$wrong" ]; then
	echo "ok 1 $made is what aggregate.py writes"
else
	echo "$wrong" | sed 's/^/# /'
	echo "not ok 1 $made is what aggregate.py writes"
fi
echo 1..1
[ -z "$wrong" ]
