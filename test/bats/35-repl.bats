# The prompt of a node, on a terminal and from a script; and the options that
# the first programs had.

load helpers

# A node that reads words from the steps of terminal.py in the file `steps`.
typed() { # OPTION...
	TERM=xterm "$BATS_TEST_DIRNAME/terminal.py" steps gfl-node -i --node-id 1 \
		--bootstrap --listen 127.0.0.1:0 --db n1.db "$@" >typed
}

# A node that runs the words on standard input.
scripted() { # OPTION...
	gfl-node -i --node-id 1 --bootstrap --listen 127.0.0.1:0 --db n1.db \
		-g http://127.0.0.1:1 "$@" 2>err
}

said() { # - what a script's node said besides its log
	grep -v '^time=' err
}

@test "gfl-node -i < script: words and aliases do what the programs do" {
	cat >script <<-'EOF'
		# A comment, and an empty line:

		list -F id,status
		l -F id
		leader
		status -F id,role
		s -F role
		send 1 hello there
		send 1 'with  quotes' --type 7
		broadcast to all of you
		recv -o tsv -F from,payload
		refresh
		wait leader
		topology-of-nothing
		help
		quit
		send 1 never
	EOF
	status=0
	scripted <script >out || status=$?
	[ "$status" = 1 ]
	head -n 10 out >first
	diff first - <<-EOF
		1	alive
		1
		1
		1	leader
		leader
		1	hello there
		1	with  quotes
		1	to all of you
		1	members=1
		list, l                 the nodes of the cluster
	EOF
	[ "$(said)" = "gfl-node: line 14: unknown word 'topology-of-nothing'
gfl-node: hint: help lists the words" ]
	grep -q 'check .*leader list log' out
	! grep -q Node- out
	grep -q event=stopping err
}

@test "a script that goes well exits 0, one of which a line failed 1, -e at that line" {
	printf 'leader\nlist -F id' | scripted >out
	[ "$(<out)" = $'1\n1' ]
	rm n1.db
	status=0
	printf 'status 9\nleader\n' | scripted >out || status=$?
	[ "$status" = 1 ] && [ "$(<out)" = 1 ]
	said
	[[ $(said) == "gfl-status: "*"node 9"* ]]
	rm n1.db
	status=0
	printf 'status 9\nleader\n' | scripted -e >out || status=$?
	[ "$status" = 1 ] && [ ! -s out ]
	rm n1.db
	status=0
	printf "list 'x\n" | scripted >out || status=$?
	[ "$status" = 1 ]
	[ "$(said)" = "gfl-node: line 1: a ' that is not closed" ]
	rm n1.db
	status=0
	printf 'li\0st\n' | scripted >out || status=$?
	[ "$status" = 1 ]
	fails 2 gfl-node -i --background --db x.db
}

@test "the programs read nothing of the script" {
	printf 'send 1 -f -\nrecv -o jsonl\n' | scripted >out
	jq -e '.payload == ""' out
}

@test "a node at a prompt serves while it waits, and TERM ends it" {
	mkfifo words ready
	scripted --port-file port --ready-fd 9 <words 9>ready >out 3>&- &
	running[n1]=$!
	exec {words}>words
	read -r _ <ready
	url=http://127.0.0.1:$(<port)
	echo 'send 1 hello' >&"$words"
	[ "$(gfl-recv --node "$url" -t 20)" = hello ]
	gfl-send "$url" shutdown --type 2
	reap n1
	exec {words}>&-
}

@test "on a terminal there is a prompt, with editing and history; Ctrl-D leaves" {
	cat >steps <<-'EOF'
		< Node-1> 
		> send 1 hallx\x7fo\r
		< Node-1> 
		> \x1b[A\r
		< send 1 hallo
		< Node-1> 
		> recv\r
		< hallo\r\nhallo
		< Node-1> 
		> lader\x1b[D\x1b[D\x1b[D\x1b[De\r
		< 1\r\n
		< Node-1> 
		> \x04
	EOF
	typed -q
	cat -v typed
	[ "$(tail -n 1 typed | tr -d '\r')" != 'Node-1> ' ] || false
}

@test "Ctrl-C drops the line, or ends the program that runs, and not the node" {
	cat >steps <<-'EOF'
		< Node-1> 
		> send 1 nonsense\x03
		< ^C
		< Node-1> 
		> wait nodes 9 -t 100\r
		< waiting for 9 nodes
		> \x03
		< Node-1> 
		> recv -t 0.1\r
		< no message came in time
		< Node-1> 
		> quit\r
	EOF
	status=0
	typed -q || status=$?
	cat -v typed
	[ "$status" = 1 ]
}

@test "the log does not garble what is typed" {
	cat >steps <<-'EOF'
		< Node-1> 
		> lea
		< lea
		$ gfl-send http://127.0.0.1:$(cat port) refresh --type 2 >said
		< text=refresh
		< Node-1> lea
		> der\r
		< 1\r\n
		< Node-1> 
		> \x04
	EOF
	typed --port-file port
	cat -v typed
	# The line of the log has a line of its own.
	tr '\r' '\n' <typed | grep -a '^.\[Ktime=.*text=refresh$'
}

@test "ESC and a wait do not stop the node" {
	cat >steps <<-'EOF'
		< Node-1> 
		> \x1b
		$ gfl-send http://127.0.0.1:$(cat port) '' --type 3 >rtt
		> \x04\x04
	EOF
	typed --port-file port -q
	[ -s rtt ]
}

@test "Ctrl-Z at the prompt does nothing; TERM leaves, and the terminal as it was" {
	cat >steps <<-'EOF'
		> stty -a >before; gfl-node -i --node-id 1 --bootstrap --listen 127.0.0.1:0 --port-file port --db n1.db -q\r
		< Node-1> 
		> \x1alea
		< lea
		$ gfl-send http://127.0.0.1:$(cat port) shutdown --type 2
		< $ 
		> stty -a >after; exit\r
	EOF
	PS1='$ ' TERM=xterm "$BATS_TEST_DIRNAME/terminal.py" steps sh -i
	diff before after
}

@test "the first programs' options and variables, one by one" {
	shown() { # OPTION ARGUMENT... - its value by --show-config
		gfl-node "${@:2}" --show-config |
			awk -F'\t' -v o="$1" '$1 == o { print $2 }'
	}
	[ "$(shown node-id --node-id 3)" = 3 ]
	[ "$(shown node-id --node_id 3)" = 3 ]
	[ "$(shown client-num --client-num 4)" = 4 ]
	[ "$(shown client-num --client_num=4)" = 4 ]
	[ "$(shown gateway-host --gateway-host a)" = a ]
	[ "$(shown gateway-port --gateway_port 1)" = 1 ]
	[ "$(shown min-election-timeout --min_election_timeout 100)" = 100 ]
	[ "$(GOSSIPFL_GATEWAY_HOST=b shown gateway-host)" = b ]
	[ "$(GOSSIPFL_GATEWAY_PORT=2 shown gateway-port)" = 2 ]
	[ "$(GOSSIPFL_LOG_LEVEL=DEBUG shown log-level)" = DEBUG ]
	start gw gfl-gateway --db gw.db
	GOSSIPFL_LOG_LEVEL=WARNING start n1 gfl-node --node_id 1 --db n1.db \
		--gateway-host 127.0.0.1 --gateway_port "$gw_port"
	GOSSIPFL_GATEWAY_HOST=127.0.0.1 GOSSIPFL_GATEWAY_PORT=$gw_port \
		start n2 gfl-node --db n2.db --client_num 2
	! grep level=info n1.log
	grep -q level=info n2.log
	gfl-wait ready --node "$n2_url" -t 20 2>>wait.err
	[ "$(gfl-status "$n2_url" -F id -o tsv)" = 2 ]
}

@test "--host, --port and --background: a node in the background is ready when its pid is printed" {
	start gw gfl-gateway --db gw.db
	pid=$(gfl-node --node-id 1 --db n1.db --host 127.0.0.1 --port 0 \
		--port-file port --background -g "$gw_url" 2>n1.log 3>&-)
	strays=("$pid")
	url=http://127.0.0.1:$(<port)
	[ "$(gfl-status "$url" -F id -o tsv)" = 1 ]
	kill -TERM "$pid"
	until [ ! -e port ]; do :; done
	strays=()
}
