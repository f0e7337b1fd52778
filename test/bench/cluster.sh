# cluster.sh - sourced by the benches: processes that end with the script.
#
# $dir is a directory of its own, removed at the end; start NAME PROGRAM... runs
# a daemon of gfl (behind the words of $around) and returns when it serves.
dir=$(mktemp -d "${TMPDIR:-/tmp}/gfl-bench.XXXXXX")
export XDG_STATE_HOME="$dir/state"
pids=

leave() {
	status=$?
	trap - EXIT
	# shellcheck disable=SC2086 # one word a process
	[ -z "$pids" ] || kill -9 $pids 2>/dev/null || :
	wait 2>/dev/null
	[ "$status" = 0 ] || tail -n 3 "$dir"/*.log >&2 || :
	rm -rf "$dir"
	exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

launch() { # NAME PROGRAM ARGUMENT...
	name=$1
	shift
	"$@" </dev/null >"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	pids="$! $pids"
}

start() { # NAME PROGRAM ARGUMENT... - at $port, if that is set
	[ -p "$dir/$1.ready" ] || mkfifo "$dir/$1.ready"
	exec 8<>"$dir/$1.ready"
	name=$1
	shift
	# shellcheck disable=SC2086 # words on purpose
	launch "$name" ${around:-} "$@" --listen "127.0.0.1:${port:-0}" \
		--port-file "$dir/$name.port" --ready-fd 8 --config none
	read -r _ <&8
	exec 8<&-
}

url_of() { echo "http://127.0.0.1:$(cat "$dir/$1.port")"; }

start_nodes() { # N
	start gateway gfl-gateway --db "$dir/gateway.db"
	GFL_GATEWAY=$(url_of gateway)
	export GFL_GATEWAY
	for i in $(seq "$1"); do
		start "node$i" gfl-node --node-id "$i" --db "$dir/node$i.db"
	done
	gfl-wait nodes "$1" -t 30 >>"$dir/wait.log" 2>&1
	gfl-wait leader -t 30 >>"$dir/wait.log" 2>&1
}

ticks() { # NAME... - of CPU that they have used
	for name; do
		sed 's/.*) //' "/proc/$(cat "$dir/$name.pid")/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

# One record of a bench: figure, whose it is, value.
record() { printf '%s\t%s\t%s\n' "$@"; }
