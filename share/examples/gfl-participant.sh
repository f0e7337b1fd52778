#!/bin/bash
# gfl-participant.sh - a participant by requests alone, for where no stream gets
# through; gfl-worker --stream does the same by a stream.
#
#   gfl-participant.sh URL CMD [ARG]...
#
# Each instruction runs CMD, with its arrays on standard input, each a line: the
# base64 of a .npy file; what it prints, the same, is the answer. While it runs a
# second request says so. That one and CMD end with us, even by kill -9, and the
# server gives the instruction to another one at once. Needs curl and jq.
set -euo pipefail
url=${1:?usage: gfl-participant.sh URL CMD [ARG]...}/gfl.v1.ParticipantService/Ask
shift
: "${1:?usage: gfl-participant.sh URL CMD [ARG]...}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# One URL after the other, and so one request, until one fails; the last one does
# when the answer has been taken, which comes by another connection.
say_it_works() {
	exec setpriv --pdeathsig KILL curl -sf --fail-early -o /dev/null \
		-H 'content-type: application/json' -d @works "$url?[1-1000000]"
}

work() { # CMD [ARG]... - leaves the answer in the file answer
	local first status=0
	jq -c '{participant, instruction, working: true}' got >works
	jq -r '.message.trainConfig.theta[]?.ndarray' got >in
	say_it_works &
	local says=$!
	setpriv --pdeathsig TERM gfl-guard -- "$@" <in >out &
	local works=$!
	wait -n -p first "$says" "$works" || status=$?
	if [ "$first" = "$says" ]; then
		kill "$works" # nobody wants its answer any more
		wait "$works" || :
		echo null >answer
	elif [ "$status" = 0 ]; then
		jq -Rnc '{trainResult: {theta: [inputs | {ndarray: .}]}}' out \
			>answer
	else
		jq -nc "{failed: \"$1 exited with status $status\"}" >answer
	fi
}

new='{"working": true}'
echo "$new" >ask
while status=$(curl -s --retry 5 --retry-connrefused -o got -w '%{http_code}' \
	-H 'content-type: application/json' -d @ask "$url"); do
	case $status in
	200) ;;
	404) # taken for gone
		echo "$new" >ask
		continue
		;;
	*)
		[ "$(jq -r .code got)" != canceled ] || exit 0
		jq -r .message got >&2
		exit 1
		;;
	esac
	if jq -e .instruction got >now; then
		work "$@"
		jq -c --slurpfile a answer '{participant, working: true} +
			if $a[0] then {instruction, answer: $a[0]} else {} end' \
			got >ask
	else
		sleep "$(jq '.message.reconnectIn // 0' got)"
		jq -c '{participant, working: true}' got >ask
	fi
done
echo "cannot reach $url" >&2
exit 1
