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
		"{\"clientId\":\"$id_1\",\"session\":\"$session\"}"
	set_up 1
	told 1
	is '.code == "ACTIVATION"'
	given=$answer
	values 1 10
	update 1
	[ "$code" = 200 ]
	leave 1
}

@test "whoever vanishes while it is admitted is not counted twice" {
	mkfifo came go
	handler look <<-'END'
		[ "$GFL_SENDER" = 1 ] || exit 0
		echo >came
		read -r _ <go
		END
	server --model "$tiny" --rounds 1 --min-participants 2 --sample 1 \
		--on-receive ./look
	set_up 1 10 false
	set_up 2
	told 1
	given=$answer
	hold 1 "$(jq -r .activation <<<"$given")"
	told 2
	second=$answer
	values 3 10
	{ update 1; echo "$code" >status; } 3>&- &
	running[update]=$!
	read -r _ <came
	crash held1
	logged 'event=client_gone client=1 ' >/dev/null
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

@test "strangers fill neither the memory nor the place of who is known" {
	server --model "$tiny" --min-participants 1000000000
	set_up 1
	python3 - "$srv_url/$service/SetUp" <<-'END'
		import json, sys, urllib.error, urllib.request
		def set_up(n):
		    body = {'instanceId': '%032d' % n, 'examples': [1] * 4096}
		    head = {'content-type': 'application/json'}
		    with urllib.request.urlopen(urllib.request.Request(
		            sys.argv[1], json.dumps(body).encode(), head)):
		        pass
		for n in range(2, 257):
		    set_up(n)
		try:
		    set_up(257)
		    sys.exit('more than 2^20 logical clients are taken')
		except urllib.error.HTTPError as e:
		    assert e.code == 429, e.read()
		    assert b'logical clients' in e.read()
		set_up(256) # as often as it likes
		END
	set_up 1
	crash srv
	sqlite3 srv.db 'WITH RECURSIVE n (i) AS (SELECT 300
		UNION ALL SELECT i + 1 FROM n WHERE i < 100043)
		INSERT INTO client SELECT i, printf("%032d", i) FROM n'
	again srv
	set_up 1
	call "$srv_url" $service/SetUp \
		'{"instanceId":"00000000000000000000000000000299","examples":[1]}'
	[ "$code" = 429 ]
	kill -TERM "$srv_pid"
	leave 1
}
