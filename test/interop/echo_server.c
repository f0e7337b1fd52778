/* echo_server - a service for clients that others wrote: every kind of stream,
 * errors, calls that are held. Prints its URL once it serves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/mem.h"
#include "base/opt.h"
#include "test/interop/echo.pb-c.h"
#include "wire/server.h"
#include "wire/tls.h"

enum {
	BURST = 1000,       /* messages sent before others have their turn */
	AHEAD = 256 << 10,  /* bytes sent ahead of the reader */
	MAX_TEXT = 64 << 10 /* of a sum */
};

struct config {
	struct daemon_opts daemon;
};

static const struct opt opts[] = {
	OPT_DAEMON(struct config, daemon, "127.0.0.1:0"),
	OPT_END,
};

static const struct prog prog = {
	.name = "echo_server",
	.args = "",
	.brief = "a service for clients that others wrote",
	.about = "Serves gfl.test.EchoService until it is told to stop.",
	.opts = opts,
	.daemon = true,
};

struct app {
	struct daemon daemon;
	struct loop *loop;
	struct tls *tls;
	struct server *server;
	int64_t calls, held, cancelled, expired;
};

/* A call that lasts: the stream to the client, the sum of one from it. */
struct job {
	struct app *app;
	struct call *call;
	struct timer timer;
	int32_t sent, count, size, fail_after;
	int64_t interval_ms, messages, sum, bytes;
	struct buf text;
};

static struct job *job_new(struct app *app, struct call *call)
{
	struct job *j = mem_zero(1, sizeof(*j));

	app->calls++;
	j->app = app;
	j->call = call;
	return j;
}

static void job_free(struct job *j)
{
	timer_stop(&j->timer);
	buf_release(&j->text);
	free(j);
}

static void on_cancel(struct call *call, void *arg)
{
	(void)call;
	job_free(arg);
}

static void unary(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__Test__EchoRequest *req = (const Gfl__Test__EchoRequest *)in;
	Gfl__Test__EchoResponse out = GFL__TEST__ECHO_RESPONSE__INIT;

	((struct app *)arg)->calls++;
	out.text = req->text;
	out.data = req->data;
	out.number = req->number;
	call_reply(call, &out.base);
}

static void echo(struct call *call, const ProtobufCMessage *in, void *arg)
{
	((struct app *)arg)->calls++;
	call_reply(call, in);
}

static void lost(struct err *err)
{
	err_set(err, ERR_DATA_LOSS, "größer than a stream may be: %%");
}

/* One message more; false if the call is over. */
static bool send_one(struct job *j)
{
	Gfl__Test__EchoResponse out = GFL__TEST__ECHO_RESPONSE__INIT;
	static uint8_t zeros[1 << 20];
	struct err err;

	if (j->fail_after && j->sent == j->fail_after) {
		lost(&err);
		call_fail(j->call, &err);
		job_free(j);
		return false;
	}
	if (j->sent == j->count) {
		call_end(j->call);
		job_free(j);
		return false;
	}
	out.number = j->sent++;
	out.data.data = zeros;
	out.data.len = (size_t)j->size;
	return !call_send(j->call, &out.base);
}

static void send_more(void *arg);

/* As many as the reader takes; the drain hook goes on. */
static void send_burst(struct job *j)
{
	struct app *app = j->app;

	for (int i = 0; i < BURST && call_queued(j->call) < AHEAD; i++)
		if (!send_one(j))
			return;
	if (!call_queued(j->call))
		timer_set(&j->timer, app->loop, 0, send_more, j);
}

static void on_drain(struct call *call, void *arg)
{
	(void)call;
	send_burst(arg);
}

static void send_more(void *arg)
{
	struct job *j = arg;

	if (!j->interval_ms)
		send_burst(j);
	else if (send_one(j))
		timer_set(&j->timer, j->app->loop, j->interval_ms, send_more,
			  j);
}

static int between(int32_t n, int32_t max)
{
	return n < 0 ? 0 : n > max ? max : n;
}

static void server_stream(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	const Gfl__Test__CountRequest *req =
		(const Gfl__Test__CountRequest *)in;
	struct job *j = job_new(arg, call);

	j->count = between(req->count, 1000000);
	j->size = between(req->size, 1 << 20);
	j->fail_after = req->fail_after;
	j->interval_ms = between(req->interval_ms, 60000);
	call_on_cancel(call, on_cancel, j);
	if (!j->interval_ms)
		call_on_drain(call, on_drain, j);
	timer_set(&j->timer, j->app->loop, j->interval_ms, send_more, j);
}

static void sum_up(struct job *j)
{
	Gfl__Test__SumResponse out = GFL__TEST__SUM_RESPONSE__INIT;

	out.count = j->messages;
	out.sum = j->sum;
	out.bytes = j->bytes;
	if (j->text.len)
		out.text = j->text.p;
	call_reply(j->call, &out.base);
	job_free(j);
}

static void on_addend(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__Test__EchoRequest *req = (const Gfl__Test__EchoRequest *)msg;
	struct job *j = arg;

	(void)call;
	if (!msg) {
		sum_up(j);
		return;
	}
	j->messages++;
	j->sum += req->number;
	j->bytes += (int64_t)req->data.len;
	if (j->text.len + strlen(req->text) <= MAX_TEXT)
		buf_puts(&j->text, req->text);
}

static void client_stream(struct call *call, const ProtobufCMessage *in,
			  void *arg)
{
	struct job *j = job_new(arg, call);

	(void)in;
	call_on_message(call, on_addend, j);
	call_on_cancel(call, on_cancel, j);
}

static void on_echo(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__Test__EchoRequest *req = (const Gfl__Test__EchoRequest *)msg;
	Gfl__Test__EchoResponse out = GFL__TEST__ECHO_RESPONSE__INIT;

	(void)arg;
	if (!msg) {
		call_end(call);
		return;
	}
	out.text = req->text;
	out.data = req->data;
	out.number = req->number;
	(void)!call_send(call, &out.base);
}

static void on_gone(struct call *call, void *arg)
{
	(void)call, (void)arg;
}

static void bidi(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)in;
	((struct app *)arg)->calls++;
	call_on_message(call, on_echo, arg);
	call_on_cancel(call, on_gone, arg);
}

static void fail(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__Test__FailRequest *req = (const Gfl__Test__FailRequest *)in;
	int code = between(req->code, ERR_UNAUTHENTICATED);
	struct err err;

	((struct app *)arg)->calls++;
	err_set(&err, (enum err_code)(code ? code : ERR_UNKNOWN), "%s",
		req->message);
	if (req->hint[0])
		err_hint(&err, "%s", req->hint);
	err.retry_s = between(req->retry_after_s, 3600);
	call_fail(call, &err);
}

static void on_held_gone(struct call *call, void *arg)
{
	struct app *app = arg;

	app->held--;
	if (clock_ms() >= call_deadline_ms(call))
		app->expired++;
	else
		app->cancelled++;
}

static void hold(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct app *app = arg;

	(void)in;
	app->calls++;
	app->held++;
	call_on_cancel(call, on_held_gone, app);
}

static void stats(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__Test__StatsResponse out = GFL__TEST__STATS_RESPONSE__INIT;
	struct app *app = arg;

	(void)in;
	out.calls = ++app->calls;
	out.held = app->held;
	out.cancelled = app->cancelled;
	out.expired = app->expired;
	call_reply(call, &out.base);
}

#define METHOD(name, i, o, k, f)                                       \
	{                                                              \
		.method =                                              \
			{                                              \
				.path = "/gfl.test.EchoService/" name, \
				.in = &gfl__test__##i##__descriptor,   \
				.out = &gfl__test__##o##__descriptor,  \
				.kind = RPC_##k,                       \
			},                                             \
		.fn = (f),                                             \
	}

static const struct {
	struct rpc_method method;
	server_fn *fn;
} methods[] = {
	METHOD("Unary", echo_request, echo_response, UNARY, unary),
	METHOD("ServerStream", count_request, echo_response, SERVER_STREAM,
	       server_stream),
	METHOD("ClientStream", echo_request, sum_response, CLIENT_STREAM,
	       client_stream),
	METHOD("Bidi", echo_request, echo_response, BIDI, bidi),
	METHOD("Fail", fail_request, echo_response, UNARY, fail),
	METHOD("FailStream", fail_request, echo_response, SERVER_STREAM, fail),
	METHOD("Hold", hold_request, echo_response, UNARY, hold),
	METHOD("HoldStream", hold_request, echo_response, SERVER_STREAM, hold),
	METHOD("Echo", everything, everything, UNARY, echo),
	METHOD("Stats", stats_request, stats_response, UNARY, stats),
};

static void on_stop(void *arg)
{
	struct app *app = arg;

	daemon_stopping(&app->daemon);
	loop_stop(app->loop);
}

static int open_all(struct app *app, const struct config *cfg, struct err *err)
{
	char *listen;
	struct server_opts serve = {
		.advertise = cfg->daemon.advertise,
		.insecure = cfg->daemon.insecure,
		.cors = &cfg->daemon.cors,
	};
	int rc;

	if (tls_open(&app->tls, &cfg->daemon.tls, err))
		return (int)err->code;
	listen = opt_addr_text(&cfg->daemon.listen);
	serve.listen = listen;
	serve.tls = app->tls;
	rc = loop_open(&app->loop, err) ||
	     server_open(&app->server, app->loop, &serve, err);
	free(listen);
	return rc ? (int)err->code : 0;
}

static int serve(struct app *app, struct err *err)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		server_handle_method(app->server, &methods[i].method,
				     methods[i].fn, app);
	loop_signals(app->loop, on_stop, NULL, app);
	server_ready(app->server, true);
	puts(server_url(app->server));
	fflush(stdout);
	if (daemon_ready(&app->daemon, server_port(app->server), err))
		return (int)err->code;
	loop_run(app->loop);
	return 0;
}

static int run(const struct config *cfg, struct err *err)
{
	struct app app = {0};
	int rc;

	if (daemon_start(&app.daemon, &cfg->daemon, err))
		return (int)err->code;
	rc = open_all(&app, cfg, err) || serve(&app, err);
	server_close(app.server, 1000);
	if (app.loop)
		loop_close(app.loop);
	tls_close(app.tls);
	daemon_end(&app.daemon);
	return rc ? (int)err->code : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	return run(&cfg, &err) ? err_report(&prog, &err) : 0;
}
