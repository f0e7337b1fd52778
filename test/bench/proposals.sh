#!/bin/sh
# proposals.sh - entries of 256 bytes that 3 members commit in a second, for
# 1, 16 and 256 clients that each wait for the answer: gfl-node beside etcd, in
# turn, with h2load as the clients of both (gRPC-web, native gRPC). Prints
# records, the CPU time of all 3 members per entry among them.
#
#	proposals.sh [SECONDS [slow]]	slow: each sync takes 2 ms longer
set -eu
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/pair.sh"
seconds=${1:-2} slow=${2:-}

# WHO CLIENTS PROCESS...
load() {
	who=$1 clients=$2
	shift 2
	before=$("${who}_committed") used=$(ticks "$@")
	# shellcheck disable=SC2046 # words on purpose
	h2load -c "$clients" -D "$seconds" --warm-up-time 1 \
		--log-file "$dir/took" $("${who}_how") >"$dir/h2load.log"
	used=$(($(ticks "$@") - used))
	committed=$(($("${who}_committed") - before))
	ops=$(awk '$2 == 200' "$dir/took" | wc -l)
	if [ "$ops" = 0 ] || [ "$committed" -lt "$ops" ]; then
		echo "$who: $ops answers, but $committed entries" >&2
		exit 1
	fi
	record "proposals_$clients$slow" "$who" $((ops / seconds))
	for part in 50 99; do
		record "proposal_p${part}_ms_$clients$slow" "$who" "$(
			cut -f3 "$dir/took" | sort -n |
				awk -v n="$ops" -v p=$part 'NR >= n * p / 100 {
					print $1 / 1e3; exit }'
		)"
	done
	record "proposal_us_$clients$slow" "$who" "$(awk -v t="$used" \
		-v n="$committed" -v hz="$(getconf CLK_TCK)" \
		'BEGIN { print t / hz / n * 1e6 }')"
	rm "$dir/took"
}

if [ "$slow" ]; then
	slow_sync
fi
start_nodes 3
gfl=$(url_of "node$(gfl-leader)")
start_etcd --snapshot-count 1000000
for clients in 1 16 256; do
	load gfl "$clients" node1 node2 node3
	load etcd "$clients" etcd1 etcd2 etcd3
done
