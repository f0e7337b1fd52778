#include "caller.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/opt.h"
#include "proto/gateway.pb-c.h"
#include "wire/gzip.h"

#define NODES "/GatewayService/GetNodes"
#define WEB "application/grpc-web+proto"
#define TEXT "application/grpc-web-text"

/* A thousand alike; or, without compression, ten. */
static void get_nodes(struct call *call, const ProtobufCMessage *in, void *arg)
{
	GetNodesResponse out = GET_NODES_RESPONSE__INIT;
	NodeInfo node = NODE_INFO__INIT, *nodes[1000];

	(void)in, (void)arg;
	node.ip_address = (char *)"127.0.0.1";
	for (int i = 0; i < 1000; i++)
		nodes[i] = &node;
	out.nodes = nodes;
	out.n_nodes = 1000;
	call_reply(call, &out.base);
}

static void open_world(struct world *w, struct server_opts opts)
{
	world_open(w, opts);
	server_handle(w->server, RPC_GATEWAY_HEARTBEAT, heartbeat, w);
	server_handle(w->server, RPC_GATEWAY_GET_NODES, get_nodes, w);
}

TEST(what_was_packed_unpacks)
{
	struct buf in = BUF_INIT(0), packed = BUF_INIT(0), out = BUF_INIT(0);
	struct gzip *z = gzip_new();
	struct err err;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100000 * round; i++)
			buf_putc(&in, (char)(random() % 3));
		gzip_pack(z, &packed, in.p, in.len);
		CHECK(!gzip_unpack(z, &out, packed.p, packed.len, &err));
		CHECK_INT(out.len, in.len);
		CHECK(!in.len || !memcmp(out.p, in.p, in.len));
		buf_reset(&in);
		buf_reset(&packed);
		buf_reset(&out);
	}
	buf_release(&in);
	buf_release(&packed);
	buf_release(&out);
	gzip_free(z);
}

TEST(what_unpacks_to_too_much_or_is_no_gzip_is_refused)
{
	struct buf zeros = BUF_INIT(0), packed = BUF_INIT(0);
	struct gzip *z = gzip_new();
	struct err err;

	buf_room(&zeros, 1 << 20);
	memset(zeros.p, 0, zeros.len = 1 << 20);
	gzip_pack(z, &packed, zeros.p, zeros.len);
	CHECK(packed.len < 8192);
	for (size_t max = (1 << 20) - 1; max <= (1 << 20) + 1; max++) {
		struct buf out = BUF_INIT(max);

		CHECK_INT(gzip_unpack(z, &out, packed.p, packed.len, &err),
			  max < (1 << 20) ? ERR_RESOURCE_EXHAUSTED : 0);
		CHECK(out.cap <= 2 << 20);
		buf_release(&out);
	}
	for (int i = 0; i < 3; i++) {
		struct buf out = BUF_INIT(2 << 20);

		buf_putc(&packed, 'x');
		CHECK_INT(gzip_unpack(z, &out, packed.p + (i == 1),
				      i == 2 ? 50 : packed.len, &err),
			  ERR_INVALID_ARGUMENT);
		buf_release(&out);
	}
	buf_release(&packed);
	buf_release(&zeros);
	gzip_free(z);
}

/* A frame of gzip around len bytes. */
static struct buf packed_frame(const char *p, size_t len)
{
	struct gzip *z = gzip_new();
	struct buf b = BUF_INIT(0);

	buf_put(&b, "\1\0\0\0\0", 5);
	gzip_pack(z, &b, p, len);
	b.p[3] = (char)((b.len - 5) >> 8);
	b.p[4] = (char)(b.len - 5);
	gzip_free(z);
	return b;
}

TEST(packed_requests_are_understood)
{
	static const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
	static const char *const other[] = {"grpc-encoding", "br", NULL};
	struct buf b = packed_frame("\x08\x07", 2);
	struct caller c;
	struct reply *r;
	struct world w;

	open_world(&w, (struct server_opts){0});
	caller_open(&c, &w, 1 << 20, false);
	r = caller_wait(&c, caller_post(&c, HEARTBEAT, GRPC, b.p, b.len, gzip));
	CHECK_STR(r->grpc_status, "0");
	CHECK(memmem(r->body.p, r->body.len, "\x10\x08", 2));
	r = caller_wait(&c, caller_beat(&c, 1, gzip));
	CHECK_STR(r->grpc_status, "0");
	r = caller_wait(&c, caller_post(&c, HEARTBEAT, GRPC, b.p, b.len, NULL));
	CHECK_STR(r->grpc_status, "13");
	r = caller_wait(&c,
			caller_post(&c, HEARTBEAT, GRPC, b.p, b.len, other));
	CHECK_STR(r->grpc_status, "12");
	CHECK_STR(r->accept_encoding, "gzip, identity");
	buf_release(&b);
	caller_close(&c);
	world_close(&w);
}

TEST(a_bomb_is_refused_with_the_name_of_the_bound)
{
	static const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
	char *zeros = mem_zero(1, 8 << 20);
	struct buf b = packed_frame(zeros, 8 << 20);
	struct caller c;
	struct reply *r;
	struct world w;

	open_world(&w, (struct server_opts){.max_message = 1 << 20});
	caller_open(&c, &w, 1 << 20, false);
	CHECK(b.len < 50000);
	r = caller_wait(&c, caller_post(&c, HEARTBEAT, GRPC, b.p, b.len, gzip));
	CHECK_STR(r->grpc_status, "8");
	CHECK_HAS(r->message, "max-message");
	buf_release(&b);
	free(zeros);
	caller_close(&c);
	world_close(&w);
}

TEST(a_large_answer_is_packed_for_who_takes_it)
{
	static const char *const takes[] = {"grpc-accept-encoding",
					    "identity, gzip;q=0.5", NULL};
	static const char *const not [] = {"grpc-accept-encoding", "gzip;q=0",
					   NULL};
	struct caller c;
	struct reply *r;
	struct world w;

	open_world(&w, (struct server_opts){0});
	caller_open(&c, &w, 1 << 20, false);
	r = caller_wait(&c,
			caller_post(&c, NODES, GRPC, "\0\0\0\0\0", 5, takes));
	CHECK_STR(r->encoding, "gzip");
	CHECK(r->body.len < 500 && r->body.p[0] == 1);
	CHECK_STR(r->grpc_status, "0");
	r = caller_wait(&c,
			caller_post(&c, NODES, GRPC, "\0\0\0\0\0", 5, not ));
	CHECK_STR(r->encoding, "");
	CHECK(r->body.len > 5000 && r->body.p[0] == 0);
	r = caller_wait(&c, caller_beat(&c, 1, takes));
	CHECK(r->body.p[0] == 0);
	caller_close(&c);
	world_close(&w);
}

TEST(plain_json_is_packed_both_ways)
{
	struct gzip *z = gzip_new();
	struct buf b = BUF_INIT(0);
	struct world w;
	char *got, *head;
	int fd;

	open_world(&w, (struct server_opts){0});
	fd = dial(&w);
	gzip_pack(z, &b, "{\"nodeId\":6}", 12);
	head = mem_fmt("POST " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d\r\n"
		       "Content-Type: " JSON "\r\nContent-Encoding: gzip\r\n"
		       "Content-Length: %zu\r\n\r\n",
		       server_port(w.server), b.len);
	say(fd, head);
	say_bytes(fd, b.p, b.len);
	hear_part(&w, fd, "\"registryVersion\":7");
	post(&w, fd, NODES, JSON, "{}", "Accept-Encoding: deflate, gzip\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "content-encoding: gzip\r\n");
	CHECK(atol(strstr(got, "content-length: ") + 16) < 1000);
	free(got);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Accept-Encoding: gzip\r\n");
	got = hear(&w, fd);
	CHECK(!strstr(got, "content-encoding"));
	CHECK_HAS(got, "received");
	free(got);
	free(head);
	buf_release(&b);
	gzip_free(z);
	close(fd);
	world_close(&w);
}

/* Pieces of base64, each of which may be padded, as bytes. */
static struct buf unpack_text(const char *s)
{
	struct base64_feed f = {.n = 0};
	struct buf b = BUF_INIT(0);

	CHECK(base64_feed(&f, buf_room(&b, strlen(s)), &b.len, s, strlen(s)));
	CHECK_INT(f.n, 0);
	return b;
}

TEST(text_is_spoken_both_ways)
{
	struct world w;
	struct buf b;
	char *got;
	int fd;

	open_world(&w, (struct server_opts){0});
	fd = dial(&w);
	/* 00 00 00 00 02, padded, then 08, then 06 */
	post(&w, fd, HEARTBEAT, TEXT,
	     "AAAAAAI=CA==Bg==", "Accept: " TEXT "\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "content-type: " TEXT "\r\n");
	b = unpack_text(strstr(got, "\r\n\r\n") + 4);
	CHECK(memmem(b.p, b.len, "\0\0\0\0\x0c\x0a\x08received\x10\x07", 17));
	CHECK(memmem(b.p, b.len, "\x80\0\0\0\x10grpc-status: 0\r\n", 21));
	buf_release(&b);
	free(got);
	post(&w, fd, HEARTBEAT, TEXT "+proto",
	     "AAAAAAIIBg==", "Accept: " WEB "\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "content-type: " WEB "\r\n");
	free(got);
	post(&w, fd, HEARTBEAT, TEXT, "AAAAAAIIBg=", "");
	hear_part(&w, fd, "content-type: " TEXT "\r\n");
	CHECK_INT(w.calls, 2);
	close(fd);
	world_close(&w);
}

TEST(web_pages_of_origins_that_were_named_are_served)
{
	struct opt_list cors = {.n = 2, .at = {"https://a.example", "http://b:3000"}};
	struct world w;
	char *text, *got;
	int fd;

	open_world(&w, (struct server_opts){.cors = &cors});
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Origin: http://b:3000\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "200 OK");
	CHECK_HAS(got, "access-control-allow-origin: http://b:3000\r\n");
	CHECK_HAS(got, "access-control-expose-headers: grpc-status, ");
	free(got);
	text = mem_fmt("OPTIONS " HEARTBEAT " HTTP/1.1\r\nHost: localhost:%d"
		       "\r\nOrigin: https://a.example\r\n"
		       "Access-Control-Request-Method: POST\r\n"
		       "Access-Control-Request-Headers: x-grpc-web\r\n\r\n",
		       server_port(w.server));
	say(fd, text);
	hear_part(&w, fd, "204 ");
	say(fd, "");
	free(text);
	close(fd);
	fd = dial(&w);
	post(&w, fd, HEARTBEAT, JSON, "{}", "Origin: http://b:3001\r\n");
	got = hear(&w, fd);
	CHECK_HAS(got, "403 Forbidden");
	CHECK(!strstr(got, "access-control"));
	free(got);
	close(fd);
	world_close(&w);
}

TEST(an_origin_with_a_path_is_no_origin)
{
	static const char *const bad[] = {"a.example", "://a", "http://",
					  "http://a/", "*",    "http://*.a"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct opt_list cors = {.n = 1, .at = {bad[i]}};
		const struct server_opts opts = {.listen = "127.0.0.1:0",
						 .cors = &cors};
		struct server *s;
		struct loop *l;
		struct err err;

		CHECK(!loop_open(&l, &err));
		CHECK_INT(server_open(&s, l, &opts, &err),
			  ERR_INVALID_ARGUMENT);
		loop_close(l);
	}
}
