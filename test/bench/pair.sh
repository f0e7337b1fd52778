# pair.sh - sourced after cluster.sh: three nodes and three members of etcd, and
# the proposal that both get from h2load or from gap.py.
#
# $around is put before each member's program: slow_sync sets it to one that
# makes each sync take 2 ms longer. etcd calls the kernel by itself, past any
# library that could be preloaded, so strace does it for both.
around=
slow_sync() {
	around="strace -D -f --seccomp-bpf -qq -o /dev/null
		-e trace=fsync,fdatasync
		-e inject=fsync,fdatasync:delay_exit=2000"
}

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

launch_etcd() { # N
	# shellcheck disable=SC2086,SC2154 # words on purpose; $dir is cluster.sh's
	launch "etcd$1" $around etcd --name "e$1" --data-dir "$dir/etcd$1" \
		--listen-peer-urls "http://127.0.0.1:$((base + $1))" \
		--initial-advertise-peer-urls "http://127.0.0.1:$((base + $1))" \
		--listen-client-urls "$(url_of "etcd$1")" \
		--advertise-client-urls "$(url_of "etcd$1")" \
		--initial-cluster "$all" --log-level error \
		--heartbeat-interval 50 --election-timeout 250 $etcd_options
}

# Six ports that are free now: etcd cannot choose its own.
start_etcd() { # OPTION... - of each member
	etcd_options=$*
	base=$((20000 + $$ % 10000 / 10 * 10))
	while ss -Hltn | grep -q ":$((base / 10))[0-9] "; do
		base=$((base + 10))
	done
	all=
	for i in 1 2 3; do
		all="$all${all:+,}e$i=http://127.0.0.1:$((base + i))"
		echo $((base + 3 + i)) >"$dir/etcd$i.port"
	done
	for i in 1 2 3; do
		launch_etcd "$i"
	done
	until etcd=$(etcd_leader); do
		kill -0 "$(cat "$dir/etcd1.pid")"
	done
}

# The one that leads, as its number.
etcd_who() {
	for i in 1 2 3; do
		if [ "$(metric "$(url_of "etcd$i")" etcd_server_is_leader)" = 1 ]; then
			echo "$i"
			return
		fi
	done
	return 1
}

etcd_leader() { i=$(etcd_who) && url_of "etcd$i"; }

gfl_committed() { gfl-status "$gfl" -o tsv -F commit_index; }
etcd_committed() { metric "$etcd" etcd_server_proposals_committed_total; }

# What h2load is to do.
gfl_how() {
	echo "--h1 -H content-type:application/grpc-web+proto -d $dir/propose
		$gfl/gfl.v1.NodeService/Propose"
}
etcd_how() {
	echo "-m 1 -H content-type:application/grpc -H te:trailers -d $dir/put
		$etcd/etcdserverpb.KV/Put"
}
