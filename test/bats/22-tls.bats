# TLS and client certificates: a whole cluster, who may do what, and what is said
# of files and peers that will not do.

bats_require_minimum_version 1.5.0
load helpers

examples=$BATS_TEST_DIRNAME/../../share/examples
scheme=https

# The authority and all certificates, once for all tests.
setup_file() {
	cd "$BATS_FILE_TMPDIR"
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-certs.sh certs lab \
		gateway/1 node/{1,2,3} trainer/{1,2} admin/ann \
		node/far@10.9.9.9,far.lab
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-certs.sh other lab \
		admin/eve
}

certs() {
	certs=$BATS_FILE_TMPDIR/certs
	other=$BATS_FILE_TMPDIR/other
	# curl of the helpers is a stranger who knows the authority
	echo "cacert = $certs/ca.pem" >.curlrc
	ca=(--tls-ca "$certs/ca.pem")
	ann=(--tls-cert "$certs/admin-ann.pem" --tls-key "$certs/admin-ann.key")
}

# start as NAME with the certificate of ROLE-ID
secure() { # NAME ROLE-ID PROGRAM ARGUMENT...
	start "$1" "${@:3}" --db "$1.db" "${ca[@]}" \
		--tls-cert "$certs/$2.pem" --tls-key "$certs/$2.key"
}

gateway() {
	certs
	secure gw gateway-1 gfl-gateway
	export GFL_GATEWAY=$gw_url
}

as_ann() { "$@" "${ca[@]}" "${ann[@]}"; }

code_of() { # CURL ARGUMENT...
	curl -sS -o answer -w '%{http_code} %{http_version}' "$@"
}

@test "a cluster founds, talks, trains and is seen by TLS alone" {
	local i id data=/usr/share/datasets/fashion-mnist
	gateway
	logged gw "join_with=\"gfl-node -g $gw_url\""
	export GFL_TLS_CA=$certs/ca.pem
	for i in 1 2 3; do
		secure "n$i" "node-$i" gfl-node --node-id "$i"
	done
	gfl-data split --data $data --parts 2 --by iid --out parts >/dev/null
	for i in 1 2; do
		secure "t$i" "trainer-$i" gfl-trainer --node "$n1_url" \
			--data $data --index "parts/part-$i.idx"
	done
	# who only reads needs no certificate
	gfl-wait nodes 3 -t 20
	gfl-wait leader -t 20
	gfl-wait trainers 2 -t 20
	gfl-wait ready -t 20
	[ "$(gfl-list -o tsv -F url | sort)" = \
		"$(printf '%s\n' "$n1_url" "$n2_url" "$n3_url" | sort)" ]
	gfl-status 2 -o json | jq -e '.[0].id == 2'
	[[ $(gfl-leader) == [123] ]]
	gfl-check cluster | grep -q '^OK - '
	gfl-log --node 1 -o jsonl | jq -s -e 'length > 3'
	fails 8 gfl-send 2 hello
	fails 8 gfl-send 2 shutdown --type 2
	fails 8 gfl-send 2 '' --type 3
	[[ $said == *'is for members: it needs a certificate'* ]]
	# who acts shows one, named by the environment here
	export GFL_TLS_CERT=$certs/admin-ann.pem
	export GFL_TLS_KEY=$certs/admin-ann.key
	gfl-send 2 hello
	[ "$(gfl-recv --node 2 -n 1)" = hello ]
	id=$(gfl-run start --model softmax --rounds 5 --steps 1 --batch 10 \
		--min-trainers 2)
	gfl-wait run "$id" -t 60
	[ "$(gfl-run show "$id" -o tsv -F state | sort -u)" = finished ]
	# the members that were seen are found without the gateway
	stop gw
	[ "$(gfl-list | wc -l)" = 3 ]
	stop t1 t2 n3
}

@test "curl speaks HTTP/2 and HTTP/1.1, but no TLS below 1.3" {
	gateway
	[ "$(code_of --http2 "$gw_url/healthz")" = '200 2' ]
	[ "$(code_of --http1.1 "$gw_url/healthz")" = '200 1.1' ]
	[ "$(code_of --no-alpn "$gw_url/healthz")" = '200 1.1' ]
	run ! curl -sS --tls-max 1.2 "$gw_url/healthz"
	[[ $output == *'protocol version'* ]]
}

@test "a stranger may read and change nothing, by any path" {
	gateway
	call "$gw_url" GatewayService/GetNodes '{}'
	[ "$code" = 200 ]
	call "$gw_url" GatewayService/RemoveNode '{"nodeId":1}'
	[ "$code" = 401 ]
	is '.code == "unauthenticated"'
	[ "$(code_of --http1.1 -d '{"node_id":1}' \
		-H 'content-type: application/json' "$gw_url/remove")" = '401 1.1' ]
	printf 'cert = %s\nkey = %s\n' "$certs/admin-ann.pem" \
		"$certs/admin-ann.key" >>.curlrc
	call "$gw_url" GatewayService/RemoveNode '{"nodeId":1}'
	[ "$code" = 200 ]
}

@test "a certificate of another authority is refused in the handshake" {
	gateway
	run ! curl -sS --cert "$other/admin-eve.pem" --key "$other/admin-eve.key" \
		"$gw_url/healthz"
	[[ $output == *'unknown ca'* ]]
	fails 8 gfl-list "${ca[@]}" --tls-cert "$other/admin-eve.pem" \
		--tls-key "$other/admin-eve.key"
	[[ $said == *"$gw_url does not trust our certificate"* ]]
	logged gw 'event=handshake_failed peer=127.0.0.1'
	call "$gw_url" GatewayService/GetNodes '{}'
	[ "$code" = 200 ]
}

@test "a server that cannot be trusted is not called" {
	gateway
	fails 8 gfl-list
	[[ $said == *"certificate of $gw_url is not trusted: "*hint:*--tls-ca* ]]
	fails 8 gfl-list --tls-ca "$other/ca.pem"
	[[ $said == *"certificate of $gw_url is not trusted: "* ]]
	stop gw
	# the names of a certificate are a server's names
	secure gw node-far gfl-gateway
	curl -sS --resolve "far.lab:$gw_port:127.0.0.1" \
		"https://far.lab:$gw_port/healthz"
	fails 8 gfl-list -g "$gw_url" "${ca[@]}"
	[[ $said == *"certificate of $gw_url is not for the name 127.0.0.1"* ]]
}

@test "who takes TLS for plain text, or plain text for TLS, is told so" {
	gateway
	fails 2 gfl-list -g "http://127.0.0.1:$gw_port"
	[[ $said == *"http://127.0.0.1:$gw_port speaks TLS alone"*"did you mean https://127.0.0.1:$gw_port?" ]]
	curl -sS "http://127.0.0.1:$gw_port/healthz" >answer
	grep -q 'speaks TLS' answer
	stop gw
	scheme=http start gw gfl-gateway --db gw.db
	fails 2 gfl-list -g "https://127.0.0.1:$gw_port"
	[[ $said == *"does not speak TLS"*"did you mean http://127.0.0.1:$gw_port?" ]]
}

@test "files that will not do are refused with the reason" {
	certs
	cp "$certs"/node-1.* .
	local own=(--tls-cert node-1.pem --tls-key node-1.key)
	for program in gfl-list 'gfl-gateway --db x.db --listen 127.0.0.1:0'; do
		chmod 640 node-1.key
		fails 2 $program "${own[@]}"
		[[ $said == *'node-1.key is a secret, but others may use it (mode 0640)'*'hint: chmod 600 node-1.key' ]]
		chmod 600 node-1.key
		fails 1 $program --tls-cert none.pem --tls-key node-1.key
		[[ $said == *none.pem* ]]
		fails 2 $program --tls-cert node-1.pem
		[[ $said == *'--tls-cert and --tls-key go together' ]]
		fails 2 $program --tls-cert "$certs/node-2.pem" --tls-key node-1.key
		[[ $said == *'node-1.key does not belong to certificate'* ]]
		fails 2 $program --tls-cert node-1.key --tls-key node-1.key
		[[ $said == *'node-1.key has no certificate in PEM' ]]
		fails 2 $program "${own[@]}" --tls-ca /dev/null
		[[ $said == *'/dev/null is not a regular file' ]]
	done
}

@test "an expired certificate is refused here and there" {
	gateway
	cp -r "$certs" old
	GFL_CERT_DAYS=-1 "$examples/gfl-certs.sh" old lab admin/old
	fails 2 gfl-list "${ca[@]}" --tls-cert old/admin-old.pem \
		--tls-key old/admin-old.key
	[[ $said == *'certificate old/admin-old.pem has expired on 20'* ]]
	run ! curl -sS --cert old/admin-old.pem --key old/admin-old.key \
		"$gw_url/healthz"
	[[ $output == *'certificate expired'* ]]
}

@test "HUP takes new files, and keeps the old where the new are bad" {
	certs
	cp "$certs"/gateway-1.pem mine.pem
	cp "$certs"/gateway-1.key mine.key
	start gw gfl-gateway --db gw.db "${ca[@]}" --tls-cert mine.pem \
		--tls-key mine.key
	export GFL_GATEWAY=$gw_url
	gfl-list "${ca[@]}"
	echo junk >mine.pem
	kill -HUP "$gw_pid"
	logged gw event=tls_kept
	gfl-list "${ca[@]}"
	cp "$certs/node-far.pem" mine.pem
	cp "$certs/node-far.key" mine.key
	kill -HUP "$gw_pid"
	logged gw event=tls_loaded
	fails 8 gfl-list "${ca[@]}"
	[[ $said == *'is not for the name 127.0.0.1'* ]]
}

@test "the certificates' script refuses names that are none" {
	certs
	for name in node node/ /1 a/b/c 'no de/1' 'node/1;x'; do
		run -2 "$examples/gfl-certs.sh" x lab "$name"
		[[ $output == *'is not ROLE/ID' ]]
	done
	run -2 "$examples/gfl-certs.sh" x 'my lab' node/1
	[[ $output == *'"my lab" names no cluster' ]]
	[ "$(stat -c %a "$certs/ca.key" "$certs/node-1.key" | uniq)" = 600 ]
	openssl x509 -in "$certs/node-far.pem" -noout -ext subjectAltName |
		grep -q 'URI:gfl://lab/node/far, IP Address:10.9.9.9, DNS:far.lab'
}

@test "beyond this machine members come by TLS, or everyone is trusted" {
	[[ ${GFL_SKIP-} != *netns* ]] || skip 'GFL_SKIP has netns'
	certs
	cat >inner <<'END'
ip link set lo up
ip address add 10.9.9.9/32 dev lo
begin() { # NAME PROGRAM ARGUMENT...
	mkfifo "$1.ready"
	$mortal "${@:2}" --listen 10.9.9.9:0 --port-file "$1.port" --ready-fd 9 \
		9>"$1.ready" 2>"$1.log" 3>&- &
	pids+=($!)
	read -r _ <"$1.ready"
}
trap 'kill "${pids[@]}"; wait' EXIT
begin gw gfl-gateway --db gw.db "${far[@]}"
gw=https://10.9.9.9:$(<gw.port)
begin n1 gfl-node --db n1.db -g "$gw" "${far[@]}"
[ "$(gfl-list -g "$gw" --tls-ca "$ca" -o tsv -F status)" = alive ]
run=0
gfl-send 1 hi -g "$gw" --tls-ca "$ca" || run=$?
[ "$run" = 8 ]
gfl-send 1 hi -g "$gw" "${far[@]}"
begin gw2 gfl-gateway --db gw2.db --insecure
gw=http://10.9.9.9:$(<gw2.port)
until grep -q 'event=insecure .*everyone who can reach the port' gw2.log; do :; done
begin n2 gfl-node --db n2.db -g "$gw" --insecure
gfl-send 1 hi -g "$gw"
END
	{
		echo "ca=$certs/ca.pem far=(--tls-ca \"\$ca\" --tls-cert" \
			"$certs/node-far.pem --tls-key $certs/node-far.key) pids=()"
		cat inner
	} >script
	if [ "$EUID" = 0 ]; then
		$mortal unshare -n bash -euo pipefail script
	else
		$mortal unshare -rn bash -euo pipefail script
	fi
}

@test "words at a node's prompt, and its commands, speak TLS as the node does" {
	certs
	printf '#!/bin/sh\ngfl-status -F id -o tsv >id\n: >done\n' >on
	chmod +x on
	{
		echo 'send 1 x --type 7'
		until [ -e done ]; do :; done
		echo 'status 1 -F id'
	} | gfl-node -i --node-id 1 --bootstrap --listen 127.0.0.1:0 --db n1.db \
		"${ca[@]}" --tls-cert "$certs/node-1.pem" \
		--tls-key "$certs/node-1.key" --on-message 7=./on >out 2>n1.log
	[ "$(<out)" = 1 ]
	[ "$(<id)" = 1 ]
}
