#!/bin/sh
# calls.sh - what a client sees, ours of our servers beside grpcio of its own: a
# message of 10 MB there and back, and a small one to 16 peers at once. Prints
# records.
#
#	calls.sh BUILD SECONDS
set -eu
. "$(dirname "$0")/cluster.sh"
here=$(dirname "$0")
build=$1/test/bench seconds=$2

serve() { # WHO N PROGRAM
	for i in $(seq "$2"); do
		launch "$1$i" sh -c 'exec "$0" >"$1"' "$3" "$dir/$1$i.port"
	done
	ports=
	for i in $(seq "$2"); do
		until [ -s "$dir/$1$i.port" ]; do
			kill -0 "$(cat "$dir/$1$i.pid")"
		done
		ports="$ports $(cat "$dir/$1$i.port")"
	done
}

serve gfl 16 "$build/server_bench"
ours=$ports
serve grpcio 16 "$here/server_grpcio.py"
theirs=$ports
# shellcheck disable=SC2086 # words on purpose
{
	record echo_ms gfl "$("$build/call_bench" echo "$seconds" 10000000 $ours)"
	record echo_ms grpcio "$("$here/call_grpcio.py" echo "$seconds" 10000000 \
		"${theirs##* }")"
	record fan_ms gfl "$("$build/call_bench" fan "$seconds" 100 $ours)"
	record fan_ms grpcio "$("$here/call_grpcio.py" fan "$seconds" 100 $theirs)"
}
