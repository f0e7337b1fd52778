#!/bin/sh
# compare_run.sh - one run of compare.sh, unless FILE has its records already.
#
#	compare_run.sh FILE|LABEL|OPTIONS    of gfl-sim
#
# FILE gets lines of LABEL, --lr, accuracy, accuracy of the average, bytes,
# seconds. A run whose models diverge has the lines until then.
set -eu
IFS='|' read -r file label options <<EOF
$1
EOF
[ ! -e "$file" ] || exit 0
echo "compare: $label: $options" >&2
# shellcheck disable=SC2086 # words on purpose
gfl-sim $options -o tsv -F accuracy,accuracy_average,sent_bytes,seconds \
	>"$file.part" || echo "compare: that ended early" >&2
lr=${options##*--lr }
awk -v l="$label" -v lr="${lr%% *}" '{ print l "\t" lr "\t" $0 }' \
	OFS='\t' "$file.part" >"$file.done"
rm "$file.part"
mv "$file.done" "$file"
