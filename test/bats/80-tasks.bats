# Tasks through a master to its workers, and what comes of them.

load tasks

echoes() {
	script evaluate <<'EOS'
jq -c '{accuracy: (.lr * 10 + .batch / 100), epochs: 3}'
EOS
}

@test "jq -nc SETTINGS | gfl-submit --wait -o jsonl | jq -sc 'max_by(.accuracy)'" {
	master
	echoes
	worker w1 --slots 2
	jq -nc '{lr:(0.1,0.05),batch:(16,32)}' | gfl-submit --wait -o jsonl |
		jq -sc 'max_by(.accuracy)' >best
	jq -e '.accuracy == 1.32 and .status == "done" and .worker == "w1" and
		.task == {"lr":0.1,"batch":32} and .duration_s > 0' best
	grep '"epochs":3[,}]' best # as it was printed
	[ "$(rows "SELECT count(*) FROM state WHERE state = 4")" = 4 ]
	[ "$(gfl-list tasks -F accuracy -o tsv | sort -g | tail -n 1)" = 1.32 ]
	echo '{"lr":0,"batch":8}' >one
	command script -qec 'stty cols 80; gfl-submit --wait one' /dev/null </dev/null >screen
	grep -q '^ *5 done .*"accuracy":0.08' screen
	echo '{"lr":0,"batch":16}' | gfl-submit --wait -o tsv \
		-F accuracy,task >row
	[ "$(<row)" = $'0.16\t{"lr":0,"batch":16}' ]
	status=0
	gfl-list tasks -F id,accurracy >row 2>why || status=$?
	[ "$status" = 2 ]
	grep "^gfl-list: .*'accurracy' is no column" why
}

@test "what is submitted waits, durably, for a master that is killed and a worker" {
	master
	seq 100 | jq -c '{n: .}' | gfl-submit >ids
	[ "$(wc -l <ids)" = 100 ]
	crash master
	again master
	script evaluate <<<'jq -c "{twice: (.n * 2)}"'
	worker w1 --slots 2
	until_row "SELECT count(*) FROM state WHERE state = 4" 100
	rows "SELECT text, metrics FROM task JOIN state USING (id)" |
		awk -F'[:|}]' '$2 * 2 != $5 { exit 1 }'
}

@test "a worker gets the task as it was written, and facts in its environment" {
	master
	script evaluate <<'EOS'
cat >"seen.$GFL_TASK_ID"
env | grep -e ^GFL_ -e ^PYTHONPATH= | sort >"env.$GFL_TASK_ID"
EOS
	PYTHONPATH=mine worker w1
	printf '{"lr": 0.10, "batch":32, "x":[1,{"y":null}]}\n' |
		gfl-submit --wait -o jsonl >result
	[ "$(cat seen.1)" = '{"lr": 0.10, "batch":32, "x":[1,{"y":null}]}' ]
	grep -x GFL_TASK_LR=0.1 env.1
	grep -x GFL_TASK_BATCH=32 env.1
	grep -x GFL_TASK_TRY=1 env.1
	grep -x GFL_TASK_WORKER=w1 env.1
	grep -x PYTHONPATH=mine env.1 # as its libraries need it
	! grep GFL_MASTER env.1
	jq -e '.status == "done"' result
	echo '{"a":1,"gfl":{"name":"x","priority":3}}' | gfl-submit --wait \
		-F name,task -o tsv >named
	[ "$(<named)" = $'x\t{"a":1}' ]
	[ "$(cat seen.2)" = '{"a":1}' ]
}

@test "what fails is tried again, and the last failure tells why" {
	master --retry-delay 0.01
	script evaluate <<'EOS'
echo "try $GFL_TASK_TRY" >&2
printf 'because of caf\351\n' >&2
[ "$GFL_TASK_TRY" = 3 ]
EOS
	worker w1
	echo '{}' | gfl-submit --wait -o jsonl >third
	jq -e '.status == "done"' third
	[ "$(rows 'SELECT tries FROM state WHERE id = 1')" = 3 ]
	[ "$(rows 'SELECT count(*) FROM lost WHERE task = 1')" = 2 ]
	status=0
	echo '{}' | gfl-submit --wait --retries 1 -o jsonl >second || status=$?
	[ "$status" = 1 ]
	jq -e '.status == "failed" and
		(.error | contains("exited with status 1: because of caf?"))' second
	status=0
	printf '{}\n{"gfl":{"retries":0}}\n' | gfl-submit --wait -o jsonl \
		>both || status=$?
	[ "$status" = 6 ]
	jq -es 'map(.status) | sort == ["done", "failed"]' both
}

@test "a line that is no task is told of, and the others are queued" {
	master
	printf '{"a":1}\nno\n[1]\n{"gfl":{"x":1}}\n\n{"b":2}\n' >lines
	status=0
	gfl-submit lines >ids 2>err || status=$?
	[ "$status" = 6 ]
	[ "$(<ids)" = $'1\n2' ]
	grep -x 'gfl-submit: line 2: no JSON.*' err
	grep -x 'gfl-submit: line 3: no JSON object' err
	grep 'gfl-submit: line 4: gfl.x is unknown: there are name, after' err
	[ "$(rows 'SELECT text FROM task ORDER BY id')" = $'{"a":1}\n{"b":2}' ]
}

@test "a cancelled task is stopped with all that it started" {
	master
	script evaluate <<'EOS'
sleep 1000 &
echo $! >child
trap '' TERM
echo $$ >parent.new
mv parent.new parent
while :; do wait; done
EOS
	worker w1 --grace 0.1
	echo '{}' | gfl-submit
	until [ -s parent ] && [ -s child ]; do :; done
	gfl-cancel 1
	while kill -0 "$(<child)" 2>/dev/null || kill -0 "$(<parent)" 2>/dev/null
	do :; done
	[ "$(rows 'SELECT state, error FROM state')" = '6|it was cancelled' ]
	fails 6 gfl-cancel 1 7
	echo '{}' | gfl-submit
	gfl-cancel --all -o tsv >all
	[ "$(<all)" = $'2\tcancelled' ]
}

@test "without a master, with a bad id: a sentence and a status" {
	fails 3 gfl-submit -m http://127.0.0.1:1 -t 0.1 /dev/stdin <<<'{}'
	fails 3 gfl-cancel -m http://127.0.0.1:1 1
	[[ $said == *"Connection refused"* ]]
	fails 2 gfl-cancel x
	fails 2 gfl-cancel
	fails 2 gfl-cancel 99999999999999999999
	[[ $said == *"'99999999999999999999' is no id of a task" ]]
	fails 2 gfl-submit --after 1,x /dev/null
	[[ $said == "gfl-submit: --after: 'x' is no id of a task" ]]
	for none in '2 gfl-submit -m' '2 gfl-list tasks -m' \
		'2 gfl-wait task 1 -m' '3 gfl-check master -m' \
		'2 gfl-monitor master -m' '2 gfl-monitor --server' \
		'2 gfl-worker --exec true -m'; do
		fails $none ,
		[[ $said == *"','"*' names none'* ]]
	done
	for several in 'gfl-submit /dev/null' 'gfl-list tasks' 'gfl-cancel 1' \
		'gfl-wait task 1' 'gfl-monitor master'; do
		GFL_MASTER=http://127.0.0.1:1,http://127.0.0.1:2 fails 2 $several
		[[ $said == *'--master names 2, '*'one is meant'*'has tasks of its own' ]]
	done
	run gfl-check master -m http://127.0.0.1:1,http://127.0.0.1:2
	[[ $status == 3 && $output == *'--master names 2, '* ]]
	fails 7 gfl-submit .
	[[ $said == *"read .: Is a directory" ]]
	fails 2 gfl-worker --exec true --worker-id ''
	fails 2 gfl-worker --exec true --pull --push
	fails 2 gfl-worker --exec true --alone --pull
	fails 2 gfl-worker --exec true --db w.db # it keeps no state
	fails 1 gfl-worker --exec ./nothing
	fails 1 gfl-worker --data ./nothing
	[[ $said == *"--data: open ./nothing: No such file"* ]]
	fails 1 gfl-worker --dataset mine=./nothing
	run gfl-wait task 1 -t 2.5 -m http://127.0.0.1:1
	[[ $status == 3 && $output == *"waiting for task: cannot reach"* ]]
	fails 2 gfl-worker --evaluate --exec true </dev/null
	[[ $said == *'not by --exec'* ]]
}

# says TEXT OPTION... - gfl-submit --wait says, once, that it waits for TEXT.
says() {
	gfl-submit --wait -t 0 "${@:2}" <<<'{}' >/dev/null 2>said &
	until grep -qx "gfl-submit: waiting for $1" said; do :; done
	kill $!
	! wait $!
	[ "$(wc -l <said)" = 1 ]
}

@test "gfl-submit says why nothing comes: no master, no worker, none that may" {
	says 'the master: .*: Connection refused' -m http://127.0.0.1:1
	master
	says 'a worker: none is there'
	gfl-cancel --all
	script evaluate <<<true
	worker w1
	says 'a worker that may: of 1 none is at work' --gpu
}

@test "the built-in trainer names what of a task it did not use" {
	printf '%s\n' x,y,label 0.1,0.9,0 0.8,0.2,1 0.2,0.7,0 0.9,0.1,1 >d.csv
	evaluate() { gfl-worker --evaluate --data d.csv <<<"$1"; }
	evaluate '{"architecture":"input 1 1 2; dense 2","lr":0.1,"dropout":0.5,"tag":"a"}' |
		jq -e '.ignored == ["dropout", "tag"] and .accuracy >= 0'
	evaluate '{"architecture":"input 1 1 2; dense 2","batch":2}' |
		jq -e 'has("ignored") | not'
	fails 2 gfl-worker --evaluate <<<'{"architecture":"dense 2","dataset":7}'
	[[ $said == *'dataset is not a text'* ]]
	fails 2 gfl-worker --evaluate <<<'{"architecture":"dense 2","batch":3.5}'
	[[ $said == *'batch is not a whole number from 1 to '* ]]
}

@test "gfl-list tasks and workers, gfl-wait task ID" {
	master
	[ -z "$(gfl-list tasks)" ]
	script evaluate <<'EOS'
until [ -e "go.$GFL_TASK_ID" ]; do sleep 0.02; done
[ "$GFL_TASK_ID" = 1 ] && echo '{"x":0.5}'
EOS
	worker w1 --slots 2
	printf '{"a":1}\n{"gfl":{"name":"n","priority":-1,"retries":0}}\n{}\n' |
		gfl-submit --task-timeout 60
	until_row 'SELECT count(*) FROM state WHERE state = 3' 2
	waits_in_vain 'task 1: it is running' task 1
	fails 1 gfl-wait task 9
	touch go.1 go.2 go.3
	gfl-wait task 1 -t 30
	status=0
	gfl-wait task 2 -t 30 2>err || status=$?
	[ "$status" = 1 ]
	grep 'task 2 failed: .*evaluate exited with status 1' err
	gfl-list tasks -o jsonl >tasks
	jq -es '.[0] == (.[0] + {id:1, status:"done", worker:"w1", tries:1,
		task:{a:1}, x:0.5}) and .[1].name == "n" and
		.[1].status == "failed"' tasks
	until_row 'SELECT count(*) > 0 FROM metric WHERE memory > 0' 1
	gfl-list workers -o json >workers
	jq -e '.[0] | .id == "w1" and .slots == 2 and .mode == "pull" and
		.done == 1 and .failed >= 1 and .memory_percent > 0' workers
	curl -s "$master_url/metrics" | grep -x 'gfl_master_workers{state="alive"} 1'
	stop w1
	[ "$(gfl-list workers -F status -o tsv)" = left ]
}

@test "--background: a log that is read ends once it is ready, one in a file goes on" {
	pid=$(gfl-worker --alone --exec true --listen 127.0.0.1:0 \
		--background 2>&1 3>&- | tee words | tail -n 1)
	strays=("$pid")
	grep -q 'event=ready .*' words
	grep -q 'event=log_ends' words
	kill -TERM "$pid"
	while kill -0 "$pid" 2>/dev/null; do :; done
	pid=$(gfl-worker --alone --exec true --listen 127.0.0.1:0 \
		--background 2>w.log 3>&-)
	strays=("$pid")
	kill -TERM "$pid"
	while kill -0 "$pid" 2>/dev/null; do :; done
	strays=()
	grep -q event=stopping w.log
	! grep event=log_ends w.log
}
