# Servers beside the nodes of a cluster: one is active, and another one goes on
# with the run when its node comes to lead.

load helpers
load server

export BATS_TEST_TIMEOUT=180

# Ports that nobody has, and that no connection is given by chance.
ports() { # COUNT
	python3 - "$1" <<-'END'
		import random, socket, sys
		free = []
		for port in random.sample(range(10000, 32768), 1000):
		    with socket.socket() as s:
		        if s.connect_ex(('127.0.0.1', port)):
		            free.append(port)
		    if len(free) == int(sys.argv[1]):
		        break
		print(*free)
		END
}

# Three nodes whose leader stays, whatever the load, but where one falls.
nodes() { # MOST MS OF SILENCE
	cluster 3 --min-election-timeout $(($1 / 2)) --max-election-timeout "$1"
}

# servers [OPTION...] - one, sN, beside each of the nodes n1 to n3; all begin to
# train once the clients are there
servers() {
	local free id
	read -ra free < <(ports 3)
	all=$(printf ',http://127.0.0.1:%s' "${free[@]}")
	all=${all#,}
	for id in 1 2 3; do
		local -n url_=n${id}_url
		port=${free[id - 1]} start "s$id" gfl-server --on-leader \
			--node "$url_" --peers "$all" --db "s$id.db" -o jsonl \
			--silence 600 "$@"
	done
}

# The server that is active, once one is: its number in $lead, its URL in
# $srv_url.
find_active() {
	local url
	while :; do
		for lead in 1 2 3; do
			url=s${lead}_url
			srv_url=${!url}
			if gfl-list clients --server "$srv_url" >/dev/null 2>&1
			then return; fi
		done
	done
}

trainers() { # COUNT [OPTION...]
	local i
	split "$1"
	for ((i = 1; i <= $1; i++)); do
		start "t$i" env -u GFL_GATEWAY gfl-trainer --server "$all" --db "t$i.db" \
			--data $data --index "parts/part-$i.idx" "${@:2}"
	done
}

# In the rounds after these every update is held, by a handler, until release.
hold_updates() { # ROUND...
	local round
	cat >receive <<-'END'
		#!/bin/sh
		[ -e "gate$GFL_ROUND" ] || exit 0
		echo >>"held$GFL_ROUND"
		flock -s "gate$GFL_ROUND" true
		END
	chmod +x receive
	for round; do
		exec {gate[round]}>"gate$round"
		flock "${gate[round]}"
	done
}

all_held() { # COUNT ROUND
	timeout 60 tail -n +1 -F "held$2" 2>/dev/null | sed -n "$1q"
}

release() { flock -u "${gate[$1]}"; } # ROUND

# The rounds that the file of a server knows of.
known() { # NUMBER
	sqlite3 "s$1.db" 'SELECT max(round) FROM round'
}

@test "when the leader and its server are killed another one goes on" {
	local lead id rest=()
	nodes 2000
	hold_updates 4
	servers --model softmax --rounds 8 --steps 50 --min-participants 3 \
		--test $data --on-receive ./receive
	trainers 3
	all_held 3 4
	find_active
	for id in 1 2 3; do [ "$(known $id)" -ge 4 ]; done
	crash "s$lead"
	crash "n$lead"
	release 4
	for id in 1 2 3; do [ "$id" = "$lead" ] || rest+=("s$id"); done
	ends "${rest[@]}" t1 t2 t3
	for id in 1 2 3; do
		grep -q 'event=exit.*all rounds are done' "t$id.log"
	done
	cat s?.out >srv.out
	[ "$(rounds .round | sort -nu | tr '\n' ' ')" = '1 2 3 4 5 6 7 8 ' ]
	[ "$(rounds 'select(.round == 8).accuracy > 0.6')" = true ]
	for id in "${rest[@]}"; do
		[ "$(known "${id#s}")" = 8 ]
		[ "$(sqlite3 "$id.db" 'SELECT accuracy > 0.6 FROM round
			WHERE round = 8')" = 1 ]
	done
}

@test "a leader that was stopped with its server, and wakes, mixes nothing" {
	local lead id pids
	nodes 2000
	hold_updates 4 6
	servers --model softmax --rounds 8 --steps 50 --min-participants 3 \
		--on-receive ./receive
	trainers 3
	all_held 3 4
	find_active
	pids="${running[n$lead]} ${running[s$lead]}"
	kill -STOP $pids
	release 4 # all that its round needs is there when it wakes
	all_held 3 6 # by the one that went on
	kill -CONT $pids
	logged_after event=resigned event=follows "s$lead.log"
	release 6
	ends s1 s2 s3 t1 t2 t3
	grep -q event=resigned "s$lead.log"
	[ "$(sed '/event=resigned/q' "s$lead.log" | grep -c 'event=round ')" = 4 ]
	# all end with the same model, of the last round
	for id in 1 2 3; do
		[ "$(known $id)" = 8 ]
		sqlite3 "s$id.db" 'SELECT hex(bytes) FROM model ORDER BY piece;
			SELECT * FROM round WHERE round = 8' |
			sed 's/|[0-9]*|[0-9]*$//' >"end.$id"
		cmp end.1 "end.$id"
	done
	cat s?.out >srv.out
	[ "$(rounds .round | sort -nu | tr '\n' ' ')" = '1 2 3 4 5 6 7 8 ' ]
}

@test "who stands by names the active server, and one that was away catches up" {
	local lead other first claims
	nodes 10000
	servers --model "$tiny" --rounds 2 --min-participants 1
	find_active
	other=$((lead % 3 + 1))
	local -n standby=s${other}_url
	logged event=follows "s$other.log" >/dev/null
	fails 5 gfl-list clients --server "$standby"
	[[ $said == *"this server stands by, the active one is $srv_url"* ]]
	gfl-check server --server "$standby" |
		grep "^OK - this server stands by, the active one is $srv_url"
	! gfl-check server --server "$all" >line # nobody trains yet
	grep '^CRITICAL - no round has ended .*0 clients here' line
	gfl-list clients --server "$all"
	gfl-monitor --server "$all" -n 1 -o jsonl |
		jq -e --arg url "$srv_url" '.text == $url'
	claims=$(cat s?.log | grep -c event=claims) || true
	stop "s$other"
	set_up 1
	told 1
	given=$answer
	values 3 10
	update 1
	[ "$code" = 200 ]
	logged 'event=round round=1 ' "s$lead.log" >/dev/null
	again "s$other"
	logged 'event=state term=[0-9]+ round=1 ' "s$other.log" >/dev/null
	# nobody has wanted the lead for that
	[ "$(cat s?.log | grep -c event=claims)" = "$claims" ]
	# the active one alone is stopped, while nobody trains: another one
	# goes on
	call "$srv_url" $service/Leave "{\"clientId\":\"$id_1\",
		\"session\":\"$session_1\"}"
	first=$lead
	stop "s$first"
	find_active
	[ "$lead" != "$first" ]
	again "s$first"
	logged_after event=rests event=follows "s$first.log"
	set_up 1
	told 1
	given=$answer
	values 7 10
	update 1
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT" and .reason == "all rounds are done"'
	call "$srv_url" $service/Leave "{\"clientId\":\"$id_1\",
		\"session\":\"$session_1\"}"
	ends s1 s2 s3
	[ "$(parameters "s$lead.safetensors")" = 7 ]
	[ "$(known 1) $(known 2) $(known 3)" = '2 2 2' ]
}

@test "without rounds another server goes on, and each update counts once" {
	local lead id rest=()
	nodes 2000
	hold_updates 9
	sed -i 's/^.*exit 0$/[ "$GFL_ROUND" -ge 9 ] || exit 0; GFL_ROUND=9/' receive
	servers --model softmax --mode async --rounds 40 --steps 50 \
		--min-participants 3 --test $data --on-receive ./receive
	trainers 3 --active
	all_held 3 9
	find_active
	crash "s$lead"
	crash "n$lead"
	release 9
	for id in 1 2 3; do [ "$id" = "$lead" ] || rest+=("s$id"); done
	ends "${rest[@]}" t1 t2 t3
	cat s?.out >srv.out
	[ "$(rounds .round | sort -nu | wc -l)" = 40 ]
	[ "$(rounds .round | sort -n | tail -n 1)" = 40 ]
	[ "$(rounds 'select(.round == 40).accuracy > 0.6')" = true ]
	for id in "${rest[@]}"; do [ "$(known "${id#s}")" = 40 ]; done
	# what a trainer was told of is in the model, in one version
	[ "$(cat t?.log | grep -c event=sent)" = 40 ]
	grep -q event=carried t?.log
}

@test "an update that comes again, to the next active server, counts once" {
	local lead first term
	nodes 10000
	servers --model "$tiny" --mode async --rounds 9 --min-participants 1
	find_active
	set_up 1
	term=$(jq -r .term <<<"$answer")
	told 1
	given=$answer
	values 3 10
	update 1 '.updateId = "7"'
	is '.version == "1"'
	first=$lead
	stop "s$first"
	find_active
	[ "$lead" != "$first" ]
	set_up 1
	[ "$(jq -r .term <<<"$answer")" -gt "$term" ]
	carried=".activation = \"0\" | .baseTerm = \"$term\""
	update 1 "$carried | .updateId = \"7\"" # its answer could be lost
	[ "$code" = 200 ]
	is '.version == "1"'
	update 1 "$carried | .updateId = \"8\""
	is '.version == "2"'
	update 1 "$carried | .updateId = \"8\""
	is '.version == "2"'
	# of a version that the next server does not have, and without an id
	update 1 "$carried | .updateId = \"9\" | .baseVersion = \"2\""
	is '.message | startswith("base: ")'
	update 1 "$carried"
	is '.message | startswith("malformed: ")'
	told 1
	is '.code == "ACTIVATION" and .version == "2"'
}

# One server beside one node, without rounds, and client 1, who can evaluate.
alone() { # [OPTION...]
	cluster 1
	server --model "$tiny" --mode async --on-leader --node "$n1_url" \
		--peers http://127.0.0.1:1 "$@"
	until set_up 1 10 true 10; do :; done
	term=$(jq -r .term <<<"$answer")
	values 3 10
	given='{"round":"1"}'
}

# An update that was trained for another start of the server.
carry() { # ID BASE VERSION
	update 1 ".activation = \"0\" | .baseTerm = \"$term\" |
		.updateId = \"$1\" | .baseVersion = \"$2\""
	[ "$code" = 200 ]
}

@test "updates that come before enough clients are there count in a round each" {
	alone --min-participants 2
	carry 7 0
	carry 8 1
	[ "$(rounds '[.round, .activated, .admitted, .seconds < 60] | @csv')" = \
		$'1,1,1,true\n2,1,1,true' ]
	[ "$(sqlite3 srv.db 'SELECT count(*) FROM round WHERE began_ms > 0')" = 2 ]
	gfl-run stop --server "$srv_url" --reason enough
	leave 1
}

@test "who brings an update while it is to evaluate is asked for that again" {
	alone --min-participants 1 --clients-eval-every 1
	carry 7 0
	told 1
	is '.code == "EVALUATE_PARAMS" and .round == "1"'
	carry 8 1
	told 1
	is '.code == "EVALUATE_PARAMS" and .round == "1"'
	given=$answer
	score 1
	[ "$code" = 200 ]
	gfl-run stop --server "$srv_url" --reason enough
	leave 1
	[ "$(rounds 'select(.round == 1) | [.eval_asked, .eval_answered] | @csv')" = 1,1 ]
}

@test "a server that rests begins no round with whom its command has chosen" {
	mkfifo came go
	cat >choose <<-'END'
		#!/bin/bash
		echo >came
		read -r _ <go
	END
	chmod +x choose
	cluster 1
	server --model "$tiny" --on-leader --node "$n1_url" \
		--peers http://127.0.0.1:1 --min-participants 1 --on-round ./choose
	until set_up 1; do :; done
	read -r _ <came
	kill -TERM "$srv_pid"
	logged event=rests >/dev/null
	echo >go
	reap srv
	grep -q 'event=alone round=0' srv.log
}

@test "one word ends the rounds for all servers and clients" {
	local lead
	nodes 10000
	servers --model softmax --rounds 0 --steps 50 --min-participants 1
	find_active
	local -n standby=s$((lead % 3 + 1))_url
	fails 5 gfl-run stop --server "$standby"
	[[ $said == *"this server stands by"* ]]
	trainers 1
	logged 'event=round round=2 ' "s$lead.log" >/dev/null
	gfl-run stop --server "$all" --reason 'it is enough'
	ends s1 s2 s3 t1
	grep -q 'event=exit.*it is enough' t1.log
	[ -s "s$lead.safetensors" ]
	[ "$(known 1)" = "$(known 2)" ]
	[ "$(known 1)" = "$(known 3)" ]
	fails 2 gfl-run stop
	fails 2 gfl-run stop 1 --server "$all"
	fails 3 gfl-run stop --server "$all"
}

@test "a server beside a node says what it needs" {
	fails 2 gfl-server --db a.db --on-leader --listen 127.0.0.1:0
	[[ $said == *'--on-leader needs one --node'* ]]
	fails 2 gfl-server --db a.db --node http://127.0.0.1:1
	fails 2 gfl-server --db a.db --on-leader --on-participants true \
		--node http://127.0.0.1:1 --peers http://127.0.0.1:2
	[[ $said == *'--on-leader is not for --on-participants'* ]]
}

@test "the lead leaves a server that is killed alone, and one that is stopped" {
	local lead first next last
	nodes 10000
	hold_updates 4 6
	servers --model softmax --rounds 8 --steps 50 --min-participants 3 \
		--test $data --on-receive ./receive
	trainers 3
	all_held 3 4
	find_active
	first=$lead
	crash "s$first"
	release 4
	all_held 3 6 # of the one that went on
	find_active
	next=$lead
	[ "$next" != "$first" ]
	kill "${running[s$next]}"
	logged event=rests "s$next.log" >/dev/null
	release 6
	last=$((6 - first - next))
	ends "s$next" "s$last" t1 t2 t3
	[ "$(gfl-leader)" = "$last" ]
	# the one that was stopped has ended its round, and that is not repeated
	[ "$(known "$first") $(known "$next") $(known "$last")" = '4 7 8' ]
	cat s?.out >srv.out
	[ "$(rounds .round | sort -n | tr '\n' ' ')" = '1 2 3 4 5 6 7 8 ' ]
	[ "$(rounds 'select(.round == 8).accuracy > 0.6')" = true ]
}
