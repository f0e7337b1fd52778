#!/bin/sh
# loops.sh - would more I/O loops help? Calls/s of two servers with a load of
# their own each, the most that two loops of one server could reach, beside those
# of one server with one load. Prints records.
#
#	loops.sh BUILD SECONDS
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1/test/bench seconds=$2

load() { # NAME
	h2load --h1 -c 64 -D "$seconds" --warm-up-time 1 -d "$dir/grpc" \
		-H content-type:application/grpc-web+proto \
		"$(url_of "$1")/gfl.test.EchoService/Unary" >"$dir/load.$1"
}

calls() { # NAME... - a second, of all
	for name; do load "$name" & done
	wait # of this subshell: not for the servers
	for name; do cat "$dir/load.$name"; done |
		awk -v s="$seconds" '/^status codes:/ { n += $3 }
			END { print n / s }'
}

printf '\0\0\0\0\2\30\7' >"$dir/grpc"
for name in a b; do
	launch "$name" sh -c 'exec "$0" >"$1"' "$build/server_bench" \
		"$dir/$name.port"
	until [ -s "$dir/$name.port" ]; do
		kill -0 "$(cat "$dir/$name.pid")"
	done
done
record loops_rps one "$(calls a)"
record loops_rps gfl "$(calls a b)"
