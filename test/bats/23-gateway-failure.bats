# Gateways that die, hang, forget and come back; several of them.

load helpers

# Everything of a client, as it would be on another machine.
elsewhere() { XDG_STATE_HOME=$PWD/elsewhere "$@"; }

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
