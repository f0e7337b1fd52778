#!/bin/sh
# compare_doc.sh - write the tables and curves of compare.sh into share/doc, in
# place of those that are there.
#
#	compare_doc.sh BUILD
set -eu
here=$(dirname "$0")
doc=$here/../../share/doc
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT

"$here/compare.sh" "$1" "$1/compare" >"$tables"
for curve in d-bytes d-seconds D-bytes D-seconds; do
	cp "$1/compare/$curve.svg" "$doc/comparison-$curve.svg"
done
awk -v tables="$tables" '
	/^<!-- end of the tables/ { skip = 0 }
	!skip
	/^<!-- the tables/ {
		skip = 1
		while ((getline line <tables) > 0) print line
		print ""
	}' "$doc/comparison.md" >"$tables.new"
cat "$tables.new" >"$doc/comparison.md"
rm "$tables.new"
