# Trainers that learn together, while what they rest on dies around them.

load helpers
load training

@test "three trainers finish a run, one resting each round, and each is better for it" {
	federation 1
	run 60 --steps 5 --round-deadline 20
	over
	finished_by '[1,2,3]'
	table 'all(.round == 60 and .misses == 0 and .exchanges == 40)'
	table 'all(.accuracy > .accuracy_alone)'
	# 40 times a tenth of 101770 values of 4 bytes, and some framing
	table 'all(.bytes_sent > 1628320 and .bytes_sent < 1640000)'
	gfl-run show "$id" -F model -o tsv >models
	gfl-model average --out mean.safetensors $(<models)
	gfl-model eval mean.safetensors --data "$small" -o json |
		jq -e '.[0] | .accuracy > 0.4 and .examples == 500'
}

@test "trainers exchange along the topology, also one that comes during a run, and without it all with all" {
	federation 1
	gfl-topo full 3 --bandwidth uniform:1M:9M | gfl-log append bandwidth
	[ "$(gfl-list bandwidth | wc -l)" = 6 ]
	base=$(gfl-status -F bandwidth_version)
	echo 1 2 1024 | gfl-log append bandwidth --delta --base "$base" >now
	gfl-list bandwidth | grep -qx $'1\t2\t1024'
	fails 1 gfl-log append bandwidth --delta --base "$base" <(echo 2 1 9)
	[[ $said == *"bandwidth on version $base, which is $(<now) now" ]]
	echo 1 2 | gfl-log append topology
	[ "$(gfl-status -F topology_parts)" = 2 ]
	run 40 --round-deadline 20
	over
	table 'map(.exchanges) == [40, 40, 0]'
	grep -q "topology_not_connected parts=2 .* run=$id" n1.log
	endless
	at_round 5
	gfl-topo star 3 | gfl-log append topology
	[ "$(gfl-status -F topology_parts)" = 1 ]
	until_table '.[2].exchanges > 5'
	gfl-run stop "$id"
	echo '[]' | gfl-log append topology
	run 60 --round-deadline 20
	over
	table 'all(.exchanges > 0) and (map(.exchanges) | add) == 120'
}

@test "a dense exchange leaves both partners with the same model" {
	cluster 1
	trainer 1 1
	trainer 2 1
	run 10 --scheme dense --min-trainers 2 --round-deadline 20
	over
	finished_by '[1,2]'
	gfl-run show "$id" -F model -o tsv >models
	gfl-model diff $(<models)
}

@test "every round of every trainer is in the history, and can be drawn" {
	federation 1
	run 30
	over
	gfl-run show "$id" --history -o jsonl >history
	jq -es 'group_by(.trainer) | map(map(.round)) |
		. == [[range(1; 31)], [range(1; 31)], [range(1; 31)]]' history
	gfl-plot --x round --y loss --by trainer history >drawn
	[ "$(wc -l <drawn)" -ge 14 ]
	crash t2
	status=0
	gfl-run show "$id" --history -o tsv -F trainer >some 2>err || status=$?
	[ "$status" = 6 ] && [ "$(uniq some | paste -sd ' ')" = '1 3' ]
	grep -q '^gfl-run: history of trainer 2: cannot reach' err
	[ "$(wc -l <err)" = 1 ]
}

@test "gfl-monitor tells of trainers, of a run's progress and its end" {
	federation 1
	monitor
	for trainer in 1 2 3; do
		seen ".what == \"trainer\" and .event == \"present\" and
			.trainer == $trainer"
	done
	endless
	seen ".what == \"run\" and .event == \"started\" and .run == $id"
	seen ".event == \"progress\" and .run == $id and .rounds == 1000000 and
		.round > 0 and .accuracy > 0 and .bytes_sent > 0"
	gfl-run stop "$id"
	seen ".event == \"stopped\" and .run == $id"
	run 60
	seen ".event == \"finished\" and .run == $id and .round == 60"
}

@test "while the gateway is down, and then the leader too, training goes on" {
	federation 3
	endless
	at_round 20
	stop gw
	old=$(gfl-leader)
	crash "n$old"
	gfl-wait leader --not "$old" -t 20
	goes_on 30
	end_run '[1,2,3]'
}

@test "a trainer whose node is killed goes on with another node, as the same trainer" {
	federation 3
	endless
	at_round 20
	node=$(gfl-list trainers -o json | jq '.[] | select(.id == 2).node')
	crash "n$node"
	goes_on 30
	end_run '[1,2,3]'
	gfl-list trainers -o json |
		jq -e 'map(.id) == [1,2,3] and all(.node != '"$node"')'
}

@test "a trainer killed mid-run costs the others only rounds with it, and the run finishes" {
	federation 1 --fail-after 1
	run 2000
	at_round 20
	crash t2
	over
	finished_by '[1,3]'
	table '.[0].round == 2000 and .[2].round == 2000'
	table '.[0].exchanges > 400 and .[2].exchanges > 400'
	# 16 rounds are planned ahead, of which it had at most each
	table '.[0].misses <= 40 and .[2].misses <= 40'
}

@test "a killed trainer that comes back resumes from its checkpoint and finishes" {
	federation 1
	run 2000 --round-deadline 1
	at_round 40
	# lest the run be over before it is back
	kill -STOP "$t1_pid" "$t3_pid"
	crash t2
	again t2
	kill -CONT "$t1_pid" "$t3_pid"
	over
	finished_by '[1,2,3]'
	gfl-list trainers -o json | jq -e 'map(.id) == [1,2,3]'
}

@test "a run outlives kill -9 of every node" {
	federation 3
	endless
	at_round 20
	for node in 1 2 3; do crash "n$node"; done
	for node in 1 2 3; do launch "n$node"; done
	for node in 1 2 3; do ready "n$node"; done
	gfl-wait leader -t 30
	goes_on 30
	end_run '[1,2,3]'
}

@test "a trainer stopped by TERM leaves with status 0, and the others finish" {
	federation 1
	run 1000
	at_round 10
	stop t3
	gfl-list trainers -o json | jq -e 'map(.id) == [1,2]'
	over
	table 'map(select(.trainer < 3)) | all(.state == "finished")'
}

@test "a run is stopped by its id, with the reason, and the next in line begins" {
	federation 1
	run 100000
	first=$id
	# whoever takes part is in the table from the beginning
	table 'map(.trainer) == [1,2,3] and all(.state | . == "joining" or
		. == "training")'
	run 20
	gfl-run list -o json | jq -e 'map(.state) == ["running", "waiting"]'
	gfl-run stop "$first" --reason 'enough is enough'
	over
	finished_by '[1,2,3]'
	run 100000
	for _ in 1 2; do # asked for twice it is stopped once, and said so
		call "$n1_url" gfl.v1.NodeService/StopRun \
			'{"id":"'"$id"'","client":"78","seq":"1"}'
		[ "$code" = 200 ]
	done
	call "$n1_url" gfl.v1.NodeService/StopRun '{"id":"'"$id"'"}'
	[ "$code" = 400 ]
	fails 1 gfl-wait run "$first"
	[[ $said == *"run $first stopped: enough is enough" ]]
	fails 1 gfl-run stop 9999
	fails 1 gfl-run show 9999
}

@test "a run ends when its target accuracy is reached" {
	federation 1
	run 5000 --eval-every 5 --steps 5 --target-accuracy 0.4
	over
	table 'all(.round < 5000) and (map(.accuracy) | add / 3 >= 0.4)'
	table 'all(.state == "finished")'
}

@test "a run whose model fits nobody's data fails, and names the reason" {
	federation 1
	run 10 --model 'dense 5' --give-up 0.5
	fails 1 gfl-wait run "$id" -t 20
	[[ $said == *"run $id failed: "* ]]
	table 'all(.state == "failed" and (.reason | contains("5 classes")))'
	run 10 # and the trainers are there for the next one
	over
	finished_by '[1,2,3]'
}

@test "gfl-run start refuses what is no run" {
	cluster 1
	fails 2 gfl-run start --model resnet
	[[ $said == *resnet* ]]
	fails 2 gfl-run start --rounds 0
	fails 2 gfl-run start --keep 2
	fails 2 gfl-run start --scheme dark
	fails 2 gfl-run
	fails 2 gfl-run stop one
	[ -z "$(gfl-run list)" ]
}

@test "a trainer that comes before its node attaches once that is there" {
	cluster 1
	crash n1
	command_t1=(gfl-trainer --db t1 --node "$n1_url" --data "$small") t1_port=0
	launch t1
	again n1
	ready t1
	gfl-wait trainers 1 -t 20
}

@test "--follow prints a line when something is new, not again and again" {
	cluster 1
	gfl-run start --rounds 5 --follow --every 0.01 -o tsv >lines 3>&- &
	running[follow]=$!
	until [ -s lines ]; do :; done
	for _ in {1..20}; do gfl-leader; done
	gfl-run stop "$(cut -f 1 lines)"
	reap follow || true
	[ -z "$(uniq -d lines)" ]
	[ "$(cut -f 2 lines | uniq | tail -n 1)" = stopped ]
}
