# Messages that a node queues for others, some of whom are away, full, or
# killed: each comes once, in order, or is told of.

load helpers

# Wait until a field of node ID's status is so.
until_status() { # ID FIELD VALUE
	local -n url_=n$1_url
	until [ "$(gfl-status "$url_" -F "$2" -o tsv)" = "$3" ]; do :; done
}

has() { # FIELD VALUE of node 1
	[ "$(gfl-status "$n1_url" -F "$1" -o tsv)" = "$2" ]
}

queue() { # N - lines for node 2, at node 1
	seq "$1" | gfl-send 2 --via "$n1_url" -l
}

# Lines of gfl-recv are read from $mail.
follow() { # OPTION...
	exec {mail}< <(exec $mortal gfl-recv --node 2 --follow "$@" 2>>follow.err 3>&-)
	running[follow]=$!
}

# Not by head, which reads beyond what it prints.
take() { # N - more of them
	local lines
	mapfile -t -n "$1" -u "$mail" lines
	printf '%s\n' "${lines[@]}" >>got
	[ ${#lines[@]} = "$1" ]
}

last() { # cursor that is in got
	tail -n 1 got | jq .cursor
}

@test "what is queued for a node that is away comes once it is back, in order" {
	cluster 2
	crash n2
	queue 10000
	has outbox 10000
	logged n1 'event=outbox_waits to=2 '
	again n2
	gfl-recv --node 2 -n 10000 -t 60 | cmp - <(seq 10000)
	until_status 1 outbox 0
	until_status 1 delivered 10000
	has expired 0
	logged n1 'event=outbox_goes_on to=2'
	curl -s "$n1_url/metrics" | grep -x 'gfl_node_outbox_delivered_total 10000'
	fails 4 gfl-recv --node 2 -t 0.1
}

# The inbox takes 10,000: what comes after them is on its way.
@test "kill -9 of the sending node loses nothing and repeats nothing" {
	cluster 2
	queue 15000
	until_status 2 inbox 10000
	crash n1
	again n1
	gfl-recv --node 2 -n 15000 -t 60 | cmp - <(seq 15000)
	until_status 1 outbox 0
	fails 4 gfl-recv --node 2 -t 0.1
}

@test "kill -9 of the sending node before it has noted what was delivered" {
	cluster 2
	crash n2
	queue 3
	sqlite3 n1.db '.mode insert outbox' 'SELECT * FROM outbox' >queued.sql
	again n2
	until_status 1 outbox 0
	crash n1
	sqlite3 n1.db <queued.sql
	again n1
	gfl-send 2 --via "$n1_url" 4
	[ "$(gfl-recv --node 2 -n 4 -t 30)" = $'1\n2\n3\n4' ]
	until_status 1 outbox 0
	fails 4 gfl-recv --node 2 -t 0.1
}

@test "kill -9 of the sending node while it is being fed" {
	cluster 2
	mkfifo lines
	gfl-send 2 --via "$n1_url" -l -t 60 <lines 3>&- 2>send.err &
	running[send]=$!
	exec {lines}>lines
	seq 5000 >&"$lines"
	until_status 1 delivered 5000
	crash n1
	seq 5001 9000 >&"$lines"
	exec {lines}>&-
	again n1
	reap send
	gfl-recv --node 2 -n 9000 -t 60 | cmp - <(seq 9000)
	until_status 1 outbox 0
	fails 4 gfl-recv --node 2 -t 0.1
}

@test "kill -9 of the receiving node loses nothing and repeats nothing" {
	cluster 2
	follow
	queue 15000 3>&- &
	running[queue]=$!
	take 4000
	crash n2
	again n2
	take 11000
	reap queue
	cmp got <(seq 15000)
	until_status 2 inbox 0
	until_status 1 outbox 0
}

@test "kill -9 of the reader, and of whoever reads from it" {
	cluster 2
	follow -o jsonl --keep
	queue 9000
	take 5000
	crash follow
	gfl-recv --node 2 --keep --after "$(last)" -n 1000 -o jsonl >>got
	gfl-recv --node 2 --after "$(last)" -n 3000 -o jsonl >>got
	jq -r .payload got | cmp - <(seq 9000)
	until_status 2 inbox 0
}

@test "kill -9 of any of them, again and again, at moments of chance" {
	seed=${SEED:-$RANDOM}
	echo "SEED=$seed"
	RANDOM=$seed
	cluster 2
	seq 20000 | gfl-send 2 --via "$n1_url" -l -t 60 2>send.err 3>&- &
	running[send]=$!
	gfl-recv --node 2 --keep -t 30 -n 1 -o jsonl >got
	for ((round = 0; round < 8; round++)); do
		gfl-recv --node 2 --keep --after "$(last)" --follow -o jsonl \
			-n $((RANDOM % 2000 + 1)) >>got 2>>recv.err 3>&- &
		running[reader]=$!
		case $((RANDOM % 3)) in
		0) crash n1; again n1; reap reader ;;
		1) crash n2; again n2; reap reader || [ $? = 3 ] ;; # not there yet
		2) kill -KILL "${running[reader]}"; reap reader || : ;;
		esac
		# Half a line was not kept.
		[ "$(tail -c 1 got | wc -l)" = 1 ] || sed -i '$d' got
	done
	gfl-recv --node 2 --after "$(last)" --follow -o jsonl \
		-n $((20000 - $(wc -l <got))) >>got 2>>recv.err
	reap send
	jq -r .payload got | cmp - <(seq 20000)
	until_status 2 inbox 0
	until_status 1 outbox 0
}

@test "what expires is told of, counted, and not delivered" {
	cluster 2
	crash n2
	gfl-send 2 --via "$n1_url" --expire 0.05 late
	gfl-send 2 --expire 60 -g "$gw_url" kept
	until_status 1 expired 1
	logged n1 'event=given_up to=2 messages=1 .* reason=expired'
	fails 1 gfl-send 2 --via "$n1_url" --expire 0.05 --wait -t 30 later
	[[ $said == *"wait for the reader of 2: 1 of 1 expired, or were refused for good" ]]
	until_status 1 expired 2
	echo '{"id":"m-1","payload":"twice"}' >letter
	gfl-send 2 --via "$n1_url" --jsonl --expire 0.05 -f letter
	until_status 1 expired 3
	gfl-send 2 --via "$n1_url" --jsonl --wait -t 60 -f letter 3>&- &
	running[send]=$!
	until_status 1 outbox 2
	again n2
	[ "$(gfl-recv --node 2 -n 2 -t 30)" = $'kept\ntwice' ]
	reap send
	until_status 1 outbox 0
}

@test "an inbox that is full keeps the outbox waiting, in order" {
	cluster 2
	seq 10000 | gfl-send 2 -l
	fails 7 gfl-send 2 more
	[[ $said == *"the inbox of node 2 is full: 10000 messages"* ]]
	seq 10001 10010 | gfl-send 2 --via "$n1_url" -l
	has outbox 10
	gfl-recv --node 2 -n 10010 -t 60 | cmp - <(seq 10010)
	until_status 1 outbox 0
}

@test "an inbox is full by its bytes, too" {
	cluster 1
	crash n1
	sqlite3 n1.db "WITH RECURSIVE n(i) AS
		(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16)
		INSERT INTO inbox SELECT i, 'm-' || i, 0, 1, 1, zeroblob(1 << 22),
		1 FROM n"
	again n1
	fails 7 gfl-send 1 more
	[[ $said == *"the inbox of node 1 is full: 64 of 64 MiB"*"gfl-recv --node 1" ]]
	gfl-recv --node 1 -n 1 >/dev/null
	gfl-send 1 more
	[ "$(gfl-recv --node 1 -n 16 | tail -n 1)" = more ]
}

@test "an outbox that is full says so" {
	cluster 2
	crash n2
	crash n1
	sqlite3 n1.db "WITH RECURSIVE n(i) AS
		(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
		INSERT INTO outbox SELECT 2, i, 'm-' || i, 0, 1, 1, x'', 1,
		9e15 FROM n"
	again n1
	fails 7 gfl-send 2 --via "$n1_url" more
	[[ $said == *"the outbox of node 1 is full: 100000 messages"* ]]
}

@test "--wait ends once the reader has taken the message" {
	cluster 2
	gfl-send 2 --wait -t 60 one -o jsonl >row 3>&- &
	running[send]=$!
	[ "$(gfl-recv --node 2 -t 30)" = one ]
	reap send
	jq -e '.outcome == "taken" and .sent == 1' row
	fails 4 gfl-send 2 --wait -t 1 two
	[[ $said == *"wait for the reader of 2: 1 of 1 not taken in time" ]]
	echo '{"id":"m-3","payload":"three"}' |
		gfl-send 2 --jsonl --wait -t 60 3>&- &
	running[send]=$!
	[ "$(gfl-recv --node 2 -n 2 -t 30)" = $'two\nthree' ]
	reap send
}

@test "--wait by way of an outbox, for a receiver that is away at first" {
	cluster 2
	crash n2
	seq 3 | gfl-send 2 -l --via "$n1_url" --wait -t 60 -o jsonl >row 3>&- &
	running[send]=$!
	until_status 1 outbox 3
	again n2
	[ "$(gfl-recv --node 2 -n 3 -t 60)" = $'1\n2\n3' ]
	reap send
	jq -e '.outcome == "taken" and .sent == 3' row
}

@test "--all --wait: who has not taken it is named, and the status is 6" {
	cluster 2
	$mortal gfl-recv --node 1 --follow >/dev/null 2>&1 3>&- &
	running[reader]=$!
	gfl-send 1 --wait -t 30 first
	status=0
	gfl-send --all --wait -t 1 hello -o jsonl >rows 2>err || status=$?
	[ "$status" = 6 ]
	[ "$(<err)" = "gfl-send: wait for the reader of 2: 1 of 1 not taken in time" ]
	jq -es 'map(.outcome == "taken") == [true, false]' rows
}

@test "with the gateway gone any member queues" {
	cluster 2
	gfl-list >/dev/null
	stop gw
	gfl-send 2 --via any one
	gfl-send 1 --expire 60 two -o jsonl >row
	[ "$(gfl-recv --node 2 -t 30)" = one ]
	[ "$(gfl-recv --node 1 -t 30)" = two ]
}

@test "an id is delivered once, by whichever way it comes" {
	cluster 3
	for via in "" "--via $n1_url" "--via $n3_url" ""; do
		# shellcheck disable=SC2086 # words on purpose
		echo '{"id":"m-1","payload":"once"}' | gfl-send 2 --jsonl $via
	done
	until_status 1 outbox 0
	until_status 3 outbox 0
	[ "$(gfl-recv --node 2)" = once ]
}
