#!/bin/sh
# exec.sh - what it costs a round that a trainer of one's own takes its steps:
# two trainers on a node here whose program, in Python, takes none, so that all
# the time they spend computing is the contract's: writing the model, asking,
# reading it there, writing it back, reading and checking it. Prints records.
set -eu
share=$(cd "$(dirname "$0")/../../share" && pwd)
. "$(dirname "$0")/cluster.sh"

cat >"$dir/idle" <<end
#!/usr/bin/python3
import sys
sys.path.append("$share")
import gfl_exec
gfl_exec.run(None, lambda model, task: (model, 1, {}))
end
chmod +x "$dir/idle"

url_of() { echo "http://127.0.0.1:$(cat "$dir/$1.port")"; }

trainers() { # OPTION
	for i in 1 2; do
		start "trainer$1$i" gfl-trainer --db "$dir/trainer$1$i.db" \
			--node "$(url_of node)" "--$1" "$dir/idle"
	done
	gfl-wait trainers 2 -t 60
}

leave_cluster() { # OPTION
	for i in 1 2; do kill "$(cat "$dir/trainer$1$i.pid")"; done
	gfl-wait trainers 0 -t 60 2>/dev/null || :
}

round_ms() { # MODEL ROUNDS - of the trainer that took longer
	gfl-run start --model "$1" --rounds "$2" --keep 0.01 --round-deadline 30 \
		--give-up 60 --wait >"$dir/id" 2>>"$dir/run.log"
	gfl-run show -o tsv -F compute_s |
		awk -v n="$2" '$1 > s { s = $1 } END { print s / n * 1000 }'
}

start gateway gfl-gateway --db "$dir/gateway.db"
GFL_GATEWAY=$(url_of gateway)
export GFL_GATEWAY
start node gfl-node --db "$dir/node.db"
trainers exec-serve
printf 'exec_ms_mlp\tgfl\t%s\n' "$(round_ms mlp 200)"
printf 'exec_ms_cnn\tgfl\t%s\n' "$(round_ms cnn 50)"
leave_cluster exec-serve
trainers exec
printf 'exec_ms_mlp\tonce\t%s\n' "$(round_ms mlp 20)"
leave_cluster exec
