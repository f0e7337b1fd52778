# Trainers that come, go and lag: what a crash costs, and how they catch up.

load helpers

data=/usr/share/datasets/fashion-mnist

cluster() { # NODES [OPTION...]
	local i
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	for ((i = 1; i <= $1; i++)); do
		start "n$i" gfl-node --db "n$i.db" "${@:2}"
	done
	gfl-wait nodes "$1" -t 20
	gfl-data split --data $data --parts 4 --by iid --out parts >/dev/null
}

trainer() { # NUMBER [OPTION...]
	start "t$1" gfl-trainer --db "t$1.db" --node "$n1_url" --data $data \
		--test $data --index "parts/part-$1.idx" --eval-every 100000 \
		"${@:2}"
}

run_of() { # ROUNDS [OPTION...]
	id=$(gfl-run start --model softmax --rounds "$1" --steps 1 --batch 10 \
		--keep 0.1 --round-deadline 1s "${@:2}")
}

# What trainer NAME says of itself is in $answer.
status_of() { # NAME
	local -n at=$1_url
	call "$at" gfl.v1.TrainerService/GetStatus '{}' >/dev/null
}

reaches() { # NAME ROUND
	local tries
	for ((tries = 0; tries < 5000; tries++)); do
		status_of "$1"
		if is ".round // 0 | tonumber >= $2"; then return; fi
	done
	echo "$1: $answer"
	return 1
}

# The run's table as FIELD,... of each trainer.
table() {
	gfl-run show "$id" -o tsv -F "$1"
}

# Rounds that trainer 2 had done when it resumed.
resumed_at() {
	local at
	at=$(grep event=resumed t2.log)
	echo $((${at##*round=} + 1))
}

@test "kill -9 at any moment loses at most so many rounds as lie between checkpoints" {
	cluster 1
	for i in 1 2; do
		trainer $i --checkpoint-every 5 --checkpoint-interval 1000
	done
	gfl-wait trainers 2 -t 20
	run_of 500 --min-trainers 2
	for round in 20 93 94 200 351; do
		reaches t2 $round
		crash t2
		had=$(jq -r .round <<<"$answer")
		mv t2.log t2.log.$round
		again t2
		until grep -q event=resumed t2.log; do status_of t2; done
		echo "killed after round $had, resumed after $(resumed_at)"
		[ "$(resumed_at)" -ge $((had - 5)) ]
		[ $(($(resumed_at) % 5)) = 0 ]
	done
	gfl-wait run "$id" -t 60
	[ "$(table state,round | sort -u)" = $'finished\t500' ]
	gfl-model eval t?.run"$id".safetensors --data $data -F accuracy \
		-o tsv | awk '$1 < 0.5 { exit 1 }'
}

@test "a checkpoint that is torn or damaged is named, and a peer's model taken" {
	cluster 1
	for i in 1 2; do trainer $i --checkpoint-every 5; done
	gfl-wait trainers 2 -t 20
	run_of 100000 --min-trainers 2
	reaches t2 50
	crash t2
	printf '\377' | dd of=t2.checkpoint.safetensors bs=1 seek=20000 \
		conv=notrunc status=none
	reaches t1 100
	again t2
	reaches t2 150
	grep 'level=error.*event=checkpoint' t2.log |
		grep -q 't2.checkpoint.safetensors is damaged: crc32c'
	grep -q event=pulled t2.log
	crash t2
	truncate -s 20000 t2.checkpoint.safetensors
	again t2
	reaches t2 200
	grep 'level=error.*event=checkpoint' t2.log |
		grep -q 't2.checkpoint.safetensors at byte 8 (header)'
	! grep -q event=resumed t2.log
	gfl-run stop "$id"
}
