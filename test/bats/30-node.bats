# Nodes that elect, replicate and carry messages, while some of them die.

load helpers

state() { # JQ FILTER - of what node n1 has applied
	call "$n1_url" gfl.v1.NodeService/GetState '{}'
	is "$1"
}

leader_is_up() {
	gfl-wait leader -t 20 2>>wait.err
}

# The id of a node that is not this one.
other_than() { # ID
	echo $(($1 % 3 + 1))
}

# Append a harmless entry, and print its index.
append() {
	echo '{}' | gfl-log append noop - "$@"
}

@test "three nodes join through the gateway, agree on a leader and have the same log" {
	cluster 3
	all_committed "$(append)" 1 2 3
	leader=$(gfl-leader)
	[[ $leader == [123] ]]
	for url in "$n1_url" "$n2_url" "$n3_url"; do
		gfl-status "$url" -o json | jq -e --argjson leader "$leader" \
			'.[0] | .leader == $leader and .voters == 3'
	done
	[ "$(gfl-list -F id,status | tr '\t\n' ' ;')" = '1 alive;2 alive;3 alive;' ]
	append
	same_logs 1 2 3
}

@test "when the leader is killed the others elect one, and it comes back with its log" {
	cluster 3
	before=$(append)
	old=$(gfl-leader)
	entries "$old" "$before" >before
	crash "n$old"
	gfl-wait leader --not "$old" -t 20
	after=$(append)
	[ "$after" -gt "$before" ]
	again "n$old"
	committed "$old" "$after"
	entries "$old" "$before" | cmp - before
	same_logs 1 2 3
}

@test "what was acknowledged survives kill -9 of every node" {
	cluster 3
	index=$(append)
	entries 1 "$index" >before
	for id in 1 2 3; do crash "n$id"; done
	for id in 1 2 3; do launch "n$id"; done
	for id in 1 2 3; do ready "n$id"; done
	for id in 1 2 3; do
		committed "$id" "$index"
		entries "$id" "$index" | cmp - before
	done
}

@test "a leader that was paused finds itself deposed, and follows" {
	cluster 3
	old=$(gfl-leader)
	kill -STOP "${running[n$old]}"
	other=n$(other_than "$old")_url
	gfl-wait leader --not "$old" --node "${!other}" -t 20
	kill -CONT "${running[n$old]}"
	leader_is_up
	append
	same_logs 1 2 3
}

@test "a leader that was paused does not tell of runs as they were before" {
	cluster 3
	old=$(gfl-leader)
	old_url=n${old}_url
	kill -STOP "${running[n$old]}"
	other=n$(other_than "$old")_url
	gfl-wait leader --not "$old" --node "${!other}" -t 20
	run=$(gfl-run start --node "${!other}")
	gfl-run list --node "${!old_url}" -t 20 -F id >listed 2>list.err 3>&- &
	kill -CONT "${running[n$old]}"
	wait $!
	[ "$(<listed)" = "$run" ]
}

@test "without a majority nothing is acknowledged, and with it again all goes on" {
	cluster 3
	left=$(other_than "$(gfl-leader)")
	url=n${left}_url
	for id in 1 2 3; do
		[ "$id" = "$left" ] || crash "n$id"
	done
	status=0
	echo '{}' | gfl-log append noop - --node "${!url}" -t 1 \
		>out 2>err || status=$?
	[[ $status == [45] ]]
	[ ! -s out ]
	gfl-run list --node "${!url}" # what it knows
	fails 5 gfl-leader --node "${!url}" -t 1
	[[ $said == *"node $left knows of no leader"* ]]
	waits_in_vain 'a leader: none yet' leader --node "${!url}"
	gfl-leader --node "${!url}" -t 60 >leader 3>&- &
	running[asks]=$!
	again "n$(other_than "$left")"
	reap asks
	[[ $(<leader) == [123] ]]
	append
}

propose() { # NODE SEQ
	local -n url_=n$1_url
	call "$url_" gfl.v1.NodeService/Propose \
		'{"client":"77","seq":"'"$2"'","entry":{"noop":{}}}'
	index=$(jq -r .index <<<"$answer")
}

@test "a proposal that is retried is applied once, also by the next leader" {
	cluster 3
	propose 1 1
	first=$index
	propose 2 1
	[ "$index" = "$first" ]
	old=$(gfl-leader)
	crash "n$old"
	gfl-wait leader --not "$old" -t 20
	propose "$(other_than "$old")" 1
	[ "$index" = "$first" ]
	propose "$(other_than "$old")" 2
	[ "$index" -gt "$first" ]
}

@test "gfl-log append refuses what is no entry" {
	cluster 1
	echo '{}' >empty
	fails 2 gfl-log append no-such-kind empty
	[[ $said == *'no kind of entry is called "no-such-kind"'* ]]
	echo '{"nodeId":' >half
	fails 2 gfl-log append noop half
	[[ $said == *half* ]]
	echo '{"colour":1}' >wrong
	fails 2 gfl-log append bandwidth wrong
	[[ $said == *'no field "colour"'* ]]
	fails 1 gfl-log append noop missing.json
	[[ $said == *missing.json* ]]
	fails 2 gfl-log append membership empty
	[[ $said == *"names no member"* ]]
	fails 2 gfl-log append
	fails 2 gfl-log no-such-command
	[[ $said == *"unknown command no-such-command"* ]]
	fails 2 gfl-log list entries
	append
}

@test "gfl-log follow prints entries as they are committed" {
	cluster 1
	cmp <(gfl-log list) <(gfl-log)
	exec {log}< <(exec $mortal gfl-log follow --from "$(append)" -o jsonl 3>&-)
	running[follow]=$!
	read -r -t 20 line <&"$log"
	jq -e '.kind == "noop"' <<<"$line"
	index=$(append)
	read -r -t 20 line <&"$log"
	jq -e ".index == $index and .entry.noop" <<<"$line"
}

@test "a message outlives kill -9 of its receiver, and is delivered once" {
	cluster 2
	gfl-send 2 hello
	printf '\xff\0' | gfl-send 2
	crash n2
	again n2
	gfl-recv --node 2 -n 2 -o jsonl >got
	jq -es '.[0].payload == "hello" and .[1].payload_b64 == "/wA="' got
	fails 4 gfl-recv --node "$n2_url" -n 1 -t 0.1
	[[ $said == *"0 of 1 messages came in time"* ]]
}

@test "a message that its sender repeats is delivered once, before and after it was read" {
	cluster 1
	message='{"message":{"id":"m-1","to":"1","type":1,"payload":"aGk="}}'
	call "$n1_url" gfl.v1.NodeService/SendMessage "$message"
	[ "$code" = 200 ]
	crash n1
	again n1
	call "$n1_url" gfl.v1.NodeService/SendMessage "$message"
	[ "$code" = 200 ]
	[ "$(gfl-recv --node "$n1_url")" = hi ]
	call "$n1_url" gfl.v1.NodeService/SendMessage "$message"
	[ "$code" = 200 ]
	fails 4 gfl-recv --node "$n1_url" -t 0.1
}

@test "a message that its reader did not acknowledge is given again" {
	cluster 1
	gfl-send "$n1_url" kept
	for _ in 1 2; do
		call "$n1_url" gfl.v1.NodeService/ReceiveMessages '{"max":1}'
		is '.messages[0].payload == "a2VwdA=="'
	done
	[ "$(gfl-recv --node 1)" = kept ]
}

@test "gfl-recv waits for what is sent later" {
	cluster 2
	gfl-recv --node 1 -n 2 -t 20 >got 3>&- &
	running[reader]=$!
	gfl-send 1 first
	gfl-send 1 second
	reap reader
	[ "$(<got)" = $'first\nsecond' ]
}

@test "a message to nobody, or too long, is refused" {
	cluster 1
	fails 1 gfl-send 7 hello
	[[ $said == *"no node 7 in the cluster, which has: 1"* ]]
	head -c 2000000 /dev/zero >long
	status=0
	gfl-send 1 <long 2>err || status=$?
	[ "$status" != 0 ]
	gfl-status -o json | jq -e '.[0].inbox == 0'
	fails 2 gfl-recv
}

@test "while the gateway is down nodes go on, and clients find them by the members seen last" {
	cluster 3
	gfl-list >before
	stop gw
	index=$(append)
	old=$(gfl-leader)
	crash "n$old"
	gfl-wait leader --not "$old" -t 20
	[ "$(append)" -gt "$index" ]
	gfl-list -F id,url | cmp - <(cut -f 1,2 before)
	again "n$old"
	again gw
	watch "$gw_url" GatewayService/WatchNodes '{"snapshot":true}'
	await '.node.nodeId == '"$old"' and .node.status == "alive"'
}

@test "a gateway that lost its database learns its cluster from the nodes" {
	lease=1 cluster 2
	cluster_id=$(gfl-status -F cluster -o tsv)
	crash gw
	rm gw.db*
	again gw
	watch "$gw_url" GatewayService/WatchNodes '{"snapshot":true}'
	await '.node.clusterId == "'"$cluster_id"'"'
	call "$gw_url" GatewayService/GetStats '{}'
	is '.clusterId == "'"$cluster_id"'"'
}

@test "a node that comes before its gateway joins once that is there" {
	start gw gfl-gateway --db gw.db
	stop gw
	export GFL_GATEWAY=$gw_url
	command_n1=(gfl-node --node-id 1 --db n1.db) n1_port=0
	launch n1
	again gw
	ready n1
	leader_is_up
	[ "$(gfl-leader)" = 1 ]
}

@test "--bootstrap and --join make a cluster without a gateway" {
	export GFL_GATEWAY=
	start n1 gfl-node --bootstrap --db n1.db
	start n2 gfl-node --join "$n1_url" --db n2.db
	gfl-wait nodes 2 --node "$n2_url" -t 20
	gfl-list --node "$n2_url" -F id,url >list
	[ "$(<list)" = "1	$n1_url"$'\n'"2	$n2_url" ]
}

@test "--bootstrap is refused where a gateway, or the file, knows a cluster" {
	cluster 1
	cluster_id=$(gfl-status -F cluster -o tsv)
	fails 5 gfl-node --bootstrap --listen 127.0.0.1:0 --db new.db
	[[ $said == *"$cluster_id"* ]]
	stop n1
	fails 5 gfl-node --bootstrap --listen 127.0.0.1:0 --db n1.db
	[[ $said == *"$cluster_id"* ]]
}

@test "the database of another cluster is refused, naming both" {
	start n9 gfl-node --bootstrap --gateway http://127.0.0.1:1 --db n9.db
	theirs=$(gfl-status "$n9_url" -F cluster -o tsv)
	crash n9
	cluster 1
	ours=$(gfl-status -F cluster -o tsv)
	fails 5 gfl-node --listen 127.0.0.1:0 --db n9.db
	[[ $said == *$ours* && $said == *$theirs* ]]
}

@test "an id whose holder is alive is refused, naming the holder" {
	cluster 1
	fails 1 gfl-node --node-id 1 --listen 127.0.0.1:0 --db second.db
	[[ $said == *"node 1 is alive at $n1_url"* ]]
}

@test "TERM hands leadership over, leaves the cluster and exits 0; the node may come again" {
	cluster 3
	old=$(gfl-leader)
	stop "n$old"
	gfl-wait leader --not "$old" -t 20
	other=n$(other_than "$old")_url
	gfl-status "${!other}" --linearizable -o json |
		jq -e '.[0].members == 2'
	[ "$(gfl-list -F id | grep -cx "$old")" = 0 ]
	again "n$old"
	gfl-wait nodes 3 -t 20
}

@test "a node's file is locked, of one node, and checked" {
	cluster 1
	fails 7 gfl-node --listen 127.0.0.1:0 --db n1.db
	[[ $said == *"n1.db is in use by process $n1_pid" ]]
	fails 7 gfl-node --listen "127.0.0.1:$n1_port" --db x.db
	[[ $said == *"127.0.0.1:$n1_port: Address already in use"* ]]
	crash n1
	fails 5 gfl-node --node-id 2 --listen 127.0.0.1:0 --db n1.db
	[[ $said == *"n1.db is the database of node 1, not of node 2"* ]]
	stop gw
	fails 5 gfl-node --listen 127.0.0.1:0 --db gw.db
	[[ $said == *"gw.db is not the database of a gfl node"* ]]
	head -c 9000 /dev/urandom >noise.db
	fails 70 gfl-node --listen 127.0.0.1:0 --db noise.db
	[[ $said == *noise.db* ]]
	fails 2 gfl-node --listen 0.0.0.0:0 --db x.db
	mkdir sealed
	chmod 500 sealed
	fails 7 unprivileged gfl-node --listen 127.0.0.1:0 --db sealed/x.db
}

@test "a flipped byte in the log is found at the start, not replicated" {
	cluster 1
	append
	stop gw
	crash n1
	sqlite3 n1.db 'PRAGMA wal_checkpoint(TRUNCATE);
		UPDATE log SET data = zeroblob(length(data) + 1)
		WHERE idx = (SELECT max(idx) FROM log)' >/dev/null
	fails 70 gfl-node --listen 127.0.0.1:0 --db n1.db
	[[ $said == *n1.db* ]]
}

@test "gfl-wait says what it waited for, and exits 4" {
	cluster 1
	waits_in_vain '4 nodes: 1 joined (1)' nodes 4
	waits_in_vain '2 trainers: 0 joined' trainers 2
	waits_in_vain 'a leader that is not 1: 1 leads' leader --not 1
	fails 1 gfl-wait run 99 -t 5
	[[ $said == *"run 99"* ]]
	fails 2 gfl-wait nodes
	fails 2 gfl-wait nodes x
	fails 2 gfl-wait rain
	gfl-wait nodes 1 -t 5
}

@test "what a node prints fits the format asked for" {
	cluster 2
	for command in list status leader log 'list trainers' 'list runs' \
		'run list'; do
		# shellcheck disable=SC2086
		gfl $command -o json | jq -e 'type == "array"'
		# shellcheck disable=SC2086
		gfl $command -o jsonl | jq -e -s 'all(type == "object")'
		# shellcheck disable=SC2086
		! gfl $command --color always | grep -n $'\033'
	done
	curl -sSf "$n1_url/metrics" >metrics
	! grep -vE '^(# (TYPE|HELP) |gfl_[a-z0-9_]+(\{[^}]*\})? [0-9.e+-]+$)' metrics
}

@test "gfl-log --db reads the log of a node that runs, and of one that is stopped" {
	start n1 gfl-node --bootstrap --db n1.db
	for _ in 1 2 3 4; do index=$(append --node "$n1_url"); done
	# a write tells which of those before it are committed
	gfl-log --node "$n1_url" --to $((index - 1)) >all
	gfl-log --db n1.db --to $((index - 1)) >running
	cmp all running
	stop n1
	sha256sum n1.db >before
	gfl-log --db n1.db --to $((index - 1)) >stopped
	cmp all stopped
	sha256sum -c before
	gfl-log --db n1.db --from 2 --to 3 -o jsonl |
		jq -se 'map(.index) == [2, 3]'
	[ -z "$(gfl-log --db n1.db --from 1000000)" ]
}

@test "gfl-log --db tells what the file is that it cannot read" {
	start n1 gfl-node --bootstrap --db n1.db
	start gw gfl-gateway --db gw.db
	append --node "$n1_url"
	stop n1 gw
	fails 1 gfl-log --db missing.db
	[[ $said == *missing.db* ]]
	fails 5 gfl-log --db gw.db
	[[ $said == *"gw.db is not the database of a gfl node" ]]
	fails 2 gfl-log --db n1.db --follow
	fails 2 gfl-log --db n1.db --linearizable
	fails 2 gfl-log append noop - --db n1.db
	sqlite3 n1.db "UPDATE log SET term = 9 WHERE idx = 1"
	fails 70 gfl-log --db n1.db
	[[ $said == *"n1.db is damaged: log entry 1 "* ]]
}

@test "options that contradict each other or make no sense are refused" {
	local daemon
	fails 2 gfl-node --bootstrap --join http://127.0.0.1:1
	[[ $said == *"--bootstrap"*"--join"* ]]
	for option in heartbeat fail-after min-election-timeout; do
		fails 2 gfl-node --bootstrap --listen 127.0.0.1:0 --db n.db \
			"--$option" 0
		[[ $said == *"--$option: 0 is outside of"* ]]
	done
	fails 2 gfl-node --bootstrap --db n.db --heartbeat 100
	[[ $said == *"--min-election-timeout 150"*"--heartbeat 100"* ]]
	fails 2 gfl-node --bootstrap --db n.db --min-election-timeout 500
	[[ $said == *"--max-election-timeout 300 is below"*500* ]]
	[ ! -e n.db ]
	for daemon in "gfl-node --bootstrap" gfl-gateway; do
		fails 2 $daemon --listen 127.0.0.1:0 --db x.db \
			--advertise $'http://here:1\nlevel=error'
		[[ $said == *advertise* ]]
		fails 2 $daemon --listen 127.0.0.1:0 --db ''
		[[ $said == *"--db: '' is no path"* ]]
		fails 7 $daemon --listen 127.0.0.1:0 --db x.db --port-file .
		rm -f x.db*
	done
}
