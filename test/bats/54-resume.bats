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
	run_of 1500 --min-trainers 2
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
	[ "$(table state,round | sort -u)" = $'finished\t1500' ]
	# Of a killed trainer's rounds none is missing but those jumped over.
	gfl-run show "$id" --history -o tsv -F trainer,round | cut -f 1 |
		sort | uniq -c
	gfl-run show "$id" --history -o tsv -F trainer,round | grep -c ^2 |
		awk '$1 < 1000 { exit 1 }'
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
	touch t2.checkpoint.safetensors.tmp-aB3xyZ # as of a write cut short
	again t2
	reaches t2 200
	grep 'level=error.*event=checkpoint' t2.log |
		grep -q 't2.checkpoint.safetensors at byte 8 (header)'
	! grep -q event=resumed t2.log
	[ ! -e t2.checkpoint.safetensors.tmp-aB3xyZ ]
	gfl-run stop "$id"
}

# As a process: clients hosted by one are trainers like any other.
@test "four clients of one process and another trainer train together, and all resume" {
	cluster 1
	gfl-data split --data $data --parts 5 --by iid --out five >/dev/null
	start t1 gfl-trainer --db t1.db --node "$n1_url" --data $data \
		--test $data --clients 4 --index five/part-%d.idx \
		--eval-every 100000 --checkpoint-every 5
	start t2 gfl-trainer --db t2.db --node "$n1_url" --data $data \
		--test $data --index five/part-5.idx --eval-every 100000
	gfl-wait trainers 5 -t 20
	run_of 1500 --min-trainers 5
	reaches t2 60
	[ "$(grep -c event=client t1.log)" = 4 ]
	crash t1
	again t1
	gfl-wait run "$id" -t 80
	grep event=resumed t1.log | cut -d' ' -f 5 | sort >resumed
	printf 'trainer=%d\n' $(table trainer | head -n 4) | diff - resumed
	[ "$(table state,round | sort | uniq -c | tr -s ' ')" = \
		$' 5 finished\t1500' ]
	gfl-list trainers -o tsv -F url | sort | uniq -c | tr -s ' ' |
		grep -qx " 4 $t1_url"
	gfl-run show "$id" --history -o tsv -F trainer | sort | uniq -c
	for i in 1 2 3 4; do
		gfl-model eval "t1-$i.run$id.safetensors" --data $data -o tsv \
			-F accuracy
	done | awk '$1 < 0.5 { exit 1 }'
	curl -s "$t1_url/metrics" | grep -c '^gfl_trainer_round{trainer=' |
		grep -qx 4
	stop t1
	until [ "$(gfl-list trainers -o tsv -F status)" = live ]; do :; done
}

@test "clients that cannot each have a part, a file or a share are refused" {
	clients=(gfl-trainer --node http://127.0.0.1:1 --listen 127.0.0.1:0
		--data $data --db t.db --clients 3)
	fails 2 "${clients[@]}" --index one.idx
	[[ $said == *"--index: one.idx: 1 names for 3 clients"* ]]
	fails 2 "${clients[@]}" --model-out one.safetensors
	fails 1 "${clients[@]}" --index none-%d.idx
	[[ $said == *none-1.idx* ]]
	fails 2 "${clients[@]}" --clients 0
	[ ! -e t.db ]
}
