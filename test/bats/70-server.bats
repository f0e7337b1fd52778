# A server's synchronous rounds: real trainers, and clients by curl that do what
# no trainer would.

load helpers

data=/usr/share/datasets/fashion-mnist
service=gfl.v1.FlService

server() { # [OPTION...]
	start srv gfl-server --db srv.db -o jsonl "$@"
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

# The server has ended by itself, in order, and so have its trainers.
ends() { # NAME...
	local name
	for name; do reap "$name"; done
}

# --- a client by curl: of 10 parameters ------------------------------------

tiny='input 1 2 2; dense 2'

# set_up N [EXAMPLES] - client N: its id and session in $id_N, $session
set_up() {
	local -n id_=id_$1
	call "$srv_url" $service/SetUp \
		"{\"instanceId\":\"$(printf %032d "$1")\",\"examples\":[${2:-10}],\"active\":true}"
	[ "$code" = 200 ]
	id_=$(jq -r .clientId <<<"$answer")
	session=$(jq -r .session <<<"$answer")
	layout=$(jq -r .layoutHash <<<"$answer")
}

# await N [BUSY] - what client N is told
told() {
	local -n id_=id_$1
	call "$srv_url" $service/Await "{\"clientId\":\"$id_\",
		\"session\":\"$session\",\"busy\":\"${2:-0}\"}"
}

# Begin to hold a request of client N.
hold() { # N [BUSY]
	local -n id_=id_$1
	curl -sS -o "held.$1" -d "{\"clientId\":\"$id_\",
		\"session\":\"$session\",\"busy\":\"${2:-0}\"}" \
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
	local -n id_=id_$1
	local request
	request=$(jq -c --arg id "$id_" --arg session "$session" \
		--arg layout "$layout" --arg ones "$ones" "{
		code: \"PARAMETER_UPDATE\", clientId: \$id, session: \$session,
		activation, round, baseVersion: (.version // \"0\"),
		layoutHash: \$layout, parameters: \"10\", examples: \"10\",
		steps: \"1\", loss: 0.5, crc32c: $ones_crc, values: \$ones
		} | ${2:-.}" <<<"$given")
	call "$srv_url" $service/Update "$request"
}

values() { # VALUE COUNT - $ones and $ones_crc are of these
	read -r ones ones_crc < <(python3 - "$@" <<-'END'
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
	python3 - "$1" <<-'END'
		import struct, sys
		b = open(sys.argv[1], 'rb').read()
		n = 8 + struct.unpack('<Q', b[:8])[0]
		print(*sorted({'%g' % v for v, in struct.iter_unpack('<f', b[n:])}))
		END
}

status() { call "$srv_url" $service/GetStatus '{}' >/dev/null; }

# --- trainers ----------------------------------------------------------------

@test "three passive trainers reach an accuracy, and all end in order" {
	split 3
	server --model mlp --rounds 5 --min-participants 3 --test $data
	for i in 1 2 3; do trainer $i --passive; done
	ends srv t1 t2 t3
	[ "$(rounds .round)" = $'1\n2\n3\n4\n5' ]
	[ "$(rounds .admitted | sort -u)" = 3 ]
	[ "$(rounds .examples | sort -u)" = 60000 ]
	[ "$(rounds .accuracy | tail -n 1 | cut -c 1-4)" \> 0.7 ]
	gfl-model eval srv.safetensors --data $data --part test -o tsv \
		-F accuracy >accuracy
	[ "$(printf %.4f "$(<accuracy)")" = "$(rounds .accuracy | tail -n 1)" ]
	for i in 1 2 3; do grep -q 'event=exit.*all rounds are done' t$i.log; done
}

# --- rounds, exactly -----------------------------------------------------------

@test "a round is the mean of its updates by examples" {
	server --model "$tiny" --rounds 1
	set_up 1
	set_up 2 30
	hold 1
	told 2
	given=$answer
	is '.code == "ACTIVATION" and .round == "1" and .logical == [0]'
	values 1 10
	update 2 '.examples = "30"'
	[ "$code" = 200 ]
	held 1
	given=$answer
	values 5 10
	update 1
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT" and .reason == "all rounds are done"'
	told 2
	is '.code == "EXIT"'
	for i in 1 2; do
		local -n leaver=id_$i
		call "$srv_url" $service/Leave \
			"{\"clientId\":\"$leaver\",\"session\":\"$session\"}"
	done
	ends srv
	# (30 x 1 + 10 x 5) / 40
	[ "$(parameters srv.safetensors)" = 2 ]
}
