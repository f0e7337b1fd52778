#!/bin/sh
# unary.sh - CPU time of the server per small unary call, 64 kept connections:
# ours, nginx `return 200` (the limit), Python's grpcio; and by native gRPC on 4
# connections with 16 calls each, beside gRPC's C++. Prints records.
#
#	unary.sh BUILD SECONDS
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1/test/bench seconds=$2
PATH=$PATH:/usr/sbin

# FIGURE WHO CLIENTS - what follows as arguments of h2load is in $how
load() {
	# shellcheck disable=SC2086 # words on purpose
	h2load -c "$3" -n 2000 $how >"$dir/h2load.log"
	before=$(ticks "$2")
	times >"$dir/times"
	# shellcheck disable=SC2086
	h2load -c "$3" -D "$seconds" $how >"$dir/h2load.log"
	used=$(($(ticks "$2") - before))
	times >>"$dir/times"
	calls=$(awk '/^status codes:/ { print $3 }' "$dir/h2load.log")
	grep -q ' 0 failed, 0 errored' "$dir/h2load.log"
	record "$1_us" "$2" "$(awk -v t="$used" -v n="$calls" \
		-v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz / n * 1e6 }')"
	record "$1_rps" "$2" $((calls / seconds))
	[ "$1 $2" != "unary gfl" ] || record unary_us load "$(load_s |
		awk -v n="$calls" '{ print $1 / n * 1e6 }')"
}

# Processor time of h2load: what this shell's children used in between.
load_s() {
	awk -F'[ms ]+' 'NR == 2 { was = $1 * 60 + $2 + $3 * 60 + $4 }
		NR == 4 { print $1 * 60 + $2 + $3 * 60 + $4 - was }' "$dir/times"
}

wait_for() { # NAME - which writes the port once it serves
	until [ -s "$dir/$1.port" ]; do
		kill -0 "$(cat "$dir/$1.pid")"
	done
}

# It cannot choose a free port itself: one that the system gives to nobody.
start_nginx() {
	port=$((10000 + $$ % 20000))
	while ss -Hltn | grep -q ":$port "; do
		port=$((port + 1))
	done
	sed "s/PORT/$port/" "$dir/nginx.template" >"$dir/nginx.conf"
	launch nginx nginx -c "$dir/nginx.conf"
	until [ -s "$dir/nginx.started" ]; do
		kill -0 "$(cat "$dir/nginx.pid")"
	done
	echo "$port" >"$dir/nginx.port"
}

printf '\0\0\0\0\2\30\7' >"$dir/grpc" # EchoRequest {number = 3: 7}
printf '{"number":"7"}' >"$dir/json"

serve() { # NAME PROGRAM
	launch "$1" sh -c 'exec "$0" >"$1"' "$2" "$dir/$1.port"
}
serve gfl "$build/server_bench"
serve grpcio "$(dirname "$0")/server_grpcio.py"
serve grpcpp "$build/server_grpcpp"
for name in gfl grpcio grpcpp; do wait_for "$name"; done
cat >"$dir/nginx.template" <<END
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
	server { listen 127.0.0.1:PORT; location / { return 200 "ok"; } }
}
END
start_nginx

call=gfl.test.EchoService/Unary
how="--h1 -d $dir/grpc -H content-type:application/grpc-web+proto"
how="$how $(url_of gfl)/$call"
load unary gfl 64
how="--h1 -d $dir/grpc $(url_of nginx)/"
load unary nginx 64
native="-d $dir/grpc -H content-type:application/grpc -H te:trailers"
how="-m 1 $native $(url_of grpcio)/$call"
load unary grpcio 64
how="--h1 -d $dir/json -H content-type:application/json $(url_of gfl)/$call"
load json gfl 64
how="--h1 -d $dir/json $(url_of nginx)/"
load json nginx 64
for who in gfl grpcpp grpcio; do
	how="-m 16 $native $(url_of $who)/$call"
	load native $who 4
done
