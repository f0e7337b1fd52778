# Masters and workers of MorphML, written in Python from its fields alone.

load tasks

interop=$BATS_TEST_DIRNAME/../interop

morphml() { # ARGUMENT... - in the background: exec, to be ended by its pid
	protoc -I "$interop" --python_out=. "$interop/morphml.proto"
	exec "$interop/morphml.py" "$@"
}

lines() { # JQ FILTER... - each holds for its line of file out
	local n=0 filter
	cat out
	for filter; do
		n=$((n + 1))
		sed -n "${n}p" out | jq -e "$filter"
	done
	[ "$(wc -l <out)" = "$n" ]
}

@test "a worker in Python asks our master for tasks" {
	master --retry-delay 0.01
	printf '%s\n' '{"architecture":"dense 10","lr":0.5,"epochs":2,"batch":8,"dataset":"d","x":[1],"note":"n","q":7}' \
		'{"layers":[1],"learning_rate":0.25}' \
		'{"architecture":"bad","gfl":{"retries":0}}' | gfl-submit
	(morphml pull "127.0.0.1:$master_port" py) >out
	lines '.registered and .master == 32' \
		'.acknowledged and .goes_on' \
		'. == {task:"1", architecture:"dense 10", epochs:2, batch:8,
			lr:0.5, dataset:"d", extra:{note:"n", q:"7"}}' \
		.acknowledged .acknowledged \
		'(.architecture | fromjson) == {layers:[1], learning_rate:0.25} and
			.lr == 0.25' \
		.acknowledged .acknowledged \
		'.architecture == "bad"' .acknowledged \
		'(.acknowledged | not) and .message == "task 3 is failed already, by py"' \
		'(.acknowledged | not) and .message == "task 1 is done already, by py"'
	gfl-list tasks -o jsonl >tasks
	jq -es 'map([.status, .accuracy, .worker]) == [["done",1,"py"],
		["done",0.5,"py"],["failed",null,"py"]] and .[2].error == "it is bad"' tasks
	gfl-list workers -o jsonl | jq -e '.cpu_percent == 12.5 and .mode == "pull"
		and .done == 2 and .failed == 1'
}

@test "a worker in Python is called by our master" {
	master --push
	morphml push "127.0.0.1:$master_port" py >out 3>&- &
	running[py]=$!
	printf '%s\n' '{"lr":0.5}' '{"lr":0.25}' |
		gfl-submit --wait -t 30 -o jsonl >results
	jq -es 'map(.accuracy) | sort == [0.5, 1]' results
	jq -es 'all(.worker == "py")' results
	gfl-list workers -F mode -o tsv | grep -x push
	kill -TERM "${running[py]}"
	reap py
}

@test "our worker asks a master in Python, and shuts down when told" {
	script evaluate <<'EOS'
jq -c 'if .architecture == "bad" then error("no")
	elif .architecture == "huge" then {("k" * 200000): 1} else
	{metrics: {n: (.architecture.layers | length), lr: .learning_rate, m: .momentum}} end'
EOS
	morphml master port '{"layers":[1,2]}' bad '{"layers":[]}' huge >out 3>&- &
	running[py]=$!
	until [ -s port ]; do :; done
	worker ours -m "http://127.0.0.1:$(<port)" --poll 0.05 --slots 2
	reap py
	reap ours
	cat out
	[ "$(jq -s length out)" = 7 ]
	jq -es '.[0] == {worker:"ours", gpus:0, mode:"pull"}' out
	jq -es 'map(select(.task)) | sort_by(.task) | map([.success, .metrics, .took]) ==
		[[true, {n:2, lr:0.125, m:0.25}, true], [false, {}, true],
		[true, {n:0, lr:0.125, m:0.25}, true], [false, {}, true]]' out
	jq -es 'map(select(.task == "task-1"))[0].error |
		test("exited with status 5: jq: error .*: no")' out
	jq -es 'map(select(.task == "task-3"))[0].error |
		test("the master refuses its result: .*larger than max")' out
	jq -es '.[-2] == {status:"idle", completed:3} and .[-1].shutdown' out
}

@test "our worker is called by a master in Python, also as a trainer" {
	[ -d /usr/share/datasets/fashion-mnist ]
	morphml caller port '{"layers":[{"type":"dense","units":8,"activation":"relu"},{"type":"dense","units":10}]}' >out 3>&- &
	running[py]=$!
	until [ -s port ]; do :; done
	start ours gfl-worker --worker-id ours --push --no-gpu \
		-m "http://127.0.0.1:$(<port)" \
		--dataset d=/usr/share/datasets/fashion-mnist
	reap py
	reap ours
	cat out
	jq -es '.[0].mode == "push" and .[1].success and .[1].took and
		.[1].metrics.parameters == 6370 and .[1].metrics.accuracy > 0.1' out
}

@test "our worker stands alone: it evaluates for who calls, and is cancelled" {
	script evaluate <<'EOS'
sleep 1000 &
echo $! >child.new
mv child.new child
wait
EOS
	start alone gfl-worker --alone --no-gpu --exec ./evaluate --grace 0.1
	(morphml cancel "127.0.0.1:$alone_port" child) >out
	lines '.status == "busy" and .current == "x"' \
		'(.success | not) and .message == "it has no such task"' .success \
		'.success | not'
	while kill -0 "$(<child)" 2>/dev/null; do :; done
	curl -s "$alone_url/metrics" | grep -x 'gfl_worker_tasks_total{outcome="failed"} 1'
}

# The authority and the certificates of a master, of workers and of ann. What
# Python has is client.pem.
certs() {
	certs=$PWD/certs
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-certs.sh certs lab \
		master/1 worker/{1,2,py} admin/ann
	cp certs/worker-py.pem certs/client.pem
	cp certs/worker-py.key certs/client.key
	export scheme=https GFL_TLS_CA=$certs/ca.pem
}

of() { # ROLE-ID - the options of its certificate
	echo --tls-cert "$certs/$1.pem" --tls-key "$certs/$1.key"
}

@test "TLS: workers, ours and in Python, and whoever submits have certificates" {
	certs
	master --push $(of master-1)
	script evaluate <<<'echo "{\"lr\":$GFL_TASK_LR}"'
	fails 8 gfl-submit <<<'{}'
	[[ $said == *"certificate"* ]]
	gfl-submit $(of admin-ann) <<<'{"lr":0.5}'
	worker w1 $(of worker-1)
	gfl-wait task 1 -t 30
	fails 5 gfl-worker --worker-id w1 --no-gpu --exec true $(of worker-2)
	[[ $said == *"worker w1 is that of lab/worker/1, not of lab/worker/2" ]]
	curl -sS --cacert "$GFL_TLS_CA" --cert "$certs/worker-2.pem" --key \
		"$certs/worker-2.key" -H 'content-type: application/json' \
		-d '{"worker_id":"w1","task_id":"1","success":true}' \
		"$master_url/morphml.distributed.MasterService/SubmitResult" |
		jq -e '.code == "permission_denied"'
	stop w1
	worker w2 --push $(of worker-2)
	gfl-submit $(of admin-ann) --wait -t 30 -F lr -o tsv <<<'{"lr":0.25}' >two
	[ "$(<two)" = 0.25 ]
	stop w2
	CERTS=$certs morphml push "127.0.0.1:$master_port" py >out 3>&- &
	running[py]=$!
	gfl-submit $(of admin-ann) --wait -t 30 -F accuracy -o tsv <<<'{"lr":0.5}' >three
	[ "$(<three)" = 1 ]
	kill -TERM "${running[py]}"
	reap py
	[ "$(gfl-list workers -F id,mode -o tsv)" = $'w1\tpull\nw2\tpush\npy\tpush' ]
}

@test "TLS: a worker whose name another one has by now ends, and says why" {
	certs
	master --silence 1.5 $(of master-1)
	script evaluate <<<'echo {}'
	worker w $(of worker-1)
	until_row 'SELECT gone FROM worker' 0
	kill -STOP "$w_pid"
	until_row 'SELECT gone FROM worker' 1
	start other gfl-worker --worker-id w --no-gpu --exec ./evaluate $(of worker-2)
	until_row 'SELECT gone FROM worker' 0
	kill -CONT "$w_pid"
	ends w 5
	grep -x "gfl-worker: master $master_url refuses worker w: worker w is that of lab/worker/2, not of lab/worker/1" w.log
	gfl-submit $(of admin-ann) --wait -t 30 -F status -o tsv <<<'{}' >done
	[ "$(<done)" = done ]
}

@test "TLS: our worker comes to a master in Python with its certificate" {
	certs
	script evaluate <<<'echo "{\"n\":1}"'
	CERTS=$certs morphml master port '{"layers":[1]}' >out 3>&- &
	running[py]=$!
	until [ -s port ]; do :; done
	worker ours -m "https://127.0.0.1:$(<port)" --poll 0.05 $(of worker-1)
	reap py
	reap ours
	jq -es '.[1].success and .[1].metrics == {n:1} and .[-1].shutdown' out
}
