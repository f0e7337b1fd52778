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
