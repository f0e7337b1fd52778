/* The whole server behind a socket: byte 0 says in which pieces the rest comes.
 * Whatever it is, nothing of it is left once the client has gone. */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "test/unit/all.pb-c.h"
#include "wire/engine.h"

enum { PIECES = 64, TURNS = 8 };

static struct loop *loop;
static struct server *server;
static size_t kept;

static void answer(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct err err;

	(void)arg;
	if (((const Test__All *)in)->an_int32 >= 0) {
		call_reply(call, in);
		return;
	}
	err_full(&err, "%s", ((const Test__All *)in)->text);
	err_hint(&err, "%s", ((const Test__All *)in)->text);
	call_fail(call, &err);
}

static void thrice(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		if (call_send(call, in))
			break;
	call_end(call);
}

static void let_go(struct call *call, void *arg)
{
	(void)call, (void)arg;
	kept--;
}

static void hold(struct call *call, const ProtobufCMessage *in, void *arg)
{
	(void)in, (void)arg;
	kept++;
	call_on_cancel(call, let_go, NULL);
}

static void echo(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	(void)arg;
	if (!msg) {
		kept--;
		call_end(call);
		return;
	}
	if (!call_send(call, msg) && ((const Test__All *)msg)->a_bool) {
		call_pause(call);
		call_resume(call);
	}
}

static void last(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	Test__All out = TEST__ALL__INIT;

	(void)arg;
	if (msg && !((const Test__All *)msg)->a_bool)
		return;
	kept--;
	call_reply(call, msg ? msg : &out.base);
}

static void both_ways(struct call *call, const ProtobufCMessage *in, void *arg)
{
	hold(call, in, arg);
	call_on_message(call, echo, NULL);
}

static void to_us(struct call *call, const ProtobufCMessage *in, void *arg)
{
	hold(call, in, arg);
	call_on_message(call, last, NULL);
}

static const struct {
	struct rpc_method method;
	server_fn *fn;
} methods[] = {
#define METHOD(name, k, f)                                \
	{                                                 \
		.method = {.path = (name),                \
			   .in = &test__all__descriptor,  \
			   .out = &test__all__descriptor, \
			   .kind = RPC_##k},              \
		.fn = (f),                                \
	}
	METHOD("/u", UNARY, answer),         METHOD("/h", UNARY, hold),
	METHOD("/s", SERVER_STREAM, thrice), METHOD("/w", SERVER_STREAM, hold),
	METHOD("/c", CLIENT_STREAM, to_us),  METHOD("/b", BIDI, both_ways),
};

static void open_server(void)
{
	static struct opt_list cors = {.n = 1, .at = {"http://b"}};
	const struct server_opts opts = {
		.listen = "127.0.0.1:0",
		.advertise = "http://a",
		.max_message = 1 << 16,
		.cors = &cors,
	};
	struct err err;

	log_setup("fuzz", LEVEL_ERROR, false);
	FUZZ_CHECK(!loop_open(&loop, &err));
	FUZZ_CHECK(!server_open(&server, loop, &opts, &err));
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		server_handle_method(server, &methods[i].method, methods[i].fn,
				     NULL);
}

/* Turn the loop, and read what the server says. */
static void turn(int fd, int turns)
{
	static char part[1 << 16];

	for (int i = 0; i < turns; i++) {
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
		while (recv(fd, part, sizeof(part), MSG_DONTWAIT) > 0)
			;
	}
}

static void say(int fd, const uint8_t *p, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		(void)!send(fd, p + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		turn(fd, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const union address from = {
		.v4 = {.sin_family = AF_INET,
		       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	size_t piece;
	int fds[2];

	if (!server)
		open_server();
	if (!len)
		return 0;
	piece = data[0] ? (len + PIECES - 1) / PIECES + data[0] : len;
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	conn_open(server, fds[0], &from, NULL);
	say(fds[1], data + 1, len - 1, piece);
	turn(fds[1], TURNS);
	close(fds[1]);
	for (int i = 0; i < 1000 && server->n_conns; i++)
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	FUZZ_CHECK(!server->n_conns && !server->receiving && !kept);
	FUZZ_CHECK(!server->n_held && !server->n_streams && !server->n_many);
	return 0;
}
