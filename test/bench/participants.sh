#!/bin/sh
# participants.sh - participants that a coordinator holds: what each costs it in
# memory, and how long a round of them takes; ours, and one as the first was, by
# Python's grpcio. Prints records.
#
#	participants.sh BUILD
set -eu
here=$(dirname "$0")
. "$here/cluster.sh"
bench=$1/test/bench/participants_bench
rounds=20

private() { # NAME - bytes
	awk '/^RssAnon:/ { print $2 * 1024 }' \
		"/proc/$(cat "$dir/$1.pid")/status"
}

say_held() { # WHOSE N BYTES-BEFORE BYTES [SUFFIX]
	record "participant_bytes${5:-}" "$1" $((($4 - $3) / $2))
	record "participants_per_gb${5:-}" "$1" $((1000000000 * $2 / ($4 - $3)))
}

# The median of a column of seconds, in ms.
say_rounds() { # WHOSE
	record participants_round_ms "$1" "$(sort -g | awk '{ at[NR] = $1 }
		END { print 1000 * at[int((NR + 1) / 2)] }')"
}

ours() { # ARGUMENT... - of gfl-server
	start server gfl-server --db "$dir/server.db" "$@"
	GFL_SERVER=$(url_of server)
	export GFL_SERVER
}

held() { # N [requests] - no round begins
	ours --on-participants true --min-participants $(($1 + 1))
	before=$(private server)
	launch clients "$bench" "$GFL_SERVER" "$@"
	gfl-wait participants "$1" -t 60 >>"$dir/wait.log" 2>&1
	say_held gfl "$1" "$before" "$(private server)" "${2:+_$2}"
	kill "$(cat "$dir/server.pid")"
	wait "$(cat "$dir/server.pid")"
	kill "$(cat "$dir/clients.pid")" 2>/dev/null || :
}

line() { # N - of what the peer prints, once it is there
	until sed -n "${1}p" "$dir/peer.log" | grep .; do
		kill -0 "$(cat "$dir/peer.pid")"
	done
}

peer_held() { # N
	launch peer "$here/participants_grpcio.py" "$1" 0
	port=$(line 1)
	before=$(private peer)
	launch clients "$bench" "http://127.0.0.1:$port" "$1"
	line 2 >/dev/null
	say_held grpcio "$1" "$before" "$(private peer)"
	kill -9 "$(cat "$dir/peer.pid")" "$(cat "$dir/clients.pid")"
	wait "$(cat "$dir/peer.pid")" 2>>"$dir/wait.log" || :
}

round() { # N
	python3 -c 'import sys
sys.stdout.buffer.write(b"\x93NUMPY\x01\x00\x76\x00" +
b"{'"'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"'".ljust(117) +
b"\n" + bytes(16))' >"$dir/array.npy"
	ours --on-participants "cat $dir/array.npy" --min-participants "$1" \
		--rounds $rounds -F seconds
	launch clients "$bench" "$GFL_SERVER" "$1"
	wait "$(cat "$dir/server.pid")"
	sed -n 's/^{"seconds":\(.*\)}$/\1/p' "$dir/server.log" | say_rounds gfl
	launch peer "$here/participants_grpcio.py" "$1" $rounds
	port=$(line 1)
	launch clients "$bench" "http://127.0.0.1:$port" "$1"
	wait "$(cat "$dir/peer.pid")"
	sed 1,2d "$dir/peer.log" | say_rounds grpcio
}

held 5000
held 5000 requests
peer_held 500
round 500
