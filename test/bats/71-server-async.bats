# A server without rounds: whoever asks is given the newest model.

load helpers
load server

@test "active and passive trainers reach an accuracy without rounds" {
	split 3
	server --model mlp --mode async --rounds 20 --steps 100 --test $data
	trainer 1 --active
	trainer 2 --active
	trainer 3
	ends srv t1 t2 t3
	[ "$(rounds .round | tail -n 1)" = 20 ]
	[ "$(rounds .admitted | sort -u)" = 1 ]
	[ "$(rounds '.accuracy > 0.5' | tail -n 1)" = true ]
	[ "$(sqlite3 srv.db 'SELECT count(*), max(round) FROM round')" = '20|20' ]
}

@test "what is fresh is mixed with alpha, what is stale with less" {
	zeroed zero.safetensors
	server --model "$tiny" --mode async --rounds 3 --mix 0.5 \
		--staleness hinge:10:0 --init zero.safetensors
	set_up 1
	set_up 2
	told 1
	old=$answer
	told 2
	given=$answer
	values 8 10
	update 2 # 0 + 0.5 (8 - 0)
	[ "$code" = 200 ]
	is '.version == "1"'
	told 2
	given=$answer
	is '.version == "1"'
	values 8 10
	update 2 # 4 + 0.5 (8 - 4)
	[ "$code" = 200 ]
	given=$old
	values 26 10
	update 1 # two versions old: 6 + 0.5 / (10 (2 - 0 + 1)) (26 - 6)
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT"'
	leave 1 2
	[ "$(rounds .staleness | xargs printf '%g ')" = '0 0 2 ' ]
	[ "$(parameters srv.safetensors)" = 6.33333 ]
}

@test "fedbuff mixes each K differences together" {
	zeroed zero.safetensors
	server --model "$tiny" --mode async --rounds 1 --aggregate fedbuff \
		--buffer 2 --staleness constant --server-lr 1 \
		--init zero.safetensors
	set_up 1
	set_up 2
	told 1
	given=$answer
	values 3 10
	update 1 '.code = "GRADIENT_UPDATE"'
	is 'has("version") | not' # version 0 still
	told 1 # the same client may have two of the K
	given=$answer
	is '.version // "0" == "0"'
	values 5 10
	update 1 '.code = "GRADIENT_UPDATE"'
	is '.version == "1"'
	told 1
	is '.code == "EXIT"'
	leave 1 2
	[ "$(parameters srv.safetensors)" = 4 ]
	[ "$(rounds .admitted)" = 2 ]
}

@test "refused without rounds: double, foreign, of no version, not finite" {
	server --model "$tiny" --mode async --rounds 2 --min-participants 1
	set_up 1
	told 1
	given=$answer
	values 1 10
	update 1 '.baseVersion = "7"'
	refused 400 base
	told 1
	given=$answer
	update 1
	[ "$code" = 200 ]
	values 2 10
	update 1
	refused 409 double
	update 1 '.activation = "77"'
	refused 404 foreign
	told 1
	given=$answer
	values inf 10
	update 1
	refused 400 values
	update 1 '.activation = "1"'
	refused 400 late
	kill -TERM "$srv_pid"
	logged event=ending >/dev/null
	told 1
	is '.code == "EXIT" and .reason == "the server was stopped"'
	leave 1
}

@test "a server without rounds that is killed goes on" {
	split 2
	server --model mlp --mode async --rounds 0 --steps 50
	trainer 1 --active
	trainer 2
	logged 'event=round round=5 ' >/dev/null
	crash srv
	again srv
	logged_after event=resumed 'event=round '
	stop srv
	ends t1 t2
	[ "$(sqlite3 srv.db 'SELECT count(*) = max(round) FROM round')" = 1 ]
}

@test "who still trains when the last round is done is told the end" {
	server --model "$tiny" --mode async --rounds 1 --min-participants 1 \
		--silence 0.5 --shutdown-timeout 120
	set_up 1 10 true
	set_up 2 10 false
	told 1
	is '.code == "ACTIVATION"'
	told 2
	given=$answer
	values 1 10
	update 2
	[ "$code" = 200 ]
	logged 'event=client_gone client=2.*not_heard' >/dev/null
	told 1 # which was heard before the other one
	is '.code == "EXIT"'
	leave 1
}

@test "a client that is killed is not waited for without rounds" {
	split 2
	server --model mlp --mode async --rounds 8 --steps 50 \
		--shutdown-timeout 4
	trainer 1
	trainer 2 --active
	logged 'event=round round=2 ' >/dev/null
	crash t2
	ends srv t1
	[ "$(rounds .round | tail -n 1)" = 8 ]
}

@test "without rounds who trains past the deadline is gone, until it is heard" {
	server --model "$tiny" --mode async --rounds 1 --min-participants 1 \
		--silence 0.1 --round-deadline 0.2
	set_up 1
	told 1
	given=$answer
	until gfl-list clients --server "$srv_url" -o tsv -F status |
		grep -qx gone
	do :; done
	values 1 10
	update 1
	[ "$code" = 200 ]
	logged_after event=client_gone event=client_here
	ends srv # and does not wait for it
}

@test "logical clients take turns, each with its own data" {
	split 4
	server --model mlp --rounds 3 --min-participants 4
	start t1 gfl-trainer --server "$srv_url" --db t1.db --data $data \
		--clients 2 --index parts/part-1.idx,parts/part-2.idx
	start t2 gfl-trainer --server "$srv_url" --db t2.db --data $data \
		--clients 2 --index parts/part-3.idx,parts/part-4.idx
	ends srv t1 t2
	[ "$(rounds .admitted | sort -u)" = 4 ]
	[ "$(rounds .examples | sort -u)" = 60000 ]
	grep -q 'event=sent .*logical=1 ' t1.log
}

@test "updates travel compressed, and still teach" {
	split 2
	while read -r bytes how; do
		rm -f srv.db* srv.out t?.db*
		# shellcheck disable=SC2086
		server --model mlp --rounds 4 --steps 200 --test $data $how
		trainer 1
		trainer 2
		ends srv t1 t2
		echo "$how: $(rounds '[.bytes_received, .accuracy] | @csv')"
		[ "$(rounds ".bytes_received < $bytes" | sort -u)" = true ]
		[ "$(rounds '.accuracy > 0.5' | tail -n 1)" = true ]
	done <<-END
		410000 --dtype bf16
		210000 --dtype int8
		180000 --scheme strat --keep 0.2
		210000 --scheme topk --keep 0.2
		60000 --scheme topk --keep 0.1 --dtype int8 --codec zstd
		END
}

# Rounds up to that of one trainer, whose updates are small parts of it.
little() { # ROUNDS
	server --model softmax --rounds "$1" --min-participants 1 --steps 5 \
		--scheme topk --keep 0.01 --dtype bf16 --server-lr 1
	trainer 1
	ends srv t1
}

@test "what has not travelled yet outlives the trainer" {
	split 1
	little 6
	mkdir whole lost
	mv srv.safetensors whole
	rm srv.* t1.*
	little 3
	cp srv.db t1.db t1.own-1.safetensors lost
	little 6
	cmp srv.safetensors whole/srv.safetensors
	! grep own_lost t1.log || return 1
	cp lost/* . # and without it, it would be another model
	rm t1.own-1.safetensors
	little 6
	! cmp srv.safetensors whole/srv.safetensors || return 1
}

@test "a rule that does not fit the mode is refused, and so is a choice" {
	local option
	for option in '--sample 0.5' '--sampler power' '--choices 3' \
		'--fraction 0.5' '--on-round true'; do
		fails 2 gfl-server --db a.db --mode async $option --listen 127.0.0.1:0
		[[ $said == *"${option% *} is for --mode sync"* ]]
	done
	fails 2 gfl-server --db a.db --mode async --aggregate median \
		--listen 127.0.0.1:0
	[[ $said == *'median is for --mode sync'* ]]
	fails 2 gfl-server --db a.db --aggregate fedbuff --listen 127.0.0.1:0
	[[ $said == *'fedbuff is for --mode async'* ]]
}
