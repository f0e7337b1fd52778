#!/bin/sh
# messages.sh - small messages from a sender's node through its outbox, the
# receiver's inbox and a reader that acknowledges them, from the first line sent
# to the last one read, beside mosquitto at QoS 1. Prints records, the CPU time
# of all processes per message among them.
#
#	messages.sh [MESSAGES] [MESSAGES OF MOSQUITTO]
#
# What differs: gfl syncs each batch to disk, twice on its way, before it is
# acknowledged. mosquitto writes its whole store every 1,000 changes and syncs
# nothing, so it may lose what it has acknowledged; but it acknowledges messages
# one by one, each after a trip there and back. mosquitto_pub of Debian 12 loses
# count past 65,535 lines: it is started anew for every 50,000.
set -eu
. "$(dirname "$0")/cluster.sh"
messages=${1:-1000000}
theirs=${2:-100000}
chunk=50000
hz=$(getconf CLK_TCK)

now_us() { echo $(($(date +%s%N) / 1000)); }

# Ticks of the children of this shell that have ended: the clients.
children() { awk '{ print $16 + $17 }' "/proc/$$/stat"; }

check() { # WHO WANTED - what came is what was sent
	if [ "$(cksum <"$dir/got")" != "$(seq "$2" | cksum)" ]; then
		echo "$1: what came is not what was sent" >&2
		exit 1
	fi
}

begin() { # NAME... of daemons
	daemons=$*
	used=$(($(ticks "$@") + $(children)))
	began=$(now_us)
}

end() { # WHO MESSAGES
	took=$(($(now_us) - began))
	# shellcheck disable=SC2086 # a word a daemon
	used=$(($(ticks $daemons) + $(children) - used))
	check "$1" "$2"
	record messages "$1" $(($2 * 1000000 / took))
	record message_us "$1" "$(awk -v t="$used" -v n="$2" -v hz="$hz" \
		'BEGIN { print t / hz / n * 1e6 }')"
}

start_nodes 2
from=$(url_of node1)
begin node1 node2
gfl-recv --node 2 -n "$messages" -t 0 >"$dir/got" &
reader=$!
pids="$reader $pids"
seq "$messages" | gfl-send 2 --via "$from" -l -t 60
wait "$reader"
end gfl "$messages"

# One message a request, from 64 senders at once: what batches are for.
printf '\0\0\0\0\17\12\15\30\2\40\1\52\7message' >"$dir/send"
single=20000
gfl-recv --node 2 -n "$single" -t 0 >"$dir/got" &
reader=$!
pids="$reader $pids"
began=$(now_us)
h2load --h1 -c 64 -n "$single" -H content-type:application/grpc-web+proto \
	-d "$dir/send" "$(url_of node2)/gfl.v1.NodeService/SendMessage" \
	>"$dir/h2load.log"
wait "$reader"
record messages single $((single * 1000000 / ($(now_us) - began)))

# A free port: mosquitto does not tell the one that it was given.
port=$((20000 + $$ % 10000))
while ss -Hltn | grep -q ":$port "; do
	port=$((port + 1))
done
cat >"$dir/mosquitto.conf" <<EOC
listener $port 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location $dir/
autosave_on_changes true
autosave_interval 1000
max_queued_messages 0
max_inflight_messages 1000
EOC
launch mosquitto mosquitto -c "$dir/mosquitto.conf"
theirs() { mosquitto_sub -p "$port" -q 1 -c -i reader -t x "$@"; }
until theirs -E 2>>"$dir/mosquitto_sub.log"; do
	kill -0 "$(cat "$dir/mosquitto.pid")"
done
begin mosquitto
theirs -C "$theirs" >"$dir/got" &
reader=$!
pids="$reader $pids"
first=1
while [ "$first" -le "$theirs" ]; do
	last=$((first + chunk - 1))
	[ "$last" -le "$theirs" ] || last=$theirs
	seq "$first" "$last" | mosquitto_pub -p "$port" -q 1 -t x -l
	first=$((last + 1))
done
wait "$reader"
end mosquitto "$theirs"
