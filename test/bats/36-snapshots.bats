# Logs that are replaced by snapshots.

bats_require_minimum_version 1.5.0
load helpers

append_many() { # COUNT - entries, the last one's index is printed
	local i url
	url=$(gfl-leader -F url)
	for ((i = 0; i < $1; i++)); do
		echo "url = $url/gfl.v1.NodeService/Propose"
	done | curl -sS -K - -d '{"entry":{"noop":{}}}' \
		-H 'content-type: application/json' |
		jq -ers 'map(.index // error) | last'
}

first_of() { # ID - of the entries that it still has
	gfl-log --node "$1" -F index | head -n 1
}

# Its log was cut; a snapshot is written beside what is appended meanwhile.
cut_off() { # ID...
	local id
	for id; do until [ "$(first_of "$id")" -gt 20 ]; do :; done; done
}

rows() { # ID - of its file's log
	sqlite3 "file:n$1.db?mode=ro" 'SELECT count(*) FROM log'
}

# A byte of the snapshot's members, which no row of the log has either.
rot_members() { # ID
	sqlite3 "n$1.db" "DELETE FROM log WHERE type = 3;
		UPDATE snapshot SET config =
		CAST(substr(config, 1, 2) || x'ff' || substr(config, 4) AS BLOB)"
}

# Their states come to be the same.
same_state() { # ID ID
	local -n one_=n$1_url other_=n$2_url
	local first

	while :; do
		call "$one_" gfl.v1.NodeService/GetState '{}'
		first=$answer
		call "$other_" gfl.v1.NodeService/GetState '{}'
		is .applied || continue
		[ "$answer" != "$first" ] || break
	done
}

@test "a log that has grown is replaced by a snapshot, on disk too, and read from there" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 1
	last=$(append_many 60)
	cut_off 1
	[ "$(rows 1)" -lt 50 ]
	crash n1
	again n1
	gfl-wait leader -t 20
	committed 1 "$last"
	gfl-list -F id,status | grep -qx $'1\talive'
	gfl-log --db n1.db -F index >indexes
	[ "$(head -n 1 indexes)" -gt 20 ]
}

@test "a node that was away for longer than the log reaches gets the snapshot" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 3
	leader=$(gfl-leader)
	away=$((leader % 3 + 1))
	crash "n$away"
	# Entries that a member needs who answered a moment ago are kept.
	until [ "$(first_of "$leader")" -gt 30 ]; do
		last=$(append_many 10)
	done
	again "n$away"
	committed "$away" "$last"
	[ "$(first_of "$away")" -gt 30 ]
	last=$(append_many 5)
	all_committed "$last" 1 2 3
	diff <(gfl-log --node 1 --to "$last" | tail -n 5) \
		<(gfl-log --node "$away" --to "$last" | tail -n 5)
}

@test "a node that joins late gets the snapshot, and what was proposed stays applied once" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 1
	propose='{"client":"7","seq":"1","entry":{"noop":{}}}'
	call "$n1_url" gfl.v1.NodeService/Propose "$propose"
	first=$(jq -r .index <<<"$answer")
	last=$(append_many 60)
	cut_off 1
	node 2
	committed 2 "$last"
	[ "$(first_of 2)" -gt 20 ]
	call "$n1_url" gfl.v1.NodeService/Propose "$propose"
	is ".index == \"$first\""
	crash n1
	again n1
	gfl-wait leader -t 20
	call "$n1_url" gfl.v1.NodeService/Propose "$propose"
	is ".index == \"$first\""
}

@test "a damaged snapshot is found at the start" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 1
	append_many 60
	cut_off 1
	stop n1
	sqlite3 n1.db "UPDATE snapshot SET data =
		CAST(substr(data, 1, 40) || x'ff' || substr(data, 42) AS BLOB)"
	fails 70 gfl-node --node-id 1 --db n1.db --listen 127.0.0.1:0
	[[ $said == *'snapshot at entry'*'does not have its checksum'* ]]
}

@test "entries that rotted on a disk come again from the leader" {
	cluster 3
	last=$(append_many 20)
	all_committed "$last" 1 2 3
	leader=$(gfl-leader)
	sick=$((leader % 3 + 1))
	crash "n$sick"
	sqlite3 "n$sick.db" \
		"UPDATE log SET data = x'00' WHERE idx = $((last - 10))"
	fails 70 gfl-log --db "n$sick.db" --from $((last - 10))
	[[ $said == *"log entry $((last - 10)) does not have its checksum"* ]]
	again "n$sick"
	grep -q "event=log_damaged.*log entry $((last - 10)) .*kept=$((last - 11))" \
		"n$sick.log"
	committed "$sick" "$last"
	cmp <(gfl-log --node "$leader" --to "$last") \
		<(gfl-log --node "$sick" --to "$last")
	gfl-wait nodes 3 -t 20
	crash "n$sick"
	gfl-log --db "n$sick.db" >whole
}

@test "a node alone refuses its damaged log, and names the row" {
	cluster 1
	last=$(append_many 5)
	crash n1
	sqlite3 n1.db "DELETE FROM log WHERE idx = $last"
	fails 70 gfl-node --node-id 1 --db n1.db --listen 127.0.0.1:0
	[[ $said == *"n1.db is damaged: log entry $last is missing"* ]]
	[[ $said == *"no other voter is known"* ]]
}

@test "a snapshot that rotted comes again from the leader" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 3
	last=$(append_many 60)
	cut_off 1 2 3
	leader=$(gfl-leader)
	sick=$((leader % 3 + 1))
	crash "n$sick"
	sqlite3 "n$sick.db" "UPDATE snapshot SET data =
		CAST(substr(data, 1, 40) || x'ff' || substr(data, 42) AS BLOB)"
	again "n$sick"
	grep -q 'event=log_damaged.*snapshot at entry.* kept=0' "n$sick.log"
	committed "$sick" "$last"
	last=$(append_many 3)
	committed "$sick" "$last"
}

@test "a node that cannot read who the members were is back all the same" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 3
	last=$(append_many 60)
	for id in 1 2 3; do committed "$id" "$last"; done
	leader=$(gfl-leader)
	sick=$((leader % 3 + 1))
	cut_off "$sick"
	crash "n$sick"
	stop gw
	rot_members "$sick"
	run -70 gfl-node --check --db "n$sick.db"
	[[ $output == *"the row of the snapshot does not have its checksum"* ]]
	again "n$sick"
	grep -q 'event=log_damaged.*row of the snapshot.* kept=0' "n$sick.log"
	url=n${leader}_url
	last=$(GFL_GATEWAY=${!url} append_many 3)
	committed "$sick" "$last"
	same_state "$sick" "$leader"
	crash "n$sick"
	gfl-node --check --db "n$sick.db" >found
}

@test "who could send it again is asked for, and without anybody it is said what is needed" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 2
	last=$(append_many 60)
	committed 1 "$last"
	committed 2 "$last"
	gone=$GFL_GATEWAY
	cut_off 1
	crash n1
	stop gw
	rot_members 1
	sqlite3 n1.db 'DELETE FROM conf' # as in an older file
	sha256sum n1.db >before
	fails 70 gfl-node --node-id 1 --db n1.db --listen 127.0.0.1:0
	[[ $said == *"row of the snapshot"*"no other voter is known"*"--join="* ]]
	grep -q "event=no_other_voter.*cannot reach $gone" stderr
	sha256sum -c before
	again gw
	again n1 # the gateway has kept where n2 is
	grep -q 'event=log_damaged.* kept=0' n1.log
	until gfl-log append noop - --node "$n2_url" <<<'{}' >appended; do :; done
	committed 1 "$(tail -n 1 appended)"
	same_state 1 2
	cut_off 1
	crash n1
	stop gw
	rot_members 1
	sqlite3 n1.db 'DELETE FROM conf; DELETE FROM log'
	start n1 gfl-node --node-id 1 --db n1.db --join "$n2_url"
	# n2 may lead on, or have to be elected anew.
	until gfl-log append noop - --node "$n2_url" <<<'{}' >appended; do :; done
	committed 1 "$(tail -n 1 appended)"
	same_state 1 2
}

@test "a log whose pages SQLite cannot read is made anew, and messages stay" {
	cluster 3
	last=$(append_many 20)
	for id in 1 2 3; do committed "$id" "$last"; done
	leader=$(gfl-leader)
	sick=$((leader % 3 + 1))
	gfl-send "$sick" 'not yet read'
	crash "n$sick"
	root=$(sqlite3 "n$sick.db" 'PRAGMA wal_checkpoint(TRUNCATE);
		SELECT rootpage FROM sqlite_schema WHERE name = "log"' | tail -n 1)
	printf '\xee' | dd of="n$sick.db" bs=1 seek=$((4096 * (root - 1))) \
		conv=notrunc status=none
	run -70 gfl-node --check --db "n$sick.db"
	again "n$sick"
	grep -q "event=file_made_anew.*kept=n$sick.db.damaged" "n$sick.log"
	grep -q 'event=log_damaged' "n$sick.log"
	committed "$sick" "$last"
	same_state "$sick" "$leader"
	url=n${sick}_url
	[ "$(gfl-recv --node "${!url}")" = 'not yet read' ]
	crash "n$sick"
	gfl-node --check --db "n$sick.db" >found
	run -70 gfl-node --check --db "n$sick.db.damaged"
}

@test "a node whose vote cannot be read says what to do, and then is a new member" {
	cluster 3
	leader=$(gfl-leader)
	sick=$((leader % 3 + 1))
	crash "n$sick"
	sqlite3 "n$sick.db" 'UPDATE hard_state SET vote = vote + 1'
	fails 70 gfl-node --node-id "$sick" --db "n$sick.db"
	[[ $said == *"the hard state does not have its checksum"* ]]
	[[ $said == *"hint: "*"move the file away"* ]]
	mkdir away
	mv "n$sick".db* away
	again "n$sick"
	last=$(append_many 3)
	committed "$sick" "$last"
	same_state "$sick" "$leader"
}

@test "the only voter refuses its damaged snapshot, whoever else is a member" {
	export GFL_SNAPSHOT_AFTER=2K GFL_MAX_VOTERS=1
	cluster 1
	node 2
	last=$(append_many 60)
	committed 2 "$last"
	gfl-list --linearizable -F id,role | grep -qx $'2\tstandby'
	cut_off 1
	crash n1
	rot_members 1
	for _ in 1 2; do
		fails 70 gfl-node --node-id 1 --db n1.db --listen 127.0.0.1:0 \
			--join "$n2_url"
		[[ $said == *"no other voter is known"*"a copy of its file"* ]]
	done
}

@test "gfl-log compact puts a snapshot in the place of the log" {
	cluster 1
	last=$(append_many 10)
	gfl-log compact >said
	[ "$(cut -f1 said)" -ge "$last" ]
	[ "$(cut -f2 said)" -eq $(($(cut -f1 said) + 1)) ]
	[ "$(rows 1)" -eq 0 ]
	[ -z "$(gfl-log --to "$last")" ]
	[ "$(gfl-log compact)" = "$(cat said)" ] # nothing new
	last=$(append_many 2)
	gfl-log compact
	crash n1
	again n1
	gfl-wait leader -t 20
	next=$(append_many 1)
	[ "$next" -gt "$last" ]
	fails 2 gfl-log compact --db n1.db
}

@test "gfl-log verify and gfl-node --check find what is damaged, and say where" {
	export GFL_SNAPSHOT_AFTER=2K
	cluster 1
	append_many 40
	gfl-log compact # so that the next snapshot is far
	last=$(append_many 3)
	gfl-log verify -o jsonl |
		jq -es 'map(.part) == ["schema", "node", "hard_state",
			"snapshot", "log", "entries", "state"] and
			all(.damaged | not)'
	gfl-log verify --db n1.db | grep -q "^log.false.entries"
	grep -q "of entry $((last - 1)):\|of entry $last:" \
		<(gfl-log verify --db n1.db -F found)
	fails 7 gfl-node --check --db n1.db
	[[ $said == *"n1.db is in use by process"* ]]
	sqlite3 n1.db "UPDATE log SET data = x'00' WHERE idx = $last"
	run -70 gfl-log verify
	[[ $output == *"n1.db is damaged: log entry $last does not have"* ]]
	[ "$(append_many 1)" -gt "$last" ] # what it serves is whole
	stop n1
	run -70 gfl-node --check --db n1.db
	[[ $output == *"log	true	n1.db is damaged: log entry $last "* ]]
	fails 1 gfl-node --check --db missing.db
	[ ! -e missing.db.lock ]
}

@test "gfl-node --check reads a file that is whole, and changes nothing" {
	cluster 1
	append_many 3
	stop n1 gw
	sha256sum n1.db >before
	gfl-node --check --db n1.db >found
	sha256sum -c before
	grep -q '^file	false	whole$' found
	grep -q '^state	false	of entry .*: 1 members, 0 trainers, 0 runs$' found
	fails 5 gfl-node --check --db gw.db
	sqlite3 n1.db 'UPDATE hard_state SET vote = 7'
	run -70 gfl-node --check --db n1.db
	[[ $output == *"hard_state	true	n1.db is damaged: the hard state"* ]]
}
