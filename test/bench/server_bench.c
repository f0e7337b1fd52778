/* server_bench - a server for the benches: prints its port, serves until TERM.
 *
 *	Unary, Exchange		give back what they got
 *	Hold			is answered by POST /release, with all others
 *
 * With the files of a certificate, its key and the authority it speaks TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "base/loop.h"
#include "base/mem.h"
#include "proto/trainer.pb-c.h"
#include "test/interop/echo.pb-c.h"
#include "wire/server.h"
#include "wire/tls.h"

struct held {
	struct call *call;
	LIST_ENTRY(held) all;
};
static LIST_HEAD(, held) held;

static const struct rpc_method unary = {
	.path = "/gfl.test.EchoService/Unary",
	.in = &gfl__test__echo_request__descriptor,
	.out = &gfl__test__echo_request__descriptor,
};
static const struct rpc_method hold = {
	.path = "/gfl.test.EchoService/Hold",
	.in = &gfl__test__hold_request__descriptor,
	.out = &gfl__test__echo_response__descriptor,
};

static void on_unary(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)arg;
	call_reply(call, in);
}

static void on_exchange(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	const Gfl__V1__ExchangeRequest *req =
		(const Gfl__V1__ExchangeRequest *)in;
	Gfl__V1__ExchangeResponse out = GFL__V1__EXCHANGE_RESPONSE__INIT;

	(void)arg;
	out.values = req->values;
	call_reply(call, &out.base);
}

static void on_gone(struct call *call, void *arg)
{
	struct held *h = arg;

	(void)call;
	LIST_REMOVE(h, all);
	free(h);
}

static void on_hold(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct held *h = mem_zero(1, sizeof(*h));

	(void)in, (void)arg;
	h->call = call;
	LIST_INSERT_HEAD(&held, h, all);
	call_on_cancel(call, on_gone, h);
}

static void on_release(struct call *call, const char *query, const char *body,
		       size_t len, void *arg)
{
	Gfl__Test__EchoResponse out = GFL__TEST__ECHO_RESPONSE__INIT;
	struct held *h;

	(void)query, (void)body, (void)len, (void)arg;
	while ((h = LIST_FIRST(&held))) {
		call_reply(h->call, &out.base);
		on_gone(h->call, h);
	}
	call_http(call, 200, "text/plain", "ok\n", 3);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void serve(struct loop *loop, struct server *server)
{
	server_handle_method(server, &unary, on_unary, NULL);
	server_handle_method(server, &hold, on_hold, NULL);
	server_handle(server, RPC_TRAINER_EXCHANGE, on_exchange, NULL);
	server_http(server, "POST", "/release", on_release, NULL);
	loop_signals(loop, stop, NULL, loop);
	printf("%d\n", server_port(server));
	fflush(stdout);
	loop_run(loop);
}

int main(int argc, char **argv)
{
	const struct tls_opts files = {argv[1], argc > 2 ? argv[2] : NULL,
				       argc > 3 ? argv[3] : NULL};
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct rlimit limit;
	struct server *server;
	struct tls *tls = NULL;
	struct loop *loop;
	struct err err;

	mem_bulk(); /* as the trainer */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if ((argc > 3 && tls_open(&tls, &files, &err)) ||
	    loop_open(&loop, &err)) {
		fprintf(stderr, "server_bench: %s\n", err.msg);
		return 1;
	}
	opts.tls = tls;
	if (server_open(&server, loop, &opts, &err)) {
		fprintf(stderr, "server_bench: %s\n", err.msg);
		return 1;
	}
	serve(loop, server);
	server_close(server, 0);
	tls_close(tls);
	loop_close(loop);
	return 0;
}
