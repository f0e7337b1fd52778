#!/bin/sh
# buf.sh BUF - `buf curl`, in three protocols, against $ECHO_URL, with $CERTS by
# TLS. Its exit status is the code of gRPC times eight. Runs where echo.proto and
# everything.json are. TAP on stdout.
set -u
here=$(dirname "$0")
buf=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export HOME="$tmp" BUF_CACHE_DIR="$tmp"
. "$here/tap.inc.sh"

# call METHOD ARGUMENT... - by the $protocol, HTTP/2 by prior knowledge if $two
call() {
	method=$1
	shift
	${exec-} "$buf" curl --schema echo.proto --protocol "$protocol" \
		${two:+--http2-prior-knowledge} ${CERTS:+--cacert "$CERTS/ca.pem"} \
		${CERTS:+--cert "$CERTS/client.pem" --key "$CERTS/client.key"} \
		"$@" "$ECHO_URL/gfl.test.EchoService/$method"
}

is() { # FILE FILTER: of all messages in it, as an array
	jq -se "$2" "$1" || { cat "$1"; false; }
}

# fails STATUS METHOD ARGUMENT... - what was said is in err
fails() {
	want=$1
	shift
	call "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ $status = $((want * 8)) ]
}

unary() {
	call Unary -d '{"text":"größer 😀","number":"-9223372036854775808"}' \
		>"$tmp/out" &&
		is "$tmp/out" '. == [{text: "größer 😀",
			number: "-9223372036854775808"}]' &&
		call Unary -d '{}' >"$tmp/out" && is "$tmp/out" '. == [{}]'
}

types() {
	call Echo -d @everything.json >"$tmp/out" &&
		jq -n --slurpfile a everything.json --slurpfile b "$tmp/out" \
			-e '$a == $b'
}

random() { # BYTES
	head -c "$1" /dev/urandom | base64 -w 0 >"$tmp/base64"
	{ printf '{"data":"'; cat "$tmp/base64"; printf '"}'; } >"$tmp/in"
}

large() {
	random 3000000
	call Unary -d @"$tmp/in" >"$tmp/out" && jq -j .data "$tmp/out" |
		cmp - "$tmp/base64"
}

# Its answers may have 4 MiB only.
upload() {
	random 20000000
	call ClientStream -d @"$tmp/in" >"$tmp/out" &&
		is "$tmp/out" '.[0].bytes == "20000000"'
}

server_stream() {
	call ServerStream -d '{"count":500,"size":10}' >"$tmp/out" &&
		is "$tmp/out" 'map(.number // "0" | tonumber) == [range(500)]' &&
		call ServerStream -d '{}' >"$tmp/out" && is "$tmp/out" '. == []' &&
		fails 15 ServerStream -d '{"count":9,"failAfter":3}' &&
		is "$tmp/out" 'length == 3' &&
		is "$tmp/err" '.[0].message == "größer than a stream may be: %"'
}

client_stream() {
	seq 100 | sed 's/.*/{"number":&,"text":"é","data":"AAAA"}/' >"$tmp/in"
	call ClientStream -d @"$tmp/in" >"$tmp/out" &&
		is "$tmp/out" '. == [{count: "100", sum: "5050", bytes: "300",
			text: ("é" * 100)}]'
}

both_stream() {
	seq 100 | sed 's/.*/{"number":&}/' >"$tmp/in"
	call Bidi -d @"$tmp/in" >"$tmp/out" &&
		is "$tmp/out" 'map(.number | tonumber) == [range(1; 101)]'
}

errors() { # CODE...
	for code; do
		for method in Fail FailStream; do
			fails "$code" $method -d "{\"code\":$code,
				\"message\":\"größer 😀 % $code\"}" &&
				is "$tmp/err" ".[0].message == \"größer 😀 % $code\"" ||
				return 1
		done
	done
	fails 12 Missing -d '{}'
}

details() {
	fails 8 Fail -d '{"code":8,"retryAfterS":2}' && is "$tmp/err" \
		'.[0].details[0].type == "google.rpc.RetryInfo"'
}


stats() { # FILTER
	curl -sS ${CERTS:+--cacert "$CERTS/ca.pem" --cert "$CERTS/client.pem"} \
		${CERTS:+--key "$CERTS/client.key"} -d '{}' \
		-H 'content-type: application/json' \
		"$ECHO_URL/gfl.test.EchoService/Stats" |
		jq "map_values(tonumber) | $1 // 0"
}

# Its own clock is first, and its status then 1.
deadline() {
	for method in Hold HoldStream; do
		call $method --timeout 500ms -d '{}' && return 1
	done
	while [ "$(stats .held)" != 0 ]; do :; done
}

cancel() {
	before=$(stats .cancelled)
	exec=exec # the job is buf itself
	call Hold -d '{}' &
	one=$!
	call HoldStream -d '{}' &
	other=$!
	exec=
	while [ "$(stats .held)" != 2 ]; do :; done
	kill $one $other
	wait
	while [ "$(stats .cancelled)" != $((before + 2)) ]; do :; done
}

cases() { # PROTOCOL HTTP CODE...
	protocol=$1
	two=
	[ -n "${CERTS-}" ] || [ "$2" = 1.1 ] || two=yes
	name="buf curl, $protocol, HTTP/$2"
	shift 2
	ok "$name: one message there and back, an empty one" unary
	ok "$name: all types of fields" types
	ok "$name: 3 MB there and back" large
	ok "$name: client stream: 20 MB there" upload
	ok "$name: server stream: in order, empty, failing" server_stream
	ok "$name: client stream: 100 messages" client_stream
	ok "$name: both stream: 100 messages" both_stream
	ok "$name: errors: code and message, which is not ASCII" errors "$@"
	ok "$name: errors: details" details
	ok "$name: deadline: held calls expire" deadline
	ok "$name: cancel: the server sees that held calls are" cancel
}

for protocol in connect grpcweb; do
	if [ -n "${CERTS-}" ]; then
		skip "buf curl, $protocol, HTTP/1.1" "by TLS it takes HTTP/2"
	else
		cases $protocol 1.1 1 13
	fi
	cases $protocol 2 2 16
done
# shellcheck disable=SC2046 # a word each
cases grpc 2 $(seq 16)
end
