# A server whose clients bring their own trainer.

bats_require_minimum_version 1.5.0
load helpers
load server
# A trainer in shell: each value of the model grows by one. ./behave may have
# it do something else.
write_own() {
	cat >own <<-'end'
		#!/bin/sh
		env | grep ^GFL_ | sort >"$GFL_OP.$1"
		[ ! -e behave.$1 ] || . ./behave.$1
		python3 - "$GFL_MODEL_IN" "$GFL_MODEL_OUT" <<-'END'
			import struct, sys
			b = open(sys.argv[1], 'rb').read()
			n = 8 + struct.unpack('<Q', b[:8])[0]
			v = [x + 1 for x, in struct.iter_unpack('<f', b[n:])]
			open(sys.argv[2], 'wb').write(
				b[:n] + struct.pack('<%df' % len(v), *v))
		END
		echo '{"type":"result","num_examples":7,"metrics":{"loss":2}}'
	end
	chmod +x own
}

own() { # N [OPTION...]
	start "t$1" gfl-trainer --server "$srv_url" --db "t$1.db" \
		--data "data $1" --exec-grace 0.2 --exec "./own $1" "${@:2}"
}

@test "clients train a model of their own with their own program" {
	write_own
	zeroed zero.safetensors
	server --model exec --init zero.safetensors --rounds 3 \
		--momentum 0.5 --steps 4 --lr 0.1 --hp tree-depth=3
	own 1
	own 2 --active
	ends srv t1 t2
	[ "$(rounds '[.round, .admitted, .examples, .loss] | tojson')" = \
		$'[1,2,14,2]\n[2,2,14,2]\n[3,2,14,2]' ]
	[ "$(parameters srv.safetensors)" = 3 ]
	for want in GFL_STEPS=4 GFL_LR=0.1 GFL_ROUND=2 \
		'GFL_DATA=data 1' GFL_HP_MOMENTUM=0.5 GFL_HP_TREE_DEPTH=3; do
		grep -qx "$want" train.1
	done
	[ ! -e t1.exec ]
}

@test "a client's program that fails is told by it, and not waited for" {
	write_own
	zeroed zero.safetensors
	echo 'echo no data left >&2; exit 1' >behave.2
	server --model exec --init zero.safetensors --rounds 0 \
		--min-participants 1 --round-deadline 600
	own 1
	own 2
	status=0
	reap t2 || status=$?
	[ "$status" = 1 ] # after ten rounds in a row
	grep -q 'round_failed.*no data left' t2.log
	grep -qE 'reason=untrained.*could not train: .*no data left' srv.log
	kill -TERM "$srv_pid"
	ends srv t1
	[ "$(rounds .admitted | sort -u)" = 1 ]
	[ "$(rounds .refused | grep -c 1)" -ge 9 ]
	[ "$(parameters srv.safetensors)" = "$(rounds .round | tail -n 1)" ]
}

@test "a client's program may ask for another try, and must say how many examples it has" {
	write_own
	zeroed zero.safetensors
	cat >behave.1 <<-'end'
		[ -e tried ] || { touch tried; exit 75; }
	end
	server --model exec --init zero.safetensors --rounds 1 \
		--min-participants 1
	own 1
	ends srv t1
	[ "$(rounds '[.admitted, .refused] | tojson')" = '[1,0]' ]
	echo "echo '{\"type\":\"result\"}'; cp \"\$GFL_MODEL_IN\" \"\$GFL_MODEL_OUT\"; exit" \
		>behave.2
	rm srv.db*
	server --model exec --init zero.safetensors --rounds 1 \
		--min-participants 1
	own 2
	logged 'untrained.*no num_examples' >/dev/null
	kill -TERM "$srv_pid"
	ends srv t2
}

@test "a client's program takes part beside the built-in trainer" {
	split 2
	write_own
	server --model mlp --rounds 2 --momentum 0.9 --test $data
	trainer 1
	own 2
	ends srv t1 t2
	[ "$(rounds .admitted)" = $'2\n2' ]
	[ "$(rounds '.accuracy != null' | sort -u)" = true ]
}

@test "a model of their own is for clients with --exec, of no rule of gradients" {
	write_own
	zeroed zero.safetensors
	run -2 --separate-stderr gfl-server --model exec
	[[ $stderr = *"--model exec needs --init"* ]]
	run -2 --separate-stderr gfl-server --model exec \
		--init zero.safetensors --test $data
	[[ $stderr = *"--test goes with a model that is built in"* ]]
	server --model exec --init zero.safetensors --rounds 0 --silence 0.1
	run -5 --separate-stderr gfl-trainer --server "$srv_url" --db t9.db \
		--data $data
	[[ $stderr = *"--exec or --exec-serve"* ]]
	kill -TERM "$srv_pid"
	ends srv
	server --model mlp --rounds 0 --aggregate scaffold --db s2.db \
		--silence 0.1
	run -5 --separate-stderr gfl-trainer --server "$srv_url" --db t3.db \
		--exec './own 3'
	[[ $stderr = *"changes each gradient"* ]]
	kill -TERM "$srv_pid"
	ends srv
}

@test "who does not know its examples yet, or its loss, need not say" {
	server --model "$tiny" --rounds 2 --min-participants 1
	set_up 1 0
	told 1
	given=$answer
	values 1 10
	update 1 '.failure = "the disk is away"'
	refused 409 untrained
	told 1
	given=$answer
	update 1 'del(.loss) | .examples = "30"'
	[ "$code" = 200 ]
	[ "$(gfl-list clients --server "$srv_url" -o tsv -F id,examples)" = \
		$'1\t30' ]
	told 1
	given=$answer
	update 1 '.examples = "31"'
	refused 400 malformed
	told 1
	given=$answer
	update 1
	[ "$code" = 200 ]
	leave 1
	[ "$(rounds '[.examples, .loss] | tojson')" = \
		$'[30,null]\n[10,0.5]' ]
}

@test "a client that is stopped ends its program at once" {
	write_own
	zeroed zero.safetensors
	echo 'exec sleep 3000' >behave.1
	server --model exec --init zero.safetensors --min-participants 1
	own 1
	timeout 60 sh -c 'until [ -s train.1 ]; do :; done'
	kill -TERM "$t1_pid"
	reap t1
	logged 'client_gone client=1 .*reason=stopped' >/dev/null
	kill -TERM "$srv_pid"
	ends srv
}

@test "the first model may be made by the program" {
	local own="$BATS_TEST_DIRNAME/../../share/examples/exec_sklearn.py"
	write_blobs
	gfl-model init exec --exec "$own" --data train.npz \
		--out first.st
	gfl-model info first.st -o tsv -F tensor,shape |
		diff - <(printf 'coef\t10x4\nintercept\t10\n')
	server --model exec --init first.st --rounds 3 --lr 0.05 --batch 5
	for i in 1 2; do
		start "t$i" gfl-trainer --server "$srv_url" --db "t$i.db" \
			--exec-serve "$own" --data train.npz
	done
	ends srv t1 t2
	[ "$(rounds '[.admitted, .examples] | tojson' | sort -u)" = '[2,180]' ]
	gfl-model diff first.st srv.safetensors -o jsonl && return 1
	for bad in 'gfl-model init exec' 'gfl-model init mlp --exec true'; do
		run -2 --separate-stderr $bad --out no.st
		[[ $stderr = *'the model exec and --exec go together'* ]]
	done
	run -1 --separate-stderr gfl-model init exec --exec false --out no.st
	[[ $stderr = *'first model'*'exited with status 1'* ]]
	run -2 --separate-stderr gfl-server --hp 'a b=1'
	[[ $stderr = *'--hp A B=1: expected NAME=VALUE'* ]]
	[ ! -e no.st ]
	[ ! -e first.st.exec ]
}

@test "scikit-learn's example trains on a folder with MNIST's names" {
	local own=$BATS_TEST_DIRNAME/../../share/examples/exec_sklearn.py
	gfl-model init exec --exec "$own" --data $data --out first.safetensors
	[ "$(parameters first.safetensors)" = 0 ]
	seq 0 99 >few.idx
	server --model exec --init first.safetensors --rounds 2 --steps 20 \
		--lr 0.01 --min-participants 1
	start t1 gfl-trainer --server "$srv_url" --db t1.db --data $data \
		--index few.idx --exec-serve "$own"
	ends srv t1
	[ "$(rounds '[.round, .examples] | tojson')" = $'[1,100]\n[2,100]' ]
	[ "$(parameters srv.safetensors)" != 0 ]
}

# Trainer 1's program is at work until ./go has a line.
own_at_work() {
	write_own
	zeroed zero.safetensors
	mkfifo begun go
	echo 'echo begun >begun; read -r _ <go' >behave.1
	server --model exec --init zero.safetensors --rounds 1 \
		--min-participants 1 --steps 4 --lr 0.1
	own 1
	read -r _ <begun
}

# Until trainer 1 has so many models of 10 parameters.
has_models() { # COUNT
	until curl -sS "$t1_url/metrics" |
		grep -qx "gfl_trainer_received_bytes_total $((40 * $1))"; do
		kill -0 "$t1_pid"
	done
}

@test "a program that is still at what was dropped is waited for, then what is asked is trained" {
	own_at_work
	for n in 2 3 4; do # to each start of the server it is another task
		crash srv
		again srv
		has_models "$n"
	done
	echo >go
	read -r _ <begun
	echo >go
	ends srv t1
	[ "$(rounds '[.admitted, .refused] | tojson')" = '[1,0]' ]
	[ "$(parameters srv.safetensors)" = 1 ]
}

@test "a trainer that is told the end may have what was dropped before it" {
	own_at_work
	crash srv
	again srv
	has_models 2
	echo >go
	read -r _ <begun
	stop srv
	ends t1
}
