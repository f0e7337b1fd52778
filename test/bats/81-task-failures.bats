# Masters and workers that are killed, silent or late: each task ends once.

load tasks

# Every task writes a line, so that what was done twice is seen.
counts() {
	script evaluate <<'EOS'
echo "$GFL_TASK_ID" >>ran
echo "{\"id\":$GFL_TASK_ID}"
EOS
	: >ran
}

# Waits for a file go.ID, having written began.ID with its process in it.
waits() {
	script evaluate <<'EOS'
echo $$ >"began.$GFL_TASK_ID.$GFL_TASK_TRY.new"
mv "began.$GFL_TASK_ID.$GFL_TASK_TRY.new" "began.$GFL_TASK_ID.$GFL_TASK_TRY"
until [ -e "go.$GFL_TASK_ID" ]; do sleep 0.02; done
echo "{\"by\":$$}"
EOS
}

began() { # ID TRY
	until [ -s "began.$1.$2" ]; do :; done
}

@test "kill -9 of the master with 1,000 tasks in flight: each is done once" {
	seed=${SEED:-$RANDOM}
	echo "SEED=$seed"
	RANDOM=$seed
	master
	counts
	for w in a b c d; do worker $w --slots 4; done
	seq 1000 | jq -c '{n: .}' |
		gfl-submit --wait -t 60 -F id,status -o tsv >results 2>submit.err 3>&- &
	running[submit]=$!
	for at in 1 2 3 4; do
		until [ "$(wc -l <ran)" -ge $((at * 200 - RANDOM % 150)) ]; do :; done
		crash master
		again master
	done
	reap submit
	[ "$(sort -n results)" = "$(seq 1000 | sed 's/$/\tdone/')" ]
	[ "$(sort -n ran)" = "$(seq 1000)" ]
	[ "$(rows 'SELECT count(*), count(DISTINCT ended) FROM state WHERE state = 4')" = '1000|1000' ]
	[ "$(rows 'SELECT count(*) FROM lost')" = 0 ]
}

full_disk() {
	start master gfl-master --db disk/master.db
	export GFL_MASTER=$master_url
	script evaluate <<'EOS'
echo "$GFL_TASK_ID" >>ran
[ "$GFL_TASK_ID" = 1 ] || exit 0
printf '{"x":"%0900000d"}' 1
EOS
	: >acknowledged
	printf '{"x":"%010000d"}\n' 1 >long
	status=0
	echo '{}' | gfl-submit >>acknowledged
	while [ "$status" = 0 ]; do
		gfl-submit long >>acknowledged 2>err || status=$?
	done
	cat err
	[ "$status" = 7 ]
	grep -E '^gfl-submit: submit to .*master.db: .*full' err
	ends master 7
	grep -E '^gfl-master: .*master.db: .*full' master.log
	grow 1m
	again master
	sqlite3 -readonly disk/master.db 'SELECT id FROM task' | sort >there
	[ "$(sort acknowledged | comm -23 - there)" = '' ]
	[ "$(sort acknowledged | comm -13 - there | wc -l)" -le 1 ] # not known
	start w gfl-worker --worker-id w --no-gpu --exec ./evaluate
	ends master 7 # the result of the first
	grow 32m
	again master
	for id in $(<acknowledged); do gfl-wait task "$id" -t 60; done
	[ "$(sort -n ran | uniq -d)" = '' ]
	[ "$(sqlite3 -readonly disk/master.db \
		'SELECT max(tries), max(length(output)) FROM state')" = '1|900008' ]
}

@test "a full disk: the master says so and ends, and nothing that it said is lost" {
	on_small_disk full_disk 512k
}

# What the disk of the master has not been told to keep is gone.
power_loss() {
	crash master
	rm -f live/*
	cp shadow/* live/
}

@test "a master that cannot store what it decides says so and ends" {
	master
	gfl-submit <<<'{}'
	stop master
	sqlite3 master.db "CREATE TRIGGER no BEFORE UPDATE ON state
		BEGIN SELECT RAISE(ABORT, 'no luck'); END"
	again master
	script evaluate <<<'echo {}'
	worker a
	ends master 1
	grep -x 'gfl-master: .*no luck' master.log
	! grep event=task_ a.log # which got none
}

@test "power loss: what the master said is so, and each task is done once" {
	mkdir live shadow
	head -c 24 /dev/zero >power
	local at power=$(dirname "$(command -v gfl)")/../test/chaos/power.so
	[ -e "$power" ] || { echo "$power: make check-bats builds it"; return 1; }
	start master env LD_PRELOAD="$power" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		POWER_LIVE="$PWD/live" POWER_SHADOW="$PWD/shadow" \
		POWER_CONTROL="$PWD/power" gfl-master --db "$PWD/live/node.db"
	export GFL_MASTER=$master_url
	counts
	for w in a b; do worker $w --slots 4; done
	seq 300 | jq -c '{n: .}' | gfl-submit --max-inflight 50 --wait -t 60 \
		-F id,status -o tsv >results 2>submit.err 3>&- &
	running[submit]=$!
	for at in 50 120 200; do
		until [ "$(wc -l <results)" -ge "$at" ]; do :; done
		power_loss
		again master
	done
	reap submit
	[ "$(sort -n results)" = "$(seq 300 | sed 's/$/\tdone/')" ]
	[ "$(sort -n ran)" = "$(seq 300)" ]
	# the same with a disk that lies about it
	stop a
	stop b
	printf '\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0' | dd of=power conv=notrunc status=none
	[ "$(gfl-submit <<<'{}')" = 301 ]
	power_loss
	again master
	[ "$(gfl-submit <<<'{}')" = 301 ]
}

@test "a worker that is killed is dead after --silence, and its tasks go elsewhere" {
	master --silence 1.5
	waits
	worker a
	echo '{}' | gfl-submit
	began 1 1
	worker b
	crash a
	began 1 2
	touch go.1
	gfl-wait task 1 -t 30
	[ "$(gfl-list tasks -F worker,tries -o tsv)" = $'b\t2' ]
	[ "$(gfl-list workers -F id,status -o tsv)" = $'a\tdead\nb\tidle' ]
	[ "$(rows 'SELECT worker, why FROM lost')" = 'a|worker a is silent' ]
}

@test "a worker that hangs is dead after --silence, though its request is held" {
	local instance=0123456789abcdef0123456789abcdef
	master --silence 1.5
	call "$master_url" morphml.distributed.MasterService/RegisterWorker \
		"{\"worker_id\":\"a\",\"instance\":\"$instance\"}"
	is '.success'
	# which it would answer after 25 s, if that came first
	call "$master_url" morphml.distributed.MasterService/RequestTask \
		"{\"worker_id\":\"a\",\"instance\":\"$instance\",\"wait_ms\":\"25000\"}"
	is '.unknown'
	[ "$(gfl-list workers -F id,status -o tsv)" = $'a\tdead' ]
}

@test "a worker is heard so often that its master does not take it for dead" {
	master --silence 0.6
	script evaluate <<<'echo {}'
	worker a --heartbeat 3600
	until_row 'SELECT count(*) >= 4 FROM metric' 1
}

@test "a worker that was started anew has nothing of what it had before" {
	master
	waits
	worker a
	echo '{}' | gfl-submit
	began 1 1
	crash a
	again a
	began 1 2
	touch go.1
	gfl-wait task 1 -t 30
	[ "$(rows 'SELECT why FROM lost')" = 'worker a was started anew' ]
}

@test "a late result counts if it is the first, and is refused by name if not" {
	master --silence 0.5
	waits
	worker a
	printf '{}\n{}\n' | gfl-submit
	began 1 1
	kill -STOP "$a_pid"
	worker b --slots 2
	began 1 2
	began 2 1
	touch go.1 # both of them are done; only b can say so
	gfl-wait task 1 -t 30
	kill -CONT "$a_pid"
	until grep -q 'result_refused reason="task 1 is done already, by b"' a.log
	do :; done
	touch go.2
	gfl-wait task 2 -t 30
	[ "$(gfl-list tasks -F id,status,worker -o tsv)" = $'1\tdone\tb\n2\tdone\tb' ]
}

@test "a master of no memory: a worker that it does not know comes again" {
	master
	counts
	worker a
	stop master
	rm master.db*
	again master
	echo '{}' | gfl-submit --wait -t 30 -F status -o tsv >status
	[ "$(<status)" = done ]
}

@test "a result is of the queue whose task it was, not of another one with that number" {
	local mine
	script evaluate <<'EOS'
read -r task
echo $$ >began.new; mv began.new began
until [ -e go ]; do sleep 0.02; done
echo "{\"of\":$task}"
EOS
	master
	mine=$master_port
	worker a
	gfl-submit <<<'{"queue":1}'
	until [ -s began ]; do :; done
	stop master
	touch go
	logged a event=task_done # and cannot bring it
	rm master.db*
	start other gfl-master --db master.db
	[ "$(gfl-submit -m "$other_url" <<<'{"queue":2}')" = 1 ]
	stop other
	port=$mine again master
	gfl-wait task 1 -t 60
	[ "$(gfl-list tasks -F of -o tsv)" = '{"queue":2}' ]
}

@test "what a worker does for others is no result for its master" {
	master
	waits
	worker a
	gfl-submit --gpu <<<'{}' # which waits, as there is none
	curl -sS "$a_url/morphml.distributed.WorkerService/Evaluate" -d '{"taskId":"1"}' \
		-H 'content-type: application/json' 3>&- >/dev/null &
	running[curl]=$!
	began 1 0
	crash curl
	nobody "$(tr '\0' ' ' <"/proc/$(<began.1.0)/cmdline" | cut -d' ' -f 2)"
	touch go.1 go.2
	gfl-submit --wait <<<'{}'
	[ "$(gfl-list tasks -F id,status -o tsv)" = $'1\tready\n2\tdone' ]
}

@test "a worker of several masters goes to another one when its own is gone" {
	waits
	master --silence 0.5
	start other gfl-master --db other.db --silence 0.5
	worker a -m "$master_url,$other_url"
	gfl-submit <<<'{}'
	began 1 1
	crash master
	touch go.1 # a result that nobody will have
	gfl-submit -m "$other_url" -t 60 --wait -F id,status,worker -o tsv \
		<<<'{}' >done
	[ "$(<done)" = $'1\tdone\ta' ]
	again master # knows of nothing, but that the worker is gone
	until_row 'SELECT state.state FROM state' 1
	[ "$(gfl-list workers -m "$other_url" -F id,status -o tsv)" = $'a\tidle' ]
}

@test "TERM: a worker whose master does not know it yet comes to it with what it has" {
	waits
	master --silence 0.5
	worker a -m "$master_url,http://127.0.0.1:1"
	gfl-submit <<<'{}'
	began 1 1
	crash master
	touch go.1
	logged a event=master_left
	kill -TERM "$a_pid"
	logged a event=leaving
	again master
	ends a 0
	[ "$(rows 'SELECT state, tries, worker FROM state')" = '4|1|a' ]
}

@test "TERM: a worker finishes what it has begun, and gives the rest back" {
	master
	waits
	worker a
	printf '{}\n{}\n' | gfl-submit
	began 1 1
	kill -TERM "$a_pid"
	until grep -q event=leaving a.log; do :; done
	touch go.1
	reap a
	gfl-wait task 1 -t 30
	[ "$(gfl-list tasks -F status -o tsv)" = $'done\nready' ]
	worker b
	touch go.2
	gfl-wait task 2 -t 30
	[ "$(gfl-list tasks -F tries -o tsv)" = $'1\n1' ]
}

@test "a try that takes too long is ended, with what it started" {
	master --retry-delay 0.01
	script evaluate <<'EOS'
sleep 1000 &
echo $! >"child.$GFL_TASK_TRY"
wait
EOS
	worker a --grace 0.1
	status=0
	echo '{}' | gfl-submit --wait --task-timeout 0.2 --retries 1 -t 30 \
		-F status,error -o tsv >out || status=$?
	[ "$status" = 1 ]
	[[ $(<out) == failed$'\t'*"took longer than 0.2 s"* ]]
	for try in 1 2; do
		while kill -0 "$(<child.$try)" 2>/dev/null; do :; done
	done
}

@test "kill -9 of a worker ends what its tasks run, and what they started" {
	master
	script evaluate <<'EOS'
trap '' TERM
setsid sleep 1000 &
echo $! >child
echo $$ >parent.new
mv parent.new parent
while :; do sleep 1; done
EOS
	worker a --grace 0.1
	echo '{}' | gfl-submit
	until [ -s parent ] && [ -s child ]; do :; done
	crash a
	while kill -0 "$(<child)" 2>/dev/null || kill -0 "$(<parent)" 2>/dev/null
	do :; done
}

@test "three bad tasks keep a worker from more while there is another" {
	master --scheduler round-robin
	script bad <<<'exit 1'
	script evaluate <<<'until [ -e go ]; do sleep 0.02; done'
	exec=bad worker bad
	for i in 1 2 3; do echo '{}'; done | gfl-submit --retries 0
	gfl-wait task 3 -t 30 || [ $? = 1 ]
	worker good --slots 4
	for i in 1 2 3 4 5 6; do echo '{}'; done | gfl-submit --retries 0
	until_row "SELECT count(*) FROM state WHERE state = 3 AND worker = 'good'" 4
	touch go
	until_row 'SELECT count(*) FROM state WHERE state = 4' 6
	[ "$(gfl-list workers -F id,breaker -o tsv)" = $'bad\topen\ngood\tclosed' ]
	grep -q 'event=breaker worker=bad state=open for_s=300$' master.log
}

@test "a bad list of tasks does not stop its only worker" {
	master
	script evaluate <<'EOS'
[ "$GFL_TASK_ID" -gt 8 ]
EOS
	worker a
	status=0
	seq 10 | jq -c '{n: .}' | gfl-submit --wait --retries 0 -t 30 \
		-F status -o tsv >out || status=$?
	[ "$status" = 6 ]
	[ "$(sort out | uniq -c | tr -s ' ')" = $' 2 done\n 8 failed' ]
}

@test "gfl-search.sh: 24 settings over 4 workers, one killed in the middle" {
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-search.sh 300 >best 2>log
	[ "$(wc -l <best)" = 3 ]
	awk -F'\t' '$1 < 0.3 || !/dense (32|64|128); relu; dense 10/ { exit 1 }' best
	grep -x '24 of 24' log
	grep -P '^worker1\tdead\t' log
	[ "$(grep -c -P '^worker[234]\tidle' log)" = 3 ]
}
