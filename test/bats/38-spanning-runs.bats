# Runs of an upper cluster, which span the clusters below it.

load helpers

data=/usr/share/datasets/fashion-mnist
# Of six parts by class, two and two with neighbouring classes: 0 to 3, 6 to 9,
# 3 to 6.
parts=(1 4 2 5 3 6)

# Three clusters of COUNT nodes, with two trainers each on classes of their own.
clusters() { # COUNT
	local name id part=0
	gfl-data split --data $data --parts 6 --by shards:1 --out parts >/dev/null
	start up gfl-gateway --db up.db
	for name in a b c; do
		start "g$name" gfl-gateway --db "g$name.db"
		local -n at=g${name}_url
		for ((id = 1; id <= $1; id++)); do
			start "$name$id" gfl-node --node-id "$id" \
				--db "$name$id.db" -g "$at" --upper "$up_url" \
				--min-election-timeout 300 --fail-after 2 \
				--max-election-timeout 600 --heartbeat 75
		done
		for id in 1 2; do
			trainer "$name" "$id" "${parts[part++]}"
		done
	done
	until [ "$(gfl-list clusters -g "$up_url" -F trainers)" = \
		$'2\n2\n2' ]; do :; done
}

trainer() { # NAME ID PART
	local -n at=${1}1_url gate=g$1_url
	start "t$1$2" gfl-trainer --db "t$1$2.db" --node "$at" -g "$gate" \
		--data $data --test $data --index "parts/part-$3.idx" \
		--eval-every 100000
	logged "t$1$2" event=attached # so that the first one bridges
}

start_run() { # URL [OPTION...]
	id=$(gfl-run start -g "$1" --model softmax --steps 1 --batch 10 \
		--keep 1 "${@:2}")
}

# The mean of the accuracies of its trainers, in cluster NAME's newest run.
accuracy() { # NAME
	local -n at=g$1_url
	gfl-run show -g "$at" -o tsv -F accuracy |
		awk '{ sum += $1 } END { print sum / NR }'
}

# Until every part of run $id is in these states; the last reports of the parts
# may come after the run's end.
until_states() { # STATE...
	until [ "$(gfl-run show "$id" -g "$up_url" -o tsv -F state | sort |
		tr '\n' ' ')" = "$* " ]; do :; done
}

# Part of the run under way: its id in cluster NAME.
part_of() { # NAME
	local -n at=g$1_url
	gfl-run list -g "$at" -o tsv -F id | tail -n 1
}

# Until the run above has done that many rounds in each of the three clusters.
reaches() { # ROUND
	until gfl-run show "$id" -g "$up_url" -o tsv -F round |
		awk -v least="$1" '$1 >= least { n++ } END { exit n < 3 }'; do
		:
	done
}

@test "a run spans the clusters, and each knows more than alone" {
	local ids=()
	clusters 1
	for name in a b c; do
		gate=g${name}_url
		start_run "${!gate}" --rounds 200
		ids+=("$id")
	done
	for name in a b c; do
		gate=g${name}_url
		gfl-wait run "${ids[${#alone[@]}]}" -g "${!gate}" -t 60
		alone[${#alone[@]}]=$(accuracy $name)
	done
	start_run "$up_url" --rounds 100 --bridge-every 2 --min-trainers 3
	gfl-wait run "$id" -g "$up_url" -t 80
	until_states finished finished finished
	gfl-run show "$id" -g "$up_url" -o tsv -F state,round,exchanges,misses \
		>table
	cat table
	[ "$(cut -f1,2 table | sort -u)" = $'finished\t100' ]
	# Of three clusters one rests in each round.
	[ "$(awk '{ sum += $3 + $4 } END { print sum }' table)" = 200 ]
	[ "$(awk '{ sum += $4 } END { print sum }' table)" -le 20 ]
	for name in a b c; do
		echo "$name: alone ${alone[0]}, together $(accuracy $name)"
		awk -v alone="${alone[0]}" -v together="$(accuracy $name)" \
			'BEGIN { exit !(together > alone + 0.05) }'
		alone=("${alone[@]:1}")
	done
	[ "$(gfl-run show "$id" --history -g "$up_url" | cut -f1 | sort -u |
		tr -d '\n')" = 123 ]
}

@test "stopping the run above stops its parts, and a part that is stopped fails" {
	clusters 1
	start_run "$up_url" --rounds 1000 --bridge-every 100
	until gfl-run list -g "$gc_url" -o tsv -F state | grep -q running; do
		:
	done
	gfl-run stop "$(part_of c)" -g "$gc_url" --reason enough
	until gfl-run show "$id" -g "$up_url" -o tsv -F state,reason |
		grep -q 'failed.*enough'; do :; done
	[ "$(gfl-run list -g "$up_url" -o tsv -F state)" = running ]
	gfl-run stop "$id" -g "$up_url" --reason 'seen enough'
	for name in a b; do
		gate=g${name}_url
		! gfl-wait run "$(part_of $name)" -g "${!gate}" -t 20
		gfl-run list -g "${!gate}" -o tsv -F state,reason |
			grep 'stopped.*of the upper cluster stopped: seen enough'
	done
}

@test "a run goes on when a leader is killed, and the one that bridges" {
	clusters 3
	trainer b 3 3
	start_run "$up_url" --rounds 100000 --bridge-every 10 \
		--min-trainers 3 --round-deadline 2s
	reaches 10
	old=$(gfl-leader -g "$ga_url")
	crash "a$old"
	crash tb1
	gfl-wait leader --not "$old" -g "$ga_url" -t 20
	until [ "$(gfl-run show -g "$gb_url" -o tsv -F trainer,bridged |
		awk '$2 > 0' | wc -l)" = 2 ]; do :; done
	reaches $(($(gfl-run show "$id" -g "$up_url" -o tsv -F round |
		sort -n | tail -n 1) + 10))
	gfl-run stop "$id" -g "$up_url"
}

@test "a cluster that is lost does not hold up the others" {
	clusters 1
	start_run "$up_url" --rounds 60 --bridge-every 20 --min-trainers 3 \
		--round-deadline 1s
	reaches 3
	crash c1
	crash tc1
	crash tc2
	gfl-wait run "$id" -g "$up_url" -t 80
	until_states down finished finished
}
