#!/bin/sh
# gfl-textfile.sh - figures of a cluster for node_exporter's textfile collector.
#
#   gfl-textfile.sh [FOLDER [PROBE...]]
#
# Writes FOLDER/gfl-nodes.prom, gfl-leader.prom and gfl-gateway.prom, or those of
# the probes named (GFL_SERVER=http://... gfl-textfile.sh "" server), each as one
# step, so that the collector never reads half of one. FOLDER is by default
# where Debian's prometheus-node-exporter looks. The status of the exit is that
# of the worst check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
folder=${1:-/var/lib/prometheus/node-exporter}
worst=0
[ $# -lt 1 ] || shift
[ $# -gt 0 ] || set -- nodes leader gateway
for probe; do
	gfl-check "$probe" -o prom --out "$folder/gfl-$probe.prom"
	status=$?
	[ "$status" -le "$worst" ] || worst=$status
done
exit "$worst"
