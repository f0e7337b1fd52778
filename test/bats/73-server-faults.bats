# What may go wrong at a server, and what a stranger may do to it.

load helpers
load server

handler() { # NAME - from standard input
	{ echo '#!/bin/bash'; cat; } >"$1"
	chmod +x "$1"
}

@test "a client that left in the middle of its work is given more when it is back" {
	server --model "$tiny" --mode async --rounds 1 --min-participants 1
	set_up 1
	told 1
	is '.code == "ACTIVATION"'
	call "$srv_url" $service/Leave \
		"{\"clientId\":\"$id_1\",\"session\":\"$session_1\"}"
	set_up 1
	told 1
	is '.code == "ACTIVATION"'
	given=$answer
	values 1 10
	update 1
	[ "$code" = 200 ]
	leave 1
}

@test "of a client's reason to leave the log has a line" {
	server --model "$tiny"
	set_up 1
	call "$srv_url" $service/Leave "{\"clientId\":\"$id_1\",
		\"session\":\"$session_1\",\"reason\":\"$(printf %050000d 1)\"}"
	[ "$code" = 200 ]
	[ "$(logged event=client_gone | wc -c)" -lt 500 ]
	stop srv
}

@test "whoever vanishes while it is admitted is not counted twice" {
	mkfifo came go
	handler look <<-'END'
		[ "$GFL_SENDER" = 1 ] || exit 0
		echo >came
		read -r _ <go
		END
	server --model "$tiny" --rounds 1 --min-participants 2 --sample 1 \
		--on-receive ./look --silence 2
	set_up 1 10 false
	set_up 2
	values 3 10
	hold 2
	told 1
	given=$answer
	hold 1 "$(jq -r .activation <<<"$given")"
	held 2
	holds 1
	second=$answer
	before=$(grep -c 'client_gone client=1 ' srv.log) || true
	{ update 1; echo "$code" >status; } 3>&- &
	running[update]=$!
	read -r _ <came
	crash held1
	until [ "$(grep -c 'client_gone client=1 ' srv.log)" -gt "$before" ]
	do :; done
	echo >go
	reap update
	[ "$(<status)" = 200 ]
	given=$second
	values 5 10
	update 2
	[ "$code" = 200 ]
	leave 2
	[ "$(rounds '[.activated, .admitted] | @csv')" = 2,2 ]
}

@test "what comes again while it is admitted is no double" {
	mkfifo came go
	handler look <<-'END'
		echo >came
		read -r _ <go
	END
	server --model "$tiny" --rounds 1 --min-participants 1 \
		--on-receive ./look --clients-eval-every 1
	set_up 1 10 true 10
	told 1
	given=$answer
	values 3 10
	for what in update score; do
		{ $what 1; echo "$code" >first; } 3>&- &
		running[first]=$!
		read -r _ <came
		$what 1 # by another connection, since that one broke
		[ "$code" = 429 ]
		echo >go
		reap first
		[ "$(<first)" = 200 ]
		told 1
		given=$answer
	done
	is '.code == "EXIT"'
	! grep -q 'reason=double' srv.log
	leave 1
	[ "$(rounds '[.admitted, .refused, .eval_answered] | @csv')" = 1,0,1 ]
}

@test "the last model has what was being admitted when the server was stopped" {
	zeroed zero.safetensors
	mkfifo came go
	handler look <<-'END'
		echo >came
		read -r _ <go
		END
	server --model "$tiny" --mode async --mix 0.5 --min-participants 1 \
		--init zero.safetensors --on-receive ./look
	set_up 1
	told 1
	given=$answer
	values 8 10
	{ update 1; echo "$code" >status; } 3>&- &
	running[update]=$!
	read -r _ <came
	kill -TERM "$srv_pid"
	logged event=ending >/dev/null
	told 1
	is '.code == "EXIT"'
	echo >go
	reap update
	[ "$(<status)" = 200 ]
	leave 1
	[ "$(rounds '[.round, .admitted, .examples, .loss] | @csv')" = 1,1,10,0.5 ]
	[ "$(parameters srv.safetensors)" = 4 ]
}

@test "nobody acts as another client, and a session set up anew ends the old" {
	local method session_3 id_3 old
	server --model "$tiny" --rounds 1
	set_up 1
	set_up 2
	old=$session_1
	[ "$session_1" != "$session_2" ]
	call "$srv_url" $service/GetStatus '{}'
	[[ $answer != *"$session_1"* && $answer != *session* ]]
	hold 2
	told 1
	given=$answer
	values 1 10
	id_3=$id_1
	for session_3 in "$session_2" '' "${session_1:0:31}" "${session_1}0"; do
		for method in Await Leave; do
			call "$srv_url" $service/$method "{
				\"clientId\":\"$id_3\",
				\"session\":\"$session_3\"}"
			[ "$code" = 401 ]
			[[ $answer == *'not the session of client 1'* ]]
		done
		update 3
		refused 401 session
	done
	curl -sS "$srv_url/metrics" | grep -q 'sessions_refused_total 12'
	grep -q 'event=session_refused client=1 address=127.0.0.1' srv.log
	hold 1 "$(jq -r .activation <<<"$given")"
	holds 1
	set_up 1 # again; what it was given is still its own
	held 1 # at once
	is '.code == "unauthenticated" and .message == "client 1 was set up anew"'
	[ "$session_1" != "$old" ]
	session_3=$old
	update 3
	refused 401 session
	told 1
	[ "$(jq .activation <<<"$answer")" = "$(jq .activation <<<"$given")" ]
	update 1
	[ "$code" = 200 ]
	held 2
	given=$answer
	update 2
	[ "$code" = 200 ]
	leave 1 2
	[ "$(rounds '[.admitted, .refused] | @csv')" = 2,5 ]
	! grep -F -e "$session_1" -e "$session_2" -e "$old" srv.log || return 1
}

@test "a trainer whose place somebody has taken takes it back" {
	split 2
	server --model mlp --rounds 0 --steps 20
	trainer 1
	trainer 2
	logged 'event=round round=2 ' >/dev/null
	call "$srv_url" $service/SetUp "{\"examples\":[10],\"instanceId\":
		\"$(sqlite3 t1.db 'SELECT instance_id FROM me')\"}"
	[ "$code" = 200 ]
	logged_after event=session_lost event=sent t1.log
	stop srv
	ends t1 t2
}

@test "an instance is of the certificate that has set it up" {
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-certs.sh certs lab \
		server/1 trainer/{1,2}
	local scheme=https mine
	mine='{"instanceId":"00000000000000000000000000000001","examples":[1]}'
	as() { # TRAINER
		echo "cacert = certs/ca.pem" >.curlrc
		[ -z "$1" ] || printf '%s = certs/trainer-%s.%s\n' \
			cert "$1" pem key "$1" key >>.curlrc
	}
	as 1
	server --model "$tiny" --tls-ca certs/ca.pem \
		--tls-cert certs/server-1.pem --tls-key certs/server-1.key \
		--silence 0.1
	call "$srv_url" $service/SetUp "$mine"
	[ "$code" = 200 ]
	as 2
	call "$srv_url" $service/SetUp "$mine"
	[ "$code" = 403 ]
	is '.message | test("that of lab/trainer/1, not of lab/trainer/2")'
	as ''
	call "$srv_url" $service/SetUp "$mine"
	[ "$code" = 401 ]
	as 1
	call "$srv_url" $service/SetUp "$mine"
	[ "$code" = 200 ]
	stop srv
}

@test "strangers fill neither the memory nor the place of who is known" {
	server --model "$tiny" --min-participants 1 --sample 1 --rounds 0 \
		--silence 2
	set_up 1
	told 1
	given=$answer
	values 1 10
	update 1
	[ "$code" = 200 ]
	logged 'event=round round=1 ' >/dev/null
	python3 - "$srv_url/$service/SetUp" <<-'END'
		import json, sys, urllib.error, urllib.request
		def set_up(n):
		    body = {'instanceId': '%032d' % n, 'examples': [1] * 4096}
		    head = {'content-type': 'application/json'}
		    with urllib.request.urlopen(urllib.request.Request(
		            sys.argv[1], json.dumps(body).encode(), head)) as r:
		        return json.load(r)
		for n in range(2, 300):
		    set_up(n)
		END
	curl -sS "$srv_url/metrics" | grep -q 'known_clients 256'
	curl -sS "$srv_url/metrics" | grep -q 'forgotten_clients_total 43'
	told 1
	is '.code != "EXIT"'
	[ "$(gfl-list clients --server "$srv_url" -o tsv -F id,accepted |
		head -n 1)" = $'1\t1' ]
	# nobody of them is on the disk
	[ "$(sqlite3 srv.db 'SELECT id FROM client')" = 1 ]
	stop_and_leave 1
}

# n instances set up, and ask if told so.
invent() { # FROM TO [ASK]
	python3 - "$srv_url/$service" "$@" <<-'END'
		import http.client, json, sys
		from urllib.parse import urlparse
		url = urlparse(sys.argv[1])
		link = http.client.HTTPConnection(url.netloc)
		counts = {}
		def call(method, **body):
		    link.request('POST', url.path + '/' + method,
		                 json.dumps(body),
		                 {'content-type': 'application/json'})
		    r = link.getresponse()
		    counts[r.status] = counts.get(r.status, 0) + 1
		    return r.status, json.load(r)
		for n in range(int(sys.argv[2]), int(sys.argv[3])):
		    code, a = call('SetUp', instanceId='%032d' % n,
		                   examples=[1])
		    if code == 200 and len(sys.argv) > 4:
		        call('Await', clientId=a['clientId'],
		             session=a['session'], holdMs=1)
		print(*('%d:%d' % x for x in sorted(counts.items())))
		END
}

@test "thousands of invented clients drive out none who has sent anything" {
	server --model "$tiny" --mode async --min-participants 1 --rounds 0 \
		--max-clients 30 --silence 2
	for i in 1 2; do
		set_up $i
		told $i
		given=$answer
		values 1 10
		update $i
		[ "$code" = 200 ]
	done
	[ "$(invent 1000 2500)" = 200:1500 ] # silent: each for the next one
	curl -sS "$srv_url/metrics" | grep -q 'known_clients 30'
	set_up 3
	told 3 # in the place of one of them
	is '.code == "ACTIVATION"'
	given=$answer
	update 3
	[ "$code" = 200 ]
	# who asks too stays as long as it does, and others are told to wait
	invent 20000 20060 ask >counts
	grep -q 429: counts
	call "$srv_url" $service/SetUp \
		"{\"instanceId\":\"$(printf %032d 77)\",\"examples\":[1]}"
	[[ $code == 200 || $answer == *"max-clients 30 "* ]]
	until call "$srv_url" $service/SetUp \
		"{\"instanceId\":\"$(printf %032d 77)\",\"examples\":[1]}" &&
		[ "$code" = 200 ]; do :; done
	for i in 1 2 3; do
		told $i
		is '.code == "ACTIVATION"'
		given=$answer
		update $i
		[ "$code" = 200 ]
	done
	[ "$(sqlite3 srv.db 'SELECT group_concat(id) FROM client
		WHERE accepted > 0')" = "$id_1,$id_2,$id_3" ]
	stop_and_leave 1 2 3
}

@test "what was refused of whom and why is seen, and outlives the server" {
	server --model "$tiny" --min-participants 1 --rounds 0 --sample 1
	set_up 1
	values 1 10
	for how in . '.examples = "11"' '.crc32c = 1' .; do
		told 1
		given=$answer
		update 1 "$how"
	done
	update 1 '.session = "0"'
	logged 'event=round round=2 ' >/dev/null
	crash srv
	again srv
	reasons() {
		gfl-list clients --server "$srv_url" -o tsv \
			-F id,accepted,refused,refused_for
	}
	[ "$(reasons)" = $'1\t2\t2\tmalformed 1, damaged 1' ]
	set_up 1
	[ "$id_1" = 1 ]
	told 1
	given=$answer
	update 1 '.steps = "0"'
	[ "$(reasons)" = $'1\t2\t3\tmalformed 2, damaged 1' ]
	curl -sS "$srv_url/metrics" >metrics
	grep -qF 'updates_refused_total{reason="malformed"} 2' metrics
	grep -qF 'client_refused_total{client="1",reason="malformed"} 2' metrics
	stop_and_leave 1
	[ "$(sqlite3 srv.db "SELECT updates FROM refused
		WHERE client = 1 AND reason = 'malformed'")" = 2 ]
}

# The server goes on with the model that it has.
@test "a huge update is refused by name, and the round goes on without it" {
	zeroed zero.safetensors
	local how
	for how in 'fedadam' 'fedavgm --server-lr 10' 'fedavg --server-lr 2' \
		'feddyn' 'fedasync --mode async' \
		'fedbuff --mode async --buffer 2'; do
		rm -f srv.db* srv.out srv.log
		# shellcheck disable=SC2086
		server --model "$tiny" --rounds 1 --min-participants 1 \
			--init zero.safetensors --aggregate $how
		set_up 1
		told 1
		given=$answer
		local code_as=.
		[[ $how != fedbuff* ]] || code_as='.code = "GRADIENT_UPDATE"'
		values 3.4e38 10
		update 1 "$code_as"
		refused 400 values
		[[ $answer == *'client 1: a value is beyond'* ]]
		values 1 10
		until told 1; given=$answer; is '.code == "EXIT"'; do
			update 1 "$code_as"
		done
		leave 1
		[ "$(rounds .round)" = 1 ]
	done
}

@test "a model that nobody can train from ends neither server nor trainer" {
	split 1
	server --model softmax --rounds 0 --min-participants 1 --steps 2
	trainer 1
	logged 'event=round round=1 ' >/dev/null
	stop srv
	ends t1
	python3 - srv.safetensors huge.safetensors <<-'END'
		import struct, sys
		b = open(sys.argv[1], 'rb').read()
		n = 8 + struct.unpack('<Q', b[:8])[0]
		huge = struct.pack('<f', 3e38) * ((len(b) - n) // 4)
		open(sys.argv[2], 'wb').write(b[:n] + huge)
		END
	rm srv.db*
	server --model softmax --rounds 0 --min-participants 1 --steps 2 \
		--init huge.safetensors
	trainer 1
	logged 'event=update_refused client=1 .*could not train' >/dev/null
	logged event=not_trained t1.log >/dev/null
	logged event=round_void >/dev/null
	stop srv
	ends t1
}

@test "a next model that is not finite voids the round, and ends nothing" {
	zeroed zero.safetensors
	local mode
	for mode in sync async; do
		rm -f srv.db* srv.out srv.log
		server --model "$tiny" --rounds 9 --min-participants 1 \
			--mode $mode --server-lr 1000000 --init zero.safetensors
		set_up 1
		values 1e12 10
		until grep -q 'event=round_void round=5 .*not finite' srv.log; do
			told 1
			given=$answer
			is '.code == "ACTIVATION"'
			update 1
		done
		[ "$(rounds .round)" = $'1\n2\n3\n4' ]
		curl -sS "$srv_url/metrics" |
			grep -q 'rounds_void_total [1-9]'
		told 1
		is '.code == "ACTIVATION" and .version == "4"'
		stop_and_leave 1
		gfl-model info srv.safetensors -o tsv >/dev/null
	done
}

@test "what was begun for one server ends as it began, whatever the next one wants" {
	split 2
	server --model mlp --steps 4000 --rounds 1 --min-participants 1
	trainer 1
	until curl -sS "$t1_url/metrics" |
		grep -qE '^gfl_trainer_received_bytes_total [1-9]'; do
		kill -0 "$t1_pid"
	done
	crash srv
	port=$srv_port start next gfl-server --db next.db -o jsonl --model mlp \
		--aggregate scaffold --rounds 2 --steps 1 --min-participants 1
	ends next t1
	[ "$(jq -r .admitted next.out)" = $'1\n1' ]
}
