#!/bin/sh
# compare_doc.sh - write the tables and curves of compare.sh into share/doc, in
# place of those that are there. With BENCH_JOBS=0 only of the runs whose
# records are there.
#
#	compare_doc.sh BUILD
set -eu
here=$(dirname "$0")
doc=$here/../../share/doc
tables=$(mktemp)
trap 'rm -f "$tables" "$tables.new"' EXIT

"$here/compare.sh" "$1" "$1/compare" >"$tables"
rm -f "$doc"/comparison-*.svg
for federation in d D; do
	for x in bytes seconds; do
		curve=$federation-$x.svg
		[ -e "$1/compare/$curve" ] || continue
		cp "$1/compare/$curve" "$doc/comparison-$curve"
		printf '\n![accuracy over %s](comparison-%s)\n' "$x" "$curve"
	done
done >>"$tables"
awk -v tables="$tables" '
	/^<!-- end of the tables/ { skip = 0 }
	!skip
	/^<!-- the tables/ {
		skip = 1
		while ((getline line <tables) > 0) print line
		print ""
	}' "$doc/comparison.md" >"$tables.new"
cat "$tables.new" >"$doc/comparison.md"
