#include "certs.h"
#include "test.h"
#include "world.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "wire/client.h"

#define REMOVE "/GatewayService/RemoveNode"

/* A server with TLS, and one connection to it by hand. */
struct link {
	struct world w;
	struct tls *server, *client;
	struct tls_conn *tls;
	struct buf out, got;
	int fd;
	bool gone;
	struct err err;
	struct peer peer; /* of the last call */
	struct identity identity;
};

static void on_call(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct link *l = arg;

	l->peer = *call_peer(call);
	if (l->peer.identity)
		l->identity = *l->peer.identity;
	heartbeat(call, in, &l->w);
}

static void link_open(struct link *l, struct server_opts opts, const char *name)
{
	memset(l, 0, sizeof(*l));
	certs_usual();
	l->server = opts.tls = certs_load("server", "ca");
	l->client = certs_load(name, "ca");
	world_open(&l->w, opts);
	server_handle(l->w.server, RPC_GATEWAY_HEARTBEAT, on_call, l);
	server_handle(l->w.server, RPC_GATEWAY_REMOVE_NODE, hold, &l->w);
	server_handle(l->w.server, RPC_GATEWAY_GET_STATS, hold, &l->w);
	l->fd = dial(&l->w);
	l->tls = tls_connect(l->client, "127.0.0.1", "http/1.1");
}

static void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	tls_free(l->tls);
	buf_release(&l->out);
	buf_release(&l->got);
	world_close(&l->w);
	tls_close(l->server);
	tls_close(l->client);
}

static void flush(struct link *l)
{
	say_bytes(l->fd, l->out.p, l->out.len);
	buf_reset(&l->out);
}

static ssize_t take(struct link *l, const char *p, size_t len)
{
	char part[4096];
	ssize_t n;

	tls_feed(l->tls, p, len);
	while ((n = tls_read(l->tls, part, sizeof(part), &l->out, &l->err)) > 0)
		buf_put(&l->got, part, (size_t)n);
	if (l->out.len)
		flush(l);
	return n;
}

/* One turn of the server, then what came of it. */
static void turn(struct link *l)
{
	char bytes[65536];
	ssize_t n;

	world_turn(&l->w);
	n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		poll(NULL, 0, 1);
		return;
	}
	if (n <= 0 || take(l, bytes, (size_t)n) < 0)
		l->gone = true;
}

static void shake(struct link *l)
{
	take(l, NULL, 0);
	while (!tls_ready(l->tls))
		turn(l);
}

static void ask(struct link *l, const char *path)
{
	char *text = mem_fmt("POST %s HTTP/1.1\r\nHost: localhost:%d\r\n"
			     "Content-Type: " JSON
			     "\r\nContent-Length: 12\r\n\r\n{\"nodeId\":1}",
			     path, server_port(l->w.server));

	CHECK(tls_write(l->tls, text, strlen(text), &l->out));
	flush(l);
	free(text);
}

static void expect(struct link *l, const char *part)
{
	while (!l->got.p || !strstr(l->got.p, part)) {
		CHECK(!l->gone);
		turn(l);
	}
}

TEST(a_member_is_known_to_handlers)
{
	struct link l;

	link_open(&l, (struct server_opts){0}, "member");
	CHECK_HAS(server_url(l.w.server), "https://127.0.0.1:");
	shake(&l);
	ask(&l, HEARTBEAT);
	expect(&l, "received");
	CHECK_INT(l.peer.trust, PEER_VERIFIED);
	CHECK_STR(l.peer.addr, "127.0.0.1");
	CHECK_STR(l.identity.cluster, "lab");
	CHECK_STR(l.identity.role, "node");
	CHECK_STR(l.identity.id, "7");
	CHECK_STR(l.identity.cn, "member");
	link_close(&l);
}

TEST(a_stranger_may_only_read)
{
	struct link l;

	link_open(&l, (struct server_opts){0}, NULL);
	shake(&l);
	ask(&l, REMOVE);
	expect(&l, "HTTP/1.1 401 ");
	expect(&l, "\"code\":\"unauthenticated\"");
	CHECK(!l.w.kept);
	ask(&l, "/GatewayService/GetStats");
	UNTIL(&l.w, l.w.kept);
	answer_kept(&l.w);
	expect(&l, "late");
	link_close(&l);
}

TEST(with_everyone_trusted_a_stranger_may_change_things)
{
	struct link l;

	link_open(&l, (struct server_opts){.insecure = true}, NULL);
	shake(&l);
	ask(&l, HEARTBEAT);
	expect(&l, "received");
	CHECK_INT(l.peer.trust, PEER_UNVERIFIED);
	link_close(&l);
}

TEST(plain_text_is_answered_in_plain_text)
{
	static const char *const plain[] = {
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "hello"};
	struct link l;

	link_open(&l, (struct server_opts){0}, NULL);
	for (int i = 0; i < 3; i++) {
		int fd = dial(&l.w);
		char *got;

		say(fd, plain[i]);
		got = hear_all(&l.w, fd);
		CHECK_HAS(got, "HTTP/1.1 400 ");
		CHECK_HAS(got, TLS_WANTED);
		free(got);
		close(fd);
	}
	link_close(&l);
}

TEST(who_goes_away_in_the_handshake_is_forgotten)
{
	struct link l;

	link_open(&l, (struct server_opts){.max_connections = 1}, "member");
	for (int i = 0; i < 3; i++) {
		take(&l, NULL, 0);
		for (int k = 0; k < i; k++)
			turn(&l);
		close(l.fd);
		tls_free(l.tls);
		l.tls = tls_connect(l.client, "127.0.0.1", NULL);
		l.fd = dial(&l.w);
	}
	shake(&l); /* the only place is free again */
	ask(&l, HEARTBEAT);
	expect(&l, "received");
	link_close(&l);
}

TEST(a_handshake_that_takes_too_long_is_cut)
{
	struct link l;
	char *got;

	link_open(&l, (struct server_opts){.receive_ms = 50, .idle_ms = 60000},
		  "member");
	got = hear_all(&l.w, l.fd); /* says nothing */
	CHECK_STR(got, "");
	free(got);
	close(l.fd);
	l.fd = dial(&l.w);
	CHECK_INT(tls_read(l.tls, NULL, 0, &l.out, &l.err), TLS_MORE);
	for (size_t i = 0; i < l.out.len; i++) { /* a byte a turn */
		if (send(l.fd, l.out.p + i, 1, MSG_NOSIGNAL) < 0)
			break;
		world_turn(&l.w);
		poll(NULL, 0, 1);
	}
	got = hear_all(&l.w, l.fd);
	free(got);
	link_close(&l);
}

TEST(garbage_in_a_handshake_gets_an_alert)
{
	struct link l;
	char *got;

	link_open(&l, (struct server_opts){0}, "member");
	say_bytes(l.fd, "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", 10);
	got = hear_all(&l.w, l.fd);
	CHECK_INT(got[0], 0x15);
	free(got);
	link_close(&l);
}

static void hold_one(struct link *l)
{
	link_open(l, (struct server_opts){0}, "member");
	shake(l);
	ask(l, REMOVE);
	UNTIL(&l->w, l->w.kept);
}

TEST(a_held_call_ends_with_its_client)
{
	struct link l;

	hold_one(&l); /* in order */
	tls_end(l.tls, &l.out);
	flush(&l);
	UNTIL(&l.w, l.w.cancels);
	link_close(&l);
	hold_one(&l); /* by an end without a word */
	shutdown(l.fd, SHUT_WR);
	UNTIL(&l.w, l.w.cancels);
	link_close(&l);
	hold_one(&l); /* by bytes that are no record */
	say(l.fd, "nonsense that is no record of TLS");
	UNTIL(&l.w, l.w.cancels);
	link_close(&l);
}

TEST(a_held_call_is_answered)
{
	struct link l;

	hold_one(&l);
	answer_kept(&l.w);
	expect(&l, "late");
	CHECK_INT(l.w.cancels, 0);
	link_close(&l);
}

TEST(a_server_that_closes_says_so)
{
	struct link l;

	link_open(&l, (struct server_opts){.idle_ms = 400}, "member");
	shake(&l);
	while (!l.gone)
		turn(&l);
	CHECK_INT(l.err.code, 0);
	CHECK(tls_read(l.tls, NULL, 0, &l.out, &l.err) != TLS_BROKEN);
	link_close(&l);
}

struct calls {
	struct link *l;
	struct err err;
	bool done;
};

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct calls *c = arg;

	(void)out;
	c->err = err ? *err : (struct err){0};
	c->done = true;
}

/* A Heartbeat by our client; its err is returned. */
static struct err beat(struct link *l, struct client *c, const char *url)
{
	HeartbeatRequest in = HEARTBEAT_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = 5000};
	struct calls calls = {.l = l};

	client_call(c, url, RPC_GATEWAY_HEARTBEAT, &in.base, &opts, on_done,
		    &calls);
	UNTIL(&l->w, calls.done);
	return calls.err;
}

TEST(our_client_shows_its_new_certificate)
{
	struct client *c;
	struct link l;
	char *url;

	link_open(&l, (struct server_opts){0}, "member");
	CHECK(!client_open(&c, l.w.loop, l.client, NULL));
	url = mem_fmt("%s", server_url(l.w.server));
	CHECK_INT(beat(&l, c, url).code, 0);
	CHECK_STR(l.identity.id, "7");
	certs_make(&(struct cert){.name = "member",
				  .signer = "ca",
				  .san = "URI:gfl://lab/node/8"});
	CHECK_INT(beat(&l, c, url).code, 0);
	CHECK_STR(l.identity.id, "7");
	tls_reload(l.client);
	CHECK_INT(beat(&l, c, url).code, 0);
	CHECK_STR(l.identity.id, "8");
	client_close(c);
	free(url);
	link_close(&l);
}

TEST(our_client_says_what_is_wrong)
{
	struct client *stranger, *lost;
	struct link l;
	struct err err;
	char *url;

	link_open(&l, (struct server_opts){0}, NULL);
	CHECK(!client_open(&stranger, l.w.loop, l.client, NULL));
	CHECK(!client_open(&lost, l.w.loop, NULL, NULL));
	err = beat(&l, stranger, server_url(l.w.server));
	CHECK_INT(err.code, ERR_UNAUTHENTICATED);
	CHECK_HAS(err.msg, "is for members");
	err = beat(&l, lost, server_url(l.w.server));
	CHECK_INT(err.code, ERR_UNAUTHENTICATED);
	CHECK_HAS(err.msg, "is not trusted: ");
	CHECK_HAS(err.hint, "--tls-ca");
	url = mem_fmt("http://127.0.0.1:%d", server_port(l.w.server));
	err = beat(&l, stranger, url);
	CHECK_INT(err.code, ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "speaks TLS alone");
	CHECK_HAS(err.hint, "did you mean https://127.0.0.1:");
	free(url);
	client_close(stranger);
	client_close(lost);
	link_close(&l);
}

TEST(a_refused_certificate_is_told_by_an_alert)
{
	struct tls *spy;
	struct link l;

	link_open(&l, (struct server_opts){0}, "member");
	certs_make(&(struct cert){.name = "ca2"});
	certs_make(&(struct cert){.name = "spy", .signer = "ca2"});
	spy = certs_load("spy", "ca");
	tls_free(l.tls);
	l.tls = tls_connect(spy, "127.0.0.1", NULL);
	shake(&l);
	while (!l.gone)
		turn(&l);
	CHECK_HAS(l.err.msg, "unknown ca");
	tls_close(spy);
	link_close(&l);
}
