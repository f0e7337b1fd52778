# The plain paths that the first comm manager had, as its clients call them.

load helpers

gateway() { # OPTION...
	start gw gfl-gateway --db gw.db "$@"
}

# ask PATH CURL-OPTION... - as call: the answer is in $answer, its HTTP status
# in $code.
ask() {
	code=$(curl -sS --max-time 10 -o answer -w '%{http_code}' "${@:2}" \
		"$gw_url$1")
	answer=$(<answer)
	echo "$1: $code $answer"
}

post() { # PATH JSON
	ask "$1" -H 'content-type: application/json' -d "$2"
}

register() { # ID
	post /register "{\"node_id\":$1,\"ip_address\":\"127.0.0.1\",
		\"port\":890$1,\"capabilities\":[\"train\"],
		\"metadata\":{\"zone\":\"b\"}}"
	[ "$code" = 200 ]
}

@test "a node registers, leads and goes by the plain paths" {
	gateway
	ask /leader
	[ "$code" = 200 ]
	is 'has("leader") and .leader == null and .registry_version == 0'
	register 1
	is '.status == "registered" and .node_id == 1 and .is_bootstrap'
	register 2
	is '[.nodes[].node_id] == [1,2]'
	post /leader '{"leader_id":2}'
	is '.status == "updated" and .leader_id == 2'
	ask /leader
	is '.leader | .node_id == 2 and .ip_address == "127.0.0.1" and
		.port == 8902 and .capabilities == ["train"] and
		.metadata == {"zone":"b"} and (.last_seen | type) == "number"'
	post /heartbeat '{"node_id":1}'
	is '.status == "received" and .lease_ms == 15000'
	ask '/nodes?node_id=1'
	is '[.nodes[].status] == ["alive","alive"]'
	post /remove '{"node_id":2}'
	is '.status == "removed" and .node_id == 2'
	ask /stats
	is '.total_nodes == 1 and .active_nodes == 1 and .leader_id == 0'
}

@test "what a plain path answered survives kill -9" {
	gateway
	register 1
	crash gw
	again gw
	ask /nodes
	is '[.nodes[].node_id] == [1]'
}

@test "health is told, and to HEAD without a body" {
	gateway
	ask /health
	[ "$code" = 200 ]
	is '.status == "healthy" and .timestamp > 1e9 and (.version | length) > 0'
	run curl -sSI --max-time 10 "$gw_url/health"
	[ "$status" = 0 ]
	[[ $output == *"200 OK"* ]]
}

@test "web pages and other content types drive no plain path" {
	gateway
	ask /remove -d '{"node_id":1}'
	[ "$code" = 415 ]
	ask /nodes -H 'Origin: http://evil'
	[ "$code" = 403 ]
	ask /register
	[ "$code" = 405 ]
	post /nodes '{}'
	[ "$code" = 405 ]
	post /register '{"node_id":'
	[ "$code" = 400 ]
	is '.code == "invalid_argument"'
	post /register '{"node_id":1}'
	[ "$code" = 400 ]
}
