# Participants whom a command leads, by requests that are held: each of them is
# curl and jq.

load helpers

ask=gfl.v1.ParticipantService/Ask

# A command of these lines, for gfl-server.
script() { # NAME
	{ echo '#!/bin/bash'; cat; } >"$1"
	chmod +x "$1"
}

# A file of one array of float32, by its .npy bytes.
array() { # VALUE...
	local value head
	printf -v head "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }\n" $#
	printf '\x93NUMPY\x01\x00'
	printf "\\x$(printf %02x ${#head})\\x00%s" "$head"
	for value; do # 0.5, 1, 2, 3 are all that is needed
		case $value in
		0.5) printf '\x00\x00\x00\x3f' ;;
		1) printf '\x00\x00\x80\x3f' ;;
		2) printf '\x00\x00\x00\x40' ;;
		3) printf '\x00\x00\x40\x40' ;;
		esac
	done
}

lead() { # [OPTION...] - by ./lead
	start srv gfl-server --db srv.db --on-participants ./lead \
		--min-participants 2 -o jsonl "$@"
	export GFL_SERVER=$srv_url
}

# answers REPLY - asks until the work is done, and answers each instruction
# with what jq makes of it.
answers() {
	local body='{}' got
	while got=$(exec $mortal curl -sf -d "$body" -H 'content-type: application/json' \
		"$srv_url/$ask"); do
		body=$(jq -c "{participant} + if .instruction then
			{instruction, answer: (.message.trainConfig | $1)}
			else {} end" <<<"$got")
	done
}

begin() { # NAME REPLY - the same, beside the test
	answers "$2" 3>&- &
	running[$1]=$!
}

# gfl-list has so many participants, each as jq's filter says.
are_there() { # N [FILTER]
	until gfl-list participants -o jsonl |
		jq -se "length == $1 and all(.[]; ${2:-true})" >/dev/null; do :; done
}

@test "a command in the shell leads: what each has answered is averaged" {
	array 1 3 >start.npy
	array 3 3 >other.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		echo "$GFL_PARTICIPANTS $GFL_ANSWERED $GFL_FAILED $GFL_LAST" >>facts
		if [ "$GFL_ROUND" = 1 ]; then
			exec cat start.npy other.npy
		fi
		gfl-model average --out mean.npz $(
			jq -r 'select(.state == "answered").file' lines.$GFL_ROUND)
		exec cat mean.npz
	END
	PATH=$PATH lead --rounds 2
	# one gives back the first array in place of the second, one all
	begin one '{trainResult: {theta: [.theta[0], .theta[0]]}}'
	begin two '{trainResult: .}'
	reap srv
	reap one || true
	reap two || true
	[ "$(cat facts)" = $'2 0 0 \n2 2 0 \n2 2 0 1' ]
	[ ! -s lines.1 ]
	jq -se 'length == 2 and all(.[]; .state == "answered" and .arrays == 2
		and .tries == 1 and .seconds >= 0)' lines.2
	[ "$(jq -s length srv.out)" = 2 ]
	jq -se '.[1] | .round == 2 and .instructed == 2 and .answered == 2
		and .failed == 0' srv.out
	gfl-model convert mean.npz --out mean.st
	[ "$(gfl-model info mean.st -F tensor,min,max)" = \
		$'arr_0\t1\t3\narr_1\t1.5\t3' ]
	[ ! -e srv.db.answers ]
}

@test "the example leads, and goes on where it was" {
	local examples=$BATS_TEST_DIRNAME/../../share/examples

	array 1 >a.npy
	gfl-model convert a.npy --out m.npz
	names=$(gfl-model info m.npz -F tensor)
	[ "$names" != arr_0 ]
	start srv gfl-server --db srv.db --min-participants 1 --rounds 1 \
		--on-participants "$examples/gfl-lead.sh $PWD/m.npz"
	array 3 | base64 -w 0 >b64
	begin one "{trainResult: {theta: [{ndarray: \"$(<b64)\"}]}}"
	reap srv
	reap one || true
	gfl-model convert m.npz --out m.st
	[ "$(gfl-model info m.st -F min,max)" = $'3\t3' ]
	[ "$(gfl-model info m.npz -F tensor)" = "$names" ]
	again srv
	begin one '{failed: "at once"}' # the mean of nothing is the last one
	reap srv
	reap one || true
	gfl-model convert m.npz --out m2.st
	cmp m.st m2.st
}

@test "who answers what does not fit stops nobody of the example" {
	array 1 >a.npy
	gfl-model convert a.npy --out m.npz
	start srv gfl-server --db srv.db --min-participants 3 --rounds 1 \
		--on-participants "$BATS_TEST_DIRNAME/../../share/examples/gfl-lead.sh $PWD/m.npz"
	begin one "{trainResult: {theta: [{ndarray: \"$(array 3 | base64 -w 0)\"}]}}"
	begin two "{trainResult: {theta: [{ndarray: \"$(array 2 2 | base64 -w 0)\"}]}}"
	begin three "{trainResult: {theta: [{ndarray: \"$(printf '\x93NUMPY rubbish' | base64 -w 0)\"}]}}"
	reap srv
	for name in one two three; do reap $name || true; done
	gfl-model convert m.npz --out m.st
	[ "$(gfl-model info m.st -F min,max)" = $'3\t3' ]
}

@test "participants are listed, counted and waited for" {
	array 1 >a.npy
	script lead <<-'END'
		cat a.npy
	END
	lead
	waits_in_vain '2 participants: 0 joined' participants 2
	begin one empty
	gfl-wait participants 1
	[ "$(gfl-list participants -F id,status,answered,via,address)" = \
		$'1\tidle\t0\trequests\t127.0.0.1' ]
	curl -sf "$srv_url/metrics" | grep -x 'gfl_participants 1'
	grep 'event=waiting for_participants=2 there=0' srv.log
	fails 5 gfl-list clients
	[[ $said == *'this server leads participants, and has no model to train'* ]]
	kill "${running[one]}"
	reap one || true
	are_there 0
	try_list=$(gfl-list participants --server http://127.0.0.1:1 2>&1) ||
		[ $? = 3 ]
	[[ $try_list == 'gfl-list: list participants: cannot reach'* ]]
}

@test "gfl-check server and gfl-monitor --server tell who takes part" {
	local status=0
	array 1 >a.npy
	script lead <<-'END'
		cat a.npy
	END
	lead --rounds 0 --round-deadline 3600
	gfl-check server >line || status=$?
	[ "$status" = 2 ]
	grep -E '^CRITICAL - no round has ended for [0-9]+ s, waiting, 0 participants here, 2 needed, 0 gone' line
	gfl-monitor server -o jsonl >seen 2>seen.log 3>&- &
	running[monitor]=$!
	seen() { timeout 60 tail -n +1 -F seen 2>/dev/null | grep -m 1 -E "$1"; }
	seen '"what":"server","event":"waiting"'
	begin one '{trainResult: .}'
	start two gfl-worker --stream --exec cat
	seen '"what":"participant","event":"here"'
	seen '"what":"round","event":"ended","round":[0-9]+,"rounds":null,"loss":null'
	gfl-check server
	printf '%s\n' '< (participants)' '< 2 needed' '< ANSWERED' \
		'> \x03' >steps
	! "$BATS_TEST_DIRNAME"/terminal.py steps gfl-monitor server >screen
	grep -q 'answered in this round' screen
	stop two
	seen '"what":"participant","event":"gone"'
	stop srv
	reap one || true
	seen '"what":"watch","event":"lost"'
	kill "${running[monitor]}"
	reap monitor || [ $? = 143 ]
}

@test "who fails says why, who says nothing is too late" {
	array 2 >a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	lead --round-deadline 3
	call "$srv_url" $ask '{}' & # and never again
	silent=$!
	are_there 1
	begin one '{failed: "no data"}'
	wait $silent
	reap srv
	reap one || true
	jq -se 'length == 2 and all(.[]; .state == "failed" and
		.code == "deadline_exceeded")' lines.2
	jq -se '.[0].error == "participant 1 did not answer in time"' lines.2
	jq -se '.[1].error ==
		"no participant was free in time; one failed: no data"' lines.2
	grep -q 'event=unanswered instruction=1 .*participant 1 did not answer in time' srv.log
}

@test "an instruction that nobody knows is reported so" {
	array 2 >a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	lead --min-participants 1
	begin one '{unkownInstruction: true}'
	reap srv
	reap one || true
	jq -e '.code == "unimplemented" and .error ==
		"participant 1 does not know the instruction"' lines.2
}

@test "a command that cannot lead ends the work with its last words" {
	fails 2 gfl-server --on-participants true --mode async
	[[ $said == *'--mode is for training, and not for --on-participants' ]]
	fails 2 gfl-server --on-participants true --aggregate median
	fails 1 gfl-server --on-participants ./none --db srv.db
	[[ $said == *'--on-participants: ./none: No such file'* ]]
	script lead <<-'END'
		echo 'who are they?' >&2
		exit 3
	END
	lead
	begin one empty
	begin two empty
	reap srv || [ $? = 1 ]
	grep 'gfl-server: round 1: .*/lead exited with status 3: who are they?' \
		srv.log
	reap one || true
	reap two || true
	script lead <<<'echo no array is this long'
	again srv
	begin one empty
	begin two empty
	reap srv || [ $? = 2 ]
	grep 'round 1: .*/lead at byte 0: expected the magic of a .npy file' \
		srv.log
}

@test "a second server does not lead from the first one's files" {
	script lead <<<'exit 0'
	lead
	touch srv.db.answers/1.npz
	fails 7 gfl-server --db srv.db --on-participants ./lead --listen 127.0.0.1:0
	[[ $said == *"srv.db.rounds is in use by process $srv_pid" ]]
	[ -e srv.db.answers/1.npz ]
	crash srv
	again srv
	stop srv
	[ ! -e srv.db.answers ]
}

@test "a command that leads ends with a server that is killed" {
	mkfifo begun
	script lead <<-'END'
		setsid sleep 918276 &
		echo >begun
		wait
	END
	lead --min-participants 1
	call "$srv_url" $ask '{}' &
	asks=$!
	read -r <begun
	crash srv
	wait $asks || true
	nobody 'sleep 918276'
	nobody ./lead
}

@test "a server that trains leads no participants, and says so" {
	start srv gfl-server --db srv.db --model softmax
	export GFL_SERVER=$srv_url
	for come in 'gfl-worker --stream --exec cat' 'gfl-list participants'; do
		fails 5 $come
		[[ $said == *'this server trains a model, and leads no participants'* ]]
	done
}

@test "at TERM participants are told to come back" {
	script lead <<<'cat'
	lead
	call "$srv_url" $ask '{}' &
	asks=$!
	are_there 1
	stop srv
	wait $asks
	grep '"reconnectIn":5' answer
}

# participant NAME CMD... - the example, with its files in NAME
participant() {
	mkdir -p "$1"
	TMPDIR=$PWD/$1 "$BATS_TEST_DIRNAME/../../share/examples/gfl-participant.sh" \
		"$srv_url" "${@:2}" 3>&- 2>"$1.err" &
	running[$1]=$!
}

@test "who is killed at work by requests is noticed, and its answer refused" {
	array 1 >a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	mkfifo begun go
	exec {begun}<>begun
	script hang <<-'END'
		setsid sleep 918277 &
		echo >"$1"/begun
		wait
	END
	script slow <<-'END'
		echo >"$1"/begun
		read -r <"$1"/go
		exec cat
	END
	lead --min-participants 1 --round-deadline 10m
	participant one "$PWD/hang" "$PWD"
	read -r -u "$begun"
	holds 1 # the request that says it works
	participant two "$PWD/slow" "$PWD"
	crash one
	nobody 'sleep 918277'
	read -r -u "$begun"
	jq -c '. + {answer: {failed: "late"}} | del(.working)' one/*/works >late
	call "$srv_url" $ask "$(<late)"
	[ "$code" = 404 ]
	is '.message | test("^the answer to instruction 1 is refused: its participant was taken for gone")'
	curl -sf "$srv_url/metrics" | grep -x 'gfl_participants_late 1'
	echo >go
	reap srv
	reap two
	jq -se 'length == 1 and (.[0] | .participant == 2 and .tries == 2 and
		.state == "answered" and .arrays == 1)' lines.2
}

@test "a participant by requests says why it failed, and ends with the work" {
	array 1 >a.npy
	array 1 3 >>a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" -le 2 ] && exec cat a.npy
		exit 0
	END
	script once <<-'END'
		[ -e "$1" ] && exec cat
		echo >"$1"
		exit 3
	END
	lead --min-participants 1
	participant one "$PWD/once" "$PWD/again"
	reap srv
	reap one
	jq -e '.code == "aborted" and (.error |
		test("^participant 1 failed: .*/once exited with status 3$"))' lines.2
	jq -e '.state == "answered" and .arrays == 2' lines.3
}

# --- by streams: gfl-worker --------------------------------------------------

# worker NAME CMD
worker() {
	start "$1" gfl-worker --stream --exec "$2"
}

@test "workers on streams follow the example, and end when the work is done" {
	local examples=$BATS_TEST_DIRNAME/../../share/examples

	array 1 >a.npy
	gfl-model convert a.npy --out m.npz
	cp "$examples/gfl-lead.sh" lead
	script train <<-'END'
		cat >"in.$$.npz"
		gfl-model convert "in.$$.npz" --out "in.$$.st"
		echo "$GFL_ARRAYS $GFL_COORDINATOR $PYTHONPATH" >>facts
		exec cat three.npy
	END
	array 3 >three.npy
	start srv gfl-server --db srv.db --min-participants 3 --rounds 2 \
		--on-participants "./lead $PWD/m.npz" -o jsonl
	export GFL_SERVER=$srv_url
	export PYTHONPATH=mine
	worker w1 ./train
	worker w2 ./train
	gfl-wait participants 2
	[ "$(gfl-list participants -F status,via)" = $'idle\tstream\nidle\tstream' ]
	worker w3 cat
	for name in srv w1 w2 w3; do reap $name; done
	jq -se 'all(.[]; .answered == 3)' srv.out
	[ "$(sort -u facts)" = "1 $srv_url mine" ]
	gfl-model convert m.npz --out m.st # (3 + 3 + (3 + 3 + 1) / 3) / 3
	[ "$(gfl-model info m.st -F min | cut -c 1-5)" = 2.777 ]
}

@test "what a worker that was killed had begun another one does" {
	array 1 >a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	mkfifo begun
	script hang <<-'END'
		echo >begun
		exec tail --pid=$PPID -f /dev/null
	END
	lead --min-participants 1
	worker w1 ./hang
	read -r <begun
	worker w2 cat
	crash w1
	reap srv
	reap w2
	jq -e '.participant == 2 and .state == "answered" and .tries == 2' lines.2
	grep -q 'event=vanished participant=1$' srv.log
	grep -q 'event=given_again instruction=1 participant=2 try=2' srv.log
}

@test "a worker answers before it stops, and comes back to a server that did" {
	array 1 >a.npy
	script lead <<-'END'
		cat >>lines
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	mkfifo begun go1 go2
	exec {begun}<>begun
	script slow <<-'END'
		echo >begun
		read -r <"$1"
		exec cat
	END
	lead
	worker w1 './slow go1'
	gfl-wait participants 1
	crash srv
	again srv
	worker w2 './slow go2'
	read -r -u "$begun" # one of them, and the other
	read -r -u "$begun"
	kill "$w1_pid" "$w2_pid"
	echo >go1
	echo >go2
	for name in srv w1 w2; do reap $name; done
	jq -se 'length == 2 and all(.[]; .state == "answered")' lines
}

@test "a worker's failure reaches whoever leads" {
	array 1 >a.npy
	script lead <<-'END'
		cat >lines.$GFL_ROUND
		[ "$GFL_ROUND" = 1 ] && exec cat a.npy
		exit 0
	END
	script train <<-'END'
		printf 'out of data: caf\351\n' >&2
		exit 4
	END
	lead --min-participants 1
	worker w1 ./train
	reap srv
	reap w1
	jq -e '.code == "aborted" and (.error |
		test("^participant 1 failed: .*/train exited with status 4: out of data: caf[?]$"))' \
		lines.2
	fails 2 gfl-worker --stream
	[[ $said == *'--stream needs --exec'* ]]
	fails 2 gfl-worker --stream --pull --exec cat
	fails 2 gfl-worker --stream --exec cat --server ftp://127.0.0.1:1
	fails 2 gfl-worker --stream --exec cat --server 127.0.0.1:1,127.0.0.1:2
	[[ $said == *'--server names 2, '* ]]
	start w2 gfl-worker --stream --exec cat --server 127.0.0.1:1
	logged w2 'http://127.0.0.1:1: Connection refused'
}
