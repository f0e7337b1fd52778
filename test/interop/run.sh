#!/bin/sh
# run.sh BUILD - foreign clients against what BUILD has built. TAP on stdout.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
export PYTHONDONTWRITEBYTECODE=1
pids=
trap 'finish' EXIT
trap 'exit 1' INT TERM

finish() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$tmp"
}

# serve NAME PROGRAM ARGUMENT... - returns when it serves; its port is in $port.
serve() {
	name=$1
	shift
	mkfifo "$tmp/$name.ready"
	"$@" --listen 127.0.0.1:0 --port-file "$tmp/$name.port" --ready-fd 3 \
		3>"$tmp/$name.ready" 2>"$tmp/$name.log" &
	pids="$pids $!"
	read -r _ <"$tmp/$name.ready" || { cat "$tmp/$name.log" >&2; exit 1; }
	port=$(cat "$tmp/$name.port")
}

rc=0
run() { # PROGRAM ARGUMENT...
	"$@" || rc=1
}

serve gateway "$build/bin/gfl-gateway" --db "$tmp/gateway.db"
run "$here/comm_manager.py" "127.0.0.1:$port"
exit $rc
