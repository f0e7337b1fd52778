#!/bin/sh
# tap.sh PROGRAM... - run test programs one after the other; TAP on stdout.
# Fails if one fails. A program that dies is a failed test of its own.
rc=0
for t in "$@"; do
	echo "# ${t##*/}"
	"$t" && continue
	status=$?
	rc=1
	[ $status = 1 ] || echo "not ok ${t##*/} ended with status $status"
done
exit $rc
