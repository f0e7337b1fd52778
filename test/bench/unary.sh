#!/bin/sh
# unary.sh - CPU time of the server per small unary call, 64 kept connections,
# with nginx `return 200` (the limit) beside it where it is installed.
#
#   unary.sh SERVER [SECONDS]     needs wrk; prints NAME, us/call, calls/s
set -e
server=${1:?usage: unary.sh SERVER [SECONDS]}
seconds=${2:-3}
dir=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid"; rm -rf "$dir"' EXIT

web() { # content type, body as Lua string
	cat >"$dir/post.lua" <<-END
	wrk.method = "POST"
	wrk.headers["Content-Type"] = "$1"
	wrk.body = "$2"
	END
}

ticks() { # of CPU that $pid has used
	sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}

run() { # name, URL; further arguments go to wrk
	name=$1 at=$2
	shift 2
	wrk -t1 -c64 -d1s "$@" "$at" >/dev/null
	before=$(ticks)
	wrk -t1 -c64 -d"${seconds}s" "$@" "$at" >"$dir/out"
	after=$(ticks)
	if grep -E 'Non-2xx|Socket errors' "$dir/out" >&2; then
		exit 1
	fi
	awk -v name="$name" -v ticks=$((after - before)) \
		-v hz="$(getconf CLK_TCK)" '
		/requests in/ { n = $1 }
		/Requests\/sec/ { rate = $2 }
		END { printf "%s\t%.2f\t%.0f\n", name, ticks / hz / n * 1e6, rate }
	' "$dir/out"
}

"$server" >"$dir/port" &
pid=$!
until [ -s "$dir/port" ]; do kill -0 "$pid"; done
url=http://127.0.0.1:$(cat "$dir/port")
call=$url/GatewayService/Heartbeat
web application/grpc-web+proto '\0\0\0\0\2\8\7'
run "gfl gRPC-web" "$call" -s "$dir/post.lua"
web application/json '{\"nodeId\":7}'
run "gfl JSON" "$call" -s "$dir/post.lua"
run "gfl GET /healthz" "$url/healthz"
kill "$pid"
wait "$pid"
pid=

PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || exit 0
port=$(($(cat "$dir/port") + 1))
cat >"$dir/nginx.conf" <<END
daemon off;
master_process off;
pid $dir/pid;
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
nginx -c "$dir/nginx.conf" 2>/dev/null &
pid=$!
until [ -s "$dir/pid" ]; do kill -0 "$pid"; done
run "nginx return 200" "http://127.0.0.1:$port/"
web application/json '{\"nodeId\":7}'
run "nginx return 200, POST" "http://127.0.0.1:$port/" -s "$dir/post.lua"
