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

# trainers N - the data is divided, but none of it scored.
trainers() {
	local i data=/usr/share/datasets/fashion-mnist
	gfl-data split --data $data --parts "$1" --out parts >/dev/null
	for ((i = 1; i <= $1; i++)); do
		start "t$i" gfl-trainer --db "t$i.db" --node "$n1_url" \
			--data $data --index "parts/part-$i.idx"
	done
	gfl-wait trainers "$1" -t 20
}

# Trainer NAME has done that many rounds of the run.
reaches() { # NAME ROUND
	local -n at=$1_url
	local tries
	for ((tries = 0; tries < 5000; tries++)); do
		call "$at" gfl.v1.TrainerService/GetStatus '{}' >/dev/null
		if is ".round // 0 | tonumber >= $2"; then return; fi
	done
	return 1
}

@test "a trainer that was paused counts the rounds that others missed with it" {
	cluster 1
	trainers 3
	id=$(gfl-run start --model softmax --rounds 4000 --steps 5 --batch 50 \
		--keep 0.1 --min-trainers 3 --round-deadline 0.5s)
	reaches t1 50
	kill -STOP "$t3_pid"
	reaches t1 300
	kill -CONT "$t3_pid"
	gfl-wait run "$id" -t 60
	[ "$(gfl-run show "$id" -F state | sort -u)" = finished ]
	grep -q event=jumps t3.log
	without=$(cat t1.log t2.log | grep -c 'event=missed.*peer=3')
	misses=$(gfl-run show "$id" -F trainer,misses | sed -n 's/^3\t//p')
	[ "$without" -gt 2 ]
	[ "$misses" -ge $((without - 1)) ]
}
