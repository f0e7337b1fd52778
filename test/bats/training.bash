# Federations that train on the first examples of a real data set, cut in three.

load small

setup_file() {
	small_set --parts 3 --by dirichlet:0.5 --seed 1
}

trainer() { # ID NODE... [-- OPTION...]
	local id=$1 urls='' node
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		node=n${1}_url
		urls+=${urls:+,}${!node}
		shift
	done
	start "t$id" gfl-trainer --db "t$id" --node "$urls" --data "$small" \
		--test "$small" --index "$small/parts/part-$id.idx" \
		--eval-every 10 "${@:2}"
	logged "t$id" event=attached # so that its id is its number
}

# federation NODES [OPTION...] - as many nodes, and three trainers on them
federation() {
	local id
	cluster "$@"
	for id in 1 2 3; do
		trainer "$id" $((id <= $1 ? id : 1))
	done
	gfl-wait trainers 3 -t 20 2>>wait.err
}

run() { # ROUNDS [OPTION...] - its id is in $id
	id=$(gfl-run start --model mlp --rounds "$1" --steps 1 --batch 10 \
		--keep 0.1 --min-trainers 3 --round-deadline 2 "${@:2}")
}

# A run that does not end before what shall happen meanwhile: until end_run.
endless() { # [OPTION...]
	run 1000000 "$@"
}

at_round() { # ROUND
	gfl-wait round "$1" -t 40 2>>wait.err
}

# Every trainer that takes part does N more rounds.
goes_on() { # N
	at_round $(($(gfl-run show "$id" -o json |
		jq '[.[] | select(.state != "down").round] | min') + $1))
}

# Trainer ID is back, and does N rounds beyond where the others were.
back() { # ID N
	local front
	front=$(gfl-run show "$id" -o json | jq '[.[].round] | max')
	until_table ".[] | select(.trainer == $1) |
		.state == \"training\" and .round > $front + $2"
}

over() {
	gfl-wait run "$id" -t 60 2>>wait.err
}

# Stop the run; who took part is well, and finishes the next one.
end_run() { # IDS, as JSON
	gfl-run stop "$id"
	# one that was late for a moment is down until it attaches again
	until_table '[.[] | select(.state == "stopped").trainer] == '"$1"
	run 20 --min-trainers "$(jq length <<<"$1")"
	over
	finished_by "$1"
}

# The run's table is as this jq filter says.
table() { # FILTER
	answer=$(gfl-run show "$id" -o json)
	jq -r '.[] | [.trainer, .round, .state, .misses, .exchanges,
		.accuracy_alone, .accuracy, .reason] | @tsv' <<<"$answer"
	is "$1"
}

# Until it is.
until_table() { # FILTER
	local end=$((SECONDS + 60))
	until table "$1" >shown; do
		[ "$SECONDS" -lt "$end" ] || { cat shown; return 1; }
	done
}

finished_by() { # IDS, as JSON
	table '[.[] | select(.state == "finished").trainer] == '"$1"
}
