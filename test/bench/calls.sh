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

# FIGURE WHO SERVER... - the time of one call, and, if there is but one server, the
# processor time that it and the client need for it; the client is in $client
measure() {
	figure=$1 who=$2
	shift 2
	before=$(ticks "$1")
	# shellcheck disable=SC2086 # words on purpose
	set -- $($client) "$#" $(($(ticks "$1") - before))
	record "${figure}_ms" "$who" "$1"
	[ "$4" -gt 1 ] || record "${figure}_cpu_ms" "$who" "$(awk -v n="$2" \
		-v s="$3" -v t="$5" -v hz="$(getconf CLK_TCK)" \
		'BEGIN { print (s + t / hz) / n * 1e3 }')"
}

serve gfl 16 "$build/server_bench"
ours=$ports
serve grpcio 16 "$here/server_grpcio.py"
theirs=$ports
client="$build/call_bench echo $seconds 10000000 ${ours##* }"
measure echo gfl gfl16
client="$here/call_grpcio.py echo $seconds 10000000 ${theirs##* }"
measure echo grpcio grpcio16
client="$build/call_bench fan $seconds 100 $ours"
measure fan gfl gfl1 gfl2
client="$here/call_grpcio.py fan $seconds 100 $theirs"
measure fan grpcio grpcio1 grpcio2
