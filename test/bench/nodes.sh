#!/bin/sh
# nodes.sh - a gateway with 10,000 nodes, each of which sends its heartbeat every
# 10 s: the share of one core that it needs, and how long it takes to list them.
# Prints records.
#
#	nodes.sh BUILD
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1/test/bench nodes=10000

start first gfl-gateway --db "$dir/gateway.db" # makes the tables
kill "$(cat "$dir/first.pid")"
wait "$(cat "$dir/first.pid")" || :
sqlite3 "$dir/gateway.db" "
	WITH RECURSIVE n(i) AS
		(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $nodes)
	INSERT INTO member SELECT i,
		'http://10.0.' || (i / 250) || '.' || (i % 250) || ':8900',
		'10.0.' || (i / 250) || '.' || (i % 250), 8900, '[]', '{}',
		printf('%032x', i), '', '', t, t, 1
		FROM n, (SELECT unixepoch() * 1000 AS t)"
start gateway gfl-gateway --db "$dir/gateway.db"
record beat_core gfl "$("$build/beat_bench" "$(cat "$dir/gateway.port")" \
	"$(cat "$dir/gateway.pid")" "$nodes")"
gfl-list -g "$(url_of gateway)" | awk -v n="$nodes" '
	$2 { k++ } END { if (k != n) exit 1 }'
record list_ms gfl "$("$build/start_bench" 21 gfl-list -g "$(url_of gateway)")"
