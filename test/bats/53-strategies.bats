# What travels between trainers, and how it is mixed: as gfl-sim has it, in
# real runs.

load helpers
load training

# of the model mlp, and of a tenth of it
export values=101770 tenth=10177

# two [OPTION...] - trainers, which meet in every round
two() {
	cluster 1 "$@"
	trainer 1 1
	trainer 2 1
	gfl-wait trainers 2 -t 20 2>>wait.err
}

# learns ROUNDS LEAST MOST [OPTION...] - a run in whose rounds a trainer sends
# at least and at most so many bytes, beside at most 250 of framing
learns() {
	run "$1" --min-trainers 2 --steps 5 "${@:4}"
	over
	finished_by '[1,2]'
	table "all(.exchanges == $1 and .misses == 0)"
	table "all(.accuracy > .accuracy_alone and .accuracy > 0.4)"
	table "map(.bytes_sent) | add / 2 / $1 | . > $2 and . < $3 + 250"
}

@test "every scheme and type learns, and sends the bytes that it should" {
	two
	learns 40 $((4 * tenth)) $((4 * tenth)) --scheme strat
	learns 40 $((2 * tenth)) $((2 * tenth)) --dtype bf16
	# a scale for each 256
	learns 40 $((tenth + 4 * 40)) $((tenth + 4 * 40)) --dtype int8
	learns 20 $((4 * values)) $((4 * values)) --scheme dense
	# one of both sends indices, of one byte or two
	learns 40 $((4 * tenth + tenth / 2)) $((5 * tenth)) --scheme topk
	learns 40 $((tenth + 160 + tenth / 2)) $((2 * tenth + 160)) \
		--scheme topk --dtype int8
}

@test "what is packed takes fewer bytes" {
	two
	learns 20 $((2 * tenth)) $((4 * tenth * 95 / 100)) --codec zstd
	learns 20 0 $((2 * tenth)) --codec zstd --scheme topk --dtype int8
}

@test "of trainers that choose what they send one is killed and comes back" {
	federation 1
	run 300 --scheme topk --dtype int8 --codec zstd --round-deadline 1
	at_round 20
	crash t2
	again t2
	over
	finished_by '[1,2,3]'
	table 'all(.round == 300 and .accuracy > 0.4)'
}
