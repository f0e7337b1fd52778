# What a submission may ask for: once, in order, not too many, on which worker;
# and workers that are called.

load tasks

logs_order() {
	script evaluate <<'EOS'
jq -r '.n // empty' >>order
EOS
	: >order
}

@test "--token: the same submission again submits nothing, and has the results" {
	master
	logs_order
	seq 5 | jq -c '{n: .}' >lines
	gfl-submit lines --token search-1 >first
	head -n 3 lines | gfl-submit --token search-1 >again
	[ "$(<again)" = "$(head -n 3 first)" ]
	echo '{"n":6}' >>lines
	gfl-submit lines --token search-1 >more
	[ "$(<more)" = "$(seq 6)" ]
	worker w1
	gfl-submit lines --token search-1 --wait -t 30 -F id -o tsv >results
	[ "$(<results)" = "$(seq 6)" ]
	gfl-submit lines --token search-1 --wait -t 30 -F id -o tsv >later
	[ "$(<later)" = "$(seq 6)" ]
	[ "$(<order)" = "$(seq 6)" ]
	echo '{"n":"other"}' >other
	fails 1 gfl-submit other --token search-1
	[[ $said == *'line 1 of token "search-1" was another task when it was submitted, 1'* ]]
}

@test "a submitter that is killed and started again gets each result" {
	master
	script evaluate <<<'until [ -e go ]; do sleep 0.02; done'
	worker w1 --slots 4
	seq 20 | jq -c '{n: .}' >lines
	gfl-submit lines --token t --wait -o jsonl >some 3>&- &
	running[submit]=$!
	until_row 'SELECT count(*) FROM task' 20
	crash submit
	touch go
	gfl-submit lines --token t --wait -t 30 -F status,task -o tsv >all
	[ "$(sort -t: -k2n all)" = "$(seq 20 | sed 's/.*/done\t{"n":&}/')" ]
	[ "$(rows 'SELECT count(*) FROM task')" = 20 ]
}

@test "a higher priority goes first, among equals the older" {
	master
	logs_order
	gfl-submit <<<'{"n":1}'
	gfl-submit --priority 5 <<<'{"n":2}'
	printf '%s\n' '{"n":3,"gfl":{"priority":9}}' '{"n":4}' | gfl-submit --priority 5
	worker w1
	gfl-wait task 4 -t 30
	gfl-wait task 1 -t 30
	[ "$(<order)" = $'3\n2\n4\n1' ]
}

@test "tasks begin after those that they name, in a batch and by id" {
	master
	logs_order
	printf '%s\n' '{"n":1,"gfl":{"name":"a","priority":-5}}' \
		'{"n":2,"gfl":{"name":"b","after":"a"}}' \
		'{"n":3,"gfl":{"after":["a","b"],"priority":9}}' | gfl-submit
	gfl-submit --after 3,1 <<<'{"n":4,"gfl":{"priority":9}}'
	[ "$(gfl-list tasks -F status -o tsv)" = $'ready\nwaiting\nwaiting\nwaiting' ]
	crash master
	again master
	worker w1
	gfl-wait task 4 -t 30
	[ "$(<order)" = "$(seq 4)" ]
	gfl-submit --after 1,4 <<<'{"n":5}'
	gfl-wait task 5 -t 30
	fails 1 gfl-submit --after 99 <<<'{}'
	[[ $said == *"there is no task 99 to come after" ]]
	fails 2 gfl-submit <<<'{"gfl":{"after":"nobody"}}'
	[[ $said == *'line 1: gfl.after names "nobody", which is no earlier line' ]]
}

@test "what comes after a task that fails is cancelled, and says so" {
	master
	script evaluate <<<'exit 1'
	status=0
	worker w1
	printf '%s\n' '{"gfl":{"name":"a"}}' '{"gfl":{"name":"b","after":"a"}}' \
		'{"gfl":{"after":"b"}}' |
		gfl-submit --wait --retries 0 -t 30 -F status,error -o tsv >out ||
		status=$?
	[ "$status" = 1 ]
	grep -x 'cancelled	task 1, which it comes after, is not done' out
	grep -x 'cancelled	task 2, which it comes after, is not done' out
	status=0
	gfl-submit --after 2 --wait -t 30 -F status -o tsv <<<'{}' >late || status=$?
	[ "$status:$(<late)" = 1:cancelled ]
}

@test "--keep: what ended long ago is forgotten, and what came after it goes on" {
	master
	logs_order
	worker w1
	seq 3 | jq -c '{n: .}' | gfl-submit --token t --wait -t 30 -F id -o tsv
	gfl-submit --after 1,2 --gpu <<<'{"n":4}'
	gfl-submit --wait -t 30 -F id -o tsv <<<'{"n":5}'
	stop master
	start master gfl-master --db master.db --keep 0.001
	export GFL_MASTER=$master_url
	until_row 'SELECT group_concat(id) FROM task' 4,5
	[ "$(gfl-list tasks -F id,status -o tsv)" = $'4\tready\n5\tdone' ]
	fails 1 gfl-submit --after 1 <<<'{}'
	[[ $said == *"there is no task 1 to come after" ]]
	fails 1 gfl-wait task 1
	[ "$(seq 3 | jq -c '{n: .}' | gfl-submit --token t)" = $'6\n7\n8' ]
}

@test "--max-inflight: no more than so many have not ended" {
	master
	script evaluate <<'EOS'
sqlite3 -readonly master.db 'SELECT count(*) FROM state WHERE state < 4' >>open
EOS
	worker w1 --slots 8
	seq 50 | jq -c '{n: .}' |
		gfl-submit --max-inflight 4 --wait -t 60 -F status -o tsv >out
	[ "$(sort out | uniq -c | tr -s ' ')" = ' 50 done' ]
	[ "$(sort -n open | tail -n 1)" -le 4 ]
}

@test "a full queue is said to be so, and waited for" {
	master --max-tasks 2
	printf '{}\n{}\n' | gfl-submit
	gfl-submit <<<'{}' >late 2>said &
	until grep -qx 'gfl-submit: waiting for the master: the queue is full: 2 of 2 tasks have not ended' said
	do :; done
	gfl-cancel 1
	wait $!
	[ "$(<late)" = 3 ]
	printf '{}\n{}\n{}\n' >three
	fails 7 gfl-submit three
	[[ $said == *'3 tasks at once, where the queue has room for 2'* ]]
}

@test "results come while the input is still open: a search that goes on from them" {
	master
	script evaluate <<<'jq -c "{y: (.x * 2)}"'
	worker w1
	mkfifo in
	gfl-submit --wait -t 30 -F result -o jsonl <in >out 3>&- &
	running[submit]=$!
	exec {in}>in
	x=1
	for step in 1 2 3 4 5; do
		echo "{\"x\":$x}" >&"$in"
		until [ "$(wc -l <out)" = "$step" ]; do :; done
		x=$(tail -n 1 out | jq .y)
	done
	exec {in}>&-
	reap submit
	[ "$x" = 32 ]
}

@test "--push: the master calls, and what the worker has goes on without it" {
	master
	script evaluate <<'EOS'
echo "$GFL_TASK_ID" >>ran
[ "$GFL_TASK_ID" -lt 9 ] || until [ -e go ]; do sleep 0.02; done
echo '{"x":1}'
EOS
	worker w1 --push --slots 3
	seq 8 | jq -c '{n: .}' | gfl-submit --wait -t 30 -F id,result -o tsv >out
	[ "$(sort -n out)" = "$(seq 8 | sed 's/$/\t{"x":1}/')" ]
	[ "$(gfl-list workers -F mode,done -o tsv)" = $'push\t8' ]
	echo '{}' | gfl-submit
	until grep -qx 9 ran; do :; done
	crash master
	touch go
	again master
	gfl-wait task 9 -t 30
	[ "$(sort -n ran)" = "$(seq 9)" ]
	[ "$(rows 'SELECT tries FROM state WHERE id = 9')" = 1 ]
}

@test "--push: a master may call before it has answered who comes to it" {
	script evaluate <<<'sleep 1000'
	worker w1 --push -m http://127.0.0.1:1
	call "$w1_url" morphml.distributed.WorkerService/Evaluate \
		'{"taskId":"1","attempt":1,"task":"{}","brief":true}'
	is '.accepted'
	logged w1 event=master_lost
	curl -s "$w1_url/metrics" | grep -x 'gfl_worker_tasks{state="running"} 1'
}

@test "--push: a cancelled task is stopped on its worker" {
	master
	script evaluate <<'EOS'
echo $$ >pid.new; mv pid.new pid
exec sleep 1000
EOS
	worker w1 --push
	gfl-submit <<<'{}'
	until [ -s pid ]; do :; done
	gfl-cancel 1
	while kill -0 "$(<pid)" 2>/dev/null; do :; done
	logged w1 'event=task_stopped task=1 try=1'
}

@test "--push: a worker that cannot be reached does not hold its tasks" {
	master --scheduler round-robin --retry-delay 0.01
	script evaluate <<<'echo {}'
	worker gone --push --advertise http://127.0.0.1:1
	worker w1
	seq 6 | jq -c '{n: .}' | gfl-submit --wait -t 60 -F worker -o tsv >out
	[ "$(sort -u out)" = w1 ]
	grep 'event=push_failed task=.* worker=gone .*Connection refused' master.log
}

@test "a GPU of its own for each task that needs one, as nvidia-smi tells them" {
	mkdir smi
	script smi/nvidia-smi <<'EOS'
[ "$*" = "--query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits" ] || exit 1
printf '0, 10, 1024, 8192\n3, 30, 3072, 8192\n'
EOS
	master
	script evaluate <<'EOS'
echo "$GFL_TASK_GPU:$CUDA_VISIBLE_DEVICES" >>gpus
until [ "$(wc -l <gpus)" -ge 2 ]; do sleep 0.02; done
EOS
	worker plain --slots 4
	export PATH=$PWD/smi:$PATH
	start g gfl-worker --worker-id g --heartbeat 0.2 --exec ./evaluate --slots 4
	printf '{}\n{}\n' | gfl-submit --gpu --wait -t 30 -F worker -o tsv >out
	[ "$(<out)" = $'g\ng' ]
	[ "$(sort gpus)" = $'0:0\n3:3' ]
	gfl-list workers -o jsonl | jq -es 'map(select(.id == "g"))[0] |
		.gpus == 2 and .gpu_percent == 20 and .gpu_memory_percent == 25'
}

@test "tasks and results of a megabyte each go in as many messages as they need" {
	fails 2 gfl-master --max-message 7MiB
	[[ $said == *"too few for a task and its result, at least 8388608" ]]
	master --max-message 8MiB
	script evaluate <<'EOS'
until [ -e go ]; do sleep 0.02; done
cat
EOS
	printf '{"long":"%s"}\n' "$(head -c 1000000 /dev/zero | tr '\0' x)" >long
	for i in 1 2 3 4 5; do cat long; done | gfl-submit --token t
	worker w1 --slots 5
	until_row 'SELECT count(*) FROM state WHERE state = 3' 5
	touch go
	for i in 1 2 3 4 5; do cat long; done |
		gfl-submit --token t --wait -t 60 -F result -o jsonl >results
	[ "$(sort results | uniq -c | cut -c 1-20)" = '      5 {"long":"xxx' ]
	[ "$(rows 'SELECT max(tries), min(length(output)) FROM state')" = '1|1000011' ]
	[ "$(gfl-list tasks -F status -o tsv | uniq -c | tr -s ' ')" = ' 5 done' ]
}

@test "what a worker was given ahead goes back if what it has begun takes long" {
	master
	script evaluate <<'EOS'
case $(cat) in *long*) until [ -e go ]; do sleep 0.02; done ;; esac
echo {}
EOS
	worker a
	seq 40 | jq -c '{n: .}' | gfl-submit --wait >/dev/null
	{ echo '{"long":1}'; seq 5 | jq -c '{n: .}'; } | gfl-submit >ids
	until_row 'SELECT state FROM state WHERE id = 41' 3
	worker b
	for id in 42 43 44 45 46; do gfl-wait task "$id" -t 60; done
	touch go
	gfl-wait task 41 -t 30
	[ "$(rows 'SELECT max(tries), count(*) FROM state')" = '1|46' ]
}

@test "a request cancels no more than 10,000 tasks, gfl-cancel as many as there are" {
	master
	yes '{}' | head -n 10001 | gfl-submit >ids
	call "$master_url" gfl.v1.TaskService/CancelTasks \
		"{\"ids\":[$(paste -sd, ids)]}"
	is '.code == "resource_exhausted" and (.message | contains("at most 10000"))'
	gfl-cancel $(<ids) -o tsv >all
	[ "$(cut -f 2 all | uniq -c | tr -s ' ')" = ' 10001 cancelled' ]
}

@test "a worker of others gets no more at once than a message has room for" {
	local i service=morphml.distributed.MasterService
	master
	for i in 1 2 3 4; do printf '{"n":%d,"x":"%400000s"}\n' $i ''; done |
		gfl-submit >ids
	call "$master_url" $service/RegisterWorker '{"workerId":"py"}'
	call "$master_url" $service/RequestTask '{"workerId":"py","maxTasks":9}' >/dev/null
	is '[.tasks[].taskId] == ["1", "2"]'
	[ "$(gfl-list tasks -F id,status,tries -o tsv)" = \
		$'1\trunning\t1\n2\trunning\t1\n3\tready\t0\n4\tready\t0' ]
	call "$master_url" $service/RequestTask '{"workerId":"py","maxTasks":9}' >/dev/null
	is '[.tasks[].taskId] == ["3", "4"]'
}

@test "a result that is too large fails once, and says so" {
	master --retry-delay 0.01
	script evaluate <<'EOS'
head -c 1048577 /dev/zero | tr '\0' ' '
EOS
	worker w1
	status=0
	gfl-submit --wait -t 30 -F status,error -o tsv <<<'{}' >out || status=$?
	[[ $status == 1 && $(<out) == $'failed\t'*'evaluate printed more than 1048576 bytes' ]]
	[ "$(rows 'SELECT tries FROM state')" = 1 ]
	stop w1
	# of a worker of others, which has no such bound
	gfl-submit <<<'{}'
	service=morphml.distributed.MasterService
	call "$master_url" $service/RegisterWorker '{"workerId":"w"}'
	call "$master_url" $service/RequestTask '{"workerId":"w"}'
	jq -e '.tasks[0].taskId == "2"' <<<"$answer"
	printf '{"taskId":"2","workerId":"w","success":true,"metrics":{"%s":1}}' \
		"$(head -c 3200000 /dev/zero | tr '\0' x)" >result
	call "$master_url" $service/SubmitResult @result
	jq -e .acknowledged <<<"$answer"
	[[ $(rows 'SELECT state, tries, error FROM state WHERE id = 2') == \
		'5|1|its result has 32000'??' bytes, at most 3145728' ]]
}

@test "gfl-check master: workers that are dead, and how long the next task waits" {
	local status
	check() { # STATUS PATTERN OPTION...
		status=0
		gfl-check master "${@:3}" >line || status=$?
		cat line
		[ "$status" = "$1" ] && [[ $(<line) == $2 ]]
	}
	check 2 'CRITICAL - cannot reach *' -m http://127.0.0.1:1
	master --silence 1.5
	check 0 'OK - 0 workers alive |*'
	gfl-submit <<<'{}'
	check 2 'CRITICAL - no worker is there, 1 task ready, *'
	script evaluate <<<'until [ -e go ]; do sleep 0.02; done'
	worker w1
	until_row 'SELECT count(*) FROM state WHERE state = 3' 1
	check 0 'OK - 1 worker alive |*running=1*'
	gfl-submit <<<'{}'
	check 1 'WARNING - 1 worker alive, 1 task ready, the next one for *' -w 0
	check 2 'CRITICAL - 1 worker alive, 1 task ready, *' -w 0 -c 0
	worker w2 --slots 2
	crash w1
	until_row "SELECT count(*) FROM state WHERE worker = 'w2'" 2
	check 1 'WARNING - 1 worker alive, 1 dead *'
	gfl-check master -o prom >figures || true
	grep -qx "gfl_check_dead_workers{probe=\"master\",master=\"$master_url\"} 1" figures
	touch go
	stop w2
	crash master
	again master
	check 1 'WARNING - 0 workers alive, 1 dead *'
	[ "$(gfl-list workers -F id,status -o tsv)" = $'w1\tdead\nw2\tleft' ]
}

@test "gfl-monitor master: what ends, with what came of it, and who comes and goes" {
	seen() { timeout 60 tail -n +1 -F seen 2>/dev/null | grep -m 1 -E "$1"; }
	script evaluate <<-'END'
		read -r task
		case $task in *bad*) echo 'no luck' >&2; exit 3 ;; esac
		echo '{"accuracy":0.5}'
	END
	master --silence 1
	gfl-monitor master -o jsonl >seen 2>seen.log 3>&- &
	running[monitor]=$!
	seen '"what":"master","event":"serving".*"workers":0'
	worker one
	seen '"what":"worker","event":"here".*"worker":"one"'
	printf '%s\n' '{"gfl":{"name":"a"}}' '{"bad":1}' |
		gfl-submit --retries 0 --wait >/dev/null || [ $? = 6 ]
	seen '"event":"done","task":1,"name":"a","worker":"one".*"accuracy":0.5'
	seen '"event":"failed","task":2,"name":null.*"text":".*no luck'
	printf '%s\n' '< 1 done, 1 failed, 0 cancelled' '< one ' '> \x03' >steps
	! "$BATS_TEST_DIRNAME"/terminal.py steps gfl-monitor -m $master_url >screen
	grep -q 'tasks ready' screen
	crash one
	seen '"what":"worker","event":"dead".*"worker":"one"'
	crash master
	seen '"what":"watch","event":"lost"'
	kill "${running[monitor]}"
	reap monitor || [ $? = 143 ]
	fails 2 gfl-monitor --server http://127.0.0.1:1 -m http://127.0.0.1:1
	[[ $said == *'say cluster, server or master'* ]]
	fails 3 gfl-monitor server --server http://127.0.0.1:1
	[[ $said == *'start gfl-server'* ]]
	fails 2 gfl-monitor nobody
}
