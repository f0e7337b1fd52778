# Whole models that travel: to a trainer that joins, and to whoever wants one.

load helpers
load peers
load small

setup_file() {
	small_set --parts 3 --by iid
}

# Two trainers of a model of 3 MB; what the first gives goes through a proxy
# that, as HOW says, meddles with it after 1.5 MB.
federation() { # HOW [OPTION...] - these of the node
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	start n1 gfl-node --db n1.db "${@:2}"
	start cut python3 "$BATS_TEST_DIRNAME/cut.py" "$1" 1500000 t1.port
	trainer 1 --advertise "$cut_url"
	trainer 2
	gfl-wait trainers 2 -t 20
}

trainer() { # NUMBER [OPTION...]
	start "t$1" gfl-trainer --db "t$1.db" --node "$n1_url" \
		--data "$small" --index "$small/parts/part-$1.idx" "${@:2}"
}

big=(--model 'dense 1000; relu; dense 10' --batch 1 --keep 0.001
	--round-deadline 1s)

# Both are in a run, and have got on in it.
under_way() {
	endless "${big[@]}"
	reaches t1 30
}

pulls() { # ARGUMENT... - what was pulled is in $answer
	answer=$(gfl-model pull -o jsonl "$@")
	echo "$answer"
}

@test "a model whose pull breaks off goes on at the same trainer" {
	federation once
	under_way
	trainer 3
	logged t3 'event=pulled .*peer=1 .*bytes=3180040'
	grep -qx cut cut.log
	! grep pull_failed t3.log
	exchange_more 3
}

@test "when who gives a model dies, the joiner takes another's" {
	federation hold --fail-after 2
	under_way
	trainer 3
	logged cut cut
	crash t1
	logged t3 'event=pull_failed .*peer=1'
	logged t3 'event=pulled .*peer=2'
	exchange_more 3
}

@test "a model that was damaged on its way is refused" {
	federation damage
	under_way
	trainer 3
	logged t3 "event=pull_failed .*peer=1 .*the sum of a chunk is"
	logged t3 'event=pulled .*peer=2'
	exchange_more 3
	gfl-run stop "$id"
	fails 70 gfl-model pull "$cut_url" --out m.safetensors
	[[ $said == *"the sum of a chunk is"* ]]
	[ -z "$(ls m.*)" ]
}

@test "gfl-model pull takes a running trainer's model, and goes on where it broke off" {
	federation hold
	fails 5 gfl-model pull "$t2_url" --out m.safetensors
	[[ $said == *"trainer 2 has no model now" ]]
	under_way
	pulls --trainer 2 --out m.safetensors
	is '.trainer == 2 and .resumed_bytes == 0 and .size_bytes > 3180040'
	gfl-model info --meta m.safetensors -o tsv -F key,value |
		grep -qx "run	$id"
	gfl-model eval m.safetensors --data "$small" -F model
	gfl-model pull "$cut_url" --out n.safetensors -t 60 2>late &
	running[pull]=$!
	until [ "$(stat -c %s n.safetensors.part)" -gt 1000000 ]; do :; done
	fails 7 gfl-model pull "$t1_url" --out n.safetensors
	[[ $said == *"another pull is at n.safetensors.part" ]]
	kill "${running[pull]}"
	reap pull || [ $? = 143 ]
	[ ! -e n.safetensors ]
	pulls "$t1_url" --out n.safetensors
	is '.resumed_bytes > 1000000'
	gfl-model info n.safetensors >/dev/null
	[ "$(echo n.*)" = n.safetensors ]
	# What is begun of a model that is another one by now is begun anew.
	for t in 0.2 1 5 20; do # until time is up, but something is here
		fails 4 gfl-model pull "$cut_url" --out o.safetensors -t $t
		if [ -s o.safetensors.part ]; then break; fi
	done
	grep -q "^gfl-model: hint: pull again to go on: [0-9]* of 31" stderr
	status_of t1
	reaches t1 $(($(jq -r .round <<<"$answer") + 2))
	pulls "$t1_url" --out p.safetensors
	pulls "$t1_url" --out o.safetensors
	is '.resumed_bytes == 0'
}

@test "gfl-model pull takes what the last run left, and says who is not there" {
	federation hold
	id=$(gfl-run start "${big[@]}" --steps 1 --rounds 30)
	gfl-wait run "$id" -t 60
	gfl-model pull --trainer 2 --out m.safetensors
	cmp m.safetensors "t2.run$id.safetensors"
	fails 1 gfl-model pull --trainer 7 --out x
	[[ $said == *"the cluster has no trainer 7" ]]
	fails 5 gfl-model pull --trainer 7 "$t2_url" --out x
	fails 2 gfl-model pull --out x
	fails 3 gfl-model pull http://127.0.0.1:1 --out x
	fails 2 gfl-model pull http://127.0.0.1:1
	fails 1 gfl-model pull "$t2_url" --out none/x
	[ ! -e x ]
}
