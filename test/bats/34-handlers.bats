# Messages and events that a node handles itself: control words, pings, peers
# that are ready, commands.

load helpers

script() { # NAME - a program of ours, from standard input
	{ echo '#!/bin/sh'; cat; } >"$1"
	chmod +x "$1"
}

control() { # ID WORD...
	gfl-send "$1" "${*:2}" --type 2
}

# Until FILE has these lines.
holds() { # FILE LINES
	until [ "$(cat "$1" 2>/dev/null)" = "$2" ]; do :; done
}

# A message from a node, as only a node sends it.
from() { # FROM TYPE PAYLOAD
	call "$n1_url" gfl.v1.NodeService/SendMessage '{"message":{"from":"'"$1"'",
		"type":'"$2"',"id":"m-'"$3"'","payload":"'"$(printf %s "$3" | base64)"'"}}'
	[ "$code" = 200 ]
}

@test "old=\$(gfl-leader) && gfl-send \$old shutdown --type 2 && gfl-wait leader --not \$old" {
	cluster 3
	old=$(gfl-leader) && control "$old" shutdown && gfl-wait leader --not "$old" -t 20
	reap "n$old"
	[ "$(gfl-leader)" != "$old" ]
	grep 'event=control from=0 text=shutdown' "n$old.log"
}

@test "control words act, and what cannot be done is refused" {
	# shellcheck disable=SC2086 # words on purpose
	cluster 2 $steady
	leader=$(gfl-leader)
	other=$((3 - leader))
	control "$leader" status >said
	[[ $(<said) == "$leader	node=$leader role=leader "*" members=2 "* ]]
	[ "$(control "$leader" refresh)" = "$leader	members=2" ]
	fails 5 gfl-send "$other" transfer --type 2
	[[ $said == *"node $other does not lead"* ]]
	url=n${leader}_url
	call "${!url}" gfl.v1.NodeService/Transfer "{\"to\":\"$other\",\"term\":\"99\"}"
	[ "$code" = 400 ]
	is '.message | test("leads in term [0-9]+, not in 99$")'
	gfl-send "$leader" "transfer $other" --type 2
	gfl-wait leader --not "$leader" -t 20
	fails 2 gfl-send "$leader" dance --type 2
	[[ $said == *"unknown control word 'dance': there are shutdown, leave, "* ]]
	fails 2 gfl-send "$leader" '' --type 2
	printf 'shutdown\0' | fails 2 gfl-send "$leader" --type 2
	fails 2 gfl-send "$leader" 'refresh now' --type 2
	fails 2 gfl-send "$other" 'transfer x' --type 2
	fails 2 gfl-send "$other" 'status a b' --type 2
	fails 2 gfl-send "$other" "$(head -c 200 /dev/zero | tr '\0' x)" --type 2
	[ "$(gfl-status 1 -F inbox -o tsv)" = 0 ]
}

@test "who leads alone has nobody to hand over to" {
	cluster 1
	fails 5 gfl-send 1 transfer --type 2
	[[ $said == *"there is no other voter to lead" ]]
	fails 2 gfl-send 1 'transfer 9' --type 2
}

@test "shutdown is a pause with --keep-membership, leave is none" {
	cluster 2 --keep-membership
	control 2 shutdown
	reap n2
	[ "$(gfl-status 1 -F members -o tsv)" = 2 ]
	again n2
	control 2 leave
	reap n2
	until [ "$(gfl-status 1 -F members -o tsv)" = 1 ]; do :; done
}

@test "a message of type 3 is a ping, and kept nowhere" {
	cluster 2
	gfl-send --all ping --type 3 -o jsonl >rows
	jq -es 'map(.to) == [1, 2] and all(.rtt_s > 0 and .rtt_s < 5)' rows
	gfl-send 1 '' --type 3 >row
	[[ $(<row) =~ ^1$'\t'[0-9.e-]+$ ]]
	fails 4 gfl-recv --node 1 -t 0.1
	crash n2
	fails 3 gfl-send 2 '' --type 3
	fails 2 gfl-send 1 '' --type 3 --via 1 --expire 10 || fails 2 gfl-send 2 '' --type 3 --via 1
}

@test "pairs are ready once both have told, --client-num of them" {
	cluster 1 --client-num 2
	[ "$(gfl-status 1 -F ready,ready_peers -o tsv)" = $'false\t' ]
	waits_in_vain 'node 1 and its peers: 0 ready' ready --node 1
	node 2
	gfl-wait ready --node 1 -t 20 2>>wait.err
	[ "$(gfl-status 1 -F ready,ready_peers -o tsv)" = $'true\t2' ]
	gfl-wait ready --node 2 -t 20 2>>wait.err
	[ "$(gfl-status 2 -F ready_peers -o tsv)" = 1 ]
	fails 5 gfl-send 1 '' --type 999
	crash n2
	again n2
	gfl-wait ready --node 2 -t 20 2>>wait.err
}

@test "--on-message: a command has the payload and the facts, and what it prints is the answer" {
	script speak <<-'EOF'
		[ "$1" = 'a word' ] || exit 9
		echo "$GFL_MSG_ID $GFL_MSG_FROM $GFL_MSG_TO $GFL_MSG_TYPE $GFL_NODE_ID" >>facts
		echo "got $(cat)"
	EOF
	cluster 2 --on-message "7=./speak 'a word'"
	from 2 7 hello
	gfl-recv --node 2 -t 30 -o jsonl >got
	jq -e '.payload == "got hello" and .from == 1 and .type == 1
		and .id == "re-m-hello"' got
	[ "$(<facts)" = 'm-hello 2 1 7 1' ]
	until [ "$(gfl-status 1 -F inbox -o tsv)" = 0 ]; do :; done
	gfl-send 1 'nobody to answer' --type 7 --wait -t 20
	[ "$(wc -l <facts)" = 2 ]
	# An answer is not answered.
	from 2 1 plain
	[ "$(gfl-recv --node 1)" = plain ]
}

@test "--on-message: one at a time and in order, other types beside it" {
	mkfifo gate
	script slow <<-'EOF'
		read -r line
		echo "begin $line" >>seen
		read -r go <gate
		echo "end $line" >>seen
	EOF
	script quick <<<'cat >quick.seen'
	cluster 1 --on-message '7=./slow' --on-message '8=./quick'
	seq 2 | gfl-send 1 -l --type 7
	holds seen 'begin 1'
	gfl-send 1 now --type 8
	holds quick.seen now
	[ "$(gfl-status 1 -F inbox -o tsv)" != 0 ]
	fails 4 gfl-recv --node 1 -t 0.1 # it is not for others
	echo go >gate
	holds seen $'begin 1\nend 1\nbegin 2'
	echo go >gate
	holds seen $'begin 1\nend 1\nbegin 2\nend 2'
}

@test "a message whose command fails is tried again, then left to gfl-recv" {
	script bad <<-'EOF'
		cat >>tried
		echo 'no luck today' >&2
		! grep -q bad tried
	EOF
	cluster 1 --on-message '7=./bad' --handler-tries 2
	gfl-send 1 good --type 7
	gfl-send 1 bad --type 7
	[ "$(gfl-recv --node 1 --type 7 -t 30)" = bad ]
	[ "$(<tried)" = goodbadbad ]
	grep "event=handler_failed type=7 .* try=1 error=\".*/bad exited with status 1: no luck today\"" n1.log
	grep 'event=handler_gave_up type=7' n1.log
	gfl-send 1 x
	[ "$(gfl-recv --node 1)" = x ]
}

@test "what a command leaves running ends with it, in whatever session" {
	script leave <<-'EOF'
		setsid sleep 918274 &
		cat >seen
	EOF
	cluster 1 --on leader=./leave
	until [ -e seen ]; do :; done
	nobody 'sleep 918274'
}

@test "a command that takes too long is stopped, with all that it started" {
	script stuck <<-'EOF'
		sleep 1000 &
		echo $! >pid
		wait
	EOF
	cluster 1 --on-message '7=./stuck' --handler-timeout 0.2 --handler-tries 1
	gfl-send 1 x --type 7
	logged n1 'event=handler_failed .*/stuck took longer than 0.2 s'
	# Whoever inherits it may not have taken notice of its end yet.
	while grep -sv '^State:.*Z' "/proc/$(<pid)/status" | grep -q ^State; do
		:
	done
}

@test "what was not handled when the node died is handled by its next life" {
	script slow <<-'EOF'
		setsid sleep 918273 &
		cat >>seen
		until [ -e gate ]; do sleep 0.02; done
		echo " done" >>seen
	EOF
	cluster 1 --on-message '7=./slow'
	gfl-send 1 one --type 7
	holds seen one
	crash n1
	nobody 'sleep 918273'
	nobody "$PWD/slow"
	again n1
	holds seen oneone
	: >gate
	holds seen 'oneone done'
	until [ "$(gfl-status 1 -F inbox -o tsv)" = 0 ]; do :; done
}

@test "a node that stops lets its commands end" {
	script slow <<-'EOF'
		trap 'echo ended >seen; exit 0' TERM
		: >here
		while :; do sleep 0.05; done
	EOF
	cluster 1 --on-message '7=./slow'
	gfl-send 1 x --type 7
	until [ -e here ]; do :; done
	stop n1
	[ "$(<seen)" = ended ]
}

@test "--on: discovered, lost and leader are told, in order" {
	script hook <<-'EOF'
		echo "$GFL_EVENT $GFL_PEER_ID $GFL_LEADER_ID" >>"seen.$GFL_NODE_ID.$GFL_EVENT"
		[ "$GFL_EVENT" != lost ]
	EOF
	# shellcheck disable=SC2086 # words on purpose
	cluster 2 --on discovered=./hook --on lost=./hook --on leader=./hook \
		$steady
	holds seen.1.discovered 'discovered 2 '
	holds seen.2.discovered 'discovered 1 '
	holds seen.1.leader 'leader  1'
	stop n2
	holds seen.1.lost 'lost 2 '
	logged n1 'event=hook_failed of=lost error=".*/hook exited with status 1"'
	again n2
	holds seen.1.discovered $'discovered 2 \ndiscovered 2 '
}

@test "commands come from flags or files, and are found at start" {
	script on <<<'cat >seen'
	printf '[gfl-node]\non-message.7 = %s/on\non_message.8 = %s/on\n' "$PWD" "$PWD" >gfl.conf
	cluster 1
	gfl-send 1 file --type 7
	holds seen file
	printf '[gfl-node]\non-message.7 = ./on\n' >bad.conf
	fails 2 gfl-node --config bad.conf --db x.db
	[[ $said == *"a command that is configured begins with '/'" ]]
	fails 1 gfl-node --on-message 7=./missing --db x.db
	fails 1 gfl-node --on lost=no-such-program --db x.db
	fails 2 gfl-node --on-message x=cat --db x.db
	fails 2 gfl-node --on-message 3=cat --db x.db
	fails 2 gfl-node --on weather=cat --db x.db
	fails 2 gfl-node --on-message cat --db x.db
	[ ! -e x.db ]
}

@test "a command for type 2 gets the words that are not the node's" {
	script on <<<'cat >seen'
	cluster 1 --on-message 2=./on
	gfl-send 1 dance --type 2
	holds seen dance
	[ "$(gfl-send 1 refresh --type 2)" = $'1\tmembers=1' ]
	[ "$(<seen)" = dance ]
}

@test "commands see little of the environment, and can ask their node" {
	script on <<-'EOF'
		env | sed -n 's/^\([A-Z_]*\)=.*/\1/p' | sort >names
		gfl-status -F id -o tsv >id
		: >done
	EOF
	SECRET=x GFL_QUIET=1 cluster 1 --on-message 7=./on
	gfl-send 1 x --type 7
	until [ -e done ]; do :; done
	[ "$(<id)" = 1 ]
	run grep -E 'SECRET|QUIET' names
	[ "$status" = 1 ]
	grep -x GFL_NODE names
}

@test "HUP: commands and the level of the log are read again, once none runs" {
	script old <<-'EOF'
		cat >>old.seen
		until [ -e gate ]; do sleep 0.02; done
	EOF
	script new <<<'cat >>new.seen'
	printf '[gfl-node]\nlog-level = warn\non-message.7 = %s/old\n' "$PWD" >gfl.conf
	cluster 1
	gfl-send 1 a --type 7
	holds old.seen a
	printf '[gfl-node]\nlog-level = info\non-message.7 = %s/new\non-message.8 = %s/new\n' \
		"$PWD" "$PWD" >gfl.conf
	kill -HUP "${running[n1]}"
	seq 2 | gfl-send 1 -l --type 7
	logged n1 event=reloading
	: >gate
	logged n1 'event=reloaded handlers=2 hooks=0'
	gfl-send 1 8 --type 8
	until [ "$(gfl-status 1 -F inbox -o tsv)" = 0 ]; do :; done
	[ "$(fold -w 1 new.seen | sort | paste -sd '')" = 128 ]
	[ "$(<old.seen)" = a ]
	printf 'nonsense\n' >gfl.conf
	kill -HUP "${running[n1]}"
	logged n1 'event=reload .*error=".*gfl.conf:1: expected'
	gfl-send 1 9 --type 8 --config none
	until [ "$(gfl-status 1 -F inbox -o tsv --config none)" = 0 ]; do :; done
}
