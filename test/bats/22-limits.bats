# Bounds of a daemon, reached from outside. The server's own are in
# test/unit/bounds_test.c.

load helpers

idle=() # descriptors of connections that say nothing

take() { # N PORT - connections
	local fd
	for _ in $(seq "$1"); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$2"
		idle+=("$fd")
	done
}

give_back() {
	local fd
	for fd in "${idle[@]}"; do exec {fd}>&-; done
	idle=()
}

@test "--max-message: what is larger is refused by name" {
	start gw gfl-gateway --db gw.db --max-message 1M
	head -c 1100000 /dev/zero >big
	code=$(curl -sS -o answer -w '%{http_code}' --data-binary @big \
		-H 'content-type: application/proto' \
		"$gw_url/GatewayService/Heartbeat")
	echo "$code $(<answer)"
	[ "$code" = 429 ] && jq -e '.code == "resource_exhausted" and
		(.message | contains("max-message (1048576 bytes)"))' answer
	fails 2 gfl-gateway --max-message 100
	[[ $said == *max-message* ]]
}

@test "--max-connections: newcomers wait until one closes" {
	start gw gfl-gateway --db gw.db --max-connections 3
	take 3 "$gw_port"
	fails 4 gfl-list -g "$gw_url" -t 0.3
	give_back
	gfl-list -g "$gw_url"
	fails 2 prlimit --nofile=200 gfl-gateway --max-connections 150
	[[ $said == *"--max-connections 150"* ]]
}

@test "a node whose descriptors are taken goes on, and serves again" {
	start gw gfl-gateway --db gw.db --lease 2
	export GFL_GATEWAY=$gw_url
	start n1 prlimit --nofile=100 gfl-node --node-id 1 --db n1.db
	gfl-wait leader
	take 60 "$n1_port"
	fails 4 gfl-status "$n1_url" -t 0.3
	seen() { gfl-list -F last_seen; }
	for _ in 1 2 3; do # heartbeats go out still
		before=$(seen)
		until [ "$(seen)" != "$before" ]; do :; done
	done
	[ "$(gfl-list -F status)" = alive ]
	give_back
	gfl-send 1 hello
	[ "$(gfl-recv --node 1 -n 1)" = hello ]
}
