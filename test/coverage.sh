#!/bin/sh
# coverage.sh BUILD TEST... - what of lib/raft these tests run: lines, and
# branches that were taken, by gcov. `make coverage` builds and calls it.
#
# The core (all but store*, driver*, journal, transport, applier and waiting)
# is to have 98 % of its lines and 90 % of its branches; less fails. Nothing is
# excluded, so this is what stays:
#   - abort() where an invariant would be broken, and the false side of assert()
#   - the false side of conditions that bug.h compiles in, which are constant,
#     and of the checks that a host which keeps to raft.h cannot fail
#   - branches within the macros of uthash (session, waiting, transport), which
#     has a bloom filter, rehashing and checks of its own in each use
#   - answers of SQLite and libuv that only a fault can cause: the tests that
#     make them run processes of their own, which nobody counts here
set -eu
build=$1
shift
cd "$(dirname "$0")/.."
find "$build" -name '*.gcda' -delete
GFL_SEEDS=${GFL_SEEDS:-60} test/tap.sh "$@" >"$build/tests.tap" 2>&1 || {
	grep -a -B5 '^not ok' "$build/tests.tap"
	exit 1
}
# -b: branches, -c: as counts are not needed, -n: no files.
for file in lib/raft/*.c; do
	gcov -b -n -o "$build/lib/raft" "$file" 2>/dev/null
done | awk '
/^File / { split($0, q, "\047"); file = q[2] }
file !~ /^lib\/raft\/.*\.c$/ { next }
/^Lines executed/ { split($0, w, /[:% ]+/); put("lines", w[3], w[5]) }
/^Taken at least once/ { split($0, w, /[:% ]+/); put("branches", w[5], w[7]) }

function put(what, share, of) {
	n[file, what] = of
	ran[file, what] = int(share * of / 100 + 0.5)
	files[file] = 1
}

function core(file) {
	return file !~ /\/(store|driver|journal|transport|applier|waiting)/
}

function line(name, l, ln, b, bn) {
	printf "%-34s %5d %6.2f %%  %5d %6.2f %%\n", name, ln,
		ln ? 100 * l / ln : 100, bn, bn ? 100 * b / bn : 100
}

END {
	printf "%-34s %14s  %14s\n", "", "lines   run", "branches taken"
	cmd = "sort"
	for (f in files) {
		k = core(f) ? "core" : "host"
		l[k] += ran[f, "lines"]
		ln[k] += n[f, "lines"]
		b[k] += ran[f, "branches"]
		bn[k] += n[f, "branches"]
		list = list f "\n"
	}
	count = split(list, name, "\n")
	for (i = 2; i < count; i++)
		for (j = i; j > 1 && name[j] < name[j - 1]; j--) {
			swap = name[j]
			name[j] = name[j - 1]
			name[j - 1] = swap
		}
	for (i = 1; i < count; i++) {
		f = name[i]
		line(f, ran[f, "lines"], n[f, "lines"], ran[f, "branches"],
		     n[f, "branches"])
	}
	line("the core", l["core"], ln["core"], b["core"], bn["core"])
	line("its host", l["host"], ln["host"], b["host"], bn["host"])
	line("in all", l["core"] + l["host"], ln["core"] + ln["host"],
	     b["core"] + b["host"], bn["core"] + bn["host"])
	exit 100 * l["core"] < 98 * ln["core"] || 100 * b["core"] < 90 * bn["core"]
}'
