# gfl-scenario: whole clusters that leave nothing behind.

load helpers

left_behind() {
	pgrep -af -- "$PWD/gfl-"
}

scenario() {
	TMPDIR=$PWD gfl-scenario "$@"
}

@test "failover kills the leader, sees another, compares the logs and cleans up" {
	scenario failover -n 1 >out
	grep -qE '^killed leader [123]; node [123] leads after [0-9]+ ms$' out
	grep -qE '^the logs of all nodes are identical up to entry [0-9]+$' out
	run left_behind
	[ "$status" = 1 ]
	[ -z "$(find . -maxdepth 1 -name 'gfl-*')" ]
}

@test "--keep leaves the logs and says where" {
	scenario failover -n 1 --keep >out
	dir=$(sed -n 's/^logs and models are in //p' out)
	[ -s "$dir/node1.log" ]
	run left_behind
	[ "$status" = 1 ]
}

@test "TERM in the middle stops everything it has started, with status 130" {
	mkfifo out
	TMPDIR=$PWD gfl-scenario failover -n 1000 >out 2>err 3>&- &
	running[scenario]=$!
	exec {lines}<out
	read -r -t 60 first <&"$lines"
	[[ $first == "killed leader "* ]]
	left_behind
	kill -TERM "${running[scenario]}"
	status=0
	reap scenario || status=$?
	[ "$status" = 130 ]
	grep -q 'gfl-scenario: interrupted' err
	run left_behind
	[ "$status" = 1 ]
}

@test "what cannot be run is refused in one sentence" {
	fails 2 gfl-scenario
	fails 2 gfl-scenario no-such-thing
	[[ $said == *'no scenario is called "no-such-thing": demo, '*' or scenario3'* ]]
	fails 2 gfl-scenario ../gfl-scenario
	fails 2 gfl-scenario failover -n none
	fails 2 gfl-scenario failover demo
}

@test "a demo without its data fails, and says what is missing" {
	status=0
	TMPDIR=$PWD gfl-scenario demo --data none >out 2>err || status=$?
	[ "$status" = 1 ]
	grep -q '^gfl-.*none' err
	run left_behind
	[ "$status" = 1 ]
}
