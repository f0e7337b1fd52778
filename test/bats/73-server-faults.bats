# What may go wrong at a server, and what a stranger may do to it.

load helpers
load server

@test "a client that left in the middle of its work is given more when it is back" {
	server --model "$tiny" --mode async --rounds 1 --min-participants 1
	set_up 1
	told 1
	is '.code == "ACTIVATION"'
	call "$srv_url" $service/Leave \
		"{\"clientId\":\"$id_1\",\"session\":\"$session\"}"
	set_up 1
	told 1
	is '.code == "ACTIVATION"'
	given=$answer
	values 1 10
	update 1
	[ "$code" = 200 ]
	leave 1
}
