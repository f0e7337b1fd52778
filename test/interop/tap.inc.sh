# tap.inc.sh - sourced by scripts of cases: their results as TAP.
n=0
failed=0

# ok NAME COMMAND... - what it says is shown when it fails
ok() {
	case=$1
	shift
	n=$((n + 1))
	if "$@" >"$tmp/said" 2>&1; then
		echo "ok $n $case"
	else
		sed 's/^/# /' "$tmp/said" | cut -c1-300 | tail -n 40
		echo "not ok $n $case"
		failed=1
	fi
}

skip() { # NAME REASON
	echo "# skip $1: $2"
}

end() {
	echo "1..$n"
	exit $failed
}
