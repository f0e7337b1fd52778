#!/bin/sh
# tasks.sh - tasks a second through the master. Prints records.
#
#	tasks.sh BUILD [TASKS] [COMMANDS]
#
# tasks: from gfl-submit's first line to its last result, with 10 pull workers
# that have nothing to compute; whatever is acknowledged is on disk. Beside it
# a list in Redis, synced before each answer (appendfsync always), as queues are
# made of it: 10 clients push every task, move each to a list of those at work,
# and then remove it there and push its result; each client has 16 commands on
# the way, where a worker of ours has up to 64 tasks. commands: true, as a task
# of its own, by workers with 10 slots in all, beside GNU parallel -j 10, which
# keeps nothing; both start a process for each.
set -eu
. "$(dirname "$0")/cluster.sh"
build=$1
tasks=${2:-100000}
commands=${3:-1000}

now_us() { echo $(($(date +%s%N) / 1000)); }

check() { # WHO LINES
	[ "$(wc -l <"$dir/results")" = "$2" ] && return
	echo "$1: not every result came" >&2
	exit 1
}

start master gfl-master --db "$dir/master.db"
GFL_MASTER=$(url_of master)
export GFL_MASTER
launch hands "$build/test/bench/task_bench" 10 "$(cat "$dir/master.port")"
hands=$!
seq "$tasks" | sed 's/.*/{"n":&}/' >"$dir/tasks"
used=$(ticks master)
began=$(now_us)
gfl-submit --wait -t 60 -F id,status -o tsv "$dir/tasks" >"$dir/results"
took=$(($(now_us) - began))
used=$(($(ticks master) - used))
check gfl "$tasks"
record tasks gfl $((tasks * 1000000 / took))
record task_us gfl "$(awk -v t="$used" -v n="$tasks" -v hz="$(getconf CLK_TCK)" \
	'BEGIN { print t / hz / n * 1e6 }')"
kill "$hands"

for i in 1 2; do
	start "worker$i" gfl-worker --slots 5 --exec true --no-gpu
done
head -n "$commands" "$dir/tasks" >"$dir/some"
began=$(now_us)
gfl-submit --wait -t 60 -F id,status -o tsv "$dir/some" >"$dir/results"
took=$(($(now_us) - began))
check gfl "$commands"
record commands gfl $((commands * 1000000 / took))
began=$(now_us)
parallel --will-cite -j 10 'true {}; echo {}' <"$dir/some" >"$dir/results"
took=$(($(now_us) - began))
check parallel "$commands"
record commands parallel $((commands * 1000000 / took))
kill "$(cat "$dir/worker1.pid")" "$(cat "$dir/worker2.pid")"

# A socket needs no free port.
launch redis redis-server --port 0 --unixsocket "$dir/redis" --dir "$dir" \
	--appendonly yes --appendfsync always --save ''
until redis-cli -s "$dir/redis" ping >/dev/null 2>&1; do
	kill -0 "$(cat "$dir/redis.pid")"
done
each() { # COMMAND... - for every task
	redis-benchmark -s "$dir/redis" -c 10 -P 16 -n "$tasks" -q "$@" \
		>>"$dir/redis.log"
}
task='{"n":12345}'
began=$(now_us)
each LPUSH todo "$task"
each LMOVE todo doing RIGHT LEFT
each EVAL 'redis.call("LREM", "doing", -1, ARGV[1]) return redis.call("LPUSH", "done", ARGV[1])' 0 "$task"
took=$(($(now_us) - began))
[ "$(redis-cli -s "$dir/redis" LLEN done)" = "$tasks" ]
[ "$(redis-cli -s "$dir/redis" LLEN doing)" = 0 ]
record tasks redis $((tasks * 1000000 / took))
