# scenario1 - 2 nodes talk with each other

# talk FROM TO TEXT - FROM delivers it to TO, whose reader is known to have it.
talk() {
	gfl-send "$2" "$3" --from "$1" --via "$1" --wait -t 20 &
	sender=$!
	expect "node $2 hears from node $1: $3" prints "$1	$3" \
		gfl-recv --node "$2" -n 1 -t 20 -o tsv -F from,payload
	wait "$sender" || fail "node $1 was not told that node $2 has it"
}

scenario1() {
	say "a gateway and 2 nodes"
	start_gateway
	start_nodes 2
	find_leader
	for i in 1 2; do
		expect "node $i knows that node $leader leads" \
			becomes "$leader" gfl-status "$i" -o tsv -F leader
	done
	talk 1 2 'hello, are you there?'
	talk 2 1 'yes, and you?'
	for i in 1 2 3; do
		talk 1 2 "message $i"
		talk 2 1 "answer $i"
	done
	for i in 1 2; do
		expect "nothing is left in the inbox and the outbox of node $i" \
			becomes '0	0' gfl-status "$i" -o tsv -F inbox,outbox
	done
	say "held: 8 messages, each received once, by whom it was for, in order"
}
