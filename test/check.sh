#!/bin/sh
# check.sh - every suite, one after the other, but bats' two halves, which
# mostly wait, together; the last line is `N passed, N failed`. Logs stay in
# build/check.
set -u
make=${MAKE:-make}
logs=build/check
rm -rf $logs
mkdir -p $logs

suite() { # NAME, make arguments: build first, then run; a failed build counts
	name=$1
	shift
	start=$(date +%s)
	$make --no-print-directory "$@" >"$logs/$name.tap" 2>&1
	status=$?
	ok=$(grep -c '^ok ' "$logs/$name.tap")
	bad=$(grep -c '^not ok ' "$logs/$name.tap")
	if [ $status != 0 ] && [ "$bad" = 0 ]; then
		echo "not ok $name: ended with status $status" >>"$logs/$name.tap"
	fi
	# What C tests say comes before the line, what bats says after it.
	grep -B 12 -A 20 '^not ok ' "$logs/$name.tap"
	printf '%-16s %4d ok, %d not ok, %d s\n' "$name" "$ok" "$bad" \
		$(($(date +%s) - start))
	[ $status = 0 ] || tail -n 25 "$logs/$name.tap"
}

suite build -j2 DEV=1 all
suite lint DEV=1 check-lint
suite unit -j2 DEV=1 check-unit
suite sim -j2 DEV=1 check-sim
suite interop -j2 DEV=1 check-interop
suite unit-sanitized -j2 SAN=address,undefined check-unit
suite sim-sanitized -j2 SAN=address,undefined check-sim
suite fuzz DEV=1 check-fuzz
suite chaos -j2 DEV=1 check-chaos
suite bats-1 check-bats BATS='test/bats/[0-4]*.bats test/bats/5[0-2]*.bats' &
suite bats-2 check-bats BATS='test/bats/5[!0-2]*.bats test/bats/[!0-5]*.bats' &
wait

passed=$(cat $logs/*.tap | grep -c '^ok ')
failed=$(cat $logs/*.tap | grep -c '^not ok ')
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
