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
	run "$1" --min-trainers 2 --steps 5 --round-deadline 20 "${@:4}"
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
	endless --scheme topk --dtype int8 --codec zstd --round-deadline 1
	at_round 20
	crash t2
	again t2
	back 2 30
	until_table 'all(.accuracy > 0.4)'
	end_run '[1,2,3]'
}

# mixes STRATEGY LEAST MOST [OPTION...] - a run of three trainers, of which each
# exchanges with both others in every round, at least and at most so many bytes
mixes() {
	run 15 --strategy "$1" --steps 5 --round-deadline 30 "${@:4}"
	over
	finished_by '[1,2,3]'
	table 'all(.exchanges == 30 and .misses == 0)'
	table 'all(.accuracy > .accuracy_alone and .accuracy > 0.4)'
	table "map(.bytes_sent) | add / 90 | . > $2 and . < $3 + 250"
}

@test "a ring averages models, and all-reduce leaves all with the same" {
	federation 1
	mixes dpsgd $((4 * values)) $((4 * values))
	# with steps that take longer than others are patient
	mixes psgd $((4 * values)) $((4 * values)) --steps 150
	gfl-run show "$id" -F model -o tsv >models
	# but for the order in which each has added the others
	gfl-model diff -o json $(sed 1,1d models) | tee diff |
		jq -e 'length == 4 and all(.max_abs < 1e-6)'
}

@test "a ring that remembers what it was told sends compressed differences" {
	federation 1
	mixes choco $((4 * tenth)) $((4 * tenth))
	mixes choco $((2 * tenth + 160)) $((3 * tenth + 160)) \
		--scheme topk --dtype int8
}

@test "where one of a ring is killed the others go on, and it comes back" {
	federation 1 --fail-after 1
	for strategy in dpsgd choco; do
		endless --strategy $strategy --round-deadline 2
		at_round 10
		crash t2
		at_round 40
		again t2
		back 2 30
		until_table 'all(.accuracy > 0.4)'
		end_run '[1,2,3]'
	done
}

@test "what no run can be is refused before it is one" {
	cluster 1
	fails 1 gfl-run start --strategy fedavg
	[[ $said == *'strategy fedavg: it needs a server: gfl-server' ]]
	fails 1 gfl-run start --strategy dcd
	[[ $said == *'strategy dcd: a difference that is lost would '* ]]
	fails 2 gfl-run start --strategy psgd --scheme topk
	[[ $said == *'strategy psgd cannot have another scheme than dense'* ]]
	fails 2 gfl-run start --strategy dpsgd --policy random
	[[ $said == *'strategy dpsgd cannot have a policy'* ]]
	fails 2 gfl-sim --strategy psgd --scheme topk
	[[ $said == *'strategy psgd cannot have another scheme than dense'* ]]
	call "$n1_url" gfl.v1.NodeService/StartRun \
		'{"spec":{"rounds":"5","lr":"NaN"},"client":"7","seq":"1"}'
	[ "$code" = 400 ] && [[ $answer == *'lr of a run has to be above 0'* ]]
	echo 1 2 | gfl-log append topology
	fails 5 gfl-run start --strategy dpsgd
	[[ $said == *'has to go round all trainers, but a topology says '* ]]
	[ -z "$(gfl-run list)" ]
}
