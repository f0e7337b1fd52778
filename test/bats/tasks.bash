# What the tests of tasks share: a master, workers, and looks into its database.

load helpers

script() { # NAME - a program of ours, from standard input
	{ echo '#!/bin/sh'; cat; } >"$1"
	chmod +x "$1"
}

master() { # OPTION...
	start master gfl-master --db master.db "$@"
	export GFL_MASTER=$master_url
}

worker() { # NAME OPTION... - that runs ./NAME.sh, or --exec
	start "$1" gfl-worker --worker-id "$1" --heartbeat 0.2 --no-gpu \
		--exec "./${exec:-evaluate}" "${@:2}"
}

rows() { sqlite3 -readonly master.db "$1"; }

# Until a query of the master's database says so.
until_row() { # QUERY VALUE
	until [ "$(rows "$1")" = "$2" ]; do :; done
}
