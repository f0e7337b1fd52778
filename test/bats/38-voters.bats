# Who votes: as the leader sees fit, and as somebody asks.

load helpers

voters() {
	call "$n1_url" gfl.v1.NodeService/GetState '{}' >call.out
	jq -r '[.members[] | select(.role == "VOTER").id] | join(" ")' \
		<<<"$answer"
}

# role ACTION ID... - as an entry of a batch
roles() {
	while [ $# -gt 0 ]; do
		jq -nc --arg a "$1" --argjson id "$2" \
			'{membership: {action: $a, member: {id: $id}}}'
		shift 2
	done | jq -sc '{entries: .}'
}

@test "voters are replaced all at once, by a joint configuration" {
	cluster 3 --max-voters 3
	node 4 --max-voters 3
	node 5 --max-voters 3
	watch "$n1_url" gfl.v1.NodeService/ReadLog '{"follow":true}'
	standbys=0
	while [ "$standbys" -lt 2 ]; do
		event
		standbys=$((standbys + $(jq '[.entry | .membership,
			.batch.entries[]?.membership |
			select(.action == "DEMOTE")] | length' <<<"$answer")))
	done
	roles PROMOTE 4 PROMOTE 5 DEMOTE 1 DEMOTE 2 >roles.json
	gfl-log append batch roles.json -t 20
	await '.joint'
	await '.config and (.joint | not) and (.entry | not)'
	unwatch
	[ "$(voters)" = '3 4 5' ]
	gfl-log append batch roles.json -t 20 # it is so already
	[ "$(voters)" = '3 4 5' ]
	gfl-wait leader -t 20
	roles REMOVE 1 REMOVE 2 >roles.json
	gfl-log append batch roles.json -t 20
	gfl-wait nodes 3 -t 20
}

@test "roles that cannot be are refused, all of them" {
	cluster 3
	fails 5 gfl-log append batch - < <(roles DEMOTE 1 PROMOTE 9)
	[[ $said == *"server 9 is not a member yet"* ]]
	fails 5 gfl-log append batch - < <(roles REMOVE 1 REMOVE 2 REMOVE 3)
	[[ $said == *"no voter would be left"* ]]
	fails 2 gfl-log append batch - < <(roles DEMOTE 1 DEMOTE 1)
	[[ $said == *"twice"* ]]
	fails 2 gfl-log append batch - < <(roles ADD 9)
	[[ $said == *"promoted, demoted or removed"* ]]
	[ "$(voters)" = '1 2 3' ]
}
