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

# Run a function of ours where ./disk is a small one, which `grow` makes larger.
on_small_disk() { # FUNCTION SIZE
	local user=-r
	[[ ${GFL_SKIP-} != *netns* ]] || skip 'GFL_SKIP has netns'
	[ "$EUID" != 0 ] || user=
	export -f $(declare -F | awk '$3 !~ /^bats_/ { print $3 }')
	mkdir disk
	# which ignores the TERM of a test that takes too long
	unshare -m $user --kill-child timeout -k 5 80 bash -euc "declare -gA running
		trap 'kill \${running[@]} 2>/dev/null || true' EXIT
		mount -t tmpfs -o size=$2 tmpfs disk; $1" 3>&-
}

grow() { # SIZE
	mount -o "remount,size=$1" disk
}

# ends NAME STATUS - it ends by itself, so.
ends() {
	local status=0
	reap "$1" || status=$?
	[ "$status" = "$2" ]
}

rows() { sqlite3 -readonly master.db "$1"; }

# Until a query of the master's database says so.
until_row() { # QUERY VALUE
	until [ "$(rows "$1")" = "$2" ]; do :; done
}
