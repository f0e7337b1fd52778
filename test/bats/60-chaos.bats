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
	# It may be reached before the log has where it is.
	until [ "$(gfl-list --node "$n1_url" -F id,url | grep ^2)" = \
		"2	$n2_url" ]; do :; done
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
	cluster 3 # the others have a quorum, however long it is away
	crash n2
	rm n2.db*
	again n2
	gfl-wait nodes 3 -t 60
	committed 2 "$(echo '{}' | gfl-log append noop -)"
	same_logs 1 2 3
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

@test "a new node asks on while the cluster has no leader" {
	cluster 2
	crash n2
	command_n3=(gfl-node --node-id 3 --db n3.db) n3_port=0
	launch n3
	exec {said}<>n3.ready
	timeout 60 tail -n +1 -F n3.log 2>tail.err | grep -qm 1 'has no leader'
	again n2
	read -r -t 60 -u "$said"
}

@test "what is passed on to a node that lost its database comes back at once" {
	cluster 2
	crash n1
	crash n2
	rm n2.db*
	launch n2 # which finds nobody
	exec {said}<>n2.ready
	until curl -sf "$n2_url/healthz"; do is_child "$n2_pid"; done
	answer=$(curl -sS -m 20 -H 'gfl-forwarded: 1' -d '{"entry":{"noop":{}}}' \
		-H 'content-type: application/json' \
		"$n2_url/gfl.v1.NodeService/Propose")
	is '.code == "unavailable"'
}

commit_index() { gfl-status "$n1_url" -o tsv -F commit_index; }

@test "a node that left and comes again is not taken for removed by its old life" {
	cluster 1 --snapshot-after 1G
	node 2
	stop n2 # which leaves
	# So much that the next life gets it in many pieces: the entry that makes
	# it a member comes after others that say that node 2 was removed. These
	# are of a run that is not known, and change nothing.
	{
		printf '{"entry":{"topology":{"run":"9","rounds":[{"pairs":"'
		head -c 700000 /dev/zero | base64 -w 0
		printf '"}]}}}'
	} >big
	had=$(commit_index)
	for _ in {1..16}; do
		curl -sS -d @big -H 'content-type: application/json' \
			"$n1_url/gfl.v1.NodeService/Propose" >>answers
	done
	[ "$(commit_index)" -ge $((had + 16)) ]
	again n2
	committed 2 "$(echo '{}' | gfl-log append noop -)"
}
