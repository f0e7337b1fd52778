# Trainers in a cluster: runs, deaths, joins, and what they refuse.

load helpers

data=/usr/share/datasets/fashion-mnist

cluster() { # NODES
	local i
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	for ((i = 1; i <= $1; i++)); do
		start "n$i" gfl-node --db "n$i.db"
	done
	gfl-wait nodes "$1" -t 20
	gfl-data split --data $data --parts 4 --by dirichlet:0.5 --out parts \
		>/dev/null
}

trainer() { # NUMBER [OPTION...]
	start "t$1" gfl-trainer --db "t$1.db" --node "$n1_url" --data $data \
		--test $data --index "parts/part-$1.idx" --eval-every 1000 \
		--checkpoint-interval 0.2 "${@:2}"
	logged "t$1" event=attached # so that its id is its number
}

run_of() { # ROUNDS [OPTION...]
	id=$(gfl-run start --model softmax --rounds "$1" --steps 1 --batch 10 \
		--keep 0.1 --round-deadline 1s "${@:2}")
}

# A run that does not end before what shall happen meanwhile: until ends.
endless() { # [OPTION...]
	run_of 1000000 "$@"
}

# Stop it; all COUNT who took part are well, if one was late for a moment.
ends() { # COUNT
	gfl-run stop "$id"
	until [ "$(table state | uniq -c | tr -s ' ')" = " $1 stopped" ]; do
		:
	done
}

status_of() { # NAME
	local -n at=$1_url
	call "$at" gfl.v1.TrainerService/GetStatus '{}' >/dev/null
}

# Until trainer NAME has done that many rounds.
reaches() { # NAME ROUND
	local tries
	for ((tries = 0; tries < 5000; tries++)); do
		status_of "$1"
		if is ".round // 0 | tonumber >= $2"; then return; fi
	done
	echo "$1: $answer"
	return 1
}

# Until it has done N more than trainer OTHER had.
passes() { # NAME N OTHER
	status_of "$3"
	reaches "$1" $(($(jq -r '.round // 0' <<<"$answer") + $2))
}

# The run's table as FIELD,... of each trainer.
table() {
	gfl-run show "$id" -o tsv -F "$1"
}

@test "three trainers finish a run, and their models differ little" {
	cluster 1
	for i in 1 2 3; do trainer $i; done
	gfl-wait trainers 3 -t 20
	run_of 60 --min-trainers 3 --keep 1 --round-deadline 20s
	gfl-wait run "$id" -t 60
	[ "$(table state | sort -u)" = finished ]
	[ "$(table misses | sort -u)" = 0 ]
	[ "$(table exchanges | sort -u)" = 40 ] # of 60, a third are byes
	for i in 1 2 3; do
		gfl-model eval "t$i.run$id.safetensors" --data $data \
			--part test -o tsv -F accuracy >>accuracies
	done
	awk '$1 < 0.3 { exit 1 }' accuracies
}

@test "bytes on the wire are those of the mask and little more" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	run_of 30 --min-trainers 2 --round-deadline 20s
	gfl-wait run "$id" -t 60
	# softmax has 7,850 parameters: 785 values of 4 bytes a round
	for sent in $(table bytes_sent); do
		[ "$sent" -ge $((30 * 785 * 4)) ]
		[ "$sent" -le $((30 * (785 * 4 + 128))) ]
	done
}

@test "a killed trainer costs the others its rounds only, and comes back" {
	cluster 1
	for i in 1 2 3; do trainer $i; done
	gfl-wait trainers 3 -t 20
	endless --min-trainers 3
	reaches t1 150
	crash t2
	reaches t1 400
	again t2
	passes t2 20 t1
	grep -q event=resumed t2.log
	ends 3
	for missed in $(table trainer,misses | awk '{ print $2 }'); do
		[ "$missed" -le 60 ]
	done
}

@test "a trainer that joins a run begins with a peer's model" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	endless --min-trainers 2
	reaches t1 200
	trainer 3
	passes t3 20 t1
	grep -q 'event=pulled.*bytes=31400' t3.log
	ends 3
}

@test "when all are killed before a checkpoint, one begins and others pull" {
	cluster 1
	for i in 1 2; do trainer $i --checkpoint-interval 1000; done
	gfl-wait trainers 2 -t 20
	endless --min-trainers 2
	reaches t1 100
	crash t1
	crash t2
	again t1
	again t2
	reaches t1 200
	reaches t2 200
	grep -q 'event=begins_anew' t?.log
	grep -q 'event=pulled' t?.log
	ends 2
}

@test "trainers go on with another node when theirs is killed" {
	cluster 3
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	endless --min-trainers 2
	reaches t1 200
	crash n1
	passes t1 50 t1 # more than was planned
	grep -c 'event=attached' t1.log | grep -qv '^1$'
	ends 2
}

@test "a run that is stopped leaves models, and another can follow" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	endless --min-trainers 2
	reaches t1 50
	first=$id
	gfl-run stop "$id"
	run_of 20 --min-trainers 2
	gfl-wait run "$id" -t 60
	gfl-model info "t1.run$first.safetensors" >/dev/null
	gfl-model info "t1.run$id.safetensors" >/dev/null
}

@test "TERM in the middle of a run leaves in order, and is taken up again" {
	cluster 1
	for i in 1 2 3; do trainer $i; done
	gfl-wait trainers 3 -t 20
	endless --min-trainers 3
	reaches t1 100
	stop t3
	gfl-wait trainers 2 -t 10
	again t3
	passes t3 20 t1
	grep -q event=resumed t3.log
	ends 3
}

@test "a model that does not fit the data is refused with the reason" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	id=$(gfl-run start --model 'input 5; dense 10' --rounds 10 \
		--min-trainers 2)
	logged t1 'stays_out_of_the_run.*takes 5'
}

@test "bad data, index, database or port is one sentence" {
	trainer=(gfl-trainer --node http://127.0.0.1:1 --listen 127.0.0.1:0)
	fails 1 "${trainer[@]}" --db t.db --data /none
	[[ $said == *"/none"* ]]
	head -c 1000 $data/train-images-idx3-ubyte.gz >train-images-idx3-ubyte.gz
	cp $data/train-labels-idx1-ubyte.gz .
	fails 2 "${trainer[@]}" --db t.db --data .
	[[ $said == *"train-images-idx3-ubyte"* ]]
	echo 60000 >i.idx
	fails 2 "${trainer[@]}" --db t.db --data $data --index i.idx
	[[ $said == *"i.idx"* ]]
	fails 1 "${trainer[@]}" --db none/t.db --data $data
	fails 2 gfl-trainer --data $data
}

@test "a database in use, or of another program, is named" {
	start gw gfl-gateway --db gw.db
	start t1 gfl-trainer --node http://127.0.0.1:1 --db t1.db --data $data
	fails 7 gfl-trainer --node http://127.0.0.1:1 --data $data --db t1.db \
		--listen 127.0.0.1:0
	[[ $said == *"t1.db"*"$t1_pid"* ]]
	stop gw
	fails 5 gfl-trainer --node http://127.0.0.1:1 --data $data --db gw.db \
		--listen 127.0.0.1:0
	stop t1
}

# Believed, each would have the trainers jump, rest, or wait.
@test "what a stranger says about rounds changes none of them" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	endless --round-deadline 20s
	reaches t1 20
	call "$n1_url" gfl.v1.NodeService/Report '{"reports":[{"trainerId":"1",
		"run":"'"$id"'","round":"1000000","state":"finished"}],
		"links":[{"from":"1","to":"99","halfOctaves":-100}]}'
	call "$n1_url" gfl.v1.NodeService/Propose '{"entry":{"run":{
		"action":"PROGRESS","id":"'"$id"'","reports":[{"trainerId":"1",
		"round":"999999"}]}}}'
	[ "$code" = 200 ]
	call "$t2_url" gfl.v1.TrainerService/Exchange '{"run":"'"$id"'",
		"epoch":"1","round":"9223372036854775807","from":"1","to":"2",
		"scheme":"STRAT"}'
	[ "$code" = 400 ]
	call "$n1_url" gfl.v1.NodeService/GetState '{}'
	is '.runs[0].state == "running"'
	call "$n1_url" gfl.v1.NodeService/Propose '{"entry":{"topology":{
		"run":"'"$id"'","epoch":'"$(jq .epoch <<<"$answer")"',"t0":"90000",
		"rounds":[{"c":1,"deadlineMs":1,"pairs":"AAA="}]}}}'
	[ "$code" = 409 ]
	status_of t2
	reaches t2 $(($(jq -r .round <<<"$answer") + 40))
	is '.round | tonumber < 90000'
	! grep -q event=jumps t1.log t2.log
	gfl-run stop "$id"
}

@test "a trainer whose node has moved finds it by the gateway" {
	cluster 1
	trainer 1
	gfl-wait trainers 1 -t 20
	crash n1
	n1_port=0
	again n1
	logged t1 "event=attached .* node=$n1_url"
	start t2 gfl-trainer --db t2.db --gateway "$gw_url" --data $data \
		--index parts/part-2.idx # which no node was named to
	gfl-wait trainers 2 -t 20
	GFL_GATEWAY='' fails 2 gfl-trainer --db t3.db --data $data
}

@test "a node that hangs holds up no trainer that attaches" {
	cluster 3
	kill -STOP "$n1_pid"
	start t1 gfl-trainer --db t1.db --node "$n1_url,$n2_url" --data $data \
		--index parts/part-1.idx
	gfl-wait trainers 1 -t 20 --node "$n2_url"
	kill -CONT "$n1_pid"
	logged t1 "event=attached .* node=$n2_url"
}

@test "a lone leader that was stopped takes no trainer for dead" {
	start n1 gfl-node --bootstrap --db n1.db --fail-after 1
	gfl-data split --data $data --parts 4 --by dirichlet:0.5 --out parts
	trainer 1
	gfl-wait trainers 1 -t 20 --node "$n1_url"
	kill -STOP "$n1_pid"
	read -rt 2.5 <> <(:) || true
	kill -CONT "$n1_pid"
	watch "$n1_url" gfl.v1.NodeService/ReadLog '{"follow":true}'
	echo '{}' | gfl-log append noop - --node "$n1_url" -t 20
	gfl-wait trainers 1 -t 20 --node "$n1_url"
	! grep trainer_down n1.log
}

@test "trainers on two threads sleep while they wait, and train a CNN" {
	cluster 1
	for i in 1 2; do trainer $i --threads 2; done
	for i in 1 2; do
		pid=t${i}_pid
		tr '\0' '\n' <"/proc/${!pid}/environ" |
			grep -qx OMP_WAIT_POLICY=passive
	done
	gfl-wait trainers 2 -t 20
	id=$(gfl-run start --steps 1 --batch 4 --keep 0.1 --rounds 6 \
		--model "conv 4 5 stride 2; batchnorm; relu; avgpool; dense 10" \
		--nesterov --weight-decay 1e-4 --lr-every 2 --lr-decay 0.5)
	gfl-wait run "$id" -t 60
	[ "$(table state | sort -u)" = finished ]
	gfl-model info t1.run"$id".safetensors -F tensor |
		grep -qx bn1.running_var
}

@test "values as bf16 take half the bytes" {
	cluster 1
	for i in 1 2; do trainer $i; done
	gfl-wait trainers 2 -t 20
	for type in f32 bf16; do
		run_of 20 --keep 1 --dtype $type --round-deadline 20s
		gfl-wait run "$id" -t 60
		[ "$(table state,exchanges | sort -u)" = $'finished\t20' ]
		table bytes_sent | sort -u >$type
	done
	# 7,850 values, and a few bytes around them
	awk 'NR == FNR { if (!all || $1 < all) all = $1; next }
		!($1 < 0.55 * all && $1 > 20 * 2 * 7850) { exit 1 }' f32 bf16
}
