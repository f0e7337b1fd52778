# Is the cluster well, and what happens in it: gfl-check and gfl-monitor.

load helpers

share=$BATS_TEST_DIRNAME/../../share

# check STATUS ARGUMENT... - one line, that begins with the status's word
check() {
	local words=(OK WARNING CRITICAL UNKNOWN) status=0
	gfl-check "${@:2}" >line 2>err || status=$?
	echo "status $status: $(<line)$(<err)"
	[ "$status" = "$1" ] && [ ! -s err ] && [ "$(wc -l <line)" = 1 ] &&
		[[ $(<line) == "${words[$1]} - "* ]]
}

# Each line of FILE is one of Prometheus' text format.
is_prom() { # FILE
	local label='[a-z_]+="([^"\\]|\\.)*"'
	! grep -vE "^(# HELP [a-z_]+ .+|# TYPE [a-z_]+ gauge|[a-z_]+\{$label(,$label)*\} -?[0-9.e+-]+)\$" "$1" &&
		[ "$(grep -c '^# TYPE' "$1")" = "$(grep -vc '^#' "$1")" ] &&
		grep -q '^gfl_check_status{' "$1"
}

@test "a healthy cluster is OK by every check, with its figures behind the bar" {
	cluster 3
	check 0 nodes -w 2 -c 1
	[[ $(<line) == 'OK - 3 nodes alive | nodes=3;2;1;0 known=3;;;0' ]]
	check 0 nodes
	[[ $(<line) == *'nodes=3;3;2;0 '* ]]
	check 0 leader
	[[ $(<line) == "OK - node $(gfl-leader) leads in term "*leader_time=*s';1;5;0 leader='* ]]
	check 0 gateway
	[[ $(<line) == "OK - gateway $gw_url answers | gateway_time="*' gateways=1;;;0' ]]
	check 0 cluster
	check 0
	[[ $(<line) == *' nodes=3;3;2;0 '*' lag='*' trainers=0;;;0 '*' gateways=1;;;0' ]]
}

@test "too few nodes are a WARNING, or CRITICAL, by the bounds" {
	cluster 3
	crash n3
	check 1 nodes
	[[ $(<line) == 'WARNING - 2 of 3 nodes alive | nodes=2;3;2;0 '* ]]
	check 0 nodes -w 2 -c 2
	check 2 nodes -w 4 -c 3
	check 1 cluster -w 3 -c 1
}

@test "a slow answer is a WARNING, or CRITICAL, by the bounds" {
	cluster 1
	check 1 gateway -w 0 -c 5
	check 2 leader -w 0 -c 0
}

@test "a gateway that is down is CRITICAL by itself, and a WARNING of a cluster that lives" {
	cluster 3
	gfl-list >seen
	stop gw
	check 2 gateway
	[[ $(<line) == *"cannot reach $gw_url: Connection refused | gateways=0;;;0" ]]
	check 1 cluster
	[[ $(<line) == *'3 nodes alive, node '*" leads in term "*"cannot reach $gw_url"* ]]
	check 0 nodes
	check 0 leader
	nobody=http://127.0.0.1:1
	start gw2 gfl-gateway --db gw2.db
	check 1 gateway -g "$nobody,$gw2_url"
	[[ $(<line) == 'WARNING - 1 of 2 gateways answer | '* ]]
}

@test "without a majority the leader is CRITICAL, though a node answers" {
	cluster 3
	left=$(($(gfl-leader) % 3 + 1))
	for id in 1 2 3; do
		[ "$id" = "$left" ] || crash "n$id"
	done
	url=n${left}_url
	check 2 leader --node "${!url}" -t 1
	check 2 nodes --node "${!url}"
	[[ $(<line) == 'CRITICAL - 1 of 3 nodes alive | '* ]]
	check 2 cluster -t 1
}

@test "a cluster that nobody can reach is CRITICAL in every check" {
	for probe in nodes leader gateway cluster; do
		check 2 $probe -g http://127.0.0.1:1
		[[ $(<line) == *'cannot reach http://127.0.0.1:1: Connection refused'* ]]
	done
}

@test "mistakes in usage, and files that cannot be written, are UNKNOWN" {
	fails 3 gfl-check things
	[[ $said == *things*nodes* ]]
	fails 3 gfl-check nodes -w 2 -c 3
	fails 3 gfl-check leader -w 2 -c 1
	fails 3 gfl-check nodes extra
	fails 3 gfl-check nodes -w some
	fails 3 gfl-check gateway -g http://127.0.0.1:1 --out missing/file
	[[ $said == *missing/file* ]]
}

@test "json is one object, with the numbers as they are" {
	cluster 1
	gfl-check -o json >object
	jq -es 'length == 1 and (.[0] | .probe == "cluster" and
		.status == "OK" and .nodes == 1 and .leader_time_s > 0)' object
}

@test "figures for Prometheus are valid, and a file of them is never half written" {
	cluster 1
	gfl-check -o prom >figures
	is_prom figures
	grep -qx "gfl_check_nodes{probe=\"cluster\",gateways=\"$gw_url\"} 1" figures
	gfl-check -o prom --out file.prom >out
	[ ! -s out ]
	is_prom file.prom
	before=$(stat -c %i file.prom)
	status=0
	gfl-check nodes -o prom --out file.prom -g http://127.0.0.1:1 || status=$?
	[ "$status" = 2 ]
	is_prom file.prom
	grep -qE '^gfl_check_status\{probe="nodes",.*\} 2$' file.prom
	[ "$(stat -c %i file.prom)" != "$before" ]
	[ "$(echo file.prom*)" = file.prom ]
}

@test "the lines for cron do what they say" {
	cluster 1
	mkdir textfile
	grep -E '^[^#=]*\* ' "$share/cron/gfl-check.cron" >lines
	[ "$(wc -l <lines)" = 2 ]
	while read -r _ _ _ _ _ user command; do
		[ "$user" = root ]
		sh -c "${command//\/var\/lib\/prometheus\/node-exporter/textfile}" >>out
	done <lines
	[ ! -s out ]
	is_prom textfile/gfl.prom
	last=$(tail -n 1 lines)
	GFL_GATEWAY=http://127.0.0.1:1 sh -c "${last#*root }" >out
	[[ $(<out) == 'CRITICAL - '* ]]
}

@test "the example for node_exporter writes a file for each check" {
	cluster 1
	mkdir textfile
	"$share/examples/gfl-textfile.sh" textfile
	for probe in nodes leader gateway; do
		is_prom "textfile/gfl-$probe.prom"
	done
	status=0
	GFL_GATEWAY=http://127.0.0.1:1 \
		"$share/examples/gfl-textfile.sh" textfile || status=$?
	[ "$status" = 2 ]
}

@test "the events of a cluster are JSON Lines: who is there, and the leader's change after kill -9" {
	cluster 3
	old=$(gfl-leader)
	monitor
	for id in 1 2 3; do
		seen ".what == \"node\" and .event == \"present\" and .node == $id"
	done
	seen ".what == \"leader\" and .event == \"elected\" and .node == $old"
	term=$(jq .term <<<"$answer")
	crash "n$old"
	seen ".what == \"leader\" and .event == \"elected\" and
		.node != $old and .term > $term and (.at | endswith(\"Z\"))"
	kill -TERM "${running[monitor]}"
	reap monitor || [ $? = 143 ]
	[ ! -s monitor.log ]
}

@test "it goes on with another member when the one that it watches dies, and without the gateway" {
	cluster 3
	monitor --node "$n3_url" -g "$gw_url"
	seen ".event == \"connected\" and .role == \"node\" and .url == \"$n3_url\""
	stop gw
	crash n3
	seen ".event == \"lost\" and .role == \"node\" and .url == \"$n3_url\""
	seen '.event == "connected" and .role == "node"'
	seen '.what == "node" and .event == "down" and .node == 3'
	again n3
	seen '.what == "node" and .event == "up" and .node == 3'
}

@test "a watched node that hangs is left for another" {
	cluster 3
	monitor --node "$n3_url" -g "$gw_url"
	seen ".event == \"connected\" and .role == \"node\" and .url == \"$n3_url\""
	kill -STOP "$n3_pid"
	seen ".event == \"lost\" and .role == \"node\" and .url == \"$n3_url\""
	seen ".event == \"connected\" and .role == \"node\" and .url != \"$n3_url\""
	kill -CONT "$n3_pid"
}

@test "the gateway's events are there too: joined, expired, left, and itself lost and back" {
	lease=1 cluster 1
	monitor
	seen '.event == "connected" and .role == "gateway"'
	call "$gw_url" GatewayService/RegisterNode \
		'{"nodeId":7,"url":"http://127.0.0.1:7"}'
	seen '.what == "node" and .event == "joined" and .node == 7'
	seen '.what == "node" and .event == "expired" and .node == 7'
	call "$gw_url" GatewayService/RemoveNode '{"nodeId":7}'
	seen '.what == "node" and .event == "left" and .node == 7'
	crash gw
	seen '.event == "lost" and .role == "gateway"'
	again gw
	seen '.event == "connected" and .role == "gateway"'
}

@test "a trainer that attaches and a run that starts and stops are events" {
	cluster 1
	monitor
	seen '.what == "leader"'
	call "$n1_url" gfl.v1.NodeService/AttachTrainer '{"trainer":{
		"url":"http://127.0.0.1:7",
		"instanceId":"77777777777777777777777777777777"}}'
	is .trainerId
	trainer=$(jq .trainerId <<<"$answer")
	seen '.what == "trainer" and .event == "attached" and .node == 1'
	call "$n1_url" gfl.v1.NodeService/DetachTrainer "{\"trainerId\":$trainer,
		\"instanceId\":\"77777777777777777777777777777777\"}"
	seen '.what == "trainer" and .event == "detached"'
	id=$(gfl-run start --rounds 9)
	seen ".what == \"run\" and .run == $id and .event == \"started\" and
		.rounds == 9"
	gfl-run stop "$id"
	seen ".what == \"run\" and .run == $id and .event == \"stopped\""
}

@test "-n ends after so many events, and a pipe gets no escape sequences" {
	cluster 1
	gfl-monitor -n 3 >three
	[ "$(wc -l <three)" = 3 ]
	jq -es 'length == 3' three
	gfl-monitor -n 3 -o tsv -F what,event >rows
	# of the gateway and of a node, whichever answers first
	[ "$(head -n 1 rows)" = $'watch\tconnected' ]
	grep -qx $'node\tpresent' rows
	! grep $'\033' three rows
}

@test "a reader that leaves ends the monitor by SIGPIPE, silently, though nothing happens" {
	cluster 1
	{
		status=0
		gfl-monitor 2>err || status=$?
		echo "$status" >status
	} | head -n 1 >first
	jq -e '.event == "connected"' first
	[ "$(<status)" = 141 ]
	[ ! -s err ]
}

@test "Ctrl-C ends the live view by that signal, with the terminal as it was" {
	cluster 3
	mkfifo keys
	TERM=xterm script -qefc 'gfl-monitor; echo "left $?"' /dev/null \
		<keys >screen 2>script.err 3>&- &
	running[script]=$!
	exec {keys}>keys
	until grep -q 'follower  *alive' screen; do
		is_child "${running[script]}"
	done
	printf '\003' >&"$keys"
	reap script
	grep -q 'left 130' screen
	grep -qF $'\033[?1049h' screen
	tail -n 2 screen | grep -qF $'\033[?25h\033[?1049l'
	grep -qE 'node [123] leads in term' screen
	grep -q 'ID ROLE' screen
}

@test "Ctrl-Z gives the terminal back until the live view goes on" {
	cluster 1
	mkfifo keys
	TERM=xterm script -qefc 'bash -imc "gfl-monitor; echo held; fg; echo over"' \
		/dev/null <keys >screen 2>script.err 3>&- &
	running[script]=$!
	exec {keys}>keys
	until grep -q 'leader  *alive' screen; do
		is_child "${running[script]}"
	done
	printf '\032' >&"$keys"
	until grep -q held screen; do
		is_child "${running[script]}"
	done
	grep -qF $'\033[?1049l' screen
	until [ "$(grep -oF $'\033[?1049h' screen | wc -l)" = 2 ]; do
		is_child "${running[script]}"
	done
	printf '\003' >&"$keys"
	status=0
	reap script || status=$?
	[ "$status" = 1 ] # bash's own: Ctrl-C ended the list of commands
	[ "$(grep -oF $'\033[?1049l' screen | wc -l)" = 2 ]
}
