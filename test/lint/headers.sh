#!/bin/sh
# headers.sh - every header compiles on its own. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
export CC="${CC:-cc}" BUILD="${BUILD:-build}"

wrong=$(ls lib/*/*.h test/unit/*.h | xargs -P 2 -n 1 sh -c '
	out=$($CC -std=gnu17 -Wall -Wextra -fsyntax-only -D_GNU_SOURCE -Ilib \
		-Itest/unit -I"$BUILD/gen" -x c -include "$0" /dev/null 2>&1) ||
		{ echo "$0:"; echo "$out" | head -n 3; }')
if [ -z "$wrong" ]; then
	echo "ok 1 every header compiles on its own"
else
	echo "$wrong" | sed 's/^/# /'
	echo "not ok 1 every header compiles on its own"
fi
echo 1..1
[ -z "$wrong" ]
