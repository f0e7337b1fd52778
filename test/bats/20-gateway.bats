# GatewayService, as curl and a crash see it.

load helpers

one=11111111111111111111111111111111 # instance ids
two=22222222222222222222222222222222
ours=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa # cluster ids
other=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

gateway() { # OPTION...
	start gw gfl-gateway --db gw.db "$@"
}

gw() { # METHOD JSON
	call "$gw_url" "GatewayService/$1" "$2"
}

# register ID INSTANCE [MORE JSON]
register() {
	gw RegisterNode "{\"nodeId\":$1,\"instanceId\":\"$2\",
		\"url\":\"http://127.0.0.1:890$1\"${3:+,$3}}"
}

# A watch that is open: it has seen another node come, which is gone again.
watching() {
	register 9 99999999999999999999999999999999
	watch "$gw_url" GatewayService/WatchNodes '{"snapshot":true}'
	event
	gw RemoveNode '{"nodeId":9}'
	await '.kind == "left"'
}

confirm() { # ID INSTANCE CLUSTER
	gw ConfirmBootstrap "{\"nodeId\":$1,\"instanceId\":\"$2\",
		\"clusterId\":\"$3\"}"
}

@test "who registers is listed, and hears of the others and of the leader" {
	gateway
	register 1 $one '"capabilities":["train"],"metadata":{"zone":"b"}'
	is '.status == "registered" and .nodeId == 1 and .leaseMs == "15000"'
	gw UpdateLeader '{"leaderId":1,"term":4}'
	register 2 $two
	is '[.nodes[].nodeId] == [1,2] and .leader.nodeId == 1'
	is '.leaderTerm == "4"'
	register 2 $two '"brief":true'
	is '.status == "updated" and .nodes == null and .leader.nodeId == 1'
	gw GetNodes '{}'
	is '.nodes[0] | .url == "http://127.0.0.1:8901" and .port == 8901 and
		.ipAddress == "127.0.0.1" and .status == "alive" and
		.capabilities == ["train"] and .metadata == {"zone":"b"}'
	gw RemoveNode '{"nodeId":1}'
	is '.status == "removed"'
	gw RemoveNode '{"nodeId":1}'
	is '.status == "not_found"'
	gw GetStats '{}'
	is '.totalNodes == 1 and .activeNodes == 1 and (has("leaderId") | not)'
}

@test "a node without an id gets the lowest free one" {
	gateway
	register 1 $one
	gw RegisterNode '{"url":"http://127.0.0.1:7"}'
	is '.nodeId == 2'
	gw RegisterNode '{"ipAddress":"::1","port":7}'
	is '.nodeId == 3 and .nodes[2].url == "http://[::1]:7"'
}

@test "an id whose holder lives is refused, naming where the holder is" {
	gateway
	register 1 $one
	gw RegisterNode "{\"nodeId\":1,\"url\":\"http://127.0.0.1:7\",\"instanceId\":\"$two\"}"
	[ "$code" = 409 ]
	is '.code == "already_exists"'
	is '.message | contains("node 1 is alive at http://127.0.0.1:8901")'
}

@test "who has the address of a node may have its id: two cannot listen there" {
	gateway
	register 1 $one
	register 1 $two
	[ "$code" = 200 ]
}

@test "a registrant that cannot be right is refused, and nothing is entered" {
	local long
	gateway
	printf -v long '%01000d' 0
	long=\"$long\"
	for bad in '{}' '{"nodeId":1,"ipAddress":"127.0.0.1"}' \
		"{\"url\":\"http://127.0.0.1:8900\",\"capabilities\":[$long,$long,$long,$long,$long,
		$long,$long,$long,$long]}" \
		'{"url":"http://127.0.0.1:89junk"}' '{"url":"http://127.0.0.1"}' \
		'{"url":"ftp://127.0.0.1:8900"}' '{"url":"http://h:70000"}' \
		'{"url":"http://127.0.0.1:8900/path"}' '{"url":"http://:8900"}' \
		'{"nodeId":-1,"url":"http://127.0.0.1:8900"}' \
		'{"instanceId":"x","url":"http://127.0.0.1:8900"}' \
		'{"clusterId":"x","url":"http://127.0.0.1:8900"}'; do
		gw RegisterNode "$bad"
		[ "$code" = 400 ]
		is '.code == "invalid_argument" and (.message | length > 10)'
	done
	gw GetStats '{}'
	is 'has("totalNodes") | not'
}

@test "a lower term never overwrites the leader hint of a higher one" {
	gateway
	register 1 $one
	register 2 $two
	gw UpdateLeader '{"leaderId":1,"term":3}'
	is '.status == "updated" and .leaderId == 1'
	gw UpdateLeader '{"leaderId":2,"term":2}'
	is '.status == "stale" and .leaderId == 1 and .leaderTerm == "3"'
	gw UpdateLeader '{"leaderId":2,"term":3}'
	is '.status == "stale"'
	gw UpdateLeader '{"leaderId":9,"term":9}'
	is '.status == "unknown_node"'
	gw UpdateLeader '{"leaderId":2,"term":4}'
	is '.status == "updated"'
	gw GetLeader '{}'
	is '.leader.nodeId == 2 and .leaderTerm == "4"'
}

@test "a node not heard within --lease is dead, and a heartbeat revives it" {
	gateway --lease 1
	watching
	register 1 $one
	event
	is '.kind == "joined" and .node.nodeId == 1'
	event
	is '.kind == "expired" and .node.status == "dead"'
	gw Heartbeat "{\"nodeId\":1,\"instanceId\":\"$one\"}"
	is '.status == "received"'
	event
	is '.kind == "changed" and .node.status == "alive"'
	event
	is '.kind == "expired"'
}

@test "a dead node is dropped after --forget-after, and has to register again" {
	gateway --lease 1 --forget-after 0.1
	watching
	register 1 $one
	await '.kind == "left" and .node.nodeId == 1'
	gw Heartbeat "{\"nodeId\":1,\"instanceId\":\"$one\"}"
	is '.status == "unknown_node"'
	gw GetNodes '{}'
	is 'has("nodes") | not'
}

@test "one that dies is noticed in its time while a dead one waits to be forgotten" {
	gateway --lease 1 --forget-after 500
	watching
	register 1 $one
	event
	is '.kind == "joined" and .node.nodeId == 1'
	event
	is '.kind == "expired" and .node.nodeId == 1'
	register 2 $two
	event
	is '.kind == "joined" and .node.nodeId == 2'
	event
	is '.kind == "expired" and .node.nodeId == 2'
}

@test "a heartbeat of another instance does not keep a node alive" {
	gateway
	register 1 $one
	gw Heartbeat "{\"nodeId\":1,\"instanceId\":\"$two\"}"
	is '.status == "unknown_node"'
}

@test "watchers see who joins, leads and leaves, in order" {
	gateway
	register 1 $one
	watch "$gw_url" GatewayService/WatchNodes '{"snapshot":true}'
	event
	is '.kind == "present"'
	register 2 $two
	gw UpdateLeader '{"leaderId":2,"term":7}'
	gw RemoveNode '{"nodeId":2}'
	event
	is '.kind == "joined" and .node.nodeId == 2'
	event
	is '.kind == "leader" and .node.nodeId == 2 and .leaderTerm == "7"'
	event
	is '.kind == "left" and .node.nodeId == 2'
}

@test "one registrant is granted the bootstrap, and once it has confirmed nobody is again" {
	gateway
	register 1 $one
	is '.isBootstrap and .grantMs == "30000"'
	register 2 $two
	is '.isBootstrap != true'
	register 1 $one
	is '.isBootstrap'
	confirm 2 $two $other
	[ "$code" = 400 ]
	is '.code == "failed_precondition"'
	confirm 1 $one $ours
	[ "$code" = 200 ]
	confirm 1 $one $ours # its answer may have been lost
	[ "$code" = 200 ]
	confirm 1 $one $other
	is '.message | contains("cluster '$ours' exists already")'
	register 2 $two
	is '.isBootstrap != true and .clusterId == "'$ours'"'
}

@test "a client of the old kind never spends the grant" {
	gateway
	gw RegisterNode '{"nodeId":7,"ipAddress":"127.0.0.1","port":8907}'
	is '.isBootstrap'
	register 1 $one
	is '.isBootstrap and .grantMs == "30000"'
}

@test "a grant not confirmed in time passes on, and the late confirmation is refused" {
	gateway --grant 0.001
	register 1 $one
	is '.isBootstrap'
	confirm 1 $one $ours
	[ "$code" = 400 ]
	is '.message | contains("the grant of node 1 ended")'
	register 2 $two
	is '.isBootstrap'
	confirm 1 $one $ours
	is '.message | contains("node 1 holds no grant")'
}

@test "killed with -9 and restarted, a gateway knows its members, its leader and whom it granted" {
	gateway
	register 1 $one '"metadata":{"zone":"b"}'
	register 2 $two
	crash gw
	again gw
	register 2 $two
	is '.isBootstrap != true'
	register 1 $one
	is '.isBootstrap'
	confirm 1 $one $ours
	gw UpdateLeader '{"leaderId":2,"term":5}'
	crash gw
	again gw
	gw GetNodes '{}'
	is '[.nodes[] | [.nodeId, .url, .instanceId, .status]] == [
		[1, "http://127.0.0.1:8901", "'$one'", "alive"],
		[2, "http://127.0.0.1:8902", "'$two'", "alive"]]'
	is '.clusterId == "'$ours'" and .leaderId == 2 and .leaderTerm == "5"'
	register 3 33333333333333333333333333333333
	is '.isBootstrap != true and .clusterId == "'$ours'"'
}

@test "an answered registration survives kill -9 at once" {
	gateway
	for id in 1 2 3 4 5; do
		register $id "0000000000000000000000000000000$id"
		crash gw
		again gw
	done
	gw GetNodes '{}'
	is '[.nodes[].nodeId] == [1,2,3,4,5]'
}

@test "a gateway with --no-bootstrap grants nothing, and adopts the first cluster presented to it" {
	gateway --no-bootstrap
	register 1 $one
	is '.isBootstrap != true'
	register 1 $one "\"clusterId\":\"$ours\""
	is '.clusterId == "'$ours'"'
	register 2 $two "\"clusterId\":\"$other\""
	[ "$code" = 400 ]
	is '.message | contains("'$ours'") and contains("'$other'")'
	gw UpdateLeader "{\"leaderId\":1,\"term\":9,\"clusterId\":\"$other\"}"
	is '.code == "failed_precondition"'
}

@test "gRPC-web in binary frames speaks the old field numbers" {
	gateway
	# node_id=2, ip_address="10.0.0.9", port=9000
	printf '\0\0\0\0\17\10\2\22\01010.0.0.9\30\250\106' |
		curl -sS --data-binary @- -o frames -w '%{content_type}' \
			-H 'content-type: application/grpc-web+proto' \
			"$gw_url/GatewayService/RegisterNode" >type
	[ "$(<type)" = application/grpc-web+proto ]
	# status="registered", node_id=2, is_bootstrap
	head -c 21 frames | tail -c 16 |
		cmp - <(printf '\12\12registered\20\2\30\1')
	tail -c 21 frames | cmp - <(printf '\200\0\0\0\20grpc-status: 0\r\n')
	gw GetNodes '{}'
	is '.nodes[0] | .nodeId == 2 and .port == 9000'
}

@test "an error reaches a gRPC-web client in the trailers" {
	gateway
	printf '\0\0\0\0\0' |
		curl -sS --data-binary @- -D heads -o frames \
			-H 'content-type: application/grpc-web' \
			"$gw_url/GatewayService/RegisterNode"
	cat heads frames >both
	grep -aq 'grpc-status: 3' both
	grep -aq 'grpc-message: ' both
}

@test "/healthz and /readyz say yes, /metrics counts nodes and requests" {
	gateway
	register 1 $one
	[ "$(curl -sSf "$gw_url/healthz")" = ok ]
	[ "$(curl -sSf "$gw_url/readyz")" = ready ]
	curl -sSf "$gw_url/metrics" >metrics
	grep -qx 'gfl_gateway_nodes{state="alive"} 1' metrics
	grep -q 'requests_total{path="/GatewayService/RegisterNode",code="ok"} 1' \
		metrics
	! grep -vE '^(# (TYPE|HELP) |gfl_[a-z0-9_]+(\{[^}]*\})? [0-9.e+-]+$)' metrics
}

@test "no web page can drive it: another Origin or Host is refused" {
	gateway
	for header in 'Origin: http://evil.example' 'Host: evil.example'; do
		code=$(curl -sS -o answer -w '%{http_code}' -d '{}' -H "$header" \
			-H 'content-type: application/json' \
			"$gw_url/GatewayService/GetNodes")
		[ "$code" = 403 ]
	done
	code=$(curl -sS -o answer -w '%{http_code}' -d '{}' \
		-H 'content-type: text/plain' "$gw_url/GatewayService/GetNodes")
	[ "$code" = 415 ]
	! curl -sSi -d '{}' -H 'content-type: application/json' \
		"$gw_url/GatewayService/GetNodes" |
		grep -i access-control
}

@test "what cannot be parsed is refused, and the next request is served" {
	gateway
	for bad in '' '{' '[]' '{"nodeId":"x"}' '{"nodeId":1,"nodeId":2}' \
		'{"nodeId":99999999999}' '{"nodeId":1} {}'; do
		gw Heartbeat "$bad"
		[ "$code" = 400 ]
		is '.code == "invalid_argument" and
			(.message | startswith("HeartbeatRequest: "))'
	done
	gw Heartbeat ''
	is '.message == "HeartbeatRequest: empty, not an object"'
	gw Heartbeat "$(printf '[%.0s' {1..100})"
	is '.message | contains("nested deeper than 32")'
	gw NoSuchMethod '{}'
	is '.code == "unimplemented"'
	gw GetNodes '{}'
	[ "$code" = 200 ]
}

@test "TERM stops it at once with status 0, also while it is watched" {
	gateway
	register 1 $one
	watch "$gw_url" GatewayService/WatchNodes '{"snapshot":true}'
	event
	stop gw
	[ ! -e gw.port ]
	reap stream
}

@test "serving beyond this machine needs --insecure" {
	for listen in 0.0.0.0:0 '[::]:0'; do
		fails 2 gfl-gateway --listen "$listen" --db x.db
		[[ $said == *"without TLS"*hint:*--insecure* ]]
	done
}

@test "a taken port is named" {
	gateway
	fails 7 gfl-gateway --listen "127.0.0.1:$gw_port" --db x.db
	[[ $said == *"127.0.0.1:$gw_port: Address already in use"* ]]
}

@test "a second process on the same file is refused, naming the first" {
	gateway
	register 1 $one
	fails 7 gfl-gateway --listen 127.0.0.1:0 --db gw.db
	[[ $said == *"gw.db is in use by process $gw_pid" ]]
	gw GetNodes '{}'
	is '.nodes | length == 1'
}

@test "a file where nothing can be written, or in no directory, is refused" {
	mkdir sealed
	chmod 500 sealed
	fails 7 unprivileged gfl-gateway --listen 127.0.0.1:0 --db sealed/x.db
	[[ $said == *sealed/x.db* ]]
	fails 1 gfl-gateway --listen 127.0.0.1:0 --db none/x.db
	[[ $said == *none/x.db* ]]
}

@test "a damaged file is refused and left as it is" {
	gateway
	register 1 $one
	stop gw
	tr '\0' '\377' </dev/zero | head -c 10000 |
		dd of=gw.db bs=1000 seek=1 conv=notrunc 2>dd.err
	cp gw.db before
	fails 70 gfl-gateway --listen 127.0.0.1:0 --db gw.db
	[[ $said == *"gw.db is damaged"* ]]
	cmp gw.db before
	head -c 50000 /dev/urandom >noise.db
	fails 70 gfl-gateway --listen 127.0.0.1:0 --db noise.db
	[[ $said == *'noise.db is no database'*'hint: '*--db ]]
	[ ! -e noise.db.lock ]
}

@test "a file of another kind, or of a newer gfl, is refused and left as it is" {
	sqlite3 notes.db 'CREATE TABLE note (text)'
	cp notes.db before
	fails 5 gfl-gateway --listen 127.0.0.1:0 --db notes.db
	[[ $said == *notes.db* ]]
	cmp notes.db before
	gateway
	stop gw
	sqlite3 gw.db 'PRAGMA user_version = 1000'
	cp gw.db before
	fails 5 gfl-gateway --listen 127.0.0.1:0 --db gw.db
	[[ $said == *gw.db*newer* ]]
	cmp gw.db before
}

# Whatever ends a test, as that of a whole suite may by a signal.
@test "a test that is killed leaves no daemon behind" {
	bash -c 'source "$1"
		start gw gfl-gateway --db gw.db
		watch "$gw_url" GatewayService/Watch "{}"
		echo "$gw_pid ${running[stream]}" >pids
		kill -KILL $$' bash "$BATS_TEST_DIRNAME/helpers.bash" \
		3>&- 2>killed.err || [ $? = 137 ]
	for pid in $(<pids); do
		while [ -n "$(tr -d '\0' <"/proc/$pid/cmdline")" ]; do :; done
	done 2>gone.err
}
