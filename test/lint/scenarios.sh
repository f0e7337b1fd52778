#!/bin/sh
# scenarios.sh - every test that test/sim/scenarios.md names exists, and every
# scenario has one or says why not. TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
table=test/sim/scenarios.md
n=0
failed=0

verdict() { # NAME, what is wrong (empty: nothing)
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
		return
	fi
	echo "$2" | sed 's/^/# /'
	echo "not ok $n $1"
	failed=1
}

known=$(sed -nE -e 's/^TEST\(([a-z0-9_]+)\).*/\1/p' \
	-e 's/^static void ([a-z0-9_]+)\(struct trace \*t\)$/\1/p' \
	test/unit/raft_*_test.c test/sim/raft_planted*.h)
missing=$(sed -n '/^| /s/^[^|]*|[^|]*|//p' $table |
	grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u |
	while read -r name; do
		echo "$known" | grep -qx "$name" || echo "no test $name"
	done)
verdict "the tests that $table names exist" "$missing"

empty=$(grep '^| ' $table | grep -vE '^\| (scenario|---) |`[a-z0-9_]+`|\| – .+ \|$')
verdict "each scenario of $table has a test or a reason" "$empty"

echo "1..$n"
exit $failed
