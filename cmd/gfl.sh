#!/bin/sh
# gfl - `gfl list …` runs `gfl-list …`; alone, it lists the programs.
dir=$(dirname "$(readlink -f "$0")")

# What a program does: a script's second line says it, the others are asked.
brief_of() {
	if head -c 2 "$1" | grep -q '#!'; then
		sed -n '2s/^# [^ ]* - //p' "$1"
	else
		"$1" --gfl-docs=brief
	fi
}

usage() {
	echo "Usage: gfl [PROGRAM [ARGUMENT]...]"
	echo "Run gfl-PROGRAM; without one, list the programs."
	echo
	for program in "$dir"/gfl-*; do
		[ -x "$program" ] || continue
		printf '  %-12s %s\n' "${program##*/gfl-}" \
			"$(brief_of "$program")"
	done
	echo
	echo "gfl PROGRAM --help tells more; gfl(7) is an overview."
}

case ${1--h} in
-h | --help | help)
	if [ $# -lt 2 ]; then
		usage
		exit
	fi
	set -- "$2" --help
	;;
-V | --version)
	"$dir/gfl-list" --version | sed 's/^gfl-list (gfl)/gfl/'
	exit
	;;
-*)
	echo "gfl: unknown option $1" >&2
	echo "gfl: hint: try gfl --help" >&2
	exit 2
	;;
esac
program=$dir/gfl-$1
if [ ! -x "$program" ]; then
	echo "gfl: there is no program gfl-$1" >&2
	echo "gfl: hint: gfl alone lists the programs" >&2
	exit 2
fi
shift
exec "$program" "$@"
