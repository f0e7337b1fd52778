# demo - 4 nodes and 4 trainers learn together; the leader is killed on the way

start_trainer() { # ID
	start "trainer$1" gfl-trainer --db "$dir/trainer$1" \
		--node "$(url_of "node$1")" --data "$data" --test "$data" \
		--index "$dir/split/part-$1.idx" --eval-every 10
}

show_progress() { # ROUND LEADER ACCURACY BYTES
	progress "$(printf 'round %3s/%s  leader %s  mean test accuracy %s  sent %s MB' \
		"$1" "$rounds" "$2" \
		"$(awk -v a="$3" 'BEGIN { if (a == "") print "-"; else printf "%.3f", a }')" \
		"$(awk -v b="$4" 'BEGIN { printf "%.1f", b / 1e6 }')")"
}

# start_run OPTION... - the same training each time; its id in $id
start_run() {
	id=$(gfl-run start --model mlp --rounds "$rounds" --steps 5 --batch 50 \
		--lr 0.02 --momentum 0.9 --keep 0.1 --min-trainers 4 \
		--seed "$seed" "$@") || fail "the run cannot be started"
}

# Kill the leader in the middle; once another leads, start it again.
disturb() { # ROUND
	if [ -z "$killed" ] && [ "$1" -ge $((rounds / 2)) ]; then
		killed=$(gfl-leader) || fail "no node leads at round $1"
		kill_hard "node$killed"
		clear_line
		say "killed the leader, node $killed, at round $1"
	elif [ -n "$killed" ] && [ -z "$back" ]; then
		find_leader "$killed"
		back=$leader
		clear_line
		say "node $back leads; starting node $killed again"
		restart_node "$killed"
	fi
}

# watch_run [DISTURBANCE] - show the run until its end.
watch_run() {
	rm -f "$dir/progress"
	mkfifo "$dir/progress"
	# read takes tabs in a row as one, so what may be empty comes last.
	gfl-run show "$id" --follow --every 0.1 -t 10 -o tsv \
		-F state,round,leader,bytes_sent,accuracy \
		>"$dir/progress" 2>>"$dir/wait.log" &
	followers=$!
	shown=-$rounds
	tab=$(printf '\t')
	while IFS="$tab" read -r state round leader sent accuracy; do
		if [ -t 1 ] || [ "$round" -ge $((shown + rounds / 20)) ] ||
			[ "$state" = finished ]; then
			show_progress "$round" "$leader" "$accuracy" "$sent"
			shown=$round
		fi
		if [ "$state" = running ] && [ $# -gt 0 ]; then
			"$1" "$round"
		fi
	done <"$dir/progress"
	clear_line
	wait "$followers" || {
		followers=''
		fail "run $id did not finish: $(tail -n 1 "$dir/wait.log")"
	}
	followers=''
}

# The table of run $id in the file; every trainer must have finished.
table_of_run() { # FILE
	gfl-run show "$id" -o tsv -F \
		trainer,state,accuracy_alone,accuracy,bytes_sent,misses,exchanges,model \
		>"$1" || fail "the table of run $id cannot be read"
	[ "$(wc -l <"$1")" = 4 ] || fail "not all 4 trainers reported on run $id"
	awk -F'\t' '$2 != "finished" { exit 1 }' "$1" ||
		fail "not every trainer finished: $(cut -f1,2 "$1" | tr '\t\n' '  ')"
}

mean_of() { awk -F'\t' '{ s += $4 } END { printf "%.4f", s / NR }' "$1"; }

# The table per trainer, and the checks on it.
results() {
	table_of_run "$dir/together.tsv"
	# shellcheck disable=SC2046 # one word a model; the directory is ours
	gfl-model average --out "$dir/average.safetensors" \
		$(cut -f8 "$dir/together.tsv") >"$dir/average.log" ||
		fail "the models cannot be averaged"
	average=$(gfl-model eval "$dir/average.safetensors" --data "$data" \
		--part test -o tsv -F accuracy) || fail "the average cannot be scored"
	mean=$(mean_of "$dir/together.tsv")
	say
	say "accuracy on the whole test set"
	say 'trainer  before exchange   alone  together  MB sent  exchanges  rested  missed'
	cut -f4 "$dir/alone.tsv" | paste "$dir/together.tsv" - |
		awk -F'\t' -v r="$rounds" '{
		printf "%7d  %15.4f  %6.4f  %8.4f  %7.2f  %9d  %6d  %6d\n",
			$1, $3, $9, $4, $5 / 1e6, $7, r - $7 - $6, $6 }'
	printf '   mean                   %6.4f  %8.4f\n' \
		"$(mean_of "$dir/alone.tsv")" "$mean"
	printf 'average of the models             %8.4f\n\n' "$average"
	compare_bytes
}

compare_bytes() {
	gfl-model info "$dir/average.safetensors" -o tsv -F values \
		>"$dir/values" || fail "the average's parameters cannot be counted"
	parameters=$(awk '{ n += $1 } END { print n }' "$dir/values")
	awk -F'\t' -v n="$parameters" -v r="$rounds" '
		{ sent += $5; ex += $7 }
		END {
			dense = ex * 4 * n; fedavg = 2 * 4 * n * r * NR
			printf "sent in all: %.1f MB; dense exchange would have sent " \
				"%.1f MB (%.1f x), FedAvg %.1f MB (%.1f x)\n",
				sent / 1e6, dense / 1e6, dense / sent,
				fedavg / 1e6, fedavg / sent
		}' "$dir/together.tsv"
}

at_least() { # VALUE LEAST
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'
}

demo() {
	say "a gateway, 4 nodes and 4 trainers on 127.0.0.1"
	start_gateway
	start_nodes 4
	say "Fashion-MNIST, divided by Dirichlet 0.5; examples of each class:"
	gfl-data split --data "$data" --parts 4 --by dirichlet:0.5 \
		--seed "$seed" --out "$dir/split" -o table \
		-F part,examples,c0,c1,c2,c3,c4,c5,c6,c7,c8,c9 ||
		fail "the data cannot be divided"
	for i in 1 2 3 4; do
		start_trainer "$i"
	done
	gfl-wait trainers 4 -t 30 2>>"$dir/wait.log" ||
		fail "the 4 trainers did not all attach"
	say "first each alone, with as many steps, to compare:"
	start_run --policy none
	watch_run
	table_of_run "$dir/alone.tsv"
	first=$(gfl-leader) || fail "no node leads"
	say "now together: 1 parameter in 10 travels, planned by node $first, which leads"
	killed='' back=''
	start_run
	watch_run disturb
	[ -n "$back" ] || fail "the run ended before the leader was killed"
	results
	say
	gfl-run show "$id" --history -o jsonl |
		gfl-plot --x round --y accuracy --by trainer ||
		fail "the curve cannot be drawn"
	say
	gfl-wait nodes 4 -t 30 2>>"$dir/wait.log" ||
		fail "node $killed did not come back"
	compare_logs 4
	[ "$back" != "$first" ] || fail "the leader did not change"
	at_least "$average" 0.80 || fail "the average reached only $average, not 0.80"
	at_least "$mean" 0.70 || fail "the trainers' mean is only $mean, not 0.70"
	say "leader $first, then $back; the logs of all nodes are identical up to entry $common"
}
