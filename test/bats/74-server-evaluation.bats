# Clients that evaluate: a server's EvaluateParams.

load helpers
load server

@test "trainers evaluate every second round and after the last" {
	split 2
	server --model softmax --rounds 3 --steps 3 --clients-eval-every 2
	trainer 1 --test $data
	trainer 2 --test $data
	ends srv t1 t2
	[ "$(rounds '[.round, .eval_asked, .eval_answered, .eval_examples,
		.eval_missing] | @csv')" = $'1,,,,\n2,2,2,20000,""\n3,2,2,20000,""' ]
	gfl-model eval srv.safetensors --data $data --part test -o tsv \
		-F loss,accuracy >score
	[ "$(printf '%.5f %.5f' $(<score))" = \
		"$(printf '%.5f %.5f' $(rounds '.eval_loss, .eval_accuracy' |
			tail -n 2))" ]
	[ "$(sqlite3 srv.db 'SELECT round, answered FROM evaluation')" = \
		$'2|2\n3|2' ]
	grep -q 'event=evaluated.*round=3.*examples=10000' t1.log
}

@test "scores weigh by examples, each once, in time, and as they can be" {
	server --model "$tiny" --rounds 2 --clients-eval-every 1 \
		--min-participants 3
	set_up 1 10 true 10
	set_up 2 10 true 30
	set_up 3 10 true # has nothing to evaluate on
	round 3
	hold 2
	told 1
	given=$answer
	is '.code == "EVALUATE_PARAMS" and .round == "1" and .version == "1"'
	score 1 '.activation = "999999999"'
	refused 404 foreign
	score 1
	[ "$code" = 200 ]
	score 1 # its answer may have been lost
	[ "$code" = 200 ]
	score 1 '.score.loss = 0.25'
	refused 409 double
	held 2
	first=$given
	given=$answer
	score 2 '.score = {examples: "30", loss: 1.5, accuracy: 0.25}'
	[ "$code" = 200 ]
	round 1 # the next one has begun
	given=$first
	score 1
	refused 400 late
	call "$srv_url" $service/GetStatus '{}'
	is '.evaluation == {round: "1", asked: "2", answered: "2", examples: "40",
		loss: 1.25, accuracy: 0.375, endedMs: .evaluation.endedMs}'
	is '.clients[1].loss == 1.5' # from which --sampler power draws
	stop_and_leave 1 2 3
	[ "$(rounds '[.eval_examples, .eval_loss, .eval_accuracy] | @csv')" = \
		40,1.25,0.375 ]
}

@test "scores that cannot be are refused, and not waited for any more" {
	server --model "$tiny" --rounds 9 --min-participants 1 \
		--clients-eval-every 1
	set_up 1 10 true 10
	local how why
	while IFS=: read -r why how; do
		round 1
		told 1
		given=$answer
		is '.code == "EVALUATE_PARAMS"'
		score 1 "$how"
		refused 400 "$why"
	done <<-'END'
		values:.score.examples = "11"
		values:.score.examples = "0"
		values:.score.loss = "NaN"
		values:.score.loss = "Infinity" | del(.score.accuracy)
		values:.score.accuracy = 1.5
		values:.score |= {examples}
		malformed:del(.score)
		malformed:.code = "PARAMETER_UPDATE"
		base:.baseVersion = "7"
		END
	leave 1
	[ "$(rounds '[.eval_asked, .eval_answered, .eval_loss] | @csv' |
		sort -u)" = 1,0, ]
	[ "$(sqlite3 srv.db 'SELECT sum(refused) FROM evaluation')" = 9 ]
}

@test "who dies while it evaluates is missing, and no round waits for it" {
	server --model "$tiny" --rounds 1 --clients-eval-every 1 \
		--eval-deadline 86400 --silence 2
	values 1 10
	set_up 1 10 true 10
	set_up 2 10 false 10
	hold 2
	told 1
	given=$answer
	held 2
	second=$answer
	hold 2 "$(jq -r .activation <<<"$second")"
	update 1
	given=$second
	update 2
	held 2 # is to evaluate, and is not heard of again
	is '.code == "EVALUATE_PARAMS"'
	told 1
	given=$answer
	score 1
	[ "$code" = 200 ]
	leave 1
	[ "$(rounds '[.eval_asked, .eval_answered, .eval_missing] | @csv')" = \
		'2,1,"2"' ]
}

@test "a server killed while its clients evaluate has them do it again" {
	server --model "$tiny" --rounds 1 --min-participants 1 \
		--clients-eval-every 1
	set_up 1 10 true 10
	round 1
	told 1
	is '.code == "EVALUATE_PARAMS"'
	[ ! -s srv.out ] # its line will say what comes of it
	crash srv
	again srv
	set_up 1 10 true 10
	told 1
	given=$answer
	is '.code == "EVALUATE_PARAMS" and .round == "1" and .version == "1"'
	score 1
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT"'
	leave 1
	[ "$(sqlite3 srv.db 'SELECT * FROM evaluation' | cut -d '|' -f 1-8)" = \
		'1|1|1|0||10|0.5|0.75' ]
	logged 'event=evaluation round=1.*answered=1.*accuracy=0.7500'
}

@test "without rounds who asks next evaluates, and the others train on" {
	server --model "$tiny" --mode async --rounds 3 --clients-eval-every 2 \
		--min-participants 1 --target-accuracy 1
	set_up 1 10 true 10
	set_up 2 10 true
	told 1
	first=$answer
	values 1 10
	for _ in 1 2; do
		told 2
		given=$answer
		update 2
	done
	is '.version == "2"'
	given=$first # it had been asked to train by then, and does
	update 1
	is '.version == "3"'
	told 1
	given=$answer
	is '.code == "EVALUATE_PARAMS" and .round == "2" and .version == "2"'
	score 1
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT"'
	leave 1 2
	[ "$(rounds '[.round, .eval_answered] | @csv')" = $'1,\n2,1\n3,' ]
}

@test "a handler receives scores with code 3, and may refuse or replace them" {
	cat >look <<-'END'
		#!/bin/sh
		[ "$GFL_CODE" = 3 ] || exit 0
		tee -a scores | jq -c 'if .metrics.loss > 1 then error("too high")
			else .metrics.accuracy = 1 end'
		END
	chmod +x look
	server --model "$tiny" --rounds 2 --clients-eval-every 1 \
		--min-participants 1 --on-receive ./look
	set_up 1 10 true 10
	round 1
	told 1
	given=$answer
	score 1 '.score.loss = 2'
	refused 409 handler
	round 1
	told 1
	given=$answer
	score 1
	[ "$code" = 200 ]
	leave 1
	[ "$(rounds '[.eval_answered, .eval_accuracy] | @csv')" = $'0,\n1,1' ]
	jq -se '.[1] == {type: "result", num_examples: 10,
		metrics: {loss: 0.5, accuracy: 0.75}}' scores
}

# A trainer in shell that leaves the model as it is, and scores it by what is in
# the file of --test.
write_own() {
	cat >own <<-'end'
		#!/bin/sh
		echo '{"type":"progress"}'
		case $GFL_OP in
		train) cp "$GFL_MODEL_IN" "$GFL_MODEL_OUT"
			echo '{"type":"result","num_examples":7}' ;;
		eval) . "$GFL_DATA" ;;
		esac
	end
	chmod +x own
}

own() { # N [OPTION...]
	start "t$1" gfl-trainer --server "$srv_url" --db "t$1.db" \
		--test "./tests.$1" --exec ./own --exec-grace 0.2 "${@:2}"
}

@test "programs of one's own evaluate; who fails is told by name, who dies missing" {
	write_own
	cat >tests.1 <<-'end'
		echo '{"type":"result","num_examples":30,"metrics":{"accuracy":0.5,"loss":2}}'
	end
	cat >tests.2 <<-'end'
		[ "$GFL_ROUND" != 0 ] || { echo no data >&2; exit 1; }
		echo '{"type":"result","num_examples":10,"metrics":{"accuracy":0.9}}'
	end
	cat >tests.3 <<-'end'
		[ ! -e begun ] || exec sleep 600
		touch begun
		echo '{"type":"result","num_examples":60,"metrics":{"accuracy":1}}'
	end
	server --model "$tiny" --rounds 2 --min-participants 3 \
		--clients-eval-every 1 --eval-deadline 3600 --silence 1
	for i in 1 2 3; do own $i; done
	logged 'event=evaluation round=1' >/dev/null
	until [ "$(gfl-list clients --server "$srv_url" -o tsv -F status)" = \
		$'idle\nidle\nevaluating' ]; do :; done
	crash t3
	ends srv t1 t2
	[ "$(rounds '[.eval_answered, .eval_missing, .eval_examples,
		(.eval_accuracy * 100 | round), .eval_loss] | tojson')" = \
		$'[2,"2",90,83,2]\n[2,"3",40,60,2]' ]
	grep -q 'reason=untrained.*could not evaluate: .*no data' srv.log
}
