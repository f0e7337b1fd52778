#!/bin/sh
# compare.sh - what training costs until it is good: gossip, and what it is
# compared with, by gfl-sim on Fashion-MNIST. All take as many local steps, at
# a rate that falls to 0 as a cosine; each method with the settings that
# compare.tsv has for it. Prints a table for each federation, in Markdown.
#
#	compare.sh BUILD [DIRECTORY [d|i|f|D|I]...]
#
# d, i: 14 sites, Dirichlet 0.5 and IID; f: as d, but with twice the local steps,
# for FedAvg in few long rounds; D, I: 100 clients. In DIRECTORY the
# records of the runs stay, what is there already is not run again, and curves
# are drawn: d-bytes.svg, d-seconds.svg and so on. As many runs at once as
# BENCH_JOBS says, or as there are processors; 0: only what is there.
set -eu
here=$(dirname "$0")
PATH=$1/bin:$PATH
shift
if [ $# -gt 0 ]; then
	out=$1
	shift
	mkdir -p "$out"
else
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
	trap 'exit 130' INT TERM HUP
fi
[ $# -gt 0 ] || set -- d i f D I

# What a federation is to gfl-sim, its local steps, the accuracies that its
# table has, and its name.
about() {
	sites="-n 14 --speeds $here/../../share/data/sites-14.tsv"
	clients="-n 100 --speeds random:125k:12.5M"
	goals="0.82 0.84 0.85 0.86" early="0.76 0.78 0.80 0.82"
	case $1 in
	d) by=dirichlet:0.5 who=$sites steps=1000 points=10 name='14 sites, Dirichlet 0.5' ;;
	f) by=dirichlet:0.5 who=$sites steps=2000 points=10 name='14 sites, Dirichlet 0.5' ;;
	i) by=iid who=$sites steps=1000 points=10 name='14 sites, IID' ;;
	D) by=dirichlet:0.5 who=$clients steps=200 points=5 goals=$early name='100 clients, Dirichlet 0.5' ;;
	I) by=iid who=$clients steps=200 points=5 goals=$early name='100 clients, IID' ;;
	*) echo "compare: there is no \"$1\"" >&2; return 2 ;;
	esac
}

# What compare_run.sh takes, a line each run, which has ten records, five in a
# large federation; of few rounds one each. The file is named by the options.
runs() { # FEDERATION
	about "$1"
	awk -F'\t' -v f="$1" -v out="$out" -v all="$steps" \
		-v points="$points" \
		-v args="--by $by $who --threads 1 --lr-cosine" 'index($1, f) {
		rounds = int(all / $3)
		every = rounds < points ? 1 : int(rounds / points)
		name = $3 $4
		gsub(/[^a-z0-9.]+/, "-", name)
		printf "%s/%s-%s.tsv|%s|%s --steps %d --rounds %d", out, f,
			name, $2, args, $3, rounds
		printf " --eval-every %d %s\n", every, $4
	}' "$here/compare.tsv"
}

files() {
	runs "$1" | cut -d'|' -f1 | while read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done
}

# The cheapest of a method's settings to each accuracy, and the best that it
# came to; accuracies are means of the models'.
table() { # FEDERATION
	about "$1"
	printf '\n%s, %d local steps:\n\n' "$name" "$steps"
	# shellcheck disable=SC2046 # words on purpose
	awk -F'\t' -v goals="$goals" '
	function least(k, v) { if (!(k in low) || v < low[k]) low[k] = v }
	function shown(k, scale) {
		return k in low ? sprintf("%.3g", low[k] / scale) : "-"
	}
	BEGIN {
		n = split(goals, at, " ")
		printf "| method | accuracy | of the average |"
		for (i = 1; i <= n; i++) printf " MB to %s | s to %s |", at[i], at[i]
		printf "\n| --- | --- | --- |"
		for (i = 1; i <= n; i++) printf " --- | --- |"
		print ""
	}
	!($1 in best) { order[++methods] = $1; best[$1] = 0 }
	{
		last[FILENAME] = $3; mean[FILENAME] = $4; who[FILENAME] = $1
		for (i = 1; i <= n; i++)
			if ($3 >= at[i]) {
				least($1 "b" i, $5)
				least($1 "s" i, $6)
			}
	}
	END {
		for (f in last)
			if (last[f] > best[who[f]]) {
				best[who[f]] = last[f]
				average[who[f]] = mean[f]
			}
		for (m = 1; m <= methods; m++) {
			k = order[m]
			printf "| %s | %.4f | %.4f |", k, best[k], average[k]
			for (i = 1; i <= n; i++)
				printf " %s | %s |", shown(k "b" i, 1e6),
					shown(k "s" i, 1)
			print ""
		}
	}' $(files "$1")
}

# The best setting of each method, as a line of the picture.
curve() { # FEDERATION KEY COLUMN UNIT SCALE
	about "$1"
	# shellcheck disable=SC2046 # words on purpose
	awk -F'\t' -v key="$2" -v x="$3" -v scale="$5" '
	FNR == 1 { file[++n] = FILENAME; method[n] = $1 }
	{
		text[n] = text[n] sprintf("{\"method\":\"%s\",\"accuracy\":%s,\"%s\":%g}\n",
			$1, $3, key, $x / scale)
		last[n] = $3
	}
	END {
		for (i = 1; i <= n; i++)
			if (!(method[i] in top) || last[i] > last[top[method[i]]])
				top[method[i]] = i
		for (i = 1; i <= n; i++)
			if (top[method[i]] == i && method[i] !~ /^policy/)
				printf "%s", text[i]
	}' $(files "$1") |
		gfl-plot --x "$2" --log-x --y accuracy --by method -o svg \
			--width 900 --title "$name: made by test/bench/compare.sh"
}

for federation; do
	runs "$federation"
done | if [ "${BENCH_JOBS:-}" = 0 ]; then
	cat >/dev/null
else
	xargs -r -d '\n' -n 1 -P "${BENCH_JOBS:-$(nproc)}" "$here/compare_run.sh"
fi
for federation; do
	[ "$(files "$federation")" ] || continue
	table "$federation"
	curve "$federation" megabytes 5 MB 1e6 >"$out/$federation-bytes.svg"
	curve "$federation" seconds 6 s 1 >"$out/$federation-seconds.svg"
done
