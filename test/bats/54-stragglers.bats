# Trainers that lag, hang, leave and come while others exchange with them.

load helpers
load peers
load small

setup_file() {
	small_set --parts 4 --by iid
}

federation() { # TRAINERS [OPTION...] - these of the node
	local i
	start gw gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	start n1 gfl-node --db n1.db "${@:2}"
	for ((i = 1; i <= $1; i++)); do trainer $i; done
	gfl-wait trainers "$1" -t 20
}

trainer() { # NUMBER
	start "t$1" gfl-trainer --db "t$1.db" --node "$n1_url" \
		--data "$small" --test "$small" \
		--index "$small/parts/part-$1.idx" --eval-every 100000
}

softmax=(--model softmax --batch 10 --keep 0.1)

run_of() { # ROUNDS [OPTION...]
	id=$(gfl-run start "${softmax[@]}" --rounds "$1" --steps 1 "${@:2}")
}

@test "a trainer that hangs holds up nobody beyond a deadline, and then is where they are" {
	federation 3 --fail-after 10
	endless "${softmax[@]}" --min-trainers 3 --round-deadline 0.3
	reaches t3 20
	kill -STOP "$t3_pid"
	# It is partner or heard until it is down: then the two go on alone.
	logged t1 'event=missed .*peer=3 reason=deadline'
	status_of t1
	at=$(($(jq -r .round <<<"$answer") + 200))
	reaches t1 $at
	kill -CONT "$t3_pid"
	# By a jump, or as one who joins, if it was down already.
	reaches t3 $at
	exchange_more 1 2 3
	gfl-run stop "$id"
	[ "$(table state | sort | uniq -c | tr -s ' ')" = ' 3 stopped' ]
}

@test "a run that is stopped while its trainers wait for one that hangs is over at once" {
	federation 2 --fail-after 60 # so that none of them is down in between
	endless "${softmax[@]}" --round-deadline 30
	reaches t1 20
	kill -STOP "$t2_pid"
	until status_of t1 && is '.state == "exchanging"'; do :; done
	gfl-run stop "$id"
	logged t1 'event=run_over .*state=stopped' # its partner still hangs
	kill -CONT "$t2_pid"
	run_of 20
	gfl-wait run "$id" -t 60
	[ "$(table state,round | sort -u)" = $'finished\t20' ]
}

@test "while they exchange one trainer leaves and another comes, and all go on" {
	federation 3
	endless "${softmax[@]}" --min-trainers 3 --round-deadline 2
	reaches t1 30
	stop t3
	trainer 4
	logged t4 event=pulled
	exchange_more 1 2 3 # the newcomer has the id of the one who left
	gfl-run stop "$id"
	# Rounds of the change itself may be missed; no more than two plans.
	table trainer,state,exchanges,misses
	[ "$(table trainer,misses | awk '$2 <= 32' | wc -l)" = 3 ]
}

@test "runs wait in line, and each begins from its own model" {
	federation 2
	run_of 40
	first=$id
	run_of 40 --seed 7 --model 'dense 20; relu; dense 10'
	second=$id
	run_of 40
	for id in "$first" "$second" "$id"; do
		gfl-wait run "$id" -t 60
		[ "$(table state,round | sort -u)" = $'finished\t40' ]
	done
	# What a run's seed made, before the first exchange and after a step.
	alone=($(grep -o 'event=alone .*' t1.log | grep -o 'accuracy=.*'))
	echo "${alone[@]}"
	[ "${alone[0]}" = "${alone[2]}" ] && [ "${alone[0]}" != "${alone[1]}" ]
	gfl-model info "t1.run$second.safetensors" -o tsv -F tensor |
		grep -c . | grep -qx 4
}
