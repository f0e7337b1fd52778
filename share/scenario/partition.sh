# partition - 3 nodes in network namespaces, between which paths break
#
# The namespaces, a bridge and the rules that drop packets belong to a user
# namespace of this scenario, and end with it: the machine's network is not
# touched, and no privilege is needed where user namespaces are allowed.

net=10.77.0

in_namespaces() {
	for unshared in -Urnm -nm; do
		unshare $unshared true 2>>"$dir/unshare.log" || continue
		GFL_SCENARIO_INSIDE=yes unshare $unshared "$0" \
			${keep:+--keep} partition &
		followers=$!
		wait "$followers"
		status=$?
		followers=
		exit "$status"
	done
	fail "netns: network namespaces cannot be made here:" \
		"$(tail -n 1 "$dir/unshare.log"); GFL_SKIP=netns leaves this out"
}

# A bridge here, and a namespace for each node, joined to it.
make_network() {
	mount -t tmpfs tmpfs /run || fail "netns: no mount of our own"
	{
		ip link set lo up
		ip link add hub type bridge
		ip address add $net.254/24 dev hub
		ip link set hub up
	} || fail "netns: no bridge of our own"
	for i in 1 2 3; do
		{
			ip netns add "n$i"
			ip link add "to$i" type veth peer name eth0 netns "n$i"
			ip link set "to$i" master hub up
			ip -n "n$i" address add "$net.$i/24" dev eth0
			ip -n "n$i" link set eth0 up
			ip -n "n$i" link set lo up
			inside "$i" nft add table inet cut
			inside "$i" nft add chain inet cut in \
				'{ type filter hook input priority 0; }'
		} || fail "netns: namespace $i cannot be made"
	done
}

inside() { # NODE COMMAND...
	on=$1
	shift
	nsenter --net="/run/netns/n$on" "$@"
}

# Packets from these do not reach NODE; the way back is open.
unheard() { # NODE FROM...
	at=$1
	shift
	for from in "$@"; do
		inside "$at" nft add rule inet cut in ip saddr "$net.$from" drop ||
			fail "nft cannot drop"
	done
}

heal() {
	for i in 1 2 3; do inside "$i" nft flush chain inet cut in; done
}

start_network() {
	host=$net.254
	start gateway gfl-gateway --db "$dir/gateway.db" --insecure --lease 5
	gateway=$(url_of gateway)
	export GFL_GATEWAY="$gateway"
	for i in 1 2 3; do
		host=$net.$i
		within="nsenter --net=/run/netns/n$i"
		start "node$i" gfl-node --node-id "$i" --db "$dir/node$i.db" \
			--gateway "$gateway" --insecure --bind "$net.$i" \
			--fail-after 2 --min-election-timeout 800 \
			--max-election-timeout 1600 # on a busy machine too
	done
	within=
	gfl-wait nodes 3 -t 30 2>>"$dir/wait.log" || fail "the nodes did not join"
	gfl-wait ready -t 30 2>>"$dir/wait.log"
}

append() { # OPTION...
	echo '{}' | gfl-log append noop - -t 20 "$@" >>"$dir/expect.log"
}

# The nodes: $leader leads, $other and $third do not.
find_roles() {
	find_leader
	other=$((leader % 3 + 1))
	third=$((other % 3 + 1))
}

nobody_is_down() {
	! grep -h 'event="node down"' "$dir"/node*.log &&
		! grep -h 'event=expired' "$dir/gateway.log"
}

commit_indexes() {
	for i in 1 2 3; do
		gfl-status "$(url_of "node$i")" -o tsv -F commit_index || echo "$i"
	done
}

caught_up() {
	deadline=$(($(now_ms) + 30000))
	until [ "$(commit_indexes | sort -u | wc -l)" = 1 ]; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
	done
}

one_path_breaks() {
	find_roles
	say "nothing from the leader, node $leader, reaches node $third any more"
	unheard "$third" "$leader"
	expect "the leader hears of node $third from node $other" \
		says "node$leader" "event=suspect node=$third reached_by=$other"
	expect "the cluster commits" append
	expect "node $leader still leads" prints "$leader" gfl-leader
	heal
	expect "the path is open again, and node $third catches up" caught_up
	expect "nobody was taken for dead" nobody_is_down
}

leader_is_cut_off() {
	find_roles
	say "the leader, node $leader, is cut off from both others"
	unheard "$leader" "$other" "$third"
	expect "another node leads" gfl-wait leader --not "$leader" -t 30 \
		--node "$(url_of "node$other")"
	expect "and commits" append --node "$(url_of "node$other")"
	expect "the old leader leads no more" steps_down
	expect "all 3 are alive to the gateway" prints 'alive alive alive' \
		alive_at_gateway
	heal
	expect "the paths are open again, and all catch up" caught_up
	find_leader
	compare_logs 3
}

# Whom node $leader follows is not itself any more.
steps_down() {
	deadline=$(($(now_ms) + 30000))
	while [ "$(gfl-status "$(url_of "node$leader")" -o tsv -F leader)" = \
		"$leader" ]; do
		[ "$(now_ms)" -lt "$deadline" ] || return 1
	done
}

alive_at_gateway() {
	gfl-list --node "$gateway" -o tsv -F status | paste -sd ' '
}

partition() {
	if [ "${GFL_SKIP:-}" = netns ]; then
		say "left out, as GFL_SKIP=netns says"
		return
	fi
	[ -n "${GFL_SCENARIO_INSIDE:-}" ] || in_namespaces
	say "3 nodes and a gateway, each in a network namespace of its own"
	make_network
	start_network
	one_path_breaks
	leader_is_cut_off
	say "held: a broken path makes nobody dead, and divides no cluster"
}
