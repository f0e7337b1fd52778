#!/bin/sh
# hold.sh - requests that a server holds: what each costs it in memory, plain
# and with client certificates, how soon all are answered and how soon it has
# forgotten them when their clients die. Prints records.
#
#	hold.sh BUILD
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1/test/bench

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$1.key"; }

certificates() {
	umask 077
	key ca
	key us
	openssl req -x509 -new -key "$dir/ca.key" -subj /CN=ca -days 2 \
		-out "$dir/ca.pem"
	echo "subjectAltName=IP:127.0.0.1,URI:gfl://$(printf %032d 1)/node/1" \
		>"$dir/san"
	openssl req -new -key "$dir/us.key" -subj /CN=us | openssl x509 -req \
		-CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
		-days 2 -extfile "$dir/san" -out "$dir/us.pem"
}

# NAME CLIENTS [FILE...] - of TLS
run() {
	name=$1 clients=$2
	shift 2
	launch "$name" sh -c 'out=$1; shift; exec "$@" >"$out"' - \
		"$dir/$name.port" "$build/server_bench" "$@"
	until [ -s "$dir/$name.port" ]; do
		kill -0 "$(cat "$dir/$name.pid")"
	done
	"$build/hold_bench" "$(cat "$dir/$name.port")" \
		"$(cat "$dir/$name.pid")" "$clients" "$@" |
		while read -r what value; do
			record "${name}_$what" gfl "$value"
		done
}

certificates >"$dir/openssl.log" 2>&1
run held 10000
run heldtls 2000 "$dir/us.pem" "$dir/us.key" "$dir/ca.pem"
