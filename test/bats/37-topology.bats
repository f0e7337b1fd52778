# Topologies: made by gfl-topo, put into the log, obeyed by the planner.

load helpers

topology() { # ARGUMENT... - append it; prints its version
	gfl-log append topology "$@"
}

@test "gfl-topo prints each shape as a list, a matrix, JSON and for Graphviz" {
	[ "$(gfl-topo ring 4)" = $'1\t2\t1\n1\t4\t1\n2\t3\t1\n3\t4\t1' ]
	[ "$(gfl-topo star 4 | cut -f 1,2 | tr '\t\n' ' ;')" = '1 2;1 3;1 4;' ]
	[ "$(gfl-topo full 6 | wc -l)" = 15 ]
	[ "$(gfl-topo grid 6 --rows 2 -o matrix | head -n 1)" = '0 1 0 1 0 0' ]
	gfl-topo regular 9 -o json | jq -e 'map(.a, .b) | group_by(.) |
		length == 9 and all(length == 4)'
	gfl-topo random 12 --probability 0.4 -o dot >dot
	grep -qx 'graph gfl {' dot
	grep -qx $'\t[0-9]* -- [0-9]*;' dot
	gfl-topo ring 5 --weights 2:3 -o jsonl | jq -es 'length == 5 and
		all(.weight >= 2 and .weight < 3)'
}

@test "gfl-topo with the same seed makes the same, with another another" {
	for kind in random regular; do
		gfl-topo "$kind" 20 --seed 5 >a
		gfl-topo "$kind" 20 --seed 5 | cmp - a
		! gfl-topo "$kind" 20 --seed 6 | cmp -s - a
	done
}

@test "gfl-topo --bandwidth gives both directions of each edge a speed" {
	gfl-topo ring 4 --bandwidth uniform:1K:1M -o jsonl | jq -es '
		length == 8 and all(.bytes_per_s >= 1024 and
			.bytes_per_s <= 1048576)'
	printf '0 5 6\n7 0 8\n9 4 0\n' >sites
	[ "$(gfl-topo star 3 --bandwidth sites | tr '\t\n' ' ;')" = \
		'1 2 5;1 3 6;2 1 7;3 1 9;' ]
	gfl-topo full 3 --bandwidth sites -o matrix | cmp - sites
	gfl-topo full 3 --bandwidth sites -o dot | grep -qxF \
		$'\t1 -> 2 [label="5"];'
}

@test "gfl-topo refuses what cannot be, in one sentence" {
	fails 2 gfl-topo ring 1
	[[ $said == *'1 is not a number of trainers, 2 to 4096' ]]
	fails 2 gfl-topo ring five
	fails 2 gfl-topo ring
	fails 2 gfl-topo cube 8
	[[ $said == *'no topology is called "cube"'* ]]
	fails 2 gfl-topo regular 5 --degree 3
	[[ $said == *odd* ]]
	fails 2 gfl-topo regular 4 --degree 4
	fails 2 gfl-topo regular 6 --degree 1
	fails 2 gfl-topo grid 10 --rows 3
	[[ $said == *'a grid of 10 cannot have 3 rows' ]]
	fails 1 gfl-topo random 30 --probability 0.001
	[[ $said == *'none was connected'* ]]
	fails 2 gfl-topo random 5 --probability 1.5
	fails 2 gfl-topo ring 4 --weights 3:2
	[[ $said == *'--weights: "3:2" is not LOW:HIGH'* ]]
	fails 2 gfl-topo ring 4 --bandwidth uniform:0:1
	fails 1 gfl-topo ring 4 --bandwidth missing
	[[ $said == *missing* ]]
	printf '0 1\n1 0\n' >small
	fails 2 gfl-topo ring 4 --bandwidth small
	[[ $said == *'2 rows, fewer than 4 trainers' ]]
	fails 2 gfl-topo ring 4 --weights 1:2 --bandwidth small
}

@test "a topology is set as list, matrix or delta, and its version is its index" {
	cluster 1
	gfl-status -F topology_version,topology_edges,bandwidth_version -o tsv |
		grep -qx $'0\t0\t0'
	first=$(gfl-topo ring 4 | topology)
	[ "$(gfl-status -F topology_version,topology_edges -o tsv)" = \
		"$first"$'\t'4 ]
	gfl-list topology | cmp - <(gfl-topo ring 4)
	second=$(echo '1 3 0.5' | topology --delta --base "$first")
	[ "$(gfl-list topology | wc -l)" = 5 ]
	fails 1 gfl-log append topology --delta --base "$first" <(echo 1 2 0)
	[[ $said == *"topology on version $first, which is $second now" ]]
	gfl-topo grid 4 -o matrix | topology --base "$second" --trainers 2,4,6,8
	gfl-list topology | cut -f 1,2 | head -n 1 | grep -qx $'2\t4'
	gfl-topo star 3 -o json | topology -
	gfl-list topology -o json >saved
	echo '[]' | topology -
	[ -z "$(gfl-list topology)" ]
	topology saved
	gfl-list topology | cmp - <(gfl-topo star 3)
	crash n1
	again n1
	gfl-wait leader -t 20
	gfl-list topology | cmp - <(gfl-topo star 3)
}

@test "a topology that is not connected is set, with a warning" {
	cluster 1
	printf '1 2\n3 4\n' | topology - 2>warning
	grep -qx 'gfl-log: warning: the topology leaves 2 parts, which never exchange' \
		warning
	[ "$(gfl-list topology | wc -l)" = 2 ]
}

@test "several topologies and speeds are one entry, of one base version" {
	cluster 1
	edge='{"topology":{"graph":{"edges":[{"a":1,"b":%d}]}}}'
	# shellcheck disable=SC2059
	printf "{\"entries\":[$edge,$edge]}" 2 3 >batch
	version=$(gfl-log append batch batch)
	[ "$(gfl-list topology | wc -l)" = 2 ]
	fails 1 gfl-log append batch batch
	[[ $said == *"topology on version 0, which is $version now" ]]
}

@test "a topology or speeds that make no sense are refused with the reason" {
	cluster 1
	: >empty
	fails 2 gfl-log append topology empty
	[[ $said == *'neither a matrix nor a list is there' ]]
	printf '0 1\n2 0\n' >crooked
	fails 2 gfl-log append topology crooked
	[[ $said == *'not symmetric: 1 from 1 to 2, 2 back' ]]
	printf '1 2\n1 1\n' >loop
	fails 2 gfl-log append topology loop
	[[ $said == *'line 2 links a trainer to itself' ]]
	fails 2 gfl-log append noop --base 3 <(echo '{}')
	echo '1 2 1000' >speeds
	fails 2 gfl-log append bandwidth speeds
	[[ $said == *'a link from 1 to 2 '*'not of two trainers that are attached'* ]]
	[ "$(gfl-status -F topology_version,bandwidth_version -o tsv)" = $'0\t0' ]
}

@test "a value that is no number is no value" {
	for value in nan inf 1e400; do
		fails 2 gfl-log append topology - <<<"1 2 $value"
		[[ $said == *"line 1 has something that is no number"* ]]
	done
}
