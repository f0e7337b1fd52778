#!/bin/sh
# unary.sh - CPU time of the server per small unary call, 64 kept connections:
# ours, nginx `return 200` (the limit), Python's grpcio. Prints records.
#
#	unary.sh SERVER SECONDS
set -eu
. "$(dirname "$0")/cluster.sh"
server=$1 seconds=$2
PATH=$PATH:/usr/sbin

# FIGURE WHO - what follows as arguments of h2load is in $how
load() {
	# shellcheck disable=SC2086 # words on purpose
	h2load -c 64 -n 2000 $how >"$dir/h2load.log"
	before=$(ticks "$2")
	# shellcheck disable=SC2086
	h2load -c 64 -D "$seconds" $how >"$dir/h2load.log"
	used=$(($(ticks "$2") - before))
	calls=$(awk '/^status codes:/ { print $3 }' "$dir/h2load.log")
	grep -q ' 0 failed, 0 errored' "$dir/h2load.log"
	record "$1_us" "$2" "$(awk -v t="$used" -v n="$calls" \
		-v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz / n * 1e6 }')"
	record "$1_rps" "$2" $((calls / seconds))
}

wait_for() { # NAME - which writes the port once it serves
	until [ -s "$dir/$1.port" ]; do
		kill -0 "$(cat "$dir/$1.pid")"
	done
}

start_nginx() {
	launch nginx nginx -c "$dir/nginx.conf"
	until [ -s "$dir/nginx.started" ]; do
		kill -0 "$(cat "$dir/nginx.pid")"
	done
	echo "$port" >"$dir/nginx.port"
}

printf '\0\0\0\0\2\10\7' >"$dir/grpc" # HeartbeatRequest {node_id = 1: 7}
printf '{"nodeId":7}' >"$dir/json"

launch gfl sh -c 'exec "$0" >"$1"' "$server" "$dir/gfl.port"
launch grpcio sh -c 'exec "$0" >"$1"' "$(dirname "$0")/unary_grpcio.py" \
	"$dir/grpcio.port"
wait_for gfl
wait_for grpcio
port=$(($(cat "$dir/gfl.port") + 1))
cat >"$dir/nginx.conf" <<END
daemon off;
master_process off;
pid $dir/nginx.started;
error_log /dev/null;
events { }
http {
	access_log off;
	keepalive_requests 100000000;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	server { listen 127.0.0.1:$port; location / { return 200 "ok"; } }
}
END
start_nginx

call=GatewayService/Heartbeat
how="--h1 -d $dir/grpc -H content-type:application/grpc-web+proto"
how="$how $(url_of gfl)/$call"
load unary gfl
how="--h1 -d $dir/grpc $(url_of nginx)/"
load unary nginx
how="-m 1 -d $dir/grpc -H content-type:application/grpc -H te:trailers"
how="$how $(url_of grpcio)/$call"
load unary grpcio
how="--h1 -d $dir/json -H content-type:application/json $(url_of gfl)/$call"
load json gfl
how="--h1 -d $dir/json $(url_of nginx)/"
load json nginx
