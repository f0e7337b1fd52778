# What scenarios are made of: daemons that are ready once start returns, calls
# by curl, and what a failure has to look like.
#
# Nothing here waits for time. A daemon writes a newline to --ready-fd once it
# serves, into a pipe that breaks if it dies instead.

# No test may hang for ever; one that gets here has failed.
export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-90}

# Ends with the shell that starts it, however that ends.
export mortal='setpriv --pdeathsig KILL'

# Options of nodes whose leader stays, however busy the machine is.
steady='--min-election-timeout 2000 --max-election-timeout 4000'

declare -gA running=() # pid by name, of what this test started
declare -ga strays=()  # pids of what is nobody's child

setup() {
	cd "$BATS_TEST_TMPDIR"
	export HOME=$PWD XDG_STATE_HOME=$PWD/state XDG_CONFIG_HOME=$PWD/none
	# data sets are unpacked once for all tests
	export XDG_CACHE_HOME=$BATS_RUN_TMPDIR/cache
	local skip=${GFL_SKIP:-} # what the machine cannot do is still skipped
	unset "${!GFL_@}" "${!GOSSIPFL_@}"
	[ -z "$skip" ] || export GFL_SKIP=$skip
}

# A sanitizer's finding in a daemon fails the test, whatever it has seen.
teardown() {
	local name
	for name in "${!running[@]}"; do
		if is_child "${running[$name]}" &&
			kill -KILL "${running[$name]}"; then
			crashed "$name"
		fi
	done
	[ ${#strays[@]} = 0 ] || kill -KILL "${strays[@]}" || :
	if [ -z "$BATS_TEST_COMPLETED" ]; then
		tail -n 25 ./*.log 2>/dev/null || echo 'no daemon has logged'
	fi
	! grep -E 'ERROR: (Address|Leak)Sanitizer|runtime error:' ./*.log \
		2>/dev/null
}

is_child() { # PID
	grep -qsx "PPid:[[:space:]]*$BASHPID" "/proc/$1/status"
}

# The status of NAME, which has ended or will.
reap() {
	local status=0
	wait "${running[$1]}" 2>/dev/null || status=$?
	unset "running[$1]"
	return "$status"
}

# start NAME PROGRAM ARGUMENT... - returns when it is ready, with its address in
# $NAME_port and $NAME_url and its pid in $NAME_pid. Its log is NAME.log.
start() {
	local -n command_=command_$1
	command_=("${@:2}")
	declare -g "$1_port=${port:-0}"
	again "$1"
}

# Start NAME once more as before, on the port that it had.
again() {
	launch "$1"
	ready "$1"
}

launch() { # NAME - without waiting for it
	local -n command_=command_$1 pid_=$1_pid port_=$1_port

	rm -f "$1.ready" "$1.port"
	mkfifo "$1.ready"
	$mortal "${command_[@]}" --listen "127.0.0.1:$port_" --port-file "$1.port" \
		--ready-fd 9 9>"$1.ready" </dev/null >>"$1.out" 2>>"$1.log" \
		3>&- &
	pid_=$!
	running[$1]=$pid_
}

ready() { # NAME
	local -n port_=$1_port url_=$1_url

	read -r _ <"$1.ready" || { echo "$1 did not start"; return 1; }
	# one that has done its work by now has taken the file away
	port_=$(cat "$1.port" 2>/dev/null || echo "$port_")
	url_=${scheme:-http}://127.0.0.1:$port_
}

# TERM: it has to stop in order, with status 0.
stop() { # NAME...
	local name
	for name; do kill -TERM "${running[$name]}"; done
	for name; do reap "$name"; done
}

# kill -9: as a power cut, to a process.
crash() { # NAME
	kill -KILL "${running[$1]}"
	crashed "$1"
}

crashed() { # NAME
	local status=0
	reap "$1" || status=$?
	[ "$status" = 137 ]
}

# Until NAME's log has a line like this.
logged() { # NAME PATTERN
	timeout 60 tail -n +1 -F "$1.log" 2>/dev/null 3>&- | grep -qm 1 -- "$2"
}

# No process has this text in its command line, where a NUL ends each word.
nobody() { # TEXT
	local left end=$((SECONDS + 60)) pattern="[${1:0:1}]${1:1}" # not grep's own
	pattern=${pattern// /.}
	while
		left=$(LC_ALL=C grep -las -- "$pattern" /proc/[0-9]*/cmdline || :)
		[ -n "$left" ]
	do
		[ "$SECONDS" -lt "$end" ] || { echo "$1: $left"; return 1; }
	done
}

# fails STATUS PROGRAM ARGUMENT... - it prints nothing, exits so (STATUS may be
# a pattern), and says why in one sentence, which is then in $said. Hints and a
# daemon's log lines may stand beside it.
fails() {
	local want=$1 status=0 word line sentences=()
	shift
	for word; do [[ $word != gfl-* ]] || break; done
	"$@" >stdout 2>stderr || status=$?
	said=
	while read -r line || [ -n "$line" ]; do
		[[ $line != time=* ]] || continue
		said+=${said:+$'\n'}$line
		[[ $line == "$word: hint: "* ]] || sentences+=("$line")
	done <stderr
	echo "status $status: $said"
	[[ $status == $want ]] && [ ! -s stdout ] &&
		[ ${#sentences[@]} = 1 ] && [[ ${sentences[0]} == "$word: "* ]]
}

# waits_in_vain TEXT CONDITION... - gfl-wait gives up, and says that it waited
# for TEXT; where a machine is too busy for one look in so little time, later.
waits_in_vain() {
	local limit
	for limit in 0.2 1 5; do
		if fails 4 gfl-wait "${@:2}" -t "$limit" &&
			[[ $said == *"waited $limit s for $1"* ]]; then return; fi
	done
	return 1
}

# Until the server at $srv_url holds so many requests.
holds() { # N
	until curl -sf "$srv_url/metrics" | grep -qx "gfl_server_held_calls $1"
	do :; done
}

# call URL SERVICE/METHOD JSON - the answer is in $answer, its HTTP status in
# $code.
call() {
	code=$(curl -sS -o answer -w '%{http_code}' -d "$3" \
		-H 'content-type: application/json' "$1/$2")
	answer=$(<answer)
	echo "$2: $code $answer"
}

# The last answer is as this jq filter says; to nothing jq would say yes.
is() { # FILTER [JQ OPTION...]
	[ -n "$answer" ] && jq -e "${@:2}" "$1" <<<"$answer" >/dev/null
}

# watch URL SERVICE/METHOD JSON - opens a stream, which event reads.
watch() {
	local length
	printf -v length '\\0\\0\\0\\0\\%03o' "${#3}"
	exec {stream}< <(printf "$length%s" "$3" | exec $mortal curl -sSN --data-binary @- \
		-H 'content-type: application/connect+json' "$1/$2" 3>&-)
	running[stream]=$!
}

# The next message of the stream, in $answer: it begins with the first {", after
# the frame's length, and ends when its braces do (no test puts any in a text).
event() {
	local LC_ALL=C part opened closed
	answer=
	while read -r -d '}' -t 30 -u "$stream" part; do
		if [ -n "$answer" ]; then
			answer+=$part}
		elif [[ $part == *'{"'* ]]; then
			answer={\"${part#*'{"'}}
		fi
		opened=${answer//[^\{]/} closed=${answer//[^\}]/}
		[ -z "$opened" ] || [ ${#opened} != ${#closed} ] || break
	done
	echo "event: $answer"
	[ -n "$opened" ] && [ ${#opened} = ${#closed} ]
}

unwatch() {
	kill "${running[stream]}"
	reap stream || [ $? = 143 ]
}

# Read events until one is as this jq filter says.
await() { # FILTER
	while event; do
		if is "$1"; then return 0; fi
	done
	return 1
}

# monitor [ARGUMENT...] - whose events seen reads
monitor() {
	mkfifo events
	$mortal gfl-monitor "$@" >events 2>monitor.log 3>&- &
	running[monitor]=$!
	exec {events}<events
}

# Read events until one is as this jq filter says; it is in $answer.
seen() { # FILTER
	while read -r -t 30 -u "$events" answer; do
		echo "event: $answer"
		if is "$1"; then return 0; fi
	done
	return 1
}

# cluster N [OPTION...] - a gateway gw and nodes n1 to nN, all of them voters.
cluster() {
	local id nodes=$1
	shift
	start gw gfl-gateway --db gw.db --lease "${lease:-15}"
	export GFL_GATEWAY=$gw_url
	for ((id = 1; id <= nodes; id++)); do
		node "$id" "$@"
	done
	[ "$nodes" = 1 ] || gfl-wait voters "$nodes" --node "$n1_url" -t 60 \
		2>>wait.err
	gfl-wait leader -t 30 2>>wait.err
}

node() { # ID [OPTION...]
	start "n$1" gfl-node --node-id "$1" --db "n$1.db" "${@:2}"
}

# The committed entries of node ID, as text that can be compared.
entries() { # ID LAST
	local -n url_=n$1_url
	gfl-log --node "$url_" --to "$2" -o tsv
}

# Node ID has committed all up to INDEX.
committed() { # ID INDEX
	local -n url_=n$1_url
	watch "$url_" gfl.v1.NodeService/ReadLog \
		"{\"from\":\"$2\",\"follow\":true}"
	event
	unwatch
}

# Entries with these indices are committed on these nodes: what a node says of
# itself may come later than what it is told.
all_committed() { # INDEX ID...
	local id
	for id in "${@:2}"; do committed "$id" "$1"; done
}

# What every one of these nodes has committed is the same.
same_logs() { # ID...
	local id commit least=''
	for id; do
		local -n url_=n${id}_url
		commit=$(gfl-status "$url_" -o tsv -F commit_index)
		[ -n "$least" ] && [ "$least" -le "$commit" ] || least=$commit
	done
	for id; do
		entries "$id" "$least" >"entries.$id"
		[ "$(wc -l <"entries.$id")" = "$least" ]
		cmp "entries.$1" "entries.$id"
	done
}

# As somebody whom file modes bind: root has to give that power up.
unprivileged() {
	if [ "$EUID" = 0 ]; then
		setpriv --bounding-set -dac_override,-dac_read_search "$@"
	else
		"$@"
	fi
}

# Milliseconds since some time in the past.
now_ms() { echo "${EPOCHREALTIME/[.,]/}" | sed 's/...$//'; }

# A blob for each of 3 classes, in 4 dimensions, as .npz and as .csv.
write_blobs() {
	/usr/bin/python3 - <<-'end'
		import numpy as np
		centres = np.random.default_rng(1).normal(size=(3, 4)) * 5
		for name, seed in ("train", 2), ("test", 3):
		    r = np.random.default_rng(seed)
		    y = r.integers(0, 3, 90)
		    x = (centres[y] + r.normal(size=(90, 4))).astype("f4")
		    np.savez(name, x=x, y=y)
		    np.savetxt(name + ".csv", np.c_[x, y], "%g", ",")
	end
}
