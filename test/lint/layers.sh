#!/bin/sh
# layers.sh - who includes whom. TAP on stdout.
#
# A folder of lib/ and the folders it may include, besides itself. proto stands
# for the generated messages. cmd/ and test/ may include everything.
layers='
base
store      base
wire       base proto
nn         base
registry   base proto store wire
raft       base proto store wire
plan       base
node       base proto store wire registry raft plan
fl         base proto store wire nn registry raft node plan
task       base proto store wire nn registry node fl
'
# Pure files: state and one event in, decisions out. All of them but those that
# are named after a minus; time, chance, disk and network come as arguments.
pure='
lib/plan/*
lib/registry/lease.*
lib/raft/*         -lib/raft/store* -lib/raft/driver* -lib/raft/journal.* -lib/raft/transport* -lib/raft/applier.* -lib/raft/waiting.*
lib/registry/probe.*
lib/node/state*
lib/node/hierarchy.*
lib/node/spec.*
lib/node/view.*
lib/node/phrase.*
lib/node/screen.*
lib/node/lane.*
lib/fl/exchange*
lib/fl/payload.*
lib/fl/mix.*
lib/fl/topk.*
lib/fl/pace.*
lib/fl/cohort.*
lib/fl/quorum.*
lib/fl/succession.*
lib/fl/floats.*
lib/fl/aggregate*
lib/fl/staleness.*
lib/fl/pool.*
lib/fl/correction.*
lib/fl/strategy*
lib/task/task.*
lib/task/heap.*
lib/task/crew.*
lib/task/breaker.*
lib/task/schedule.*
lib/task/farm*
lib/task/task_json.*
lib/task/line.*
lib/task/layers.*
lib/wire/http1*
lib/wire/json*
lib/wire/dialect*
lib/wire/details.*
lib/wire/gzip.*
lib/wire/frames.*
lib/wire/backoff.*
lib/wire/binary.*
lib/wire/field.*
lib/base/base64.*
lib/wire/utf8.*
lib/base/words.*
lib/wire/peer.*
'
# What a pure file may not reach, not even through another header …
never='uv\.h|sqlite3\.h|curl/curl\.h|sys/socket\.h|base/(clock|loop|worker|timer)\.h'
# … and what it may not include itself.
not_itself="$never|time\\.h|sys/.*\\.h|unistd\\.h|fcntl\\.h|pthread\\.h|netinet/.*|arpa/.*"
# Threads meet in these two files only (and where their header is explained).
threads='lib/base/worker.c lib/base/log.c'

cd "$(dirname "$0")/../.." || exit 1
n=0
failed=0

verdict() { # NAME, what is wrong (empty: nothing)
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n $1"
		return
	fi
	echo "$2" | sed 's/^/# /'
	echo "not ok $n $1"
	failed=1
}

# Include lines as FILE:LINE:HEADER
includes() {
	grep -HnoE '^#include [<"][^>"]+' "$@" 2>/dev/null |
		sed -E 's/#include [<"]//'
}

check_layer() { # LAYER ALLOWED…
	layer=$1
	allowed=$(echo "$*" | tr ' ' '|')
	set -- lib/"$layer"/*.[ch]
	[ -e "$1" ] || return
	folders=$(ls lib | tr '\n' '|')proto
	verdict "$layer includes only what it may" \
		"$(includes "$@" | grep -E ":($folders)/" |
			grep -vE ":($allowed)/")"
}

pure_files() {
	set -f
	for word in $pure; do
		set +f
		case $word in
		-*) ls ${word#-} 2>/dev/null | sed 's/^/-/' ;;
		*) ls $word 2>/dev/null ;;
		esac
		set -f
	done | awk '/^-/ { no[substr($0, 2)] = 1; next } { all[$0] = 1 }
		END { for (f in all) if (!(f in no)) print f }' | sort
	set +f
}

# Every header that the compiler meets, system headers too. Generated messages
# need a build before.
reached() {
	for f in $(pure_files | grep '\.c$'); do
		${CC:-cc} -M -D_GNU_SOURCE -Ilib -I"${BUILD:-build}/gen" "$f" |
			tr ' ' '\n' | grep -E "(^|/)($never)\$" |
			sed "s|^|$f reaches |"
	done
}

while read -r row; do
	[ -z "$row" ] || check_layer $row
done <<EOF
$layers
EOF
verdict "every folder of lib has a row" \
	"$(for d in lib/*/; do
		d=${d#lib/}
		echo "$layers" | grep -q "^${d%/}\b" || echo "lib/$d"
	done)"
verdict "pure files include no clock, file or socket" \
	"$(includes $(pure_files) | grep -v ':sys/queue\.h$' | # lists, no more
		grep -E ":($not_itself)\$")"
verdict "pure files reach none through another header" "$(reached)"
verdict "threads meet in worker.c and log.c only" \
	"$(grep -nE 'pthread_|uv_(mutex|rwlock|cond|thread)_|_Atomic|__atomic_|stdatomic\.h' \
		lib/*/*.[ch] cmd/*.[ch] 2>/dev/null |
		grep -vE "^($(echo "$threads" | tr ' ' '|')):")"
echo "1..$n"
exit $failed
