# Linearizable reads and client sessions, while the leader is stopped, killed or
# cut off.

load helpers

other_than() { # ID
	echo $(($1 % 3 + 1))
}

url_of() { # ID
	local -n url_of_=n$1_url
	echo "$url_of_"
}

append() {
	echo '{}' | gfl-log append noop - "$@"
}

# Everything that reads can be asked to be sure.
read_all() { # URL
	gfl-status "$1" --linearizable -F applied_index "${@:2}"
	gfl-log --node "$1" --linearizable -F index "${@:2}" | tail -n 1
	gfl-leader --node "$1" --linearizable "${@:2}"
	gfl-list trainers --node "$1" --linearizable "${@:2}"
	gfl-list topology --node "$1" --linearizable "${@:2}"
	gfl-list runs --node "$1" --linearizable "${@:2}"
	gfl-list nodes --node "$1" --linearizable -F id,role "${@:2}"
}

@test "a linearizable read has what was acknowledged, whichever node is asked" {
	# shellcheck disable=SC2086 # words on purpose
	cluster 3 $steady
	leader=$(gfl-leader)
	for _ in 1 2 3 4 5; do
		index=$(append)
		for id in 1 2 3; do
			got=$(gfl-status "$(url_of "$id")" --linearizable \
				-F applied_index)
			[ "$got" -ge "$index" ]
			got=$(gfl-log --node "$(url_of "$id")" --linearizable \
				-F index | tail -n 1)
			[ "$got" -ge "$index" ]
		done
	done
	for id in 1 2 3; do
		[ "$(gfl-leader --node "$(url_of "$id")" --linearizable)" = \
			"$leader" ]
		echo "$id 9" | gfl-log append topology
		[ "$(gfl-list topology --linearizable -F a \
			--node "$(url_of $((id % 3 + 1)))")" = "$id" ]
	done
	gfl-list --linearizable -F id,role | sort >roles
	[ "$(grep -c voter roles)" = 2 ]
	grep -qx "$leader"$'\tleader' roles
}

@test "a leader that was stopped answers no linearizable read from what it was" {
	cluster 3
	old=$(gfl-leader)
	url=$(url_of "$old")
	kill -STOP "${running[n$old]}"
	other=$(url_of "$(other_than "$old")")
	gfl-wait leader --not "$old" --node "$other" -t 20 2>>wait.err
	index=$(append --node "$other")
	echo 4 7 | gfl-log append topology --node "$other"
	gfl-status "$url" --linearizable -F applied_index -t 20 >status 3>&- &
	readers=($!)
	gfl-log --node "$url" --linearizable -F index -t 20 >log 3>&- &
	readers+=($!)
	gfl-leader --node "$url" --linearizable -t 20 >leader 3>&- &
	readers+=($!)
	gfl-list topology --node "$url" --linearizable -F b -t 20 >edge 3>&- &
	readers+=($!)
	kill -CONT "${running[n$old]}"
	for pid in "${readers[@]}"; do wait "$pid"; done
	[ "$(<status)" -gt "$index" ]
	[ "$(tail -n 1 log)" -gt "$index" ]
	[ "$(<leader)" != "$old" ]
	[ "$(<edge)" = 7 ]
}

@test "a follower's linearizable read does not wait for a leader that was stopped" {
	cluster 3
	old=$(gfl-leader)
	url=$(url_of "$(other_than "$old")")
	index=$(append)
	kill -STOP "${running[n$old]}"
	# Asked at once, it goes to the old leader first.
	got=$(gfl-status "$url" --linearizable -F applied_index -t 20)
	[ "$got" -ge "$index" ]
	[ "$(gfl-leader --node "$url" --linearizable)" != "$old" ]
	kill -CONT "${running[n$old]}"
}

refused() { # PROGRAM ARGUMENT...
	fails "[45]" "$@" --node "$url" --linearizable -t 0.4
	[[ $said == *'the cluster has no leader' || $said == *'within 0.4 s' ]]
}

@test "without a majority a linearizable read fails in time, and says why" {
	cluster 3
	old=$(gfl-leader)
	index=$(append)
	for id in 1 2 3; do
		[ "$id" = "$old" ] || kill -STOP "${running[n$id]}"
	done
	url=$(url_of "$old")
	# The first is asked while it may still take itself for the leader.
	refused gfl-leader
	for what in leader log status 'list trainers' 'list nodes' \
		'list topology' 'list runs'; do
		# shellcheck disable=SC2086
		refused gfl-$what
	done
	[ "$(gfl-status "$url" -F applied_index)" -ge "$index" ] # as it is
	for id in 1 2 3; do
		[ "$id" = "$old" ] || kill -CONT "${running[n$id]}"
	done
	gfl-wait leader -t 20 2>>wait.err
	read_all "$url" >all
	[ "$(head -n 1 all)" -ge "$index" ]
}

@test "a gateway answers no linearizable read" {
	start gw gfl-gateway --db gw.db
	call "$gw_url" GatewayService/GetNodes '{"linearizable":true}'
	[ "$code" = 400 ]
	is '.code == "failed_precondition" and (.message | test("ask one"))'
}

propose() { # NODE SEQ [CURL OPTION...] - the index is in $index
	call "$(url_of "$1")" gfl.v1.NodeService/Propose '{"client":"77",
		"seq":"'"$2"'","entry":{"topology":{"graph":{"form":"SPARSE",
		"edges":[{"a":1,"b":2}]}}}}'
	index=$(jq -r .index <<<"$answer")
}

# How often the log of node ID has a topology.
times() { # ID
	gfl-log --node "$(url_of "$1")" --linearizable -F kind | grep -c topology
}

@test "a proposal whose leader is stopped goes to the next one, and is applied once" {
	cluster 3
	old=$(gfl-leader)
	other=$(other_than "$old")
	kill -STOP "${running[n$old]}"
	propose "$other" 1 # it forwards to the old leader, then to the new one
	[ "$code" = 200 ]
	first=$index
	kill -CONT "${running[n$old]}"
	for id in 1 2 3; do
		propose "$id" 1
		[ "$index" = "$first" ]
		[ "$(times "$id")" = 1 ]
	done
}

@test "gfl-log append asks again where nobody answers, and appends once" {
	cluster 3
	old=$(gfl-leader)
	kill -STOP "${running[n$old]}"
	version=$(gfl-topo ring 3 | gfl-log append topology -t 20)
	kill -CONT "${running[n$old]}" # which has the request, too
	for id in "$old" 1 2 3; do
		[ "$(times "$id")" = 1 ]
	done
	[ "$(gfl-status -F topology_version --linearizable)" = "$version" ]
}

@test "a proposal is applied once over kill -9 of leaders, a snapshot and restarts" {
	export GFL_SNAPSHOT_AFTER=1K
	cluster 3
	propose 1 1
	first=$index
	for _ in 1 2; do
		old=$(gfl-leader)
		crash "n$old"
		other=$(other_than "$old")
		gfl-wait leader --not "$old" --node "$(url_of "$other")" \
			-t 20 2>>wait.err
		propose "$other" 1
		[ "$index" = "$first" ]
		for _ in {1..15}; do append --node "$(url_of "$other")" >last; done
		again "n$old"
		propose "$old" 1
		[ "$index" = "$first" ]
	done
	for id in 1 2 3; do crash "n$id"; done
	for id in 1 2 3; do launch "n$id"; done
	for id in 1 2 3; do ready "n$id"; done
	gfl-wait leader -t 20 2>>wait.err
	for id in 1 2 3; do
		propose "$id" 1
		[ "$index" = "$first" ]
	done
	[ "$(gfl-status -F topology_version --linearizable)" = "$first" ]
	propose 1 2
	[ "$index" -gt "$(<last)" ]
	propose 1 1 # older than the newest that its session has had
	[ "$code" != 200 ] || [ "$index" = "$first" ]
}

@test "what a leader may have done is not said to be undone" {
	cluster 3
	old=$(gfl-leader)
	this=$(other_than "$old")
	kill -STOP "${running[n$old]}" "${running[n$(other_than "$this")]}"
	fails 4 gfl-log append noop - --node "$(url_of "$this")" -t 1 <<<"{}"
	[[ $said == *"may be done yet"* || $said == *"no answer from"* ]]
	kill -CONT "${running[n$old]}" "${running[n$(other_than "$this")]}"
	append -t 20
}
