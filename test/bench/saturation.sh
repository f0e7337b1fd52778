#!/bin/sh
# saturation.sh - three members at rest, then with 256 clients who propose as
# fast as they are answered, for a minute: gfl-node beside etcd, each with its
# own defaults of snapshots and compaction. Prints records: processor time and
# private memory of a member at rest and under load, whether the memory grows
# while the load lasts, bytes on disk, and elections that nobody needed.
#
#	saturation.sh [SECONDS]
set -eu
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/pair.sh"
seconds=${1:-60} rest=5

div() { awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'; }

private_mb() { # NAME... - of all of them together
	for name; do
		awk '/^RssAnon:/ { print $2 / 1024 }' \
			"/proc/$(cat "$dir/$name.pid")/status"
	done | awk '{ mb += $1 } END { print mb }'
}

gfl_terms() { gfl-status "$gfl" -o tsv -F term; }
etcd_terms() { metric "$etcd" etcd_server_leader_changes_seen_total; }
gfl_bytes() { cat "$dir"/node1.db* | wc -c; }
etcd_bytes() { du -sb "$dir/etcd1" | cut -f1; }

# WHO NAME...
run() {
	who=$1
	shift
	record rest_mb "$who" "$(div "$(private_mb "$@")" 3)"
	used=$(ticks "$@")
	sleep $rest
	used=$(($(ticks "$@") - used))
	record rest_core "$who" "$(div "$used" $((rest * 3 * hz)))"
	terms=$("${who}_terms") before=$("${who}_committed")
	bytes=$("${who}_bytes") used=$(ticks "$@")
	# shellcheck disable=SC2046 # words on purpose
	h2load -c 256 -D "$seconds" $("${who}_how") >"$dir/h2load.log" &
	load=$!
	sleep $((seconds / 3))
	early=$(private_mb "$@")
	wait $load
	late=$(private_mb "$@")
	used=$(($(ticks "$@") - used))
	entries=$(($("${who}_committed") - before))
	record full_mb "$who" "$(div "$late" 3)"
	record full_mb_growth "$who" "$(div "$late" "$early")"
	record full_core "$who" "$(div "$used" $((seconds * 3 * hz)))"
	record full_disk_mb "$who" "$(div "$("${who}_bytes")" 1048576)"
	record full_entry_bytes "$who" \
		"$(div $(($("${who}_bytes") - bytes)) "$entries")"
	record full_entries "$who" "$entries"
	record full_elections "$who" $(($("${who}_terms") - terms))
}

hz=$(getconf CLK_TCK)
start_nodes 3
gfl=$(url_of "node$(gfl-leader)")
run gfl node1 node2 node3
start_etcd
run etcd etcd1 etcd2 etcd3
