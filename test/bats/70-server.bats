# A server's synchronous rounds: real trainers, and clients by curl that do what
# no trainer would.

load helpers
load server

@test "three passive trainers reach an accuracy, and all end in order" {
	split 3
	server --model mlp --rounds 5 --min-participants 3 --test $data
	for i in 1 2 3; do trainer $i --passive; done
	ends srv t1 t2 t3
	[ "$(rounds .round)" = $'1\n2\n3\n4\n5' ]
	[ "$(rounds .admitted | sort -u)" = 3 ]
	[ "$(rounds .examples | sort -u)" = 60000 ]
	[ "$(rounds '.accuracy > 0.6' | tail -n 1)" = true ]
	gfl-model eval srv.safetensors --data $data --part test -o tsv \
		-F accuracy >accuracy
	[ "$(printf %.4f "$(<accuracy)")" = "$(rounds .accuracy | tail -n 1)" ]
	for i in 1 2 3; do grep -q 'event=exit.*all rounds are done' t$i.log; done
	gfl-server --db srv.db --model mlp --rounds 5 --min-participants 3 \
		--listen 127.0.0.1:0 -o jsonl >again 2>again.log
	[ ! -s again ]
	grep 'event=nothing_to_do round=5 rounds=5 db=srv.db hint=.*another' \
		again.log
}

@test "rounds go on when whoever read them has gone" {
	split 2
	mkfifo srv.out
	: <srv.out &
	local reader=$!
	server --model softmax --rounds 3
	wait $reader
	for i in 1 2; do trainer $i; done
	ends srv t1 t2
	grep -q 'level=warn.*event=output_closed' srv.log
	grep -q 'event=round round=3 ' srv.log
}

@test "on a terminal each round is one line of it" {
	seq 0 99 >few.idx
	cat >steps <<-'end'
		< event=serving
		$ gfl-trainer --server http://127.0.0.1:$(cat port) --db t1.db --data $data --index few.idx >t1.log 2>&1 &
		< ROUND ACTIVATED
	end
	data=$data TERM=xterm "$BATS_TEST_DIRNAME/terminal.py" steps gfl-server \
		--db srv.db --model softmax --rounds 2 --steps 1 \
		--min-participants 1 --listen 127.0.0.1:0 --port-file port >screen
	[ "$(grep -ac '^ *[12]  *1  *1  *0 ' screen)" = 2 ]
	! grep -a event=round screen
	! grep -av '^time=' screen | tr -d '\r' | grep -E '.{81}'
	grep -av '^time=' screen | grep -q 'ACCURACY.$'
}

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
	[ "$(gfl-list clients --server "$srv_url" -o tsv \
		-F id,logical,examples,round,accepted,refused)" = \
		$'1\t1\t10\t1\t1\t0\n2\t1\t30\t1\t1\t0' ]
	told 2
	is '.code == "EXIT"'
	leave 1 2
	# (30 x 1 + 10 x 5) / 40
	[ "$(parameters srv.safetensors)" = 2 ]
}

@test "late, double, foreign and malformed updates are refused and not mixed" {
	server --model "$tiny" --rounds 2 --min-participants 1 --sample 0.5
	set_up 1
	told 1
	given=$answer
	values 3 10
	update 1 '.clientId = "7"'
	refused 404 foreign
	update 1 '.activation = "999999999"'
	refused 404 foreign
	update 1 '.logical = 7'
	refused 404 foreign
	update 1 '.crc32c = 1'
	refused 500 damaged
	update 1
	[ "$code" = 200 ]
	update 1 # the same, again: its answer was lost, perhaps
	refused 400 late
	told 1
	given=$answer
	values 7 10
	update 1 '.round = "1"'
	refused 400 base
	# no other update of it counts in this round, which is void
	logged 'event=round_void round=2.*missing=1' >/dev/null
	for how in '.layoutHash = "feed"' '.parameters = "11"' '.dtype = "BF16"' \
		'.examples = "11"' '.examples = "0"' '.steps = "0"' \
		'.loss = 1e31' '.code = "EXIT"' '.code = "GRADIENT_UPDATE"'; do
		told 1
		given=$answer
		update 1 "$how"
		refused 400 malformed
	done
	for n in 9 11; do
		told 1
		given=$answer
		values 7 $n
		update 1
		refused 400 malformed
	done
	told 1
	given=$answer
	values nan 10
	update 1
	refused 400 values
	told 1
	given=$answer
	update 1 '.loss = "NaN"'
	refused 400 malformed
	told 1
	given=$answer
	values 4 10
	update 1
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT"'
	leave 1
	[ "$(rounds .admitted)" = $'1\n1' ]
	[ "$(parameters srv.safetensors)" = 4 ]
}

@test "one client is admitted once in a round, whatever it sends" {
	server --model "$tiny" --rounds 1
	set_up 1
	set_up 2
	hold 2
	told 1
	given=$answer
	values 1 10
	update 1
	[ "$code" = 200 ]
	update 1 # its answer may have been lost
	[ "$code" = 200 ]
	values 9 10
	update 1
	refused 409 double
	held 2
	given=$answer
	values 3 10
	update 2
	[ "$code" = 200 ]
	told 1
	is '.code == "EXIT"'
	leave 1 2
	[ "$(parameters srv.safetensors)" = 2 ]
	[ "$(rounds .admitted)" = 2 ]
}

@test "a round closes at the fraction and names who was missing" {
	server --model "$tiny" --rounds 1 --min-participants 3 --fraction 0.6
	for i in 1 2 3; do set_up $i; done
	hold 1
	hold 2
	told 3
	given=$answer
	values 1 10
	update 3
	held 1
	given=$answer
	update 1
	[ "$code" = 200 ]
	[ ! -s srv.out ] # the least is 3, though 0.6 are 2
	held 2
	given=$answer
	update 2
	told 1
	is '.code == "EXIT"'
	leave 1 2 3
	[ "$(rounds '[.activated, .admitted, .missing] | @csv')" = '3,3,""' ]
}

@test "a round that is void again and again is repeated ever less often" {
	split 2
	server --model softmax --rounds 1 --steps 1 --norm-max 1e-9
	for i in 1 2; do trainer $i; done
	logged 'event=round_void .* again_in_s=0.0$' >void
	grep -q admitted=0 void
	logged 'event=round_void .* again_in_s=0\.4$' >/dev/null
	stop srv
	ends t1 t2
}

@test "a round ends at its deadline with those who answered" {
	server --model "$tiny" --rounds 1 --min-participants 1 \
		--round-deadline 2
	set_up 1
	set_up 2
	while curl -sf -o asked -d "{\"clientId\":\"$id_2\",
		\"session\":\"$session_2\"}" -H 'content-type: application/json' \
		"$srv_url/$service/Await"; do :; done 2>asker.err 3>&- &
	running[asker]=$!
	told 1
	given=$answer
	logged 'event=round_void .*missing=(1,2|2,1|1) ' >/dev/null
	values 1 10
	update 1
	refused 400 late
	until told 1; given=$answer; update 1; [ "$code" = 200 ]; do :; done
	logged 'event=round round=1 activated=2 admitted=1 missed=1 missing=2'
}

@test "a client that is killed in a round is missed at once, and may return" {
	split 3
	server --model mlp --rounds 0 --min-participants 2 --steps 50 --silence 2
	for i in 1 2 3; do trainer $i; done
	logged 'event=round .*activated=3 admitted=3' >/dev/null
	crash t2
	logged 'event=round .*missing=[123] ' >/dev/null
	again t2
	logged_after 'missing=[123] ' 'event=round .*activated=3 admitted=3'
	stop srv
	ends t1 t2 t3
}

@test "a server killed in a round goes on with it, and its clients with it" {
	split 2
	server --model mlp --rounds 0 --steps 100 --test $data
	for i in 1 2; do trainer $i; done
	logged 'event=round round=3 ' >/dev/null
	crash srv
	last=$(rounds .round | tail -n 1)
	again srv
	logged_after event=resumed 'event=round .* accuracy=0\.[6-9]'
	grep -q "event=resumed round=$last" srv.log ||
		grep -q "event=resumed round=$((last + 1))" srv.log
	stop srv
	ends t1 t2
	[ "$(sqlite3 srv.db 'SELECT count(*) = max(round) FROM round')" = 1 ]
	# who was known before is the same client
	[ "$(sqlite3 srv.db 'SELECT count(*) FROM client')" = 2 ]
}

@test "a server that is stopped tells every client to exit, and goes on later" {
	split 2
	server --model mlp --rounds 100000 --steps 20
	for i in 1 2; do trainer $i; done
	logged 'event=round round=2 ' >/dev/null
	stop srv
	ends t1 t2
	for i in 1 2; do grep -q 'event=exit.*was stopped' t$i.log; done
	[ -s srv.safetensors ]
	server --model mlp --rounds 100000 --steps 20
	grep -q event=resumed srv.log
	stop srv
	fails 5 gfl-server --db srv.db --model mlp --aggregate fedadam \
		--listen 127.0.0.1:0
	[[ $said == *'by fedavg, not by fedadam'*'hint: '*'--aggregate'* ]]
}

@test "a trainer that is stopped leaves, and the round goes on without it" {
	split 2
	server --model mlp --rounds 0 --steps 20 --min-participants 1
	for i in 1 2; do trainer $i; done
	logged 'event=round .*activated=2 admitted=2' >/dev/null
	stop t2
	logged_after 'event=client_gone.*reason=stopped' \
		'event=round .*activated=1 admitted=1'
	stop srv
	ends t1
}

gives_up() { # NAME
	local status=0
	reap "$1" || status=$?
	[ "$status" = 3 ]
}

@test "a trainer that was away at the end gives its server up, one that is new waits" {
	server --model 'dense 10' --rounds 0 --steps 1 --min-participants 1
	start p gfl-trainer --server "$srv_url" --db p.db --data $data \
		--give-up 0.5
	start a gfl-trainer --server "$srv_url" --db a.db --data $data \
		--give-up 0.5 --active
	for t in p a; do logged event=sent "$t.log" >/dev/null; done
	crash srv
	for t in p a; do
		gives_up $t
		grep "^gfl-trainer: no server has answered for .*$srv_url" $t.log
	done
	again p # with the same --db
	gives_up p
	start new gfl-trainer --server "$srv_url" --db new.db --data $data \
		--give-up 0.1
	logged_after event=set_up_failed event=set_up_failed new.log
	again srv
	logged event=sent new.log >/dev/null
	stop srv
	ends new
}

@test "a trainer whose server's port is another program's gives it up" {
	server --model 'dense 10' --rounds 0 --steps 1 --min-participants 1
	start t gfl-trainer --server "$srv_url" --db t.db --data $data \
		--give-up 2
	logged event=sent t.log >/dev/null
	crash srv
	port=$srv_port start other gfl-gateway --db other.db
	gives_up t
	grep "^gfl-trainer: no server has answered for 2 s: .*no method" t.log
}

@test "clients are waited for, those that a trainer hosts too" {
	server --model "$tiny" --min-participants 9
	set_up 1
	hold 1
	waits_in_vain '2 clients: 1 joined (1)' clients 2 --server "$srv_url"
	call "$srv_url" $service/SetUp "{\"instanceId\":\"$(printf %032d 2)\",
		\"examples\":[1,2,3]}"
	gfl-wait clients 4 --server "$srv_url" -t 60
	! gfl-wait clients 1 --server http://127.0.0.1:1 -t 0.3 2>err
	grep 'cannot reach http://127.0.0.1:1' err
}

@test "gfl-check server: when a round ended, and who is gone" {
	checks() { # STATUS PATTERN [OPTION...]
		local status=0
		gfl-check server --server "$srv_url" "${@:3}" >line || status=$?
		cat line
		[ "$status" = "$1" ]
		grep -qE "$2" line
	}
	server --model "$tiny" --rounds 2 --round-deadline 3600
	checks 2 '^CRITICAL - no round has ended for [0-9]+ s, waiting, 0 clients here, 2 needed, 0 gone'
	set_up 1
	set_up 2
	round 2
	hold 1
	hold 2
	held 1 # and are at round 2 now
	held 2
	checks 0 '^OK - round 1 ended [0-9]+ s ago, training, 2 clients here'
	checks 2 'round 1 ended' -w 0 -c 0
	call "$srv_url" $service/Leave "{\"clientId\":\"$id_2\",
		\"session\":\"$session_2\"}"
	checks 2 '1 client here, 2 needed, 1 gone'
	gfl-check server --server "$srv_url" -o prom >figures || true
	grep -qx "gfl_check_gone{probe=\"server\",server=\"$srv_url\"} 1" figures
	stop_and_leave 1
	checks 2 '^CRITICAL - cannot reach'
}

@test "gfl-monitor --server tells of rounds, of clients, and of the end" {
	server --model "$tiny" --rounds 2 --round-deadline 3600
	set_up 1
	set_up 2
	gfl-monitor --server "$srv_url" -o jsonl >seen 2>seen.log 3>&- &
	running[monitor]=$!
	seen() { timeout 60 tail -n +1 -F seen 2>/dev/null | grep -m 1 -E "$1"; }
	seen '"what":"server"'
	round 2
	seen '"event":"ended","round":1,"rounds":2,"loss":0.5'
	printf '%s\n' '< round 1/2' '< 2 needed' '< LOSS' '> \x03' >steps
	! "$BATS_TEST_DIRNAME"/terminal.py steps gfl-monitor \
		--server "$srv_url" >screen
	grep -q 'loss 0.5000' screen
	round 2
	leave 1 2
	seen '"what":"watch","event":"lost"'
	kill "${running[monitor]}"
	reap monitor || [ $? = 143 ]
	jq -se '.[0].event == "connected"' seen
	fails 3 gfl-monitor --server http://127.0.0.1:1 -n 1
	[[ $said == *'watch the server: cannot reach http://127.0.0.1:1'* ]]
}

@test "the target accuracy ends it" {
	split 2
	server --model mlp --rounds 100000 --target-accuracy 0.5 --steps 100 \
		--test $data
	for i in 1 2; do trainer $i; done
	ends srv t1 t2
	grep -q 'event=ending.*target accuracy' srv.log
	[ "$(rounds '.accuracy >= 0.5' | tail -n 1)" = true ]
}

@test "other rules aggregate, robustly too" {
	split 4
	for rule in fedadam fednova median multikrum; do
		rm -f srv.db* srv.out t?.db*
		server --model mlp --rounds 3 --min-participants 4 --steps 100 \
			--test $data --aggregate $rule --byzantine 0
		for i in 1 2 3 4; do trainer $i; done
		ends srv t1 t2 t3 t4
		[ "$(rounds '.accuracy > 0.4' | tail -n 1)" = true ]
	done
}

@test "SCAFFOLD and FedDyn correct at the clients, which remember it" {
	split 2
	for rule in scaffold feddyn; do
		rm -f srv.db* srv.out srv.log t?.*
		server --model mlp --rounds 0 --min-participants 2 --steps 30 \
			--batch 32 --test $data --aggregate $rule --dyn 0.1
		for i in 1 2; do trainer $i; done
		logged 'event=round round=3 ' >/dev/null
		crash t2
		mv t2.log t2.before.log
		again t2
		logged_after event=sent event=sent t2.log
		stop srv
		ends t1 t2
		[ "$(rounds '.accuracy > 0.5' | tail -n 1)" = true ]
		for i in 1 2; do
			gfl-model info t$i.own-1.safetensors -F l2 |
				awk '$1 <= 0 { exit 1 }'
			! grep own_lost t$i.log || return 1
		done
	done
	fails 2 gfl-server --db a.db --aggregate scaffold --dtype int8 \
		--listen 127.0.0.1:0
	[[ $said == *'does not travel compressed'* ]]
}

@test "what cannot be is refused at once" {
	fails 2 gfl-server --db a.db --model 'dense' --listen 127.0.0.1:0
	fails 2 gfl-server --db a.db --model mlp --epochs 0 --listen 127.0.0.1:0
	fails 2 gfl-server --db a.db --target-accuracy 0.5 --listen 127.0.0.1:0
	fails 2 gfl-server --db a.db --aggregate krum --byzantine 1 \
		--min-participants 2 --listen 127.0.0.1:0
	[[ $said == *'needs at least 5 updates'* ]]
	fails 2 gfl-server --db a.db --aggregate krum \
		--min-participants 20000 --listen 127.0.0.1:0
	[[ $said == *'takes at most '*'--min-participants is 20000'* ]]
	fails 2 gfl-server --db a.db --aggregate nonsense
	fails 1 gfl-server --db a.db --init none.safetensors --model softmax \
		--listen 127.0.0.1:0
	fails 1 gfl-server --db a.db --model-out none/last.st
	[[ $said == *'--model-out: write none/last.st: No such file'* ]]
	fails 1 gfl-trainer --data $data --node http://127.0.0.1:1 --db t.db \
		--model-out none/%d.st --clients 2
	[[ $said == *'--model-out: write none/1.st: No such file'* ]]
	gfl-model init mlp --out mlp.npz
	fails 2 gfl-server --db a.db --init mlp.npz --model softmax \
		--listen 127.0.0.1:0
	gfl-model init softmax --seed 7 --out first.npz
	server --model softmax --init first.npz
	fails 1 gfl-list -g "$srv_url"
	[[ $said == *': gfl-server has no method /GatewayService/GetNodes' ]]
	fails 7 gfl-server --db srv.db --listen 127.0.0.1:0
	stop srv
	gfl-model convert first.npz --out first.tsv
	gfl-model convert srv.safetensors --out last.tsv
	cmp first.tsv last.tsv
	fails 5 gfl-server --db srv.db --model mlp --listen 127.0.0.1:0
	[[ $said == *'of the model'*'hint: '*'--db'* ]]
	fails 1 gfl-server --db b.db --on-round ./none --listen 127.0.0.1:0
	[[ $said == *'--on-round: ./none: No such file'* ]]
	fails 3 gfl-list clients --server http://127.0.0.1:1
	[[ $said == *'hint: start gfl-server'* ]]
	fails 2 gfl-trainer --data $data --server http://127.0.0.1:1 --db t.db \
		--active --passive
	fails 2 gfl-trainer --data $data --server http://127.0.0.1:1 --db t.db \
		--node http://127.0.0.1:2
	fails 2 gfl-trainer --data $data --node http://127.0.0.1:2 --active
}

@test "a trainer that the model does not fit says so and ends" {
	server --model 'input 1 2 2; dense 2'
	fails 2 gfl-trainer --server "$srv_url" --data $data --db t.db
	[[ $said == *"set up at $srv_url: the server's model: "* ]]
}

# A handler with this text.
handler() { # NAME
	{ echo '#!/bin/sh'; cat; } >"$1"
	chmod +x "$1"
}

# A server that sets clients up for so many steps of so large a batch.
server_of_steps() { # STEPS BATCH
	cat >steps.py <<-'END'
		import http.server, struct, sys

		def varint(n):
		    out = b''
		    while n > 127:
		        out, n = out + bytes([n & 127 | 128]), n >> 7
		    return out + bytes([n])

		def number(field, n):
		    return varint(field << 3) + varint(n)

		def real(field, x):
		    return varint(field << 3 | 1) + struct.pack('<d', x)

		def bytes_(field, b):
		    return varint(field << 3 | 2) + varint(len(b)) + b

		training = (number(2, int(sys.argv[1])) + number(3, int(sys.argv[2]))
		            + real(4, 0.1) + real(9, 1) + number(13, 2))
		answer = (number(1, 5) + number(2, 1) + bytes_(3, b'5' * 32)
		          + bytes_(4, b'softmax') + bytes_(7, training))

		class Handler(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        status = b'grpc-status:0\r\n'
		        self.send_response(200)
		        self.send_header('content-type', self.headers['content-type'])
		        self.end_headers()
		        for kind, b in (0, answer), (128, status):
		            self.wfile.write(struct.pack('>BI', kind, len(b)) + b)

		server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
		print(server.server_port, flush=True)
		server.serve_forever()
	END
	rm -f steps.port
	mkfifo steps.port
	$mortal python3 -IS steps.py "$@" >steps.port 2>steps.log 3>&- &
	running[steps]=$!
	read -r srv_port <steps.port
	srv_url=http://127.0.0.1:$srv_port
}

@test "a trainer takes no more steps, or larger ones, than a server may ask for" {
	for how in '9223372036854775807 2' '1073741825 2' '1 65537' '0 2'; do
		server_of_steps $how
		fails 2 gfl-trainer --server "$srv_url" --data $data --db t.db
		[[ $said == *"$srv_url: the server's way of training makes no"* ]]
		crash steps
	done
}

@test "each stage of the server's life may be a command's" {
	zeroed zero.safetensors
	handler first <<-'END'
		cat zero.safetensors
		echo "$GFL_STAGE $GFL_SEED" >>stages
		echo 'all is zero' >&2
		END
	handler choose <<-'END'
		tee -a candidates | jq -r 'select(.examples > 10) | "\(.client) 0"'
		END
	handler look <<-'END'
		echo "receive $GFL_SENDER $GFL_CODE $GFL_EXAMPLES" >>stages
		if [ "$GFL_LOSS" = 9 ]; then
			echo 'too high a loss' >&2
			exit 1
		fi
		END
	handler last <<-'END'
		echo "$GFL_STAGE $GFL_ROUND $GFL_REASON $(head -c 8 "$GFL_MODEL_OUT" |
			wc -c)" >>stages
		END
	server --model "$tiny" --rounds 1 --min-participants 1 --seed 5 \
		--on-setup ./first --on-round ./choose --on-receive ./look \
		--on-shutdown ./last
	set_up 2 30
	hold 2
	held 2
	given=$answer
	set_up 1
	values 6 10
	update 2 '.loss = 9 | .examples = "30"'
	refused 409 handler
	[[ $answer == *'too high a loss'* ]]
	hold 2
	held 2
	given=$answer
	update 2 '.examples = "20"'
	[ "$code" = 200 ]
	leave 1 2
	[ "$(rounds '[.activated, .admitted] | @csv')" = 1,1 ]
	[ "$(parameters srv.safetensors)" = 6 ]
	[ "$(head -n 1 stages)" = 'setup 5' ]
	grep -qx 'receive 1 2 20' stages
	[ "$(tail -n 1 stages)" = 'shutdown 1 all rounds are done 8' ]
	grep -q '{"client":1,"logical":0,"examples":30,"loss":null}' candidates
	grep -q 'event=said by=.*/first line="all is zero"' srv.log
}

@test "what a handler puts out takes the update's place, its failure counts" {
	zeroed zero.safetensors
	handler look <<<'cat zero.safetensors'
	server --model "$tiny" --rounds 1 --min-participants 1 \
		--on-receive ./look
	set_up 1
	told 1
	given=$answer
	values 6 10
	update 1
	[ "$code" = 200 ]
	leave 1
	[ "$(parameters srv.safetensors)" = 0 ]
	fails 1 gfl-server --db b.db --listen 127.0.0.1:0 --model "$tiny" \
		--on-setup ./none
	handler first <<<'echo no model today >&2; exit 3'
	fails 1 gfl-server --db c.db --listen 127.0.0.1:0 --model "$tiny" \
		--on-setup ./first
	[[ $said == *'no model today'* ]]
}

@test "a stage ends with a server that is killed, and so does all it started" {
	mkfifo begun
	handler first <<-'END'
		setsid sleep 918275 &
		echo >begun
		wait
	END
	start srv gfl-server --db srv.db --model "$tiny" --on-setup ./first
	read -r <begun
	crash srv
	nobody 'sleep 918275'
	nobody ./first
}

@test "the example of a federation with a centre runs" {
	"$BATS_TEST_DIRNAME"/../../share/examples/gfl-central.sh $data 2 2 \
		--model softmax --steps 50 >table
	[ "$(cut -f 1 table)" = $'1\n2' ]
	[[ $(cut -f 2 table | tail -n 1) == 0.[4-9]* ]]
}

@test "the example with a centre, stopped, takes all with it; fails with it" {
	local example=$BATS_TEST_DIRNAME/../../share/examples/gfl-central.sh
	local status=0
	export TMPDIR=$PWD/tmp
	mkdir tmp
	"$example" $data 2 100000 --model softmax >table &
	local pid=$!
	until [ -s table ]; do :; done
	kill $pid
	wait $pid || status=$?
	[[ $status == 143 && -z "$(ls tmp)" && -z "$(pgrep -f "$PWD/tmp/")" ]]
	run "$example" $data 2 2 --model nope
	[[ $status == 1 && $output == *'no preset'* ]]
}
