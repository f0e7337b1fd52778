# What a server says of a round it has on its disk: nothing that was told before
# a kill -9 is undone by it.

load helpers
load server

# A server whose disk may be told to take a minute for each sync, from the next
# one on.
on_slow_disk() { # [OPTION...]
	local power=$(dirname "$(command -v gfl)")/../test/chaos/power.so
	[ -e "$power" ] || { echo "$power: make check-bats builds it"; return 1; }
	mkdir -p live shadow
	disk_takes '\0\0\0\0'
	start srv env LD_PRELOAD="$power" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		POWER_LIVE="$PWD/live" POWER_SHADOW="$PWD/shadow" \
		POWER_CONTROL="$PWD/power" gfl-server --db live/node.db -o jsonl \
		--silence 600 --model "$tiny" --min-participants 1 "$@"
}

disk_takes() { # BYTES of the milliseconds
	[ -e power ] || head -c 24 /dev/zero >power
	printf "$1" | dd of=power conv=notrunc status=none
}

# What the disk has not been told to keep is gone, and it is fast again.
power_loss() {
	disk_takes '\0\0\0\0'
	crash srv
	rm -f live/*
	cp shadow/* live/
}

status() { call "$srv_url" $service/GetStatus '{}'; }

# Until the server has made the round's model.
made() {
	local state
	until status && state=$(jq -r .state <<<"$answer") &&
		[[ $state != training && $state != closing ]]
	do :; done
}

# What it does not tell while a round's model is on its way to the disk.
untold() {
	is '(.round // "0") == "0" and (.version // "0") == "0" and .loss == null
		and .accuracy == null and .evaluation == null'
	[ ! -s srv.out ]
	curl -sS "$srv_url/metrics" >metrics
	grep -qx 'gfl_server_rounds_total 0' metrics
	! grep -q 'gfl_server_loss\|gfl_server_clients_loss' metrics
	! grep -q 'event=\(round\|evaluation\|ending\|saved\) ' srv.log
}

@test "the last round ends nothing before it is durable" {
	on_slow_disk --rounds 1
	set_up 1
	told 1
	given=$answer
	values 1 10
	disk_takes '\140\352\0\0'
	update 1
	[ "$code" = 200 ]
	is '(.version // "0") == "0"'
	made
	untold
	[ -z "$(compgen -G 'live/*.safetensors*')" ]
	call "$srv_url" $service/Await "{\"clientId\":\"$id_1\",
		\"session\":\"$session_1\",\"holdMs\":\"1\"}"
	is '.code != "EXIT"'
	power_loss
	again srv
	set_up 1
	round 1
	told 1
	is '.code == "EXIT"'
	leave 1
	[ "$(rounds .round)" = 1 ]
}

@test "what clients say of a round is not told before the round is durable" {
	on_slow_disk --rounds 2 --clients-eval-every 1
	set_up 1 10 true 10
	told 1
	given=$answer
	values 1 10
	disk_takes '\140\352\0\0'
	update 1
	[ "$code" = 200 ]
	made
	told 1
	is '.code == "EVALUATE_PARAMS"'
	given=$answer
	score 1
	[ "$code" = 200 ]
	status
	is '.state == "evaluating"'
	untold
	power_loss
	again srv
	status
	untold
	set_up 1 10 true 10
	for i in 1 2; do
		round 1
		told 1
		given=$answer
		is ".code == \"EVALUATE_PARAMS\" and .round == \"$i\""
		score 1
	done
	leave 1
	[ "$(rounds '[.round, .eval_answered] | @csv')" = $'1,1\n2,1' ]
}

@test "without rounds an update is answered once its version is durable" {
	on_slow_disk --mode async --rounds 3
	set_up 1
	told 1
	given=$answer
	values 1 10
	disk_takes '\140\352\0\0'
	{ update 1; echo >answered; } 3>&- &
	running[update]=$!
	until curl -sS "$srv_url/metrics" |
		grep -qx 'gfl_server_updates_accepted_total 1'
	do :; done
	holds 1
	status
	untold
	power_loss
	! reap update
	[ ! -e answered ]
	again srv
	set_up 1
	round 1
	is '.version == "1"'
	power_loss
	again srv
	status
	is '.round == "1"'
	stop srv
}

@test "a server that is stopped ends in order though its disk is slow and its node gone" {
	cluster 1
	on_slow_disk --mode async --rounds 9 --on-leader --node "$n1_url" \
		--peers http://127.0.0.1:1
	until set_up 1; do :; done
	disk_takes '\270\013\0\0' # 3 s
	values 1 10
	for i in 1 2; do
		told 1
		given=$answer
		update 1 3>&- &
		running[update$i]=$!
		until curl -sS "$srv_url/metrics" |
			grep -qx "gfl_server_updates_accepted_total $i"
		do :; done
	done
	kill -TERM "$srv_pid"
	logged event=rests >/dev/null
	crash n1
	reap srv
	for i in 1 2; do reap update$i; done # one was taken, one was not
}

# Ask for the status all the time, until the server is no more; the round of the
# last answer is in the file then.
asks() { # FILE
	curl -sSN --fail-early -d '{}' -H 'content-type: application/json' \
		-w '\n' "$srv_url/$service/GetStatus?[1-1000000]" 2>curl.err \
		3>&- | jq -Rr 'fromjson? | .round // "0"' | tail -n 1 >"$1"
}

@test "no round that was told is lost by kill -9" {
	local i kept=0 last
	server --model 'dense 10' --rounds 0 --steps 1 --batch 1 --silence 2
	for i in 1 2; do
		start "t$i" gfl-trainer --server "$srv_url" --db "t$i.db" \
			--data $data
	done
	for i in 1 2 3 4 5; do
		asks "told.$i" &
		running[asks]=$!
		logged "event=round round=$((kept + 20)) " >/dev/null
		crash srv
		reap asks
		last=$(rounds .round | tail -n 1)
		kept=$(sqlite3 srv.db 'SELECT max(round) FROM round')
		echo "answered $(<"told.$i"), printed $last, kept $kept"
		[ "$(<"told.$i")" -gt 0 ]
		[ "$kept" -ge "$(<"told.$i")" ]
		[ "$kept" -ge "$last" ]
		again srv
	done
	logged "event=round round=$((kept + 20)) " >/dev/null
	stop srv
	ends t1 t2
	[ "$(rounds .round | uniq -d)" = "" ]
}
