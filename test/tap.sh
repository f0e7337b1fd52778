#!/bin/sh
# tap.sh PROGRAM... - run test programs, eight at a time since most of them wait
# for something most of the time; their TAP on stdout, in order. Fails if one
# fails. A program that dies is a failed test of its own.
out=$(mktemp -d) || exit
export out
trap 'rm -rf "$out"' EXIT
trap 'exit 1' HUP INT TERM

printf '%s\n' "$@" | xargs -P 8 -I PROGRAM sh -c '
	name=${1##*/}
	"$1" >"$out/$name" 2>&1
	echo $? >"$out/$name.status"' sh PROGRAM

rc=0
for t in "$@"; do
	name=${t##*/}
	echo "# $name"
	cat "$out/$name"
	status=$(cat "$out/$name.status")
	[ "$status" = 0 ] && continue
	rc=1
	[ "$status" = 1 ] || echo "not ok $name ended with status $status"
done
exit $rc
