#!/bin/sh
# chaos.sh PROGRAM [ARGUMENT...] - run it in a network, and with file systems,
# that end with it: ours is 10.77.0.254, of the namespaces n1 to n6 each is one
# of 10.77.0.1 to 10.77.0.6, with chains of nft to cut what comes in and to turn
# what goes out. $CHAOS_DIR/n1 to n6 are small disks. Needs no privilege where
# user namespaces are allowed.
set -eu
net=10.77.0

unable() {
	echo "not ok netns: $*; GFL_SKIP=netns leaves this out"
	exit 1
}

in_namespaces() {
	why=$(mktemp)
	for how in -nmpf -Urnmpf; do
		unshare $how --kill-child --mount-proc true 2>"$why" || continue
		rm "$why"
		CHAOS_INSIDE=yes exec unshare $how --kill-child --mount-proc \
			"$0" "$@"
	done
	said=$(tail -n 1 "$why")
	rm "$why"
	unable "network namespaces cannot be made here: $said"
}

node() { # NUMBER
	ip netns add "n$1"
	ip link add "to$1" type veth peer name eth0 netns "n$1"
	ip link set "to$1" master hub up
	ip -n "n$1" address add "$net.$1/24" dev eth0
	ip -n "n$1" link set eth0 up
	ip -n "n$1" link set lo up
	inside="nsenter --net=/run/netns/n$1"
	$inside nft add table inet chaos
	$inside nft add chain inet chaos in '{ type filter hook input priority 0; }'
	$inside nft add chain inet chaos out '{ type nat hook output priority -100; }'
	mkdir -p "$CHAOS_DIR/n$1"
	mount -t tmpfs -o size=64m,nosuid,nodev tmpfs "$CHAOS_DIR/n$1"
}

network() {
	mount -t tmpfs tmpfs /run
	ip link set lo up
	ip link add hub type bridge
	ip address add $net.254/24 dev hub
	ip link set hub up
	for i in 1 2 3 4 5 6; do node $i; done
}

if [ "${GFL_SKIP:-}" = netns ]; then
	echo "ok 1 # SKIP GFL_SKIP=netns"
	exit
fi
[ -n "${CHAOS_INSIDE:-}" ] || in_namespaces "$@"
trap 'unable "the network cannot be made"' EXIT
network
trap - EXIT
exec "$@"
