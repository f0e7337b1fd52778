#!/bin/sh
# proposals.sh - entries of 256 bytes that 3 members commit in a second, for
# 1, 16 and 256 clients that each wait for the answer: gfl-node beside etcd, in
# turn, with h2load as the clients of both (gRPC-web, native gRPC). Prints
# records, the CPU time of all 3 members per entry among them.
#
#	proposals.sh [SECONDS]
set -eu
. "$(dirname "$0")/cluster.sh"
seconds=${1:-2}

xs() { head -c "$1" /dev/zero | tr '\0' x; }

# Framed ProposeRequest {entry = 3 {noop = 1 {unknown field 1: 253 bytes}}} and
# PutRequest {key = 1, value = 2}.
{
	printf '\0\0\0\1\6\32\203\2\12\200\2\12\375\1'
	xs 253
} >"$dir/propose"
{
	printf '\0\0\0\1\15\12\10'
	xs 8
	printf '\22\200\2'
	xs 256
} >"$dir/put"

metric() { curl -s "$1/metrics" | awk -v m="$2" '$1 == m { printf "%d", $2 }'; }

# Three ports that are free now: etcd cannot choose its own.
start_etcd() {
	base=$((20000 + $$ % 10000))
	while ss -Hltn | grep -q ":$((base / 10))[0-9] "; do
		base=$((base + 10))
	done
	base=$((base / 10 * 10))
	all=
	for i in 1 2 3; do
		all="$all,e$i=http://127.0.0.1:$((base + i))"
	done
	for i in 1 2 3; do
		peer=http://127.0.0.1:$((base + i))
		echo $((base + 3 + i)) >"$dir/etcd$i.port"
		launch "etcd$i" etcd --name "e$i" --data-dir "$dir/etcd$i" \
			--listen-peer-urls "$peer" \
			--initial-advertise-peer-urls "$peer" \
			--listen-client-urls "$(url_of "etcd$i")" \
			--advertise-client-urls "$(url_of "etcd$i")" \
			--initial-cluster "${all#,}" --log-level error \
			--heartbeat-interval 50 --election-timeout 250 \
			--snapshot-count 1000000
	done
	until etcd=$(etcd_leader); do
		kill -0 "$(cat "$dir/etcd1.pid")"
	done
}

etcd_leader() {
	for i in 1 2 3; do
		at=$(url_of "etcd$i")
		if [ "$(metric "$at" etcd_server_is_leader)" = 1 ]; then
			echo "$at"
			return
		fi
	done
	return 1
}

gfl_committed() { gfl-status "$gfl" -o tsv -F commit_index; }
etcd_committed() { metric "$etcd" etcd_server_proposals_committed_total; }

# WHO CLIENTS PROCESS... - what follows as arguments of h2load is in $how
load() {
	who=$1 clients=$2
	shift 2
	before=$("${who}_committed") used=$(ticks "$@")
	# shellcheck disable=SC2086 # words on purpose
	h2load -c "$clients" -D "$seconds" --warm-up-time 1 \
		--log-file "$dir/took" $how >"$dir/h2load.log"
	used=$(($(ticks "$@") - used))
	committed=$(($("${who}_committed") - before))
	ops=$(awk '$2 == 200' "$dir/took" | wc -l)
	if [ "$ops" = 0 ] || [ "$committed" -lt "$ops" ]; then
		echo "$who: $ops answers, but $committed entries" >&2
		exit 1
	fi
	record "proposals_$clients" "$who" $((ops / seconds))
	record "proposal_p99_ms_$clients" "$who" "$(cut -f3 "$dir/took" | sort -n |
		awk -v n="$ops" 'NR >= n * 0.99 { print $1 / 1e3; exit }')"
	record "proposal_us_$clients" "$who" "$(awk -v t="$used" \
		-v n="$committed" -v hz="$(getconf CLK_TCK)" \
		'BEGIN { print t / hz / n * 1e6 }')"
	rm "$dir/took"
}

start_nodes 3
gfl=$(url_of "node$(gfl-leader)")
start_etcd
for clients in 1 16 256; do
	how="--h1 -H content-type:application/grpc-web+proto -d $dir/propose
		$gfl/gfl.v1.NodeService/Propose"
	load gfl "$clients" node1 node2 node3
	how="-m 1 -H content-type:application/grpc -H te:trailers -d $dir/put
		$etcd/etcdserverpb.KV/Put"
	load etcd "$clients" etcd1 etcd2 etcd3
done
