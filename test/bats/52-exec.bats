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
	local tries
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

# NAME logs a line like this, soon.
logs() { # NAME PATTERN
	local tries
	for ((tries = 0; tries < 2000; tries++)); do
		if grep -q "$2" "$1.log"; then return; fi
		gfl-list -o tsv >/dev/null
	done
	return 1
}

# No process has this text in its command line.
nobody() { # TEXT
	local file tries left
	for ((tries = 0; tries < 2000; tries++)); do
		left=
		for file in /proc/[0-9]*/cmdline; do
			if tr '\0' ' ' <"$file" 2>/dev/null | grep -qF -- "$1"
			then left=$file; fi
		done
		[ -n "$left" ] || return 0
	done
	echo "$left: $(tr '\0' ' ' <"$left")"
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
	own 2 --exec-timeout 2
	while IFS='|' read -r how why; do
		echo "case: $how"
		echo "[ \"\$GFL_ROUND\" != 1 ] || { $how; }" >behave
		run 3
		over
		table 'all(.state == "finished" and .exchanges == 3)'
		says "round 1: "
		says "$why"
	done <<-'end'
		kill -SEGV $$|was ended by signal 11
		echo no memory >&2; exit 3|exited with status 3: no memory
		exit 0|exited without a result
		echo epoch 1|line 1 of its stdout, "epoch 1"
		tr '\0' x </dev/zero|65536 bytes without a newline
		while :; do echo '{"type":"progress"}'; done|16777216 bytes
		echo '{"type":"result"}'; exit|No such file
		echo '{"type":"result"}'; mkfifo "$GFL_MODEL_OUT"; exit|not a regular file
		cp "$GFL_MODEL_IN" "$GFL_MODEL_OUT"; printf '\0\0\300\177' | dd of="$GFL_MODEL_OUT" bs=1 conv=notrunc seek=$(($(stat -c %s "$GFL_MODEL_IN") - 4)); echo '{"type":"result"}'; exit|nan, expected a finite number
		head -c 100 "$GFL_MODEL_IN" >"$GFL_MODEL_OUT"; echo '{"type":"result"}'; exit|the model that came back
		trap '' TERM; while :; do read -r x </dev/zero; done|took longer than 2 s
	end
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
	logs t2 "event=first_model.*run=$id"
	gfl-run stop "$id"
	rm own behave
	run 1000000
	says 'cannot be run (status 127)'
	fails 1 gfl-trainer --node http://127.0.0.1:1 --exec ./own
	[[ $said == *"./own: No such file"* ]]
	fails 2 gfl-trainer --node http://127.0.0.1:1 --exec "'./own"
	fails 2 gfl-trainer --node http://127.0.0.1:1 --exec a --exec-serve b
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
