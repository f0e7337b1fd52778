#!/bin/sh
# run.sh BUILD CLIENTS - the clients of others that install.sh has put into
# CLIENTS, against what is in BUILD: in plain text, and at the same time by TLS
# with client certificates. TAP on stdout.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
clients=$(cd "$2" && pwd)
tmp=$(mktemp -d)
pids=
export PYTHONDONTWRITEBYTECODE=1
trap 'rm -rf "$tmp"' EXIT

# What drivers read stands where they find the packages.
prepare() {
	cp "$here"/*.mjs "$here"/echo.proto "$here"/everything.json "$clients"
	protoc -I "$clients" --python_out="$clients" --include_imports \
		--descriptor_set_out="$clients/echo.binpb" echo.proto
	protoc -I "$here/../.." --include_imports \
		--descriptor_set_out="$clients/gfl.binpb" proto/gateway.proto \
		proto/node.proto
}

# certificate NAME WHOSE EXTENSIONS - signed by our authority
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
	echo "$3" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days 2 \
		-extfile "$1.ext" -out "$1.pem"
}

certificates() {
	umask 077
	mkdir "$tmp/certs"
	cd "$tmp/certs"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj '/CN=interop' -days 2 -keyout ca.key -out ca.pem
	certificate server localhost \
		subjectAltName=IP:127.0.0.1,DNS:localhost
	certificate client client extendedKeyUsage=clientAuth
}

# serve NAME PROGRAM ARGUMENT... - returns when it serves; its address is in $host
# and $url
serve() {
	name=$1
	shift
	mkfifo "$dir/$name.ready"
	"$@" --listen 127.0.0.1:0 --port-file "$dir/$name.port" --ready-fd 3 \
		${CERTS:+--tls-cert "$CERTS/server.pem"} \
		${CERTS:+--tls-key "$CERTS/server.key"} \
		${CERTS:+--tls-ca "$CERTS/ca.pem"} \
		3>"$dir/$name.ready" >"$dir/$name.log" 2>&1 &
	pids="$pids $!"
	read -r _ <"$dir/$name.ready" || cat "$dir/$name.log" >&2
	host=127.0.0.1:$(cat "$dir/$name.port")
	url=http${CERTS:+s}://$host
}

# A driver that ends without a word has failed.
drive() { # PROGRAM ARGUMENT...
	status=0
	timeout 500 "$@" >"$dir/tap" 2>&1 || status=$?
	sed -E "s/^((not )?ok [0-9]+|# skip) /&$mode, /" "$dir/tap"
	[ $status = 0 ] && return
	[ $status = 1 ] || echo "not ok $mode, $* ended with status $status"
	rc=1
}

finish() {
	for pid in $pids; do
		kill "$pid" || rc=1
		wait "$pid" || { rc=1; echo "not ok $mode, a server crashed"; }
	done
}

suite() { # MODE
	mode=$1
	dir=$tmp/$mode
	rc=0
	mkdir "$dir"
	cd "$clients"
	serve gateway "$build/bin/gfl-gateway" --db "$dir/gateway.db"
	export GATEWAY="$url"
	serve node "$build/bin/gfl-node" --db "$dir/node.db" -g "$url" \
		--node-id 1
	export NODE="$url"
	of_node=$host
	drive node daemons.mjs
	serve other "$build/bin/gfl-gateway" --db "$dir/other.db"
	drive "$here/comm_manager.py" "$host" "$of_node"
	drive "$here/participants.py" "$build/bin"
	serve echo "$build/test/interop/echo_server"
	export ECHO_URL="$url"
	drive "$here/grpcio.py" "$clients"
	drive "$here/curl.sh"
	drive node grpc_js.mjs
	drive node grpc_web.mjs
	drive "$here/buf.sh" node_modules/@bufbuild/buf-*/bin/buf
	drive node connect.mjs
	finish
	return $rc
}

prepare
(certificates) 2>"$tmp/openssl" || { cat "$tmp/openssl" >&2; exit 1; }
CERTS= suite plain >"$tmp/plain.tap" &
plain=$!
rc=0
CERTS=$tmp/certs suite tls >"$tmp/tls.tap" || rc=1
wait $plain || rc=1
cat "$tmp/plain.tap" "$tmp/tls.tap"
exit $rc
