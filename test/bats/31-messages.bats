# Messages, from whoever sends to whoever reads, some of whom are killed.

load helpers

waiting() { # ID - messages in its inbox
	local -n url_=n$1_url
	gfl-status "$url_" -F inbox -o tsv
}

# The reader of node ID has acknowledged all but N messages.
acknowledged() { # ID N
	until [ "$(waiting "$1")" = "$2" ]; do :; done
}

# A message from a node, as only a node sends it.
from() { # FROM TYPE PAYLOAD
	call "$n1_url" gfl.v1.NodeService/SendMessage '{"message":{"from":"'"$1"'",
		"type":'"$2"',"payload":"'"$(printf %s "$3" | base64)"'"}}'
	[ "$code" = 200 ]
}

follow() { # OPTION... - lines of gfl-recv are read from $mail
	exec {mail}< <(exec $mortal gfl-recv --node 1 --follow "$@" 2>>follow.err 3>&-)
	running[follow]=$!
}

line() {
	read -r -t 30 REPLY <&"$mail"
}

partly() { # PROGRAM ARGUMENT... - it exits 6, and says in $said what failed
	local status=0
	"$@" 2>err || status=$?
	said=$(<err)
	echo "status $status: $said"
	[ "$status" = 6 ]
}

@test "what --type and --from leave out stays for others, in order" {
	cluster 1
	for message in '2 1 a' '3 7 b' '2 7 c' '0 1 d'; do from $message; done
	[ "$(gfl-recv --node 1 --type 7 --from 2)" = c ]
	[ "$(gfl-recv --node 1 --type 9,7)" = b ]
	[ "$(gfl-recv --node 1 --from 0)" = d ]
	fails 4 gfl-recv --node 1 --type 7 -t 0.1
	[ "$(gfl-recv --node 1)" = a ]
	fails 2 gfl-recv --node 1 --type x
	fails 2 gfl-recv --node 1 --from -1
}

@test "a reader that waits for a type is not woken by another" {
	cluster 1
	gfl-recv --node 1 --type 7 -t 60 >got 3>&- &
	running[reader]=$!
	from 2 1 other
	from 2 7 mine
	reap reader
	[ "$(<got)" = mine ]
	[ "$(gfl-recv --node 1)" = other ]
}

@test "without a count gfl-recv prints all there are, however many" {
	cluster 1
	seq 1 250 | gfl-send 1 -l
	gfl-recv --node 1 | cmp - <(seq 1 250)
	[ "$(waiting 1)" = 0 ]
}

@test "a reader that is killed loses nothing, and repeats nothing that was acknowledged" {
	cluster 1
	follow
	gfl-send 1 one
	line
	[ "$REPLY" = one ]
	acknowledged 1 0
	crash follow
	gfl-send 1 two
	gfl-send 1 three
	[ "$(gfl-recv --node 1)" = $'two\nthree' ]
}

@test "what a killed reader could not print is printed by the next" {
	cluster 1
	head -c 900000 /dev/zero | tr '\0' x >long
	gfl-send 1 -f long
	gfl-send 1 behind
	exec {mail}< <(exec $mortal gfl-recv --node 1 3>&-)
	running[reader]=$!
	read -r -N 1 -t 30 <&"$mail"
	crash reader
	gfl-recv --node 1 >got
	cmp got <(cat long; printf '\nbehind\n')
}

@test "gfl-recv --follow goes on when its node restarts, and repeats nothing" {
	cluster 1
	follow -o jsonl
	gfl-send 1 one
	line
	jq -e '.payload == "one"' <<<"$REPLY"
	acknowledged 1 0
	crash n1
	again n1
	gfl-wait leader -t 20 2>>wait.err
	gfl-send 1 two
	line
	jq -e '.payload == "two"' <<<"$REPLY"
	acknowledged 1 0
	gfl-send 1 three
	line
	jq -e '.payload == "three"' <<<"$REPLY"
}

@test "gfl-recv --follow waits for a node that stopped in order, and says so" {
	cluster 2
	exec {mail}< <(exec $mortal gfl-recv --node 2 --follow 2>>follow.err 3>&-)
	running[follow]=$!
	gfl-send 2 one
	line
	stop n2
	again n2
	gfl-send 2 two
	line
	[ "$REPLY" = two ]
	cat follow.err
	grep 'event=node_lost node=2 error="' follow.err
}

@test "gfl-recv --follow of a node that is not there fails at once" {
	cluster 1
	crash n1
	fails 3 gfl-recv --node 1 --follow
}

@test "--exec runs a command per message, with its payload and the facts" {
	cluster 1
	cat >on-message <<-'EOF'
		#!/bin/sh
		echo "$1 $GFL_MSG_FROM $GFL_MSG_TO $GFL_MSG_TYPE $(cat)"
		test "${#GFL_MSG_ID}" = 32 && date -d "$GFL_MSG_SENT" >/dev/null
	EOF
	chmod +x on-message
	from 2 7 'a b'
	gfl-send 1 ''
	gfl-recv --node 1 --exec './on-message got' >out
	[ "$(<out)" = $'got 2 1 7 a b\ngot 0 1 1 ' ]
	[ "$(waiting 1)" = 0 ]
}

@test "a message whose command fails stays, those before it do not" {
	cluster 1
	cat >on-message <<-'EOF'
		#!/bin/sh
		! grep -q bad || exit 3
	EOF
	chmod +x on-message
	printf '%s\n' good bad later | gfl-send 1 -l
	fails 1 gfl-recv --node 1 --exec ./on-message
	[[ $said == *"$PWD/on-message exited with status 3" ]]
	[ "$(gfl-recv --node 1)" = $'bad\nlater' ]
	fails 1 gfl-recv --node 1 --exec ./missing
	[[ $said == *missing* ]]
	fails 2 gfl-recv --node 1 --exec ' '
	fails 2 gfl-recv --node 1 --exec cat -o json
}

@test "what could not be printed stays in the inbox" {
	cluster 1
	gfl-send 1 kept
	for format in '' '-o jsonl' '-o json' '-o table'; do
		status=0
		# shellcheck disable=SC2086
		gfl-recv --node 1 $format >/dev/full 2>err || status=$?
		[ "$status" = 7 ]
	done
	[ "$(gfl-recv --node 1)" = kept ]
}

@test "seq | gfl-send --all -l: every node has every line, in order" {
	cluster 3
	seq 3 | gfl-send --all -l
	for id in 1 2 3; do
		[ "$(gfl-recv --node $id -n 3 -t 30)" = $'1\n2\n3' ]
	done
	gfl-send --all once -o jsonl >rows
	jq -es 'map(.to) == [1, 2, 3] and all(.sent == 1 and .outcome == "ok"
		and (.id | length) == 32)' rows
	leader=$(gfl-leader)
	gfl-send --role leader led
	[ "$(gfl-recv --node "$leader" -n 2)" = $'once\nled' ]
	fails 5 gfl-send --role cook hello
	[[ $said == *"no node that is alive is a cook" ]]
}

@test "a dead node among all is named, and the exit status is 6" {
	cluster 3
	crash n2
	status=0
	seq 3 | gfl-send --all -l -o jsonl >rows 2>err || status=$?
	[ "$status" = 6 ]
	[[ $(<err) == "gfl-send: send to 2: cannot reach $n2_url: "* ]]
	[ "$(wc -l <err)" = 1 ]
	jq -es 'map(.sent) == [3, 0, 3]
		and (.[1].outcome | contains("cannot reach"))
		and .[0].outcome == "ok"' rows
	[ "$(gfl-recv --node 1 -n 3)" = $'1\n2\n3' ]
	fails 3 gfl-send 2 hello
}

@test "lines, files and payloads come as they were: empty, binary, UTF-8, long" {
	cluster 1
	printf 'a\n\n\xc3\xa9\xe2\x9c\x93\n\xff\x00z\nlast' | gfl-send 1 -l
	gfl-recv --node 1 -n 5 | cmp - \
		<(printf 'a\n\n\xc3\xa9\xe2\x9c\x93\n\xff\x00z\nlast\n')
	head -c 1000000 /dev/urandom >noise
	gfl-send 1 -f noise
	gfl-send 1 -f - <noise
	gfl-recv --node 1 -n 2 | cmp - <(cat noise; echo; cat noise; echo)
	gfl-send 1 ''
	[ "$(gfl-recv --node 1 -o jsonl | jq -c .payload)" = '""' ]
	gfl-send 1 -l </dev/null
	{ echo first; head -c 1048577 /dev/zero | tr '\0' x; printf '\nthird\n'; } >lines
	partly gfl-send 1 -l <lines
	[[ $said == "gfl-send: line 2: "* ]]
	[ "$(gfl-recv --node 1)" = $'first\nthird' ]
	fails 1 gfl-send 1 -f missing
	fails 2 gfl-send
	fails 2 gfl-send 1 text -l
	fails 2 gfl-send 1 -l --jsonl
	fails 2 gfl-send 1 two words
	[ "$(waiting 1)" = 0 ]
}

@test "--jsonl: each line says to whom, and of which type" {
	cluster 2
	cat >letters <<-'EOF'
		{"to":1,"payload":"one"}
		{"to":"2","type":7,"payload":"zwei \u00fc"}
		{"to":1,"type":5,"payload_b64":"/wA="}
		{"to":9,"payload":"nobody"}
		{"to":1}
		not even JSON
		{"to":2,"payload":"last"}
	EOF
	partly gfl-send --jsonl -f letters
	[ "$(wc -l <err)" = 3 ]
	[[ $said == *"line 4: send to 9: no node 9 in the cluster"*"line 5: "*"line 6: no JSON: "* ]]
	gfl-recv --node 1 -n 2 -o jsonl >got
	jq -es 'map(.type) == [1, 5] and .[0].payload == "one"
		and .[1].payload_b64 == "/wA="' got
	gfl-recv --node 2 -n 2 -o jsonl | gfl-send 1 --jsonl --type 8
	gfl-recv --node 1 -n 2 -o jsonl >got
	jq -es 'map(.type) == [7, 1] and map(.payload) == ["zwei ü", "last"]' got
}

@test "--jsonl with ids may be sent again: what came is not delivered twice" {
	cluster 1
	for n in 1 2 3; do echo '{"id":"m-'$n'","payload":"'$n'"}'; done >letters
	head -n 2 letters | gfl-send 1 --jsonl
	gfl-send 1 --jsonl -f letters
	[ "$(gfl-recv --node 1)" = $'1\n2\n3' ]
}

@test "--via: another member delivers a message" {
	cluster 3
	gfl-send 2 --via "$n1_url" hello
	gfl-send 1 --via 3 hello
	gfl-send --all --via "$n3_url" -g http://127.0.0.1:1 all
	[ "$(gfl-recv --node 2 -n 2)" = $'hello\nall' ]
	[ "$(gfl-recv --node 1 -n 2)" = $'hello\nall' ]
	[ "$(gfl-recv --node 3)" = all ]
	call "$n1_url" gfl.v1.NodeService/SendMessage \
		'{"message":{"to":2,"type":1,"payload":"aGk="}}'
	[ "$(gfl-recv --node 2)" = hi ]
	fails 1 gfl-send 9 --via "$n1_url" hello
	[[ $said == *"send to 9: node 9 is no member" ]]
	fails 2 gfl-send "$n2_url" --via "$n1_url" hello
	crash n2
	fails 3 gfl-send 2 hello
	[[ $said == *"send to 2: "*"$n2_url"*"hint: have a node deliver it later: --via any" ]]
}

@test "messages go on while the gateway is down" {
	cluster 2
	gfl-list >/dev/null
	stop gw
	seq 2 | gfl-send --all -l
	gfl-send 2 3
	[ "$(gfl-recv --node 2 -n 3)" = $'1\n2\n3' ]
	[ "$(gfl-recv --node 1 -n 2)" = $'1\n2' ]
}

@test "a sender goes on when its receiver restarts, and the order is kept" {
	cluster 1
	mkfifo lines
	gfl-send 1 -l -t 30 <lines 3>&- 2>send.err &
	running[sender]=$!
	exec {lines}>lines
	echo 1 >&"$lines"
	[ "$(gfl-recv --node 1 -t 30)" = 1 ]
	crash n1
	printf '2\n3\n' >&"$lines"
	exec {lines}>&-
	again n1
	reap sender
	[ "$(gfl-recv --node 1 -n 2 -t 30)" = $'2\n3' ]
}

@test "a full inbox says so, and takes messages again once it is read" {
	cluster 1
	crash n1
	sqlite3 n1.db "WITH RECURSIVE n(i) AS
		(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
		INSERT INTO inbox (id, sender, receiver, type, payload, sent_ms)
		SELECT 'm-' || i, 0, 1, 1, CAST(i AS BLOB), 1 FROM n"
	again n1
	fails 7 gfl-send 1 more
	[[ $said == *"the inbox of node 1 is full: 10000 messages"* ]]
	gfl-recv --node 1 | cmp - <(seq 10000)
	gfl-send 1 more
	[ "$(gfl-recv --node 1)" = more ]
}

@test "a node whose disk is full says that, and not to read its inbox" {
	[ "$(id -u)" = 0 ] && as=-m || as=-rm
	start gw gfl-gateway --db gw.db
	mkdir disk
	start n1 unshare $as sh -c 'mount -t tmpfs -o size=1200k none disk &&
		exec "$@"' sh gfl-node --node-id 1 --db disk/n1.db -g "$gw_url"
	gfl-wait leader -g "$gw_url" -t 30
	head -c 1000000 /dev/zero >large
	fails 7 gfl-send "$n1_url" --file large
	[[ $said == *'database or disk is full' ]]
}

# A client that has python3-grpcio and the .proto, and nothing of ours; pickles
# are bytes to us.
@test "the comm manager of Python reaches an inbox" {
	cluster 1
	cat >send.py <<-'EOF'
		import pickle, sys, grpc
		def varint(n):
		    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])
		def comm(client, message):
		    return b"\x08" + varint(client) + b"\x12" + varint(len(message)) + message
		with grpc.insecure_channel(sys.argv[1]) as channel:
		    for name in "sendMessage", "handleReceiveMessage":
		        call = channel.unary_unary("/gRPCCommManager/" + name)
		        answer = call(comm(300, pickle.dumps({"round": name})), timeout=30)
		        assert answer == comm(1, b"")[:2], answer
	EOF
	/usr/bin/python3 send.py "127.0.0.1:$n1_port"
	cat >show.py <<-'EOF'
		import pickle, sys
		print(pickle.load(sys.stdin.buffer)["round"])
	EOF
	gfl-recv --node 1 --from 300 --exec '/usr/bin/python3 show.py' >got
	[ "$(<got)" = $'sendMessage\nhandleReceiveMessage' ]
}
