# What holds for every program that asks a cluster for something.

load helpers

nobody=http://127.0.0.1:1

# Three members that a gateway was told of, one of them dead long ago.
registry() {
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	for id in 1 2 10; do
		call "$gw_url" GatewayService/RegisterNode "{\"nodeId\":$id,
			\"url\":\"http://127.0.0.1:$((8900 + id))\",
			\"role\":\"a\\tb\\nc\",
			\"clusterId\":\"cccccccccccccccccccccccccccccccc\"}"
	done
}

unreachable() { # PROGRAM ARGUMENT...
	local tries began
	for tries in 1 2 3 4; do # a busy machine may be late
		began=${EPOCHREALTIME/[.,]/}
		fails 3 "$@" -g $nobody
		[[ $said == *"cannot reach $nobody: Connection refused"* ]]
		if [ $((${EPOCHREALTIME/[.,]/} - began)) -lt 1000000 ]; then
			return
		fi
	done
	return 1
}

@test "without a peer each program says within a second whom it cannot reach, and exits 3" {
	unreachable gfl-list
	unreachable gfl-list trainers
	unreachable gfl-list runs
	unreachable gfl-leader
	unreachable gfl-status
	unreachable gfl-status 1
	unreachable gfl-log
	unreachable gfl-log --follow
	echo '{}' >entry
	unreachable gfl-log append noop entry
	unreachable gfl-run start
	unreachable gfl-run stop 1
	unreachable gfl-run list
	unreachable gfl-run show
	unreachable gfl-send 1 hello
	unreachable gfl-recv --node 1
	unreachable gfl-recv --node $nobody
	unreachable gfl-wait leader -t 0.2
	unreachable gfl-monitor
}

@test "where a server or a master is says not what a program is to do" {
	export GFL_SERVER=http://127.0.0.1:2 GFL_MASTER=http://127.0.0.1:3
	fails 3 gfl-monitor -g $nobody
	[[ $said == *"watch the cluster: cannot reach $nobody"* ]]
	fails 3 gfl-monitor server
	[[ $said == *"$GFL_SERVER"* ]]
	fails 3 gfl-monitor -m http://127.0.0.1:4
	[[ $said == *http://127.0.0.1:4* ]]
	fails 3 gfl-run stop 1 -g $nobody
	[[ $said == *"stop run 1: cannot reach $nobody"* ]]
	fails 3 gfl-run stop
	[[ $said == *"$GFL_SERVER"* ]]
	printf '%s\n' x,y,label 0.1,0.9,0 0.8,0.2,1 >d.csv
	GFL_NODE=$nobody fails 2 gfl-trainer --data d.csv
	[[ $said == *'--server goes with neither'* ]]
	start t1 gfl-trainer --data d.csv --node $nobody
	logged t1 "$nobody: Connection refused"
	unset GFL_SERVER
	GFL_GATEWAY=$nobody start t2 gfl-trainer --data d.csv --server $nobody \
		--db t2.db
	logged t2 "$nobody: Connection refused"
	GFL_NODE=$nobody start server gfl-server --model softmax
}

@test "the hint says what to do about it" {
	fails 3 gfl-list -g $nobody
	[[ $said == *"gfl-list: hint: start gfl-gateway, or name one with -g or GFL_GATEWAY" ]]
}

@test "a peer that does not answer is named after --timeout, with status 4" {
	registry
	kill -STOP "$gw_pid"
	fails 4 gfl-list -t 0.2
	[[ $said == *"$gw_url"* ]]
	fails 4 gfl-send 1 hello -t 0.2
	kill -CONT "$gw_pid"
	gfl-list
}

@test "a peer that does not know the method is no crash" {
	registry
	fails 1 gfl-status "$gw_url"
	[[ $said == *"/gfl.v1.NodeService/GetStatus"* ]]
}

@test "the first of several gateways that answers is taken" {
	registry
	[ "$(gfl-list -g "$nobody,$gw_url" -F id)" = $'1\n2\n10' ]
}

@test "an address that is none exits 2, naming it" {
	for bad in nonsense http:// ftp://127.0.0.1:1 http://127.0.0.1:99999 \
		http://127.0.0.1:1/path; do
		fails 2 gfl-list -g "$bad"
		[[ $said == *"$bad"* ]]
	done
	fails 2 gfl-status seven
}

@test "the gateway may be named by environment, file and the old options" {
	registry
	unset GFL_GATEWAY
	echo "gateway = $gw_url" >gfl.conf
	[ "$(gfl-list | wc -l)" = 3 ]
	rm gfl.conf
	export GOSSIPFL_GATEWAY_HOST=127.0.0.1 GOSSIPFL_GATEWAY_PORT=$gw_port
	[ "$(gfl-list | wc -l)" = 3 ]
	unset GOSSIPFL_GATEWAY_HOST GOSSIPFL_GATEWAY_PORT
	gfl-list --gateway-host 127.0.0.1 --gateway_port "$gw_port" >list
	[ "$(wc -l <list)" = 3 ]
}

@test "a pipe gets tab-separated values: no header, no color, nothing cut off, tabs escaped" {
	registry
	gfl-list -F id,role >list
	printf '1\ta\\tb\\nc\n2\ta\\tb\\nc\n10\ta\\tb\\nc\n' | cmp - list
	gfl-list >list
	[ "$(awk -F'\t' '{ print NF }' list | sort -u)" = 10 ]
	! grep $'\033' list
}

@test "json is one document, jsonl one object a line" {
	registry
	gfl-list -o json | jq -e 'map(.id) == [1, 2, 10] and
		all(.role == "a\tb\nc" and .lease_ms > 0 and .leader == false)'
	gfl-list -o jsonl >lines
	[ "$(wc -l <lines)" = 3 ]
	jq -es 'map(.id) == [1, 2, 10]' lines
	gfl-list -o json -F url,id |
		jq -e '.[0] | keys_unsorted == ["url", "id"]'
}

@test "an empty list is nothing, or an empty document" {
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	[ -z "$(gfl-list)" ]
	[ "$(gfl-list -o json | jq -c .)" = '[]' ]
	[ -z "$(gfl-list -o jsonl)" ]
}

@test "a field or format that is not there exits 2, naming those that are" {
	registry
	fails 2 gfl-list -F id,colour
	[[ $said == *colour*url* ]]
	fails 2 gfl-list -o yaml
	[[ $said == *yaml*json* ]]
	fails 2 gfl-list things
	[[ $said == *things*trainers* ]]
}

@test "a terminal gets an aligned table with a header" {
	registry
	TERM=xterm script -qec 'gfl-list -F id,url' /dev/null >screen
	head -n 1 screen | grep -q 'ID.*URL'
	[ "$(wc -l <screen)" = 4 ]
	NO_COLOR=1 TERM=xterm script -qec 'gfl-list -F id,url' /dev/null >plain
	! grep $'\033' plain
}

@test "a reader that leaves ends the program by SIGPIPE, silently" {
	registry
	mkfifo gate
	{
		status=0
		read -r _ <gate
		gfl-list 2>err || status=$?
		echo $status >status
		: >done
	} | {
		exec <&-
		echo >gate
	}
	[ "$(<status)" = 141 ]
	[ ! -s err ]
}

@test "a full disk is an error" {
	registry
	status=0
	gfl-list >/dev/full 2>err || status=$?
	[ "$status" = 7 ]
	grep -q 'No space left' err
}

@test "who was seen is kept, and a place to keep it that is damaged or closed is no error" {
	registry
	gfl-list >before
	seen=state/gfl/members/cccccccccccccccccccccccccccccccc.json
	jq -e '.members | map(.id) == [1, 2, 10]' $seen
	echo '{"members":[{"url":7}' >$seen
	gfl-list -F id | cmp - <(cut -f 1 before)
	jq -e . $seen
	echo '[1' >$seen
	fails 3 gfl-list -g $nobody
	XDG_STATE_HOME=/dev/null/state gfl-list -F id |
		cmp - <(cut -f 1 before)
}

@test "members that were seen through another gateway are not asked" {
	registry
	gfl-list
	fails 3 gfl-list -g $nobody
	[[ $said != *8901* ]]
}

@test "gfl-plot draws lines of numbers, and nothing else to the pipe" {
	for i in 1 2 3 4 5 6 7 8; do
		echo "{\"round\":$i,\"accuracy\":0.$i,\"trainer\":$((i % 2))}"
	done >points
	gfl-plot --x round --by trainer points >drawn
	! grep $'\033' drawn
	grep -q 0.8 drawn
	gfl-plot -o spark <points >spark
	[ "$(wc -l <spark)" = 1 ]
	[ "$(LC_ALL=C.UTF-8 wc -L <drawn)" -le 80 ]
	gfl-plot --x round --by trainer -o svg points >drawn.svg
	python3 -c 'import sys, xml.dom.minidom as m
lines = m.parse(sys.argv[1]).getElementsByTagName("polyline")
sys.exit(len(lines) != 2)' drawn.svg
	gfl-plot --x round -o svg --title 'by gfl' points | grep -q '>by gfl</text>'
	# a number says what it is of, a name speaks for itself
	grep -q 'trainer 1' drawn
	sed 's/"trainer":1/"trainer":"ann"/' points |
		gfl-plot --by trainer >drawn
	grep -q 'trainer 0' drawn && grep -q ann drawn && ! grep 'trainer ann' drawn
	fails 2 gfl-plot -o svg --width 10 points
}

@test "gfl-plot passes over what has no number, and refuses what is no record" {
	printf '%s\n' '{"accuracy":1}' '{"accuracy":null}' '{"loss":3}' \
		'{"accuracy":2}' | gfl-plot -o spark
	echo '{"accuracy":1' >half
	fails 2 gfl-plot half
	[[ $said == *half*1* ]]
	echo '{"loss":3}' >other
	fails 2 gfl-plot other
	[[ $said == *accuracy* ]]
	fails 1 gfl-plot missing.jsonl
	[[ $said == *missing.jsonl* ]]
	: >empty
	fails 2 gfl-plot empty
}

terminal() { # COLUMNS COMMAND - what a person at a terminal sees
	script -qec "stty cols $1; $2" /dev/null </dev/null | tr -d '\r'
}

@test "in a narrow terminal a table fits, and a record is a field a line" {
	registry
	terminal 60 'gfl-list --color never' >out
	[ "$(head -n 1 out | cut -c 1-6)" = 'ID URL' ]
	[ "$(wc -L <out)" -le 60 ]
	[ "$(terminal 60 'gfl-list -o table' | head -n 1 | wc -c)" -gt 60 ]
	[ "$(gfl-list | head -n 1 | awk -F'\t' '{print NF}')" = 10 ]
	start other gfl-gateway --db other.db
	start node gfl-node -g "$other_url" --db node.db
	terminal 60 "gfl-status --node $node_url" >out
	grep -qE '^ROLE +leader$' out
}

@test "a node that is named by its id is asked, and must be there" {
	cluster 1
	[ "$(gfl-list --node 1 -F id,status)" = "1	alive" ]
	fails 1 gfl-list --node 77
	[[ $said == *'no node 77 in the cluster, which has: 1'* ]]
}

@test "standard output that was closed to us is exit 7" {
	registry
	for opt in '-o json' '-o tsv' --show-config; do
		status=0
		# shellcheck disable=SC2086
		gfl-list $opt >&- 2>err || status=$?
		[ "$status" = 7 ]
		grep -q '^gfl-list: .*standard output: Bad file descriptor' err
	done
}

@test "calls leave from the address of --bind, whoever makes them" {
	local none='cannot call from address 192.0.2.1'
	printf '%s\n' x,y,label 0.1,0.9,0 0.8,0.2,1 >d.csv
	cannot() { # PROGRAM OPTION...
		fails 2 "$@" --bind 192.0.2.1 --listen 127.0.0.1:0
		[[ $said == *"$none"* ]]
	}
	cannot gfl-trainer --server $nobody --data d.csv
	cannot gfl-trainer --node $nobody --data d.csv
	start worker gfl-worker --exec true --no-gpu --bind 192.0.2.1
	logged worker "doing=register error=\"$none"
	start server gfl-server --on-leader --node $nobody --peers $nobody \
		--bind 192.0.2.1
	logged server "event=node_away .*$none"
	start master gfl-master --bind 192.0.2.1
	start pushed gfl-worker -m "$master_url" --exec true --no-gpu --push
	gfl-submit -m "$master_url" <<<'{}'
	logged master "event=push_failed .*$none"
}
