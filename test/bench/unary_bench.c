/* unary_bench - a server with one method that gives back what it got, for
 * unary.sh: prints its port and serves until TERM. */
#include <stdio.h>

#include "base/loop.h"
#include "test/interop/echo.pb-c.h"
#include "wire/server.h"

static void echo(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)arg;
	call_reply(call, in);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

int main(void)
{
	const struct rpc_method method = {
		.path = "/gfl.test.EchoService/Unary",
		.in = &gfl__test__echo_request__descriptor,
		.out = &gfl__test__echo_request__descriptor,
	};
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct server *server;
	struct loop *loop;
	struct err err;

	if (loop_open(&loop, &err) || server_open(&server, loop, &opts, &err)) {
		fprintf(stderr, "unary_bench: %s\n", err.msg);
		return 1;
	}
	server_handle_method(server, &method, echo, NULL);
	loop_signals(loop, stop, NULL, loop);
	printf("%d\n", server_port(server));
	fflush(stdout);
	loop_run(loop);
	server_close(server, 0);
	loop_close(loop);
	return 0;
}
