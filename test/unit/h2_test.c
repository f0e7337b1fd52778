#include "h2_bed.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"

TEST(native_grpc_is_answered_with_trailers)
{
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_beat(&b.c, 41, NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->type, GRPC);
	CHECK_STR(r->grpc_status, "0");
	CHECK(!r->headless);
	CHECK_INT(r->code, 0);
	CHECK_INT(h2_bed_version(r), 42);
	CHECK_INT(b.w.body, 7);
	h2_bed_close(&b);
}

static void fail_abroad(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	struct err err;

	(void)in, (void)arg;
	err_set(&err, ERR_DATA_LOSS, "100 %% größer");
	call_fail(call, &err);
}

TEST(an_error_is_percent_encoded_in_trailers_alone)
{
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, fail_abroad, &b);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->grpc_status, "15");
	CHECK_STR(r->message, "100 %25 gr%C3%B6%C3%9Fer");
	CHECK(r->headless);
	CHECK_INT(r->body.len, 0);
	r = caller_wait(&b.c, caller_post(&b.c, "/No/Such", GRPC, "\0\0\0\0\0",
					  5, NULL));
	CHECK_STR(r->grpc_status, "12");
	CHECK_HAS(r->message, "_test has no method /No/Such");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, GRPC, "abc", 3, NULL));
	CHECK_STR(r->grpc_status, "3");
	h2_bed_close(&b);
}

TEST(every_dialect_is_served_on_http2)
{
	static const char *const hello[] = {"connect-protocol-version", "1",
					    NULL};
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", NULL));
	CHECK_INT(r->status, 200);
	CHECK_STR(r->body.p, "ok\n");
	r = caller_wait(&b.c, caller_get(&b.c, "HEAD", "/healthz", NULL));
	CHECK_INT(r->status, 200);
	CHECK_INT(r->body.len, 0);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/nothing", NULL));
	CHECK_INT(r->status, 404);
	r = caller_wait(&b.c, caller_get(&b.c, "OPTIONS", "/healthz", NULL));
	CHECK_INT(r->status, 204);
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT, JSON,
					  "{\"nodeId\":1}", 12, hello));
	CHECK_HAS(r->body.p, "\"registryVersion\":2");
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT, JSON,
					  "{\"nodeId\":-1}", 13, NULL));
	CHECK_INT(r->status, 404);
	CHECK_HAS(r->body.p, "\"not_found\"");
	r = caller_wait(&b.c, caller_post(&b.c, HEARTBEAT,
					  "application/grpc-web+proto",
					  "\0\0\0\0\2\x08\x04", 7, NULL));
	CHECK(r->body.len > 15);
	CHECK_STR(r->body.p + r->body.len - 16, "grpc-status: 0\r\n");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, "application/grpc+json",
				    "\0\0\0\0\x0c{\"nodeId\":1}", 17, NULL));
	CHECK_HAS(r->body.p + 5, "\"registryVersion\":2");
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, "text/css", "", 0, NULL));
	CHECK_INT(r->status, 415);
	h2_bed_close(&b);
}

TEST(a_reset_cancels_its_call_and_no_other)
{
	struct h2_bed b;
	int32_t one, two;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	one = caller_beat(&b.c, 1, NULL);
	two = caller_beat(&b.c, 2, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 2);
	CHECK(!nghttp2_submit_rst_stream(b.c.session, 0, one, NGHTTP2_CANCEL));
	CALLER_UNTIL(&b.c, b.w.cancels);
	h2_bed_answer(b.kept[1], 5);
	r = caller_wait(&b.c, two);
	CHECK_INT(h2_bed_version(r), 5);
	CHECK_INT(b.w.cancels, 1);
	h2_bed_close(&b);
}

TEST(a_lost_connection_cancels_all_its_calls)
{
	struct h2_bed b;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	for (int i = 0; i < 20; i++)
		caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 20);
	shutdown(b.c.fd, SHUT_RDWR);
	UNTIL(&b.w, b.w.cancels == 20);
	h2_bed_close(&b);
}

TEST(many_calls_are_answered_in_any_order)
{
	struct h2_bed b;
	int32_t ids[500];

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	for (int i = 0; i < 500; i++)
		ids[i] = caller_beat(&b.c, i, NULL);
	CALLER_UNTIL(&b.c, b.n_kept == 500);
	for (int i = 499; i >= 0; i--)
		h2_bed_answer(b.kept[i], i + 1);
	for (int i = 0; i < 500; i++)
		CHECK_INT(h2_bed_version(caller_wait(&b.c, ids[i])), i + 1);
	CHECK_INT(b.w.cancels, 0);
	h2_bed_close(&b);
}

TEST(a_call_ends_at_its_deadline)
{
	static const char *const soon[] = {"grpc-timeout", "20m", NULL};
	static const char *const bad[] = {"grpc-timeout", "20x", NULL};
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, soon));
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(b.w.cancels, 1);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, bad));
	CHECK_STR(r->grpc_status, "3");
	h2_bed_close(&b);
}

TEST(heads_are_bounded_as_those_of_http1)
{
	const char *more[2 * 101 + 1] = {0};
	char *long_value = mem_zero(1, 20001);
	const char *one[] = {"x-long", long_value, NULL};
	struct h2_bed b;
	struct reply *r;

	memset(long_value, 'x', 20000);
	for (int i = 0; i < 101; i++) {
		more[2 * i] = "x-many";
		more[2 * i + 1] = "y";
	}
	h2_bed_open(&b, (struct server_opts){0});
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", more));
	CHECK_INT(r->status, 431);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", one));
	CHECK_INT(r->status, 431);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "/healthz", more + 4));
	CHECK_INT(r->status, 200);
	r = caller_wait(&b.c, caller_get(&b.c, "GET", "http://a/", NULL));
	CHECK(r->status == 400 || r->code);
	h2_bed_close(&b);
	free(long_value);
}

TEST(a_message_above_the_bound_is_refused_on_http2)
{
	struct h2_bed b;
	struct reply *r;
	char *big = mem_zero(1, 5000);

	h2_bed_open(&b, (struct server_opts){.max_message = 1000});
	r = caller_wait(&b.c,
			caller_post(&b.c, HEARTBEAT, GRPC, big, 5000, NULL));
	CHECK_STR(r->grpc_status, "8");
	CHECK_HAS(r->message, "max-message");
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_STR(r->grpc_status, "0");
	free(big);
	h2_bed_close(&b);
}

TEST(a_large_request_arrives_whole)
{
	enum { LEN = 3 << 20 };
	char *big = mem_zero(1, LEN + 20);
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){0});
	memset(big, ' ', LEN);
	memcpy(big + LEN, "{\"nodeId\":6}", 12);
	r = caller_wait(
		&b.c, caller_post(&b.c, HEARTBEAT, JSON, big, LEN + 12, NULL));
	CHECK_INT(r->status, 200);
	CHECK_INT(b.w.body, LEN + 12);
	CHECK(b.w.body_us > 0);
	free(big);
	h2_bed_close(&b);
}

TEST(web_pages_and_other_names_are_refused_on_http2)
{
	static const char *const page[] = {"origin", "http://evil", NULL};
	static const char *const name[] = {":authority", "evil:80", NULL};
	struct h2_bed b;

	h2_bed_open(&b, (struct server_opts){0});
	CHECK_INT(caller_wait(&b.c, caller_beat(&b.c, 1, page))->status, 403);
	CHECK_INT(caller_wait(&b.c, caller_beat(&b.c, 1, name))->status, 403);
	CHECK_INT(b.w.calls, 0);
	h2_bed_close(&b);
}

TEST(a_request_that_does_not_arrive_is_cut)
{
	struct h2_bed b;
	struct reply *r;

	h2_bed_open(&b, (struct server_opts){.receive_ms = 500});
	r = caller_wait(
		&b.c, caller_post(&b.c, HEARTBEAT, GRPC, NULL, SIZE_MAX, NULL));
	CHECK_INT(r->status, 408);
	CHECK_INT(r->code, 0);
	CHECK(!b.c.gone);
	r = caller_wait(&b.c, caller_beat(&b.c, 1, NULL));
	CHECK_STR(r->grpc_status, "0");
	h2_bed_close(&b);
}

TEST(closing_says_goaway_and_answers_what_is_held)
{
	struct h2_bed b;
	struct reply *r;
	int32_t id;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	id = caller_beat(&b.c, 1, NULL);
	CALLER_UNTIL(&b.c, b.n_kept);
	server_close(b.w.server, 1000);
	CHECK_INT(b.w.cancels, 1);
	CALLER_UNTIL(&b.c, b.c.gone);
	r = caller_reply(&b.c, id);
	CHECK(r->closed);
	CHECK_STR(r->grpc_status, "14");
	CHECK(b.c.goaway);
	CHECK_INT(b.c.goaway_code, NGHTTP2_NO_ERROR);
	caller_close(&b.c);
	world_close_rest(&b.w);
}
