# Trainers on hosts of their own, each a network namespace, with a slow path
# and a broken one between them. All of it belongs to a user namespace of the
# test and ends with it.

load helpers
load peers
load small

net=10.77.0

setup_file() {
	small_set --parts 4 --by iid
}

# Run a function of ours where networks can be made.
in_namespaces() { # FUNCTION
	local unshared
	[[ ${GFL_SKIP-} != *netns* ]] || skip 'GFL_SKIP has netns'
	export -f $(declare -F | awk '$3 !~ /^bats_/ { print $3 }')
	export net
	for unshared in -Urnm -nm; do
		if unshare $unshared true 2>>unshare.log; then
			$mortal unshare $unshared --kill-child bash -euc \
				"declare -gA running; trap end_daemons EXIT
				make_network; $1" 3>&-
			return
		fi
	done
	echo "netns: network namespaces cannot be made here: $(<unshare.log)"
	return 1
}

end_daemons() {
	kill "${running[@]}" 2>/dev/null || true
}

# Hosts 1 to 4 at a hub, where the node is, and a path of its own between 1 and
# 2.
make_network() {
	local i
	mount -t tmpfs tmpfs /run
	ip link set lo up
	ip link add hub type bridge
	ip address add $net.254/24 dev hub
	ip link set hub up
	for i in 1 2 3 4; do
		ip netns add "h$i"
		ip link add "to$i" type veth peer name eth0 netns "h$i"
		ip link set "to$i" master hub up
		ip -n "h$i" address add "$net.$i/24" dev eth0
		ip -n "h$i" link set eth0 up
		ip -n "h$i" link set lo up
	done
	ip -n h1 link add path type veth peer name path netns h2
	path_end 1 2
	path_end 2 1
}

path_end() { # HOST OTHER
	ip -n "h$1" address add "10.78.0.$1/24" dev path
	ip -n "h$1" link set path up
	ip -n "h$1" route add "$net.$2/32" via "10.78.0.$2" src "$net.$1"
}

slow_down() { # to 8 Mbit/s
	local host
	for host in h1 h2; do
		tc -n $host qdisc add dev path root tbf rate 8mbit burst 32k \
			latency 9s
	done
}

daemon() { # NAME HOST PROGRAM [OPTION...]
	local within=($mortal)
	[ "$2" = 254 ] || within+=(nsenter --net="/run/netns/h$2")
	rm -f "$1.ready"
	mkfifo "$1.ready"
	"${within[@]}" "${@:3}" --listen "$net.$2:0" --port-file "$1.port" \
		--insecure --ready-fd 9 9>"$1.ready" </dev/null 2>"$1.log" &
	running[$1]=$!
	read -r _ <"$1.ready"
	declare -g "$1_url=http://$net.$2:$(<"$1.port")"
}

federation() {
	local i
	daemon gw 254 gfl-gateway --db gw.db
	export GFL_GATEWAY=$gw_url
	daemon n1 254 gfl-node --db n1.db --gateway "$gw_url"
	for i in 1 2 3 4; do trainer "$i"; done
	gfl-wait trainers 4 -t 30
}

trainer() { # HOST
	daemon "t$1" "$1" gfl-trainer --db "t$1.db" --node "$n1_url" \
		--trainer-id "$1" --data "$small" --bind "$net.$1" \
		--index "$small/parts/part-$1.idx"
}

# Every trainer has done so many rounds of the run.
at_round() { # ROUND
	until [ "$(gfl-run show "$id" -o tsv -F round |
		awk -v at="$1" '$1 >= at' | wc -l)" = 4 ]; do :; done
}

# Dense exchanges of mlp: 407 kB, which the slow path takes 0.4 s for.
dense() { # COMMAND... - that starts a run
	"$@" --model mlp --scheme dense --batch 10 --min-trainers 4 \
		--round-deadline 20
}

run_of() { # ROUNDS
	id=$(dense gfl-run start --steps 1 --rounds "$1")
	gfl-wait run "$id" -t 80
}

# Rounds of the run in which trainer 1 was with trainer 2.
with_2() {
	gfl-run show "$id" --history -o tsv -F trainer,round,peer |
		awk '$1 == 1 && $3 == 2 { print $2 }'
}

slow_path() {
	local used
	slow_down
	federation
	run_of 60
	used=($(with_2))
	echo "before it was avoided: rounds ${used[*]}"
	grep 'event=plan .*a slow link' n1.log
	[ "${#used[@]}" -ge 1 ]
	((used[-1] - used[0] < 10))
	gfl-list bandwidth
	gfl-list bandwidth -o tsv -F from,to,bytes_per_s |
		awk '$1 + $2 == 3 && $3 < 3e6 { slow++ } END { exit slow < 1 }'
	run_of 40
	echo "and then: rounds $(with_2 | paste -sd ' ')"
	[ -z "$(with_2)" ]
	gfl-run show "$id" -o tsv -F trainer,exchanges
	[ "$(gfl-run show "$id" -o tsv -F exchanges | sort -n | head -n 1)" \
		-ge 20 ] # where few links are about as fast, some rest
	# Who has lost its model takes it from where that is quick.
	dense endless
	at_round 40 # so that the plans tell how far the others are
	kill -KILL "${running[t2]}"
	wait "${running[t2]}" || true
	rm -f t2.checkpoint*
	trainer 2
	until grep event=pulled t2.log; do :; done
	! grep event=pulled t2.log | grep -q 'peer=1 '
}

path_that_slows() {
	local at
	federation
	dense endless
	at_round 60 # it is known well
	slow_down
	at=$(gfl-run show "$id" -o tsv -F round | sort -n | tail -n 1)
	at_round $((at + 40))
	gfl-run stop "$id"
	with_2 >used
	echo "slow from about round $at; together: $(paste -sd ' ' used)"
	[ "$(awk -v at="$at" '$1 < at' used | wc -l)" -ge 5 ]
	[ "$(awk -v at="$at" '$1 > at + 1' used | wc -l)" -le 3 ]
	grep 'event=plan .*a slow link' n1.log
}

@test "a path that turns slow after long being fast is left after a few exchanges" {
	in_namespaces path_that_slows
}

@test "a slow path is measured by exchanges, told to all, and avoided within ten rounds" {
	in_namespaces slow_path
}

# Packets of trainer 3 and of these others: lost, or not any more.
between_3_and() { # add|del OTHER...
	local i
	for i in "${@:2}"; do
		nsenter --net=/run/netns/h3 ip route "$1" blackhole "$net.$i/32"
		nsenter --net="/run/netns/h$i" ip route "$1" blackhole "$net.3/32"
	done
}

# Trainer 3 has completed an exchange with trainer PEER after round ROUND.
with_3_again() { # PEER ROUND
	until gfl-run show "$id" --history -o tsv \
		-F trainer,round,peer,misses |
		awk -v peer="$1" -v after="$2" '$1 == 3 {
			ok = ok || $2 > after && $3 == peer && $4 == misses
			misses = $4
		} END { exit !ok }'; do :; done
}

broken_path() {
	local at missed
	federation
	endless --model softmax --batch 10 --keep 0.1 --min-trainers 4 \
		--round-deadline 0.5
	at_round 20
	# Trainer 3 hears its node, but neither 1 nor 2, nor they it.
	missed=$(grep -c 'event=missed .*peer=3' t1.log) || true
	between_3_and add 1 2
	until [ "$(grep -c 'event=missed .*peer=3' t1.log)" -gt "$missed" ]; do :; done
	status_of t1
	reaches t1 $(($(jq -r .round <<<"$answer") + 50))
	status_of t3
	at=$(jq -r .round <<<"$answer")
	between_3_and del 1 2
	with_3_again 1 "$at"
	with_3_again 2 "$at"
	exchange_more 1 2 3 4
	gfl-run stop "$id"
	table trainer,state,round,exchanges,misses
	[ "$(table state | sort | uniq -c | tr -s ' ')" = ' 4 stopped' ]
	gfl-list trainers -o tsv -F id | paste -sd ' ' | grep -qx '1 2 3 4'
}

@test "a partition costs the rounds across it, and when it heals all go on together" {
	in_namespaces broken_path
}
