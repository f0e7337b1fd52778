/* unary_bench - a server with one method that does nothing, for unary.sh:
 * prints its port and serves until TERM. */
#include <stdio.h>

#include "base/loop.h"
#include "proto/gateway.pb-c.h"
#include "wire/server.h"

static void heartbeat(struct call *call, const ProtobufCMessage *in, void *arg)
{
	HeartbeatResponse out = HEARTBEAT_RESPONSE__INIT;

	(void)in, (void)arg;
	out.status = (char *)"received";
	call_reply(call, &out.base);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

int main(void)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct server *server;
	struct loop *loop;
	struct err err;

	if (loop_open(&loop, &err) || server_open(&server, loop, &opts, &err)) {
		fprintf(stderr, "unary_bench: %s\n", err.msg);
		return 1;
	}
	server_handle(server, RPC_GATEWAY_HEARTBEAT, heartbeat, NULL);
	loop_signals(loop, stop, NULL, loop);
	printf("%d\n", server_port(server));
	fflush(stdout);
	loop_run(loop);
	server_close(server, 0);
	loop_close(loop);
	return 0;
}
