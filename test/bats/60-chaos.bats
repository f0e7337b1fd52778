# What an operator does to a cluster at the worst moment, one moment a test.

load helpers

# Node 2 is a member without a vote, so it never makes itself heard by itself.
standby() {
	cluster 1 --max-voters 1
	watch "$n1_url" gfl.v1.NodeService/ReadLog '{"follow":true}'
	node 2 --max-voters 1
	await '.entry.membership.action == "DEMOTE"'
	unwatch
}

# Wherever it is now, node 2 follows the leader.
moved() {
	n2_port=0
	again n2
	committed 2 "$(echo '{}' | gfl-log append noop -)"
	[ "$(gfl-list --node "$n1_url" -F id,url | grep ^2)" = \
		"2	$n2_url" ]
}

@test "a standby that comes back on another port is found" {
	standby
	crash n2
	moved
}

@test "a standby that comes back on another port is found without a gateway" {
	standby
	crash n2
	stop gw
	moved
}

@test "a node killed before its first entry came is found on another port" {
	standby
	crash n2
	crash n1 # which remembers what node 2 had
	sqlite3 n2.db 'DELETE FROM log; DELETE FROM hard_state'
	again n1
	moved
}

@test "a node with a new database takes over the id of its own address" {
	cluster 2
	crash n2
	rm n2.db*
	again n2
	gfl-wait nodes 2 -t 20
	same_logs 1 2
}

@test "a node that left while the gateway was away comes back on another port" {
	lease=2 cluster 2
	crash gw
	stop n2
	again gw
	n2_port=0
	again n2
	gfl-wait nodes 2 -t 20
	[ "$(gfl-list --node "$n1_url" -F id,url | grep ^2)" = \
		"2	$n2_url" ]
}
