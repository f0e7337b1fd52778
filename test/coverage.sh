#!/bin/sh
# coverage.sh BUILD TEST... - what of lib/raft these tests run: lines, and
# branches that were taken, by gcov. `make coverage` builds and calls it.
#
# The core (all but store*, driver*, journal, transport, applier and waiting),
# and all of it, are to have 98 % of the lines and 90 % of the branches; less
# fails. BUILD/missing.txt has each line and branch that is missing:
#   - abort() where an invariant would be broken, and the false side of assert()
#   - the false side of conditions that bug.h compiles in, which are constant,
#     and of the checks that a host which keeps to raft.h cannot fail
#   - what needs a second fault at the right moment: a writer's queue that is
#     full when a snapshot is due, memory that ends after damage was found
#   - bounds that are too large for a test: 8 MiB under way to a peer
# Branches within uthash's HASH_FIND, HASH_ADD and HASH_DEL are counted apart:
# each use expands to up to 44 of them, of a hash function, of rehashing and of
# checks that are another's code.
set -eu
build=$1
shift
cd "$(dirname "$0")/.."
find "$build" -name '*.gcda' -delete
GFL_SEEDS=${GFL_SEEDS:-60} test/tap.sh "$@" >"$build/tests.tap" 2>&1 || {
	grep -a -B5 '^not ok' "$build/tests.tap"
	exit 1
}
# -b: branches, -c: as counts, -t: to stdout.
for file in lib/raft/*.c; do
	gcov -b -c -t -o "$build/lib/raft" "$file" 2>/dev/null
done | awk -v missing="$build/missing.txt" '
BEGIN { printf "" >missing }
match($0, /^ *-: *0:Source:/) {
	file = substr($0, RLENGTH + 1)
	ours = file ~ /^lib\/raft\/.*\.c$/
	if (ours && !(file in ln))
		name[++files] = file
	next
}
!ours { next }
/^branch/ {
	if (text ~ /HASH_(FIND|ADD|DEL)/) {
		hashed++
		taken += $0 ~ /taken [1-9]/
		next
	}
	bn[file]++
	if ($0 ~ /taken [1-9]/)
		b[file]++
	else
		print file ":" at ": a branch not taken:" text >missing
	next
}
match($0, /^ *[^: ]*: *[0-9]+:/) {
	text = substr($0, RLENGTH + 1)
	split($0, part, ":")
	at = part[2] + 0
	if (part[1] ~ /^ *-$/)
		next
	ln[file]++
	if (part[1] ~ /[#=]/)
		print file ":" at ": not run:" text >missing
	else
		l[file]++
}

function core(file) {
	return file !~ /\/(store|driver|journal|transport|applier|waiting)/
}

function line(name, l, ln, b, bn) {
	printf "%-34s %5d %6.2f %%  %5d %6.2f %%\n", name, ln,
		ln ? 100 * l / ln : 100, bn, bn ? 100 * b / bn : 100
}

function under(k, lines, branches) {
	return 100 * l[k] < lines * ln[k] || 100 * b[k] < branches * bn[k]
}

function add(k, f) {
	l[k] += l[f]
	ln[k] += ln[f]
	b[k] += b[f]
	bn[k] += bn[f]
}

END {
	printf "%-34s %14s  %14s\n", "", "lines   run", "branches taken"
	for (i = 1; i <= files; i++) {
		f = name[i]
		line(f, l[f], ln[f], b[f], bn[f])
		add(core(f) ? "core" : "host", f)
		add("all", f)
	}
	line("the core", l["core"], ln["core"], b["core"], bn["core"])
	line("its host", l["host"], ln["host"], b["host"], bn["host"])
	line("in all", l["all"], ln["all"], b["all"], bn["all"])
	printf "not counted: %d branches within macros of uthash, %d taken\n",
		hashed, taken
	printf "each that is missing: %s\n", missing
	exit under("core", 98, 90) || under("all", 98, 90)
}'
