#!/bin/sh
# gfl-scenario - start a whole cluster here, put it through something, stop it
#
# Every process is a child of this shell. Each start waits for the newline that
# a daemon writes to --ready-fd, through a pipe that breaks if it dies instead:
# nothing here waits for time.
# shellcheck disable=SC2034 # some variables are for the scenarios
set -u

usage() {
	cat <<'END'
Usage: gfl-scenario [OPTION]... SCENARIO
Start a whole cluster on 127.0.0.1, put it through something, and stop it.

Scenarios:
  demo       4 nodes and 4 trainers learn Fashion-MNIST together; the leader
             is killed on the way
  failover   3 nodes; the leader is killed and started again, several times
  scenario1  2 nodes talk with each other
  scenario2  nodes join, leave and die while messages flow
  scenario3  one message to all nodes, one of which is away
  monitor    gfl-monitor and gfl-check watch a cluster that changes
  resilience gateway, leader and node are lost, then partition
  partition  3 nodes in network namespaces, between which paths break

Options:
  -k, --keep         keep the working directory, which is removed on success
  -n, --times N      failover: how often the leader is killed (default 3)
      --rounds N     demo: rounds of the run (default 400)
      --seed N       demo: of the split and the run (default 1)
      --data DIR     demo: where Fashion-MNIST is
                     (default /usr/share/datasets/fashion-mnist)
  -h, --help         print this and exit
  -V, --version      print the version and exit

Each says what it does, and what held. partition needs to make network
namespaces (unshare -Urnm), and ip and nft; where that is not allowed it fails,
unless GFL_SKIP=netns leaves it out.

Exit status: 0 the scenario held; 1 it did not, and what failed is named;
2 usage; 130 interrupted.
END
}

bin=$(dirname "$(readlink -f "$0")")
PATH=$bin:$PATH
unset GFL_TLS_CERT GFL_TLS_KEY GFL_TLS_CA # of a cluster elsewhere
export LC_ALL=C # awk reads 0.5 as 0 where a comma divides
keep='' times=3 rounds=400 seed=1 data=/usr/share/datasets/fashion-mnist

bad_usage() {
	echo "gfl-scenario: $*" >&2
	echo "gfl-scenario: hint: try gfl-scenario --help" >&2
	exit 2
}

number() { # OPTION VALUE
	case $2 in
	'' | *[!0-9]* | 0) bad_usage "$1 takes a number above 0, not \"$2\"" ;;
	esac
}

scenario=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit ;;
	-V | --version) gfl-list --version | sed s/gfl-list/gfl-scenario/; exit ;;
	-k | --keep) keep=yes ;;
	-n | --times | --rounds | --seed | --data)
		[ $# -gt 1 ] || bad_usage "$1 needs a value"
		case $1 in
		-n | --times) number "$1" "$2"; times=$2 ;;
		--rounds) number "$1" "$2"; rounds=$2 ;;
		--seed) number "$1" "$2"; seed=$2 ;;
		--data) data=$2 ;;
		esac
		shift ;;
	-*) bad_usage "unknown option $1" ;;
	*)
		[ -z "$scenario" ] || bad_usage "one scenario at a time"
		scenario=$1 ;;
	esac
	shift
done

# The scenarios themselves are beside the programs, each in a file of its name.
parts=$bin/../share/gfl/scenario
one_of() {
	printf '%s\n' "$parts"/*.sh | sed 's|.*/||; s|\.sh$||' | paste -sd, |
		sed 's/,/, /g; s/\(.*\), /\1 or /'
}
case $scenario in
'') bad_usage "which scenario: $(one_of)?" ;;
*[!a-z0-9]*) file= ;;
*) file=$parts/$scenario.sh ;;
esac
[ -r "$file" ] || bad_usage "no scenario is called \"$scenario\": $(one_of)"

# --- processes -------------------------------------------------------------

dir='' host='' port='' within='' node_options='' followers='' running='' # names of what runs; the pid of NAME is in $dir/NAME.pid

say() { printf '%s\n' "$*"; }

fail() {
	clear_line
	echo "gfl-scenario: $*" >&2
	echo "gfl-scenario: hint: the logs are in $dir" >&2
	keep=yes
	exit 1
}

pid_of() { cat "$dir/$1.pid"; }

# start NAME PROGRAM ARGUMENT... - returns once it is ready; its port is then in
# $dir/NAME.port, its log in $dir/NAME.log. It listens on $host:$port and is run
# by $within, if those are set. 7 and 8 are the scenarios' own.
start() {
	name=$1
	shift
	rm -f "$dir/$name.ready"
	mkfifo "$dir/$name.ready"
	echo "${host:=127.0.0.1}" >"$dir/$name.host"
	# shellcheck disable=SC2086 # within may be several words, or none
	$within "$@" --listen "$host:${port:-0}" --shutdown-timeout 5 \
		--port-file "$dir/$name.port" --ready-fd 9 --config none \
		9>"$dir/$name.ready" 7<&- 8>&- \
		</dev/null >>"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	running="$running $name"
	read -r _ <"$dir/$name.ready" || {
		tail -n 3 "$dir/$name.log" >&2
		fail "$1 ($name) did not start"
	}
}

url_of() { echo "http://$(cat "$dir/$1.host"):$(cat "$dir/$1.port")"; }

forget() {
	left=
	for one in $running; do
		[ "$one" = "$1" ] || left="$left $one"
	done
	running=$left
}

kill_hard() { # NAME
	kill -9 "$(pid_of "$1")"
	wait "$(pid_of "$1")" 2>/dev/null
	forget "$1"
}

# In order: a node leaves the cluster, and tells the gateway.
stop() { # NAME
	kill "$(pid_of "$1")"
	wait "$(pid_of "$1")" || fail "$1 did not stop in order"
	forget "$1"
}

# Trainers first, the gateway last: the other way round they would all report
# the loss of what they depend on.
stop_all() {
	for kind in trainer node gateway; do
		for one in $running; do
			case $one in $kind*) kill "$(pid_of "$one")" 2>/dev/null ;; esac
		done
		for one in $running; do
			case $one in $kind*) wait "$(pid_of "$one")" 2>/dev/null ;; esac
		done
	done
	running=
}

leave() {
	status=$?
	trap '' INT TERM HUP
	trap - EXIT
	for one in $followers; do
		kill "$one" 2>/dev/null && wait "$one" 2>/dev/null
	done
	stop_all
	if [ -n "$dir" ] && [ -z "$keep" ]; then
		rm -rf "$dir"
	elif [ -n "$dir" ] && [ "$status" = 0 ]; then
		say "logs and models are in $dir"
	fi
	exit "$status"
}

interrupted() {
	clear_line
	echo "gfl-scenario: interrupted; stopping what was started" >&2
	exit 130
}

trap leave EXIT
trap interrupted INT TERM HUP
dir=$(mktemp -d "${TMPDIR:-/tmp}/gfl-$scenario.XXXXXX") || exit 1
export XDG_STATE_HOME="$dir/state"

# --- what scenarios are made of --------------------------------------------

start_gateway() {
	start gateway gfl-gateway --db "$dir/gateway.db"
	gateway=$(url_of gateway)
	export GFL_GATEWAY="$gateway"
}

start_node() { # ID
	# shellcheck disable=SC2086 # node_options may be several words, or none
	start "node$1" gfl-node --node-id "$1" --db "$dir/node$1.db" \
		--gateway "$gateway" $node_options
}

restart_node() { # ID - on the port that it had
	port=$(cat "$dir/node$1.port")
	start_node "$1"
	port=
}

restart_gateway() {
	port=$(cat "$dir/gateway.port")
	start_gateway
	port=
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# expect WHAT COMMAND... - it succeeds, and WHAT is said; else the scenario ends.
expect() {
	what=$1
	shift
	"$@" 2>>"$dir/expect.log" || {
		tail -n 3 "$dir/expect.log" >&2
		fail "it does not hold that $what"
	}
	say "  $what"
}

# ended_with STATUS COMMAND... - it exits so.
ended_with() {
	status=$1
	shift
	"$@" >>"$dir/expect.log"
	[ $? = "$status" ]
}

# prints TEXT COMMAND... - that is all of its output.
prints() {
	wanted=$1
	shift
	[ "$("$@")" = "$wanted" ]
}

# becomes TEXT COMMAND... - that is soon all of its output.
becomes() {
	deadline=$(($(now_ms) + 30000))
	until prints "$@"; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
	done
}

# Until the log of NAME has a line with PATTERN, for half a minute.
says() { # NAME PATTERN
	timeout 30 tail -n +1 -f "$dir/$1.log" | grep -qm 1 -- "$2"
}

# The cluster's leader, in $leader: any, or another than node OTHER. Where cores
# are few it may change between two questions.
find_leader() { # [OTHER]
	deadline=$(($(now_ms) + 30000))
	until
		gfl-wait leader ${1:+--not "$1"} -t 30 2>>"$dir/wait.log" &&
			leader=$(gfl-leader 2>>"$dir/wait.log") &&
			[ "$leader" != "${1-}" ]
	do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "no node came to lead${1:+ after node $1}"
	done
}

start_nodes() { # N
	i=1
	while [ "$i" -le "$1" ]; do
		start_node "$i"
		i=$((i + 1))
	done
	gfl-wait nodes "$1" -t 30 2>>"$dir/wait.log" ||
		fail "the $1 nodes did not all join"
	gfl-wait leader -t 30 2>>"$dir/wait.log" || fail "no node came to lead"
}

# The logs of nodes 1 to N are the same as far as all have committed.
compare_logs() { # N
	common=$(i=1; while [ "$i" -le "$1" ]; do
		gfl-status "$(url_of "node$i")" -o tsv -F commit_index || exit
		i=$((i + 1))
	done | sort -n | head -n 1)
	[ -n "$common" ] || fail "a node does not tell its commit index"
	i=1
	while [ "$i" -le "$1" ]; do
		gfl-log --node "$(url_of "node$i")" --to "$common" -o tsv \
			>"$dir/node$i.entries" || fail "node $i does not show its log"
		[ "$(wc -l <"$dir/node$i.entries")" -gt 0 ] ||
			fail "node $i shows no log"
		cmp -s "$dir/node1.entries" "$dir/node$i.entries" ||
			fail "the logs of nodes 1 and $i differ before entry $common"
		i=$((i + 1))
	done
}

if [ -t 1 ]; then
	progress() { printf '\r%s\033[K' "$*"; }
	clear_line() { printf '\r\033[K'; }
else
	progress() { say "$*"; }
	clear_line() { :; }
fi

# shellcheck source=/dev/null # one of share/scenario
. "$file"
"$scenario"
