# A server, its trainers, and clients by curl that do what no trainer would.

data=/usr/share/datasets/fashion-mnist
service=gfl.v1.FlService

# Whatever the load clients are there until they leave, but in tests that say
# otherwise.
server() { # [OPTION...]
	start srv gfl-server --db srv.db -o jsonl --silence 600 "$@"
}

trainer() { # NUMBER [OPTION...]
	start "t$1" gfl-trainer --server "$srv_url" --db "t$1.db" \
		--data $data --index "parts/part-$1.idx" "${@:2}"
}

split() { # PARTS
	gfl-data split --data $data --parts "$1" --by dirichlet:0.5 \
		--out parts >/dev/null
}

# Rounds that SERVER has printed, as this jq filter has them.
rounds() { jq -r "$1" srv.out; }

# Until srv.log has a line like this.
logged() { # PATTERN [FILE]
	timeout 60 tail -n +1 -F "${2:-srv.log}" 2>/dev/null | grep -m 1 -E "$1"
}

# Until srv.log has a line like the second after one like the first.
logged_after() { # PATTERN PATTERN [FILE]
	local line before=
	while read -r -t 60 line; do
		if [[ -n $before && $line =~ $2 ]]; then return; fi
		[[ ! $line =~ $1 ]] || before=$line
	done < <(exec timeout 60 tail -n +1 -F "${3:-srv.log}" 2>/dev/null 3>&-)
	return 1
}

# The server has ended by itself, in order, and so have its trainers.
ends() { # NAME...
	local name
	for name; do reap "$name"; done
}

# --- a client by curl: of 10 parameters ------------------------------------

tiny='input 1 2 2; dense 2'

# set_up N [EXAMPLES [ACTIVE [TESTS]]] - client N, with so many examples to train
# and to evaluate on: its id and secret, $id_N, $session_N
set_up() {
	local -n id_=id_$1 session_=session_$1
	call "$srv_url" $service/SetUp \
		"{\"instanceId\":\"$(printf %032d "$1")\",\"examples\":[${2:-10}],\"active\":${3:-true},\"testExamples\":[${4:-0}]}"
	[ "$code" = 200 ] || return 1
	read -r id_ session_ layout < <(jq -r \
		'[.clientId, .session, .layoutHash] | @tsv' <<<"$answer")
}

# await N [BUSY] - what client N is told
told() {
	local -n id_=id_$1 session_=session_$1
	call "$srv_url" $service/Await "{\"clientId\":\"$id_\",
		\"session\":\"$session_\",\"busy\":\"${2:-0}\"}"
}

# Begin to hold a request of client N.
hold() { # N [BUSY]
	local -n id_=id_$1 session_=session_$1
	curl -sS -o "held.$1" -d "{\"clientId\":\"$id_\",
		\"session\":\"$session_\",\"busy\":\"${2:-0}\"}" \
		-H 'content-type: application/json' \
		"$srv_url/$service/Await" 3>&- &
	running[held$1]=$!
}

# The held request of client N was answered, in $answer.
held() {
	reap "held$1"
	answer=$(<"held.$1")
	echo "held $1: $answer"
}

# update N JQ - send what client N has made of its activation in $answer: all
# values are 1, unless the jq filter changes the request.
update() {
	local -n id_=id_$1 session_=session_$1
	local request
	request=$(jq -c --arg id "$id_" --arg session "$session_" \
		--arg layout "$layout" --arg ones "$ones" "{
		code: \"PARAMETER_UPDATE\", clientId: \$id, session: \$session,
		activation, round, baseVersion: (.version // \"0\"),
		layoutHash: \$layout, parameters: \"10\", examples: \"10\",
		steps: \"1\", loss: 0.5, crc32c: $ones_crc, values: \$ones
		} | ${2:-.}" <<<"$given")
	call "$srv_url" $service/Update "$request"
}

# score N JQ - send what client N says of the model in $given.
score() {
	local -n id_=id_$1 session_=session_$1
	local request
	request=$(jq -c --arg id "$id_" --arg session "$session_" "{
		code: \"EVALUATE_PARAMS\", clientId: \$id, session: \$session,
		activation, round, baseVersion: .version,
		score: {examples: \"10\", loss: 0.5, accuracy: 0.75}
		} | ${2:-.}" <<<"$given")
	call "$srv_url" $service/Update "$request"
}

# Clients 1 to COUNT, active ones, are asked for an update, and send it.
round() { # COUNT
	local n
	values 1 10
	for n in $(seq "$1"); do
		told "$n"
		given=$answer
		is '.code == "ACTIVATION"'
		update "$n"
		[ "$code" = 200 ]
	done
}

values() { # VALUE COUNT - $ones and $ones_crc are of these
	[ "${valued-}" != "$*" ] || return 0
	valued=$*
	read -r ones ones_crc < <(python3 -IS - "$@" <<-'END'
		import base64, struct, sys
		b = struct.pack('<f', float(sys.argv[1])) * int(sys.argv[2])
		crc = 0xffffffff
		for byte in b:
		    crc ^= byte
		    for _ in range(8):
		        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
		print(base64.b64encode(b).decode(), crc ^ 0xffffffff)
		END
	)
}

# The values of a model's file, without repetition.
parameters() { # FILE
	python3 -IS - "$1" <<-'END'
		import struct, sys
		b = open(sys.argv[1], 'rb').read()
		n = 8 + struct.unpack('<Q', b[:8])[0]
		print(*sorted({'%g' % v for v, in struct.iter_unpack('<f', b[n:])}))
		END
}

# The first model of $tiny, with all values 0.
zeroed() { # FILE
	gfl-model init --out first.safetensors "$tiny"
	python3 -IS - first.safetensors "$1" <<-'END'
		import struct, sys
		b = open(sys.argv[1], 'rb').read()
		n = 8 + struct.unpack('<Q', b[:8])[0]
		open(sys.argv[2], 'wb').write(b[:n] + bytes(len(b) - n))
		END
}

# The server is told to stop, and its clients, all that are there, leave.
stop_and_leave() { # N...
	kill -TERM "$srv_pid"
	leave "$@"
}

# These clients leave, all that are there, and so the server ends.
leave() { # N...
	local n id session
	for n; do
		id=id_$n session=session_$n
		call "$srv_url" $service/Leave "{\"clientId\":\"${!id}\",
			\"session\":\"${!session}\"}" || true # not needed any more
	done
	ends srv
}


# What is refused, and that it was counted so.
refused() { # HTTP STATUS, REASON
	[ "$code" = "$1" ]
	is ".message | startswith(\"$2: \")"
	curl -sS "$srv_url/metrics" |
		grep -qE "refused_total\{reason=\"$2\"\} [1-9]"
	grep -q "event=update_refused.*reason=$2" srv.log
}
