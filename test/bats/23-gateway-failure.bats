# Gateways that die, hang, forget and come back; several of them.

load helpers

# With this lease a heartbeat comes every second.
lease=3

# A watch of gateway NAME in whose snapshot nobody is left out.
watch_gateway() { # NAME
	local -n url_=$1_url
	watch "$url_" GatewayService/WatchNodes '{"snapshot":true}'
}

# The ids that gateway NAME lists as alive, in one word.
alive() { # NAME
	local -n url_=$1_url
	call "$url_" GatewayService/GetNodes '{}' >/dev/null
	jq -j '.nodes[]? | select(.status == "alive") | .nodeId' <<<"$answer"
}

# Read events until gateway NAME, which is new, lists these; it has heard three
# of them no more than twice, in time or, where all are late, by count.
lists_soon() { # NAME IDS
	while [ "$(alive "$1")" != "$2" ]; do event; done
	took=$(($(now_ms) - began))
	read -r beats _ < <(heard "$1")
	echo "$1 lists $2 after $took ms and $beats heartbeats"
	[ "$took" -le $((2 * lease * 1000 / 3 + 500)) ] || [ "$beats" -le 6 ]
}

# Stop a process of ours for so long: the fault itself, not a wait for its end.
asleep() { # NAME SECONDS
	local -n pid_=$1_pid
	kill -STOP "$pid_"
	read -rt "$2" <> <(:) || true
	kill -CONT "$pid_"
}

# Nobody was ever taken for dead, by the gateways or by the members.
nobody_died() {
	! grep -hE 'event=(expired|"node down")' ./*.log
}

# begin NAME PROGRAM ARGUMENT... - start it; it may not be ready for long.
begin() {
	local -n command_=command_$1 fd_=$1_fd
	command_=("${@:2}")
	declare -g "$1_port=0"
	launch "$1"
	exec {fd_}<"$1.ready" # it goes on once this is open
}

# What has begun is ready, as after start.
begun() { # NAME
	local -n port_=$1_port url_=$1_url fd_=$1_fd
	read -r _ <&"$fd_"
	port_=$(<"$1.port")
	url_=http://127.0.0.1:$port_
}

# Requests that gateway NAME has had for METHOD.
requests() { # NAME METHOD
	local -n url_=$1_url
	curl -sS "$url_/metrics" | sed -n \
		"s|^gfl_server_requests_total{path=\"/GatewayService/$2\",.*} ||p" |
		awk '{ n += $1 } END { print n + 0 }'
}

# How many heartbeats, and how many other requests, gateway NAME has had.
heard() { # NAME
	local -n url_=$1_url
	curl -sS "$url_/metrics" |
		awk '/^gfl_server_requests_total{path="\/GatewayService/ {
			if (/Heartbeat/) h += $2; else o += $2
		} END { print h + 0, o + 0 }'
}

# Gateways ga and gb, of which ga grants, and nodes n1 to nN, which both list.
two_gateways() { # N
	local id ids='' one
	start ga gfl-gateway --db ga.db --lease "$lease"
	start gb gfl-gateway --db gb.db --lease "$lease" --no-bootstrap
	export GFL_GATEWAY=$ga_url,$gb_url
	for ((id = 1; id <= $1; id++)); do
		node "$id"
		ids+=$id
	done
	gfl-wait nodes "$1" -t 30 2>>wait.err
	gfl-wait leader -t 30 2>>wait.err
	for one in ga gb; do
		watch_gateway "$one"
		until [ "$(alive "$one")" = "$ids" ]; do event; done
		unwatch
	done
}

# --- without a gateway ------------------------------------------------------

@test "without a gateway nodes list, send, elect and take in another node" {
	cluster 3
	gfl-list >/dev/null # as somebody who was there before
	crash gw
	[ "$(gfl-list -F id,status | tr '\n\t' '; ')" = \
		'1 alive;2 alive;3 alive;' ]
	gfl-send 2 hello
	[ "$(gfl-recv --node 2 -n 1 -t 20)" = hello ]
	old=$(gfl-leader)
	crash "n$old"
	gfl-wait leader --not "$old" -t 30
	other=n$((old % 3 + 1))_url
	start n4 gfl-node --db n4.db --join "${!other}"
	[ "$(gfl-list --node "$n4_url" -F id | tr '\n' ' ')" = '1 2 3 4 ' ]
	committed 4 "$(echo '{}' | gfl-log append noop -)"
}

@test "a node that is restarted without a gateway is a member again" {
	cluster 2
	crash gw
	crash n2
	again n2
	committed 2 "$(echo '{}' | gfl-log append noop - --node "$n1_url")"
}

# --- a gateway that comes back ----------------------------------------------

# Nodes 1 and 2 live, 3 has died and 4 has joined since the gateway went.
changed_meanwhile() {
	cluster 3
	crash gw
	crash n3
	start n4 gfl-node --node-id 4 --db n4.db --join "$n1_url" \
		--gateway "$gw_url"
}

# Gateway gw is back: within two heartbeats it lists who lives, no more, and
# knows their leader and their cluster.
knows_all_soon() {
	again gw
	began=$(now_ms)
	watch_gateway gw
	lists_soon gw 124
	! grep -E 'event=expired node=[124]' gw.log
	until
		call "$gw_url" GatewayService/GetLeader '{}'
		is '.leader.nodeId != null and .clusterId == $c' \
			--arg c "$(gfl-status "$n1_url" -o tsv -F cluster)"
	do event; done
}

@test "a gateway that comes back knows within two heartbeats who lives" {
	changed_meanwhile
	knows_all_soon
}

@test "so does one whose database is gone" {
	changed_meanwhile
	rm gw.db*
	knows_all_soon
}

@test "so does another gateway at the same address" {
	changed_meanwhile
	command_gw=(gfl-gateway --db other.db --lease $lease --no-bootstrap)
	knows_all_soon
}

@test "a gateway whose database is an old copy learns where nodes are now" {
	cluster 2
	stop gw
	cp gw.db old.db
	again gw
	crash n2
	n2_port=0
	again n2
	watch_gateway gw
	until [ "$(gfl-list -F id,url | grep ^2)" = "2	$n2_url" ]; do event; done
	unwatch
	stop gw
	mv old.db gw.db
	rm -f gw.db-*
	again gw
	watch_gateway gw
	until [ "$(gfl-list -F id,url | grep ^2)" = "2	$n2_url" ]; do event; done
}

@test "a gateway that slept for longer than its leases evicts nobody" {
	lease=2 cluster 2
	asleep gw 3
	watch_gateway gw # all that wakes it has been dealt with by now
	event
	[ "$(alive gw)" = 12 ]
	asleep gw 1
	[ "$(alive gw)" = 12 ]
	nobody_died
}

@test "a node that is stopped for three seconds is taken for dead by nobody" {
	lease=15 cluster 3
	asleep n3 3
	committed 3 "$(echo '{}' | gfl-log append noop -)"
	[ "$(alive gw)" = 123 ]
	nobody_died
	gfl-wait leader -t 30
	asleep "n$(gfl-leader)" 3
	gfl-wait leader -t 30
	committed 3 "$(echo '{}' | gfl-log append noop -)"
	nobody_died
}

@test "nobody is taken for dead while every core is busy" {
	local i busy=()
	cluster 3 --fail-after 2
	for ((i = 0; i < 4 * $(nproc); i++)); do
		$mortal bash -c 'while :; do :; done' 3>&- &
		busy+=($!)
	done
	read -rt 4 <> <(:) || true
	committed 3 "$(echo '{}' | gfl-log append noop -)"
	[ "$(alive gw)" = 123 ]
	kill "${busy[@]}"
	nobody_died
}

@test "a member says of another whether it reaches it" {
	cluster 2
	call "$n1_url" gfl.v1.NodeService/GetStatus '{"of":"2"}'
	is '.nodeId == "2"'
	call "$n1_url" gfl.v1.NodeService/GetStatus '{"of":"1"}'
	is '.nodeId == "1"'
	call "$n1_url" gfl.v1.NodeService/GetStatus '{"of":"7"}'
	is '.code == "not_found"'
	crash n2
	call "$n1_url" gfl.v1.NodeService/GetStatus '{"of":"2"}'
	is '.code == "aborted" and
		(.message | startswith("node 1 does not reach node 2: cannot reach"))'
}

# --- on-gateway-failure -----------------------------------------------------

@test "without a gateway a first node waits, or founds a cluster if told to" {
	start gw gfl-gateway --db gw.db --lease "$lease"
	stop gw
	export GFL_GATEWAY=$gw_url
	begin n1 gfl-node --node-id 1 --db n1.db
	logged n1 'event=waiting for="a gateway: .*refused'
	kill -TERM "$n1_pid"
	reap n1
	node 1 --on-gateway-failure bootstrap
	grep founding_without_a_gateway n1.log
	gfl-wait leader --node "$n1_url" -t 20
	again gw # which takes this cluster for its own
	watch_gateway gw
	until [ "$(alive gw)" = 1 ]; do event; done
	node 2
	[ "$(gfl-list -F id,cluster | cut -f2 | sort -u | wc -l)" = 1 ]
	committed 2 "$(echo '{}' | gfl-log append noop -)"
}

@test "told to found a cluster, a node still joins the one a gateway knows" {
	cluster 1
	node 2 --on-gateway-failure bootstrap
	[ "$(gfl-list -F cluster | sort -u | wc -l)" = 1 ]
}

@test "no second cluster is founded where members of the first were seen" {
	cluster 1
	gfl-list >/dev/null
	crash gw
	begin n2 gfl-node --node-id 2 --db n2.db --on-gateway-failure bootstrap
	logged n2 "event=waiting for=\"a gateway .* --join=$n1_url"
	again gw
	begun n2
	[ "$(gfl-list -F cluster | sort -u | wc -l)" = 1 ]
}

# --- hung gateways ----------------------------------------------------------

@test "a gateway that hangs does not hold up a client that knows the members" {
	cluster 3
	gfl-list >list # which remembers them
	kill -STOP "$gw_pid"
	began=$(now_ms)
	gfl-list -t 20 -F id,url >now
	gfl-leader -t 20
	echo '{}' | gfl-log append noop - -t 20
	took=$(($(now_ms) - began))
	kill -CONT "$gw_pid"
	echo "three questions took $took ms"
	cut -f1,2 list | cmp - now
	[ "$took" -lt 10000 ]
}

@test "of two gateways one that hangs holds up neither clients nor newcomers" {
	two_gateways 2
	for one in ga gb; do
		pid=${one}_pid
		kill -STOP "${!pid}"
		rm -r state # a client that was never here
		began=$(now_ms)
		gfl-list -t 20 -F id
		gfl-leader -t 20
		start "new$one" gfl-node --db "new$one.db"
		took=$(($(now_ms) - began))
		kill -CONT "${!pid}"
		echo "without $one: $took ms"
		[ "$took" -lt 10000 ]
	done
	gfl-wait nodes 4 -t 30
}

# --- several gateways -------------------------------------------------------

@test "nodes register with every gateway, and clients ask each its share" {
	local i
	two_gateways 2
	a=$(requests ga GetNodes) b=$(requests gb GetNodes)
	for ((i = 0; i < 40; i++)); do gfl-leader >/dev/null; done
	a=$(($(requests ga GetNodes) - a)) b=$(($(requests gb GetNodes) - b))
	echo "of 40 questions ga had $a, gb $b"
	# the other one is asked as well where the first takes long
	[ $((a + b)) -ge 40 ] && [ $((a + b)) -lt 70 ]
	[ "$a" -ge 6 ] && [ "$b" -ge 6 ]
}

@test "a node sends each gateway one small request an interval, no more" {
	two_gateways 1
	# a heartbeat after the other: no more than one a second
	began=$(now_ms)
	read -r a others < <(heard ga)
	read -r b _ < <(heard gb)
	until read -r a_now others_now < <(heard ga) &&
		[ $((a_now - a)) -ge 3 ]; do :; done
	read -r b_now _ < <(heard gb)
	took=$(($(now_ms) - began))
	a=$((a_now - a)) b=$((b_now - b)) others=$((others_now - others))
	echo "$a heartbeats to ga, $b to gb, $others others in $took ms"
	[ $(((a - 1) * 900)) -le "$took" ]
	[ "$b" -ge $((a - 2)) ] && [ "$b" -le $((a + 2)) ]
	[ "$others" = 0 ]
}

@test "losing either of two gateways is not noticed" {
	two_gateways 2
	rm -r state
	crash ga
	[ "$(gfl-list -F id,status | tr '\n\t' '; ')" = '1 alive;2 alive;' ]
	gfl-send 2 hello
	[ "$(gfl-recv --node 2 -n 1)" = hello ]
	node 3
	rm ga.db*
	again ga
	crash gb
	watch_gateway ga
	until [ "$(alive ga)" = 123 ]; do event; done
	rm -r state
	gfl-leader
	nobody_died
}

@test "two lists become one, in which no gateway hides what another knows" {
	two_gateways 2
	kill -STOP "$gb_pid"
	crash n2
	n2_port=0
	again n2
	watch_gateway ga
	until [ "$(gfl-list -F id,url | grep ^2)" = "2	$n2_url" ]; do event; done
	kill -CONT "$gb_pid" # it still knows the old address
	for ((i = 0; i < 10; i++)); do
		[ "$(gfl-list -F id,url | grep ^2)" = "2	$n2_url" ]
		gfl-send 2 "$i"
	done
}

@test "of two gateways one grants the bootstrap" {
	start gb gfl-gateway --db gb.db --no-bootstrap
	start ga gfl-gateway --db ga.db
	export GFL_GATEWAY=$gb_url,$ga_url
	begin n1 gfl-node --node-id 1 --db n1.db
	begin n2 gfl-node --node-id 2 --db n2.db
	begun n1
	begun n2
	watch_gateway gb
	until [ "$(alive gb)" = 12 ]; do event; done
	[ "$(gfl-list -F cluster | sort -u | wc -l)" = 1 ]
	[ "$(grep -l 'event=bootstrap' ga.log gb.log)" = ga.log ]
}

@test "one that forgot and would grant again does not divide the cluster" {
	two_gateways 2
	kill -STOP "$n1_pid" "$n2_pid" # lest they tell it of the cluster
	crash ga
	rm ga.db*
	again ga
	begin n3 gfl-node --node-id 3 --db n3.db
	logged n3 'event=waiting for="a member'
	kill -CONT "$n1_pid" "$n2_pid"
	begun n3
	watch_gateway ga
	until [ "$(alive ga)" = 123 ]; do event; done
	[ "$(gfl-list -F cluster | sort -u | wc -l)" = 1 ]
}

# --- those who watch --------------------------------------------------------

@test "gfl-monitor leaves a gateway that hangs for the other" {
	two_gateways 1
	monitor -o jsonl
	seen '.what == "watch" and .event == "connected" and .role == "gateway"'
	pid=ga_pid
	[ "$(jq -r .url <<<"$answer")" = "$ga_url" ] || pid=gb_pid
	kill -STOP "${!pid}"
	seen '.what == "watch" and .event == "lost" and .role == "gateway"'
	seen '.what == "watch" and .event == "connected" and .role == "gateway"'
	kill -CONT "${!pid}"
}

@test "gfl-check asks the members that a gateway does not know yet" {
	cluster 2
	kill -STOP "$n1_pid" # so that it does not register again
	crash gw
	rm gw.db*
	again gw
	watch_gateway gw
	until [ "$(alive gw)" = 2 ]; do event; done
	status=0
	gfl-check nodes -t 1 >said || status=$?
	kill -CONT "$n1_pid"
	cat said
	[ "$status" = 2 ] && grep '^CRITICAL - 1 of 2 nodes alive' said
}

@test "gfl-check tells of gateways that hang, within one timeout" {
	two_gateways 1
	gfl-check gateway | grep '^OK - 2 of 2 gateways answer'
	kill -STOP "$ga_pid"
	status=0
	gfl-check gateway -t 1 >said || status=$?
	[ "$status" = 1 ] && grep '^WARNING - 1 of 2 gateways answer' said
	gfl-check nodes -t 1
	kill -STOP "$gb_pid"
	for tries in 1 2 3; do # a busy machine may take longer to begin
		began=$(now_ms)
		status=0
		gfl-check gateway -t 1 >said || status=$?
		[ "$status" = 2 ] && grep '^CRITICAL - .*no answer' said
		took=$(($(now_ms) - began))
		[ "$took" -ge 1900 ] || break
	done
	[ "$took" -lt 1900 ]
	status=0
	gfl-check -t 1 >said || status=$? # the members were seen
	cat said
	[ "$status" = 1 ]
	kill -CONT "$ga_pid" "$gb_pid"
}
