# Trainers that people bring themselves: what they are told, what becomes of
# those that fail, and that nothing of them stays.

load helpers

# cluster, and N trainers t1... of ./own, with OPTIONs
own() { # N [OPTION...]
	local i
	[ -v gw_pid ] || cluster 1
	write_own
	for ((i = 1; i <= $1; i++)); do
		start "t$i" gfl-trainer --db "t$i.db" --node "$n1_url" \
			--data "data $i" --test 'test set' --exec-grace 0.2 \
			--eval-every 1000 --exec "./own $i" "${@:2}"
		logged "t$i" event=attached # so that its id is its number
	done
	gfl-wait trainers "$1" -t 20
}

# A trainer in shell: trainer 1 does what ./behave says, if it is there. It
# learns nothing, so its model stays what it was made or exchanged to.
write_own() {
	cat >own <<-'end'
		#!/bin/sh
		env | grep ^GFL_ | sort >"$GFL_OP.$1"
		[ "$1" != 1 ] || [ "$GFL_OP" != train ] || [ ! -e behave ] ||
			. ./behave
		if [ "$GFL_OP" = eval ]; then
			echo '{"type":"result","metrics":{"accuracy":0.5}}'
			exit
		elif [ -z "$GFL_MODEL_IN" ]; then
			gfl-model init 'input 4; dense 2' --seed "$GFL_SEED" \
				--out "$GFL_MODEL_OUT"
		else
			cp "$GFL_MODEL_IN" "$GFL_MODEL_OUT"
		fi
		echo '{"type":"result","num_examples":7,"metrics":{"loss":2}}'
	end
	chmod +x own
}

run() { # ROUNDS [OPTION...] - its id is in $id
	id=$(gfl-run start --model exec --rounds "$1" --keep 1 \
		--round-deadline 20 "${@:2}")
}

over() {
	gfl-wait run "$id" -t 60
}

table() { # FILTER
	answer=$(gfl-run show "$id" -o json)
	echo "$answer"
	is "$1"
}

# The reason of trainer 1 says so, soon.
says() { # PATTERN
	local tries why
	for ((tries = 0; tries < 2000; tries++)); do
		why=$(gfl-run show "$id" -o json | jq -r '.[] |
			select(.trainer == 1) | .reason')
		if [[ $why == *"$1"* ]]; then return; fi
	done
	echo "reason: $why"
	return 1
}

# Trainer 1 has failed, and it is told so, soon.
stays_out() { # [AND MORE]
	local tries
	for ((tries = 0; tries < 2000; tries++)); do
		if table ".[] | select(.trainer == 1) |
			.state == \"failed\" ${1-}"; then return; fi
	done
	return 1
}

@test "one makes the model, the other pulls it, and both know the task" {
	own 2 --index 'mine'
	run 3 --steps 4 --batch 9 --lr 0.5 --momentum 0.25 --hp depth=3 \
		--hp note='two words' --eval-every 3
	over
	table 'all(.state == "finished" and .exchanges == 3 and .accuracy == 0.5
		and .loss == 2)'
	grep -q event=first_model t1.log
	grep -q event=pulled t2.log
	! grep -q event=first_model t2.log
	grep -v -e SEED -e DEADLINE -e MODEL_ train.2 >told
	diff told - <<-end
		GFL_BATCH=9
		GFL_DATA=data 2
		GFL_HP_DEPTH=3
		GFL_HP_MOMENTUM=0.25
		GFL_HP_NOTE=two words
		GFL_INDEX=mine
		GFL_LR=0.5
		GFL_NODE=2
		GFL_OP=train
		GFL_PROTOCOL=1
		GFL_ROUND=2
		GFL_RUN=$id
		GFL_STEPS=4
	end
	grep -qx 'GFL_DATA=test set' eval.2
	grep -qx GFL_OP=eval eval.2
	gfl-model diff "t1.run$id.safetensors" "t2.run$id.safetensors"
	gfl-model info "t1.run$id.safetensors" -o tsv -F tensor,shape >tensors
	diff tensors - <<<$'fc1.bias\t2\nfc1.weight\t2x4'
	stop t1 t2
	[ ! -e t1.exec ]
}

@test "a round that fails costs that round, and its reason is shown" {
	own 2 --exec-timeout 3
	local reasons=() i
	# every other round, for ten in a row would keep it out
	echo 'case $GFL_ROUND in' >behave
	while read -r line; do
		echo "$((2 * ${#reasons[@]} + 1))) ${line%% => *} ;;" >>behave
		reasons+=("${line#* => }")
	done <<-'end'
		kill -SEGV $$ => was ended by signal 11
		exit 0 => exited without a result
		echo epoch 1 => line 1 of its stdout, "epoch 1"
		tr '\0' x </dev/zero => 65536 bytes without a newline
		yes "{\"type\":\"progress\",\"x\":\"$(head -c 50000 /dev/zero | tr '\0' x)\"}" => 16777216 bytes
		echo '{"type":"result"}'; exit => No such file
		echo '{"type":"result"}'; mkfifo "$GFL_MODEL_OUT"; exit => not a regular file
		cp "$GFL_MODEL_IN" "$GFL_MODEL_OUT"; printf '\0\0\300\177' | dd of="$GFL_MODEL_OUT" bs=1 conv=notrunc seek=$(($(stat -c %s "$GFL_MODEL_IN") - 4)); echo '{"type":"result"}'; exit => nan, expected a finite number
		head -c 100 "$GFL_MODEL_IN" >"$GFL_MODEL_OUT"; echo '{"type":"result"}'; exit => the model that came back
		trap '' TERM; while :; do read -r x </dev/zero; done => took longer than 3 s
		echo no memory >&2; exit 3 => exited with status 3
	end
	echo esac >>behave
	run $((2 * ${#reasons[@]} + 1))
	over
	table "all(.state == \"finished\" and .exchanges == $((2 * ${#reasons[@]} + 1)))"
	grep event=round_failed t1.log | tr -d '\\' >log
	for i in "${!reasons[@]}"; do
		sed -n "$((i + 1))p" log | grep -F "${reasons[i]}"
	done
	[ "$(wc -l <log)" = ${#reasons[@]} ]
	says "round $((2 * i + 1)): "
	says 'exited with status 3: no memory'
}

@test "a model with other tensors keeps its trainer out, and says why" {
	own 2
	echo '[ "$GFL_ROUND" != 2 ] || {
		gfl-model init "input 5; dense 2" --out "$GFL_MODEL_OUT"
		echo "{\"type\":\"result\"}"
		exit
	}' >behave
	run 1000000
	says '"fc1.weight": 2x5 of F32, expected 2x4 of F32'
	stays_out 'and .round == 2'
}

@test "status 78 and a program that is gone keep it out, 75 tries again" {
	own 3
	echo '[ "$GFL_ROUND" != 1 ] || [ -e again ] || { touch again; exit 75; }' \
		>behave
	run 3
	over
	table 'all(.state == "finished")'
	says 'asks to be run again (status 75)'
	echo 'echo no such file: data >&2; exit 78' >behave
	run 1000000
	says 'is misconfigured (status 78): no such file: data'
	stays_out
	logged t2 "event=first_model.*run=$id"
	gfl-run stop "$id"
	rm own behave
	run 1000000
	says 'cannot be run (status 127)'
	fails 1 gfl-trainer --node http://127.0.0.1:1 --exec ./own
	[[ $said == *"--exec: ./own: No such file"* ]]
	fails 2 gfl-trainer --node http://127.0.0.1:1 --exec "'./own"
	fails 2 gfl-trainer --node http://127.0.0.1:1 --exec a --exec-serve b
}

@test "a run that fails with every trainer is over at once, and says why" {
	own 3
	rm own # whoever is asked for the first model cannot begin
	gfl-run start --model exec --rounds 1000000 --follow -o jsonl \
		>lines 2>why && false
	[[ $(<why) == "gfl-run: run "*" failed: all 3 trainers failed: "* ]]
	grep -q 'the first model: .*own cannot be run (status 127)' why
	[ "$(wc -l <why)" = 1 ]
	jq -es '[.[].reason | scan("trainer [0-9]")] | unique | length == 3' \
		lines
	jq -es 'last | .state == "failed" and (.reason | test("status 127"))' \
		lines
	gfl-list trainers -o json | jq -e 'length == 3 and
		all(.reason | test("the first model: .*status 127"))'
	gfl-list runs -o json | jq -e 'length == 1 and
		all(.reason | test("all 3 trainers failed: .*status 127"))'
	[ "$(gfl-log | grep -c "MARK_DOWN.*status 127")" = 3 ]
	for i in 1 2 3; do
		grep -q "event=trainer_failed.*trainer=$i.*status 127" n1.log
	done
}

@test "nothing of a trainer stays: not after its end, a stop, or our death" {
	own 2
	cat >behave <<-'end'
		setsid sleep 987654 &
		sleep 987653 &
		[ "$GFL_ROUND" != 1 ] || { touch "at.$GFL_RUN"; sleep 987652; }
	end
	run 1000000
	until [ -e "at.$id" ]; do :; done
	gfl-run stop "$id"
	nobody 'sleep 98765'
	run 1000000
	until [ -e "at.$id" ]; do :; done
	crash t1
	nobody 'sleep 98765'
	gfl-run stop "$id"
	again t1
	gfl-wait trainers 2 -t 20
	run 1000000
	until [ -e "at.$id" ]; do :; done
	stop t1
	nobody 'sleep 98765'
}

@test "a trainer of one's own learns a built-in model beside a built-in one" {
	own 1
	seq 0 99 >few.idx
	start t2 gfl-trainer --db t2.db --node "$n1_url" --index few.idx \
		--data /usr/share/datasets/fashion-mnist --eval-every 1000
	gfl-wait trainers 2 -t 20
	id=$(gfl-run start --model softmax --rounds 4 --epochs 2 --batch 20 \
		--keep 1)
	over
	table 'all(.state == "finished" and .exchanges == 4)'
	grep -qx GFL_EPOCHS=2 train.1
	gfl-model diff "t1.run$id.safetensors" "t2.run$id.safetensors"
	run 1000000
	for ((tries = 0; tries < 2000; tries++)); do
		if gfl-run show "$id" -o json | jq -e '.[] |
			select(.trainer == 2) | .reason |
			test("started with --exec")'; then break; fi
	done
	[ "$tries" -lt 2000 ]
}

@test "gfl-guard exits as its command does, and leaves nothing behind" {
	gfl-guard -- sh -c 'exit 3' || [ $? = 3 ]
	gfl-guard -- sh -c 'kill -SEGV $$' || [ $? = 139 ]
	gfl-guard -- sh -c 'setsid sleep 876541 & (sleep 876542 &); exit 0'
	nobody 'sleep 87654'
	fails 127 gfl-guard nonesuch
	mkfifo line ready
	gfl-guard --lifeline 8 --grace 0.1 -- sh -c \
		'trap "" TERM; echo >ready; while :; do sleep 876543; done' 8<line &
	exec {line}>line
	read -r _ <ready
	exec {line}>&-
	wait $! || [ $? = 137 ]
	nobody 'sleep 87654'
}

# A trainer that serves, in Python; what GFL_HP_DO says, it does in round 1.
write_serving() {
	cat >serving <<-end
		#!/usr/bin/python3
		import os, sys, time
		sys.path.append("$BATS_TEST_DIRNAME/../../share")
		import gfl_exec

		def init(task):
		    return {"w": [float(task.seed)] * 3}

		def train(model, task):
		    if task.round == 1 and task.node == 1:
		        exec(task.hp.get("do", ""))
		    return {"w": model["w"] + 1}, 5, {"loss": task.round}

		def evaluate(model, task):
		    return 9, {"accuracy": 0.25}

		print("it prints what it likes")
		gfl_exec.run(init, train, evaluate)
	end
	chmod +x serving
}

serving() { # N [OPTION...]
	local i
	cluster 1
	write_serving
	for ((i = 1; i <= $1; i++)); do
		start "t$i" gfl-trainer --db "t$i.db" --node "$n1_url" \
			--exec-serve ./serving --test some --exec-grace 0.3 \
			--eval-every 1000 "${@:2}"
		logged "t$i" event=attached
	done
	gfl-wait trainers "$1" -t 20
}

@test "one process serves all rounds, and is started again when it dies" {
	serving 2
	run 5
	over
	table 'all(.state == "finished" and .loss == 4 and .accuracy == 0.25)'
	[ "$(grep -c event=serves t1.log)" = 1 ]
	grep -q 'said.*it prints what it likes' t1.log
	gfl-model info "t1.run$id.safetensors" -o tsv -F tensor,shape,min |
		diff - <(printf 'w\t3\t6\n')
	nobody "$PWD/serving"
	while IFS='|' read -r what why; do
		echo "case: $what"
		run 5 --hp do="$what"
		over
		table 'all(.state == "finished" and .loss == 4)'
		says "round 1: "
		says "$why"
		grep -q event=starts_again t1.log
	done <<-'end'
		os.kill(os.getpid(), 9)|was ended by signal 9
		raise ValueError("bad batch")|ValueError: bad batch
		os._exit(0)|exited without a result
	end
	run 5 --hp do='open("hangs", "w"); time.sleep(1000)'
	until [ -e hangs ]; do :; done
	gfl-run stop "$id"
	nobody "$PWD/serving"
	stop t1 t2
}

@test "one that does not say that it is ready in time is given up" {
	cluster 1
	printf '#!/bin/sh\ntrap "" TERM\nwhile read -r x; do :; done\nsleep 765432\n' >dull
	chmod +x dull
	start t1 gfl-trainer --db t1.db --node "$n1_url" --exec-serve ./dull \
		--exec-ready 0.2 --exec-grace 0.1
	logged t1 event=attached
	start t2 gfl-trainer --db t2.db --node "$n1_url" --exec-serve ./dull
	gfl-wait trainers 2 -t 20
	run 5
	says 'took longer than 0.2 s to say that it is ready'
	nobody 'sleep 765432'
}

# example N PROGRAM KIND ENDING - two trainers of it learn the blobs
example() {
	local i
	for i in 1 2; do
		start "t$i" gfl-trainer --db "t$i.db" --node "$n1_url" \
			"--$2" "$BATS_TEST_DIRNAME/../../share/examples/$1" \
			--data "train.$3" --test "test.$3" --eval-every 1000
	done
	gfl-wait trainers 2 -t 20
	run 4 --steps 40 --batch 5 --lr 0.05 --hp classes=3
	over
	table 'all(.state == "finished" and .accuracy > 0.9)'
	stop t1 t2
	rm -f t?.db*
}

@test "trainers with PyTorch, with scikit-learn and in awk learn together" {
	cluster 1
	write_blobs
	example exec_torch.py exec-serve npz
	example exec_sklearn.py exec-serve npz
	example exec_awk.sh exec csv
	gfl-model info "t1.run$id.safetensors" -o tsv -F tensor,shape |
		diff - <(printf 'bias\t3\nweight\t3x4\n')
}

@test "a trainer's worker that hangs in a batch ends it, to be started anew" {
	cluster 1
	data=/usr/share/datasets/fashion-mnist
	start t1 gfl-trainer --db t1.db --node "$n1_url" --data $data \
		--stuck-after 0.1
	start t2 gfl-trainer --db t2.db --node "$n1_url" --data $data
	gfl-wait trainers 2 -t 20
	# a batch of 2000 takes half a second, at best
	gfl-run start --model cnn --rounds 1000 --steps 1 --batch 2000
	reap t1 || [ $? = 134 ]
	grep -q 'event=stuck worker=learner' t1.log
	start server gfl-server --db server.db --model cnn --steps 1 \
		--batch 2000 --min-participants 1
	start t3 gfl-trainer --db t3.db --server "$server_url" --data $data \
		--stuck-after 0.1
	reap t3 || [ $? = 134 ]
	grep -q 'event=stuck worker=learner' t3.log
}

@test "daemons tell systemd's watchdog that they turn" {
	cat >manager <<-'end'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("notify")
		print("bound", flush=True)
		said = []
		while said.count("WATCHDOG=1") < 3 or "READY=1" not in said:
		    said.append(s.recv(100).decode())
		print("heard", flush=True)
	end
	for daemon in gfl-gateway gfl-node gfl-trainer; do
		rm -f notify
		exec {heard}< <(exec $mortal /usr/bin/python3 manager 3>&-)
		read -r line <&"$heard"
		options=(--db "$daemon.db")
		[ $daemon = gfl-gateway ] || options+=(-g "$gw_url")
		[ $daemon != gfl-trainer ] || options+=(--exec true)
		export NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=200000
		start "${daemon#gfl-}" $daemon "${options[@]}"
		unset NOTIFY_SOCKET WATCHDOG_USEC
		[ $daemon != gfl-gateway ] || gw_url=$gateway_url
		read -r line <&"$heard"
		[ "$line" = heard ]
		exec {heard}<&-
	done
}

@test "the systemd units are right, and confine what they start" {
	cd "$BATS_TEST_DIRNAME/../../share/systemd"
	for unit in *; do
		systemd-analyze security --offline=true --threshold=15 "$unit" \
			>/dev/null
		sed "s|/usr/local/bin|$(dirname "$(command -v gfl-node)")|" "$unit" \
			>"$BATS_TEST_TMPDIR/$unit"
		systemd-analyze verify --man=no "$BATS_TEST_TMPDIR/$unit"
		grep -q ^WatchdogSec= "$unit"
		grep -q ^Restart=on-failure "$unit"
	done
	! grep ^ProcSubset=pid gfl-worker@.service # it would see no load
}
