# Trainers that come, go and lag: what a crash costs, and how they catch up.

load helpers
load peers
load small

setup_file() {
	small_set --parts 5 --by iid
}

# Nobody is down before the test says so, however long a start takes.
cluster() {
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	start n1 gfl-node --db n1.db --fail-after 60
}

trainer() { # NUMBER [OPTION...]
	start "t$1" gfl-trainer --db "t$1.db" --node "$n1_url" --data "$small" \
		--test "$small" --index "$small/parts/part-$1.idx" \
		--eval-every 100000 "${@:2}"
}

softmax=(--model softmax --batch 10 --keep 0.1 --round-deadline 1s)

# Rounds that trainer 2 had done when it resumed.
resumed_at() {
	local at
	at=$(grep event=resumed t2.log)
	echo $((${at##*round=} + 1))
}

@test "kill -9 at any moment loses at most so many rounds as lie between checkpoints" {
	cluster
	for i in 1 2; do
		trainer $i --checkpoint-every 5 --checkpoint-interval 1000
	done
	gfl-wait trainers 2 -t 20
	endless "${softmax[@]}"
	for round in 20 93 94 200 351; do
		reaches t2 $round
		crash t2
		had=$(jq -r .round <<<"$answer")
		mv t2.log t2.log.$round
		again t2
		logged t2 event=resumed
		echo "killed after round $had, resumed after $(resumed_at)"
		[ "$(resumed_at)" -ge $((had - 5)) ]
		[ $(($(resumed_at) % 5)) = 0 ]
	done
	reaches t2 400
	exchange_more 1 2
	gfl-run stop "$id"
	# Of a killed trainer's rounds none is missing but those jumped over,
	# and those that were not written yet.
	jumped=$(cat t2.log* | sed -n 's/.*event=jumps from=\(.*\) to=/\1 /p' |
		awk '{ n += $2 - $1 } END { print n + 0 }')
	gfl-run show "$id" --history -o tsv -F trainer,round |
		awk -v jumped="$jumped" '$1 == 2 { n++; last = $2 }
			END { print n, "of", last, "rounds,", jumped, "jumped"
			exit !(last >= 400 && n >= last - jumped - 100) }'
	for i in 1 2; do left "t$i.run$id.safetensors"; done
	gfl-model eval t?.run"$id".safetensors --data "$small" -F accuracy \
		-o tsv | awk '$1 < 0.5 { exit 1 }'
}

@test "a checkpoint that is torn or damaged is named, and a peer's model taken" {
	cluster
	for i in 1 2; do trainer $i --checkpoint-every 5; done
	gfl-wait trainers 2 -t 20
	endless "${softmax[@]}"
	reaches t2 50
	crash t2
	printf '\377' | dd of=t2.checkpoint.safetensors bs=1 seek=20000 \
		conv=notrunc status=none
	again t2
	reaches t2 100
	grep 'level=error.*event=checkpoint' t2.log |
		grep -q 't2.checkpoint.safetensors is damaged: crc32c'
	grep -q event=pulled t2.log
	crash t2
	truncate -s 20000 t2.checkpoint.safetensors
	touch t2.checkpoint.safetensors.tmp-aB3xyZ # as of a write cut short
	again t2
	reaches t2 150
	grep 'level=error.*event=checkpoint' t2.log |
		grep -q 't2.checkpoint.safetensors at byte 8 (header)'
	! grep -q event=resumed t2.log
	[ ! -e t2.checkpoint.safetensors.tmp-aB3xyZ ]
}

# As a process: clients hosted by one are trainers like any other.
@test "four clients of one process and another trainer train together, and all resume" {
	cluster
	start t1 gfl-trainer --db t1.db --node "$n1_url" --data "$small" \
		--test "$small" --clients 4 --index "$small/parts/part-%d.idx" \
		--eval-every 100000 --checkpoint-every 5
	gfl-wait trainers 4 -t 20
	trainer 5
	gfl-wait trainers 5 -t 20
	endless "${softmax[@]}" --min-trainers 5
	reaches t5 60
	for i in 1 2 3 4; do left t1-$i.checkpoint.safetensors; done
	[ "$(grep -c event=client t1.log)" = 4 ]
	crash t1
	again t1
	until [ "$(grep -c event=resumed t1.log)" = 4 ]; do :; done
	reaches t5 200
	exchange_more 1 2 3 4 5
	grep event=resumed t1.log | cut -d' ' -f 5 | sort >resumed
	printf 'trainer=%d\n' 1 2 3 4 | diff - resumed
	[ "$(table trainer | paste -sd ' ')" = '1 2 3 4 5' ]
	gfl-list trainers -o tsv -F url | sort | uniq -c | tr -s ' ' |
		grep -qx " 4 $t1_url"
	curl -s "$t1_url/metrics" | grep -c '^gfl_trainer_round{trainer=' |
		grep -qx 4
	gfl-run stop "$id"
	for i in 1 2 3 4; do
		left "t1-$i.run$id.safetensors"
		gfl-model eval "t1-$i.run$id.safetensors" --data "$small" \
			-o tsv -F accuracy
	done | awk '$1 < 0.5 { exit 1 }'
	gfl-run show "$id" --history -o tsv -F trainer | sort -u |
		paste -sd ' ' | grep -qx '1 2 3 4 5'
	stop t1
	until [ "$(gfl-list trainers -o tsv -F status)" = live ]; do :; done
}

@test "clients that cannot each have a part, a file or a share are refused" {
	clients=(gfl-trainer --node http://127.0.0.1:1 --listen 127.0.0.1:0
		--data "$small" --db t.db --clients 3)
	fails 2 "${clients[@]}" --index one.idx
	[[ $said == *"--index: one.idx: 1 names for 3 clients"* ]]
	fails 2 "${clients[@]}" --model-out one.safetensors
	fails 1 "${clients[@]}" --index none-%d.idx
	[[ $said == *none-1.idx* ]]
	fails 2 "${clients[@]}" --clients 0
	[ ! -e t.db ]
}
