#!/bin/sh
# tensor.sh - a tensor of 500 MB in 1 MiB chunks from one process to another:
# ours, TCP alone, Python's grpcio; what the server needs for it; and how long
# a small call takes beside it. Prints records.
#
#	tensor.sh BUILD
set -eu
. "$(dirname "$0")/cluster.sh"
bench=$1/test/bench/tensor_bench
peer=$(dirname "$0")/tensor_grpcio.py
bytes=524288000

serve() { # NAME PROGRAM ARGUMENT... - which writes its port
	launch "$1" sh -c 'port=$1; shift; exec "$@" >"$port"' sh \
		"$dir/$1.port" "$2" "$3" "$4" "${5:-}"
	until [ -s "$dir/$1.port" ]; do
		kill -0 "$(cat "$dir/$1.pid")"
	done
}

# FIGURE WHO PROGRAM WHAT NAME - in MB/s
rate() {
	record "$1" "$2" "$("$3" "$4" "$(cat "$dir/$5.port")" "$bytes" |
		awk '{ print $1 / 1e6 }')"
}

anon() { awk '/^RssAnon:/ { print $2 / 1024 }' "/proc/$(cat "$dir/$1.pid")/status"; }

serve gfl "$bench" serve "$bytes"
serve raw "$bench" raw-serve "$bytes"
serve grpcio "$peer" serve "$bytes"
serve file "$bench" serve "$bytes" "$dir/tensor"

rate stream_mbs gfl "$bench" stream gfl
rate stream_mbs tcp "$bench" raw raw
rate stream_mbs grpcio "$peer" pull grpcio
rate pull_mbs gfl "$bench" pull gfl
rate push_mbs gfl "$bench" push gfl
record beside_ms_p99 gfl "$("$bench" beside "$(cat "$dir/gfl.port")" "$bytes")"
record beside_ms_p99 alone "$("$bench" alone "$(cat "$dir/gfl.port")" "$bytes")"

# From a file, since the bytes in memory would count.
before=$(anon file)
"$bench" watch "$(cat "$dir/file.port")" "$bytes" "$(cat "$dir/file.pid")" |
	while read -r most; do
		record stream_mb gfl "$(awk -v a="$before" -v b="$most" \
			'BEGIN { print b - a }')"
	done
