#!/bin/sh
# gfl-scenario - start a whole cluster here, put it through something, stop it
#
# Every process is a child of this shell. Each start waits for the newline that
# a daemon writes to --ready-fd, through a pipe that breaks if it dies instead:
# nothing here waits for time.
set -u

usage() {
	cat <<'END'
Usage: gfl-scenario [OPTION]... SCENARIO
Start a whole cluster on 127.0.0.1, put it through something, and stop it.

Scenarios:
  demo       4 nodes and 4 trainers learn Fashion-MNIST together; the leader
             is killed on the way
  failover   3 nodes; the leader is killed and started again, several times

Options:
  -k, --keep         keep the working directory, which is removed on success
  -n, --times N      failover: how often the leader is killed (default 3)
      --rounds N     demo: rounds of the run (default 400)
      --seed N       demo: of the split and the run (default 1)
      --data DIR     demo: where Fashion-MNIST is
                     (default /usr/share/datasets/fashion-mnist)
  -h, --help         print this and exit
  -V, --version      print the version and exit

Exit status: 0 the scenario held; 1 it did not, and what failed is named;
2 usage; 130 interrupted.
END
}

bin=$(dirname "$(readlink -f "$0")")
PATH=$bin:$PATH
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
case $scenario in
demo | failover) ;;
'') bad_usage "which scenario: demo or failover?" ;;
*) bad_usage "no scenario is called \"$scenario\": demo or failover" ;;
esac

# --- processes -------------------------------------------------------------

dir='' running='' # names of what runs; the pid of NAME is in $dir/NAME.pid

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
# $dir/NAME.port, its log in $dir/NAME.log.
start() {
	name=$1
	shift
	rm -f "$dir/$name.ready"
	mkfifo "$dir/$name.ready"
	"$@" --listen "127.0.0.1:${port:-0}" --port-file "$dir/$name.port" \
		--ready-fd 9 --shutdown-timeout 5 --config none \
		9>"$dir/$name.ready" </dev/null >>"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	running="$running $name"
	read -r _ <"$dir/$name.ready" || {
		tail -n 3 "$dir/$name.log" >&2
		fail "$1 ($name) did not start"
	}
}

url_of() { echo "http://127.0.0.1:$(cat "$dir/$1.port")"; }

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
	[ -z "${follower:-}" ] || kill "$follower" 2>/dev/null
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
	start "node$1" gfl-node --node-id "$1" --db "$dir/node$1.db" \
		--gateway "$gateway"
}

restart_node() { # ID - on the port that it had
	port=$(cat "$dir/node$1.port")
	start_node "$1"
	port=
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

# --- failover --------------------------------------------------------------

now_ms() { echo $(($(date +%s%N) / 1000000)); }

failover() {
	start_gateway
	start_nodes 3
	k=1
	while [ "$k" -le "$times" ]; do
		old=$(gfl-leader) || fail "no node leads"
		kill_hard "node$old"
		began=$(now_ms)
		gfl-wait leader --not "$old" -t 10 2>>"$dir/wait.log" ||
			fail "nobody took over from node $old"
		took=$(($(now_ms) - began))
		new=$(gfl-leader) || fail "no node leads"
		say "killed leader $old; node $new leads after $took ms"
		restart_node "$old"
		gfl-wait nodes 3 -t 30 2>>"$dir/wait.log" ||
			fail "node $old did not come back"
		k=$((k + 1))
	done
	compare_logs 3
	say "the logs of all nodes are identical up to entry $common"
}

# --- demo ------------------------------------------------------------------

start_trainer() { # ID
	start "trainer$1" gfl-trainer --db "$dir/trainer$1" \
		--node "$(url_of "node$1")" --data "$data" --test "$data" \
		--index "$dir/split/part-$1.idx" --eval-every 10
}

show_progress() { # ROUND LEADER ACCURACY BYTES
	progress "$(printf 'round %3s/%s  leader %s  mean test accuracy %s  sent %s MB' \
		"$1" "$rounds" "$2" \
		"$(awk -v a="$3" 'BEGIN { if (a == "") print "-"; else printf "%.3f", a }')" \
		"$(awk -v b="$4" 'BEGIN { printf "%.1f", b / 1e6 }')")"
}

# start_run OPTION... - the same training each time; its id in $id
start_run() {
	id=$(gfl-run start --model mlp --rounds "$rounds" --steps 5 --batch 50 \
		--lr 0.02 --momentum 0.9 --keep 0.1 --min-trainers 4 \
		--seed "$seed" "$@") || fail "the run cannot be started"
}

# Kill the leader in the middle; once another leads, start it again.
disturb() { # ROUND
	if [ -z "$killed" ] && [ "$1" -ge $((rounds / 2)) ]; then
		killed=$(gfl-leader) || fail "no node leads at round $1"
		kill_hard "node$killed"
		clear_line
		say "killed the leader, node $killed, at round $1"
	elif [ -n "$killed" ] && [ -z "$back" ]; then
		gfl-wait leader --not "$killed" -t 10 2>>"$dir/wait.log" ||
			fail "nobody took over from node $killed"
		back=$(gfl-leader) || fail "no node leads after node $killed"
		clear_line
		say "node $back leads; starting node $killed again"
		restart_node "$killed"
	fi
}

# watch_run [DISTURBANCE] - show the run until its end.
watch_run() {
	rm -f "$dir/progress"
	mkfifo "$dir/progress"
	# read takes tabs in a row as one, so what may be empty comes last.
	gfl-run show "$id" --follow --every 0.1 -t 10 -o tsv \
		-F state,round,leader,bytes_sent,accuracy \
		>"$dir/progress" 2>>"$dir/wait.log" &
	follower=$!
	shown=-$rounds
	tab=$(printf '\t')
	while IFS="$tab" read -r state round leader sent accuracy; do
		if [ -t 1 ] || [ "$round" -ge $((shown + rounds / 20)) ] ||
			[ "$state" = finished ]; then
			show_progress "$round" "$leader" "$accuracy" "$sent"
			shown=$round
		fi
		if [ "$state" = running ] && [ $# -gt 0 ]; then
			"$1" "$round"
		fi
	done <"$dir/progress"
	clear_line
	wait "$follower" || {
		follower=''
		fail "run $id did not finish: $(tail -n 1 "$dir/wait.log")"
	}
	follower=''
}

# The table of run $id in the file; every trainer must have finished.
table_of_run() { # FILE
	gfl-run show "$id" -o tsv -F \
		trainer,state,accuracy_alone,accuracy,bytes_sent,misses,exchanges,model \
		>"$1" || fail "the table of run $id cannot be read"
	[ "$(wc -l <"$1")" = 4 ] || fail "not all 4 trainers reported on run $id"
	awk -F'\t' '$2 != "finished" { exit 1 }' "$1" ||
		fail "not every trainer finished: $(cut -f1,2 "$1" | tr '\t\n' '  ')"
}

mean_of() { awk -F'\t' '{ s += $4 } END { printf "%.4f", s / NR }' "$1"; }

# The table per trainer, and the checks on it.
results() {
	table_of_run "$dir/together.tsv"
	# shellcheck disable=SC2046 # one word a model; the directory is ours
	gfl-model average --out "$dir/average.safetensors" \
		$(cut -f8 "$dir/together.tsv") >"$dir/average.log" ||
		fail "the models cannot be averaged"
	average=$(gfl-model eval "$dir/average.safetensors" --data "$data" \
		--part test -o tsv -F accuracy) || fail "the average cannot be scored"
	mean=$(mean_of "$dir/together.tsv")
	say
	say "accuracy on the whole test set"
	say 'trainer  before exchange   alone  together  MB sent  exchanges  rested  missed'
	cut -f4 "$dir/alone.tsv" | paste "$dir/together.tsv" - |
		awk -F'\t' -v r="$rounds" '{
		printf "%7d  %15.4f  %6.4f  %8.4f  %7.2f  %9d  %6d  %6d\n",
			$1, $3, $9, $4, $5 / 1e6, $7, r - $7 - $6, $6 }'
	printf '   mean                   %6.4f  %8.4f\n' \
		"$(mean_of "$dir/alone.tsv")" "$mean"
	printf 'average of the models             %8.4f\n\n' "$average"
	compare_bytes
}

compare_bytes() {
	gfl-model info "$dir/average.safetensors" -o tsv -F values \
		>"$dir/values" || fail "the average's parameters cannot be counted"
	parameters=$(awk '{ n += $1 } END { print n }' "$dir/values")
	awk -F'\t' -v n="$parameters" -v r="$rounds" '
		{ sent += $5; ex += $7 }
		END {
			dense = ex * 4 * n; fedavg = 2 * 4 * n * r * NR
			printf "sent in all: %.1f MB; dense exchange would have sent " \
				"%.1f MB (%.1f x), FedAvg %.1f MB (%.1f x)\n",
				sent / 1e6, dense / 1e6, dense / sent,
				fedavg / 1e6, fedavg / sent
		}' "$dir/together.tsv"
}

at_least() { # VALUE LEAST
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'
}

demo() {
	say "a gateway, 4 nodes and 4 trainers on 127.0.0.1"
	start_gateway
	start_nodes 4
	say "Fashion-MNIST, divided by Dirichlet 0.5; examples of each class:"
	gfl-data split --data "$data" --parts 4 --by dirichlet:0.5 \
		--seed "$seed" --out "$dir/split" -o table \
		-F part,examples,c0,c1,c2,c3,c4,c5,c6,c7,c8,c9 ||
		fail "the data cannot be divided"
	for i in 1 2 3 4; do
		start_trainer "$i"
	done
	gfl-wait trainers 4 -t 30 2>>"$dir/wait.log" ||
		fail "the 4 trainers did not all attach"
	say "first each alone, with as many steps, to compare:"
	start_run --policy none
	watch_run
	table_of_run "$dir/alone.tsv"
	first=$(gfl-leader) || fail "no node leads"
	say "now together: 1 parameter in 10 travels, planned by node $first, which leads"
	killed='' back=''
	start_run
	watch_run disturb
	[ -n "$back" ] || fail "the run ended before the leader was killed"
	results
	say
	gfl-run show "$id" --history -o jsonl |
		gfl-plot --x round --y accuracy --by trainer ||
		fail "the curve cannot be drawn"
	say
	gfl-wait nodes 4 -t 30 2>>"$dir/wait.log" ||
		fail "node $killed did not come back"
	compare_logs 4
	[ "$back" != "$first" ] || fail "the leader did not change"
	at_least "$average" 0.80 || fail "the average reached only $average, not 0.80"
	at_least "$mean" 0.70 || fail "the trainers' mean is only $mean, not 0.70"
	say "leader $first, then $back; the logs of all nodes are identical up to entry $common"
}

"$scenario"
