#!/bin/sh
# small.sh - what a program costs that does nothing: the start of gfl-list beside
# that of a program that only gets libcurl ready, that of a command below gfl-guard
# beside one that setsid gives a session, and no more, and the private memory of
# a gateway and of a node that leads, once they are idle. Prints records.
#
#	small.sh BUILD
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1/test/bench

private_mb() { # NAME
	awk '/^RssAnon:/ { print $2 / 1024 }' \
		"/proc/$(cat "$dir/$1.pid")/status"
}

start_nodes 1
"$build/start_bench" 100 gfl-list --version -- "$build/empty_bench" \
	-- gfl-list -g "$(url_of gateway)" >"$dir/started"
record start_ms gfl "$(sed -n 1p "$dir/started")"
record start_ms libcurl "$(sed -n 2p "$dir/started")"
record answer_ms gfl "$(sed -n 3p "$dir/started")"
record answer_ms libcurl "$(sed -n 2p "$dir/started")"
"$build/start_bench" 200 gfl-guard --config none true -- setsid -w true \
	>"$dir/guarded"
record guard_ms gfl "$(sed -n 1p "$dir/guarded")"
record guard_ms setsid "$(sed -n 2p "$dir/guarded")"
record idle_mb_gateway gfl "$(private_mb gateway)"
record idle_mb_node gfl "$(private_mb node1)"
