#!/bin/sh
# curl.sh - plain curl against $ECHO_URL, with $CERTS by TLS: what the dialects
# look like on the wire. Runs where everything.json is. TAP on stdout.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$(dirname "$0")/tap.inc.sh"

# call METHOD CONTENT-TYPE ARGUMENT... - the answer is in out, its head in head
call() {
	method=$1 type=$2
	shift 2
	rm -f "$tmp/head" "$tmp/out"
	# shellcheck disable=SC2086 # words on purpose
	${exec-} curl -sS -m 60 $http -D "$tmp/head" -o "$tmp/out" \
		${CERTS:+--cacert "$CERTS/ca.pem"} \
		${CERTS:+--cert "$CERTS/client.pem" --key "$CERTS/client.key"} \
		-H "content-type: $type" "$@" \
		"$ECHO_URL/gfl.test.EchoService/$method"
}

json() { # METHOD JSON ARGUMENT...
	method=$1 body=$2
	shift 2
	call "$method" application/json --data-binary "$body" "$@"
}

is() { # FILTER
	jq -e "$1" "$tmp/out" || { head -c 300 "$tmp/out"; false; }
}

status() { # NUMBER
	grep '^HTTP/' "$tmp/head" | tail -n 1 | grep " $1" || { cat "$tmp/head"; false; }
}

has() { # LINE: of the head or the trailers
	tr -d '\r' <"$tmp/head" | grep -x "$1" || { cat "$tmp/head"; false; }
}

# Frames of messages, each below 256 bytes; their flags are 0.
frames() {
	for message; do
		printf "\\0\\0\\0\\0\\$(printf %03o ${#message})%s" "$message"
	done >"$tmp/in"
}

# What stands in the answer's frames, each on a line.
payloads() {
	LC_ALL=C tr -s '\000-\011\013-\037\200' '\n' <"$tmp/out" |
		grep -o '[{g].*' | tr -d '\r'
}

says() { # LINE...: the payloads
	printf '%s\n' "$@" >"$tmp/want"
	payloads >"$tmp/got"
	diff "$tmp/want" "$tmp/got" || { od -c "$tmp/out" | head; false; }
}

unary() {
	json Unary '{"text":"größer 😀","number":"-9223372036854775808"}' &&
		is '. == {text: "größer 😀", number: "-9223372036854775808"}' &&
		has 'content-type: application/json' && json Unary '{}' && is '. == {}'
}

types() {
	json Echo @everything.json && is "$(cat everything.json) == ."
}

inflated() {
	head -c 100000 /dev/zero | tr '\0' e | sed 's/.*/{"text":"&"}\n/' >"$tmp/plain"
	gzip -c "$tmp/plain" >"$tmp/in"
	json Unary @"$tmp/in" -H 'content-encoding: gzip' \
		-H 'accept-encoding: gzip' && has 'content-encoding: gzip' &&
		gunzip -c <"$tmp/out" | jq -c . | cmp - "$tmp/plain"
}

large() { # BYTES LENGTH: of a field, as a varint
	{ printf "\\022$2"; head -c "$1" /dev/urandom; } >"$tmp/in"
	call Unary application/proto --data-binary @"$tmp/in" && status 200 &&
		cmp "$tmp/in" "$tmp/out"
}

too_large() {
	{ printf '{"text":"'; head -c 20000000 /dev/zero | tr '\0' a
		printf '"}'; } >"$tmp/in"
	json Unary @"$tmp/in"
	is '.code == "resource_exhausted"'
}

errors() {
	code=0
	for want in 499 500 400 504 404 409 403 429 400 409 400 501 500 503 500 \
		401; do
		code=$((code + 1))
		json Fail "{\"code\":$code,\"message\":\"größer % $code\"}" &&
			status $want && is ".message == \"größer % $code\"" ||
			return 1
	done
	json Fail '{"code":8,"retryAfterS":2}' &&
		is '.details[0] == {type: "google.rpc.RetryInfo", value: "CgIIAg"}'
}

refusals() {
	call Unary text/plain -d x && status 415 &&
		json Missing '{}' && status 501 && is '.code == "unimplemented"' &&
		json Unary '{"nonsense":' && status 400 &&
		is '.code == "invalid_argument"' &&
		call Unary application/json && status 405
}

deadline() {
	json Hold '{}' -H 'connect-timeout-ms: 200' && status 504 &&
		is '.code == "deadline_exceeded"' && frames '{}' &&
		call HoldStream application/grpc-web+json \
			--data-binary @"$tmp/in" -H 'grpc-timeout: 200m' &&
		{ grep -a 'grpc-status: 4' "$tmp/out" || has 'grpc-status: 4'; }
}

web() {
	frames '{"count":2}'
	call ServerStream application/grpc-web+json --data-binary @"$tmp/in" &&
		status 200 && says '{}' '{"number":"1"}' 'grpc-status: 0'
}

web_text() {
	frames '' && base64 -w 0 "$tmp/in" >"$tmp/text"
	call Unary application/grpc-web-text --data-binary @"$tmp/text" &&
		has 'content-type: application/grpc-web-text.*' &&
		base64 -d "$tmp/out" >"$tmp/plain" && mv "$tmp/plain" "$tmp/out" &&
		says 'grpc-status: 0'
}

connect() {
	frames '{"count":2}'
	call ServerStream application/connect+json --data-binary @"$tmp/in" &&
		status 200 && says '{}' '{"number":"1"}' '{}' &&
		frames '{"number":"1"}' '{"number":"2","text":"b"}' &&
		call ClientStream application/connect+json \
			--data-binary @"$tmp/in" &&
		says '{"count":"2","sum":"3","text":"b"}' '{}' &&
		call Bidi application/connect+json --data-binary @"$tmp/in" &&
		says '{"number":"1"}' '{"text":"b","number":"2"}' '{}'
}

grpc() {
	frames '{"number":"1"}' '{"number":"2"}'
	call Bidi application/grpc+json --data-binary @"$tmp/in" \
		-H 'te: trailers' && status 200 &&
		says '{"number":"1"}' '{"number":"2"}' && has 'grpc-status: 0' &&
		frames '{"code":5,"message":"größer"}' &&
		call Fail application/grpc+json --data-binary @"$tmp/in" \
			-H 'te: trailers' && status 200 && has 'grpc-status: 5' &&
		has 'grpc-message: gr%C3%B6%C3%9Fer'
}

stats() { # FILTER
	json Stats '{}' && jq "map_values(tonumber) | $1 // 0" "$tmp/out"
}

cancel() {
	before=$(stats .cancelled)
	exec=exec # the job is curl itself
	json Hold '{}' &
	one=$!
	json HoldStream '{}' -H 'content-type: application/connect+json' &
	other=$!
	exec=
	while [ "$(stats .held)" != 1 ]; do :; done
	kill $one $other
	wait
	while [ "$(stats .cancelled)" != $((before + 1)) ]; do :; done
}

cases() { # HTTP OPTION
	http=$2
	name="curl, HTTP/$1"
	ok "$name: one message there and back, an empty one" unary
	ok "$name: all types of fields" types
	ok "$name: gzip both ways" inflated
	ok "$name: 3 MB there and back" large 3000000 '\300\215\267\001'
	ok "$name: 20 MB there and back" large 20000000 '\200\332\304\011'
	if [ "$1" = 2 ]; then # as of curl 7.88, which says error 92
		skip "$name: 20 MB of JSON are refused" \
			"it drops an early answer that ends with RST_STREAM"
	else
		ok "$name: 20 MB of JSON are refused" too_large
	fi
	ok "$name: errors: every code, with a message that is not ASCII" errors
	ok "$name: errors: what cannot be asked" refusals
	ok "$name: deadline: the server answers" deadline
	ok "$name: gRPC-web: frames" web
	ok "$name: gRPC-web: frames as text" web_text
	ok "$name: Connect: all kinds of streams" connect
	ok "$name: cancel: the server sees it" cancel
}

cases 1.1 --http1.1
if [ -n "${CERTS-}" ]; then
	cases 2 --http2
else
	cases 2 --http2-prior-knowledge
fi
ok "curl, HTTP/2: gRPC: frames and trailers" grpc
end
