#include "intake_bed.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/gateway.pb-c.h"
#include "wire/gzip.h"

static int32_t version_in(const struct buf *body)
{
	HeartbeatResponse *out;
	int32_t version;

	CHECK(body->len >= 5);
	out = heartbeat_response__unpack(NULL, (size_t)body->p[4],
					 (uint8_t *)body->p + 5);
	CHECK(out);
	version = out->registry_version;
	heartbeat_response__free_unpacked(out, NULL);
	return version;
}

TEST(a_client_stream_is_summed_up_over_http2)
{
	struct buf b = intake_bed_frames(100);
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	r = caller_wait(&t.c, caller_post(&t.c, SUM, GRPC, b.p, b.len, NULL));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(version_in(&r->body), 5050);
	CHECK_INT(t.ends, 1);
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	for (size_t i = 0; i < b.len; i++) {
		caller_say(&t.c, id, b.p + i, 1);
		caller_turn(&t.c);
	}
	CALLER_UNTIL(&t.c, t.messages == 200);
	caller_finish(&t.c, id);
	r = caller_wait(&t.c, id);
	CHECK_INT(version_in(&r->body), 2 * 5050);
	CHECK_INT(t.cancels, 0);
	buf_release(&b);
	intake_bed_close(&t);
}

TEST(a_bidirectional_stream_is_answered_message_by_message)
{
	struct buf b = intake_bed_frames(3);
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	id = caller_begin(&t.c, BACK, GRPC, NULL);
	r = caller_reply(&t.c, id);
	CALLER_UNTIL(&t.c, r->status == 200);
	for (size_t i = 1; i <= 3; i++) {
		caller_say(&t.c, id, b.p + 7 * (i - 1), 7);
		CALLER_UNTIL(&t.c, r->body.len == 7 * i);
	}
	CHECK(!memcmp(r->body.p, "\0\0\0\0\2\x10\1\0\0\0\0\2\x10\2", 14));
	CHECK(!r->closed);
	caller_finish(&t.c, id);
	caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "0");
	buf_release(&b);
	intake_bed_close(&t);
}

static void ask_health(struct intake_bed *t, int fd, struct buf *got)
{
	char *get = mem_fmt("GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n"
			    "\r\n",
			    server_port(t->w.server));

	say(fd, get);
	intake_bed_hear(t, fd, got, "ok");
	buf_reset(got);
	free(get);
}

TEST(streams_work_over_http1_and_keep_the_connection)
{
	struct buf b = intake_bed_frames(100), got = BUF_INIT(0);
	struct intake_bed t;
	int fd;

	intake_bed_open(&t, (struct server_opts){0});
	server_handle(t.w.server, RPC_GATEWAY_HEARTBEAT, heartbeat, &t.w);
	fd = dial(&t.w);
	ask_health(&t, fd, &got);
	for (int round = 1; round <= 3; round++) {
		post(&t.w, fd, HEARTBEAT, JSON, "{}", "");
		hear_part(&t.w, fd, "received");
		intake_bed_post(&t, fd, SUM, WEB, &b, (size_t)(5 * round));
		say(fd, "0\r\n\r\n");
		intake_bed_hear(&t, fd, &got, "grpc-status: 0\r\n");
		CHECK_INT(t.sum, 5050 * round);
		CHECK(!strstr(got.p, "connection: close"));
		buf_reset(&got);
	}
	intake_bed_post(&t, fd, BACK, "application/connect+json", &got, 1);
	say(fd, "11\r\n");
	say_bytes(fd, "\0\0\0\0\x0c{\"nodeId\":9}\r\n", 19);
	intake_bed_hear(&t, fd, &got, "{\"registryVersion\":9}");
	say(fd, "0\r\n\r\n");
	intake_bed_hear(&t, fd, &got, "{}\r\n0\r\n\r\n");
	CHECK_HAS(got.p, "content-type: application/connect+json\r\n");
	close(fd);
	buf_release(&got);
	buf_release(&b);
	intake_bed_close(&t);
}

TEST(a_paused_stream_holds_its_sender_back)
{
	enum { LEN = 3 << 20 };
	char *big = mem_zero(1, LEN);
	char head[5] = {0, 0, LEN >> 16, 0, 0};
	struct buf b = intake_bed_frames(1);
	struct intake_bed t;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	memset(big, 0, LEN);
	big[0] = 0x1a; /* an unknown field of LEN - 5 bytes */
	big[1] = (char)(0x80 | ((LEN - 5) & 0x7f));
	big[2] = (char)(0x80 | (((LEN - 5) >> 7) & 0x7f));
	big[3] = (char)(0x80 | (((LEN - 5) >> 14) & 0x7f));
	big[4] = (char)((LEN - 5) >> 21);
	t.pause_at = 1;
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	caller_say(&t.c, id, head, 5);
	caller_say(&t.c, id, big, LEN);
	for (int i = 0; i < 100; i++)
		caller_turn(&t.c);
	CHECK_INT(t.messages, 1);
	CHECK(caller_unsent(&t.c, id) > LEN - (2 << 20));
	call_resume(t.call);
	CALLER_UNTIL(&t.c, !caller_unsent(&t.c, id));
	caller_finish(&t.c, id);
	caller_wait(&t.c, id);
	free(big);
	buf_release(&b);
	intake_bed_close(&t);
}

/* Send until the socket takes no more, and the server neither. */
static size_t send_all_there_is_room_for(struct intake_bed *t, int fd,
					 const char *p, size_t len)
{
	size_t sent = 0;

	for (int idle = 0; idle < 50 && sent < len; idle++) {
		ssize_t n = send(fd, p + sent, len - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		world_turn(&t->w);
	}
	return sent;
}

TEST(a_paused_stream_is_not_read_from_its_socket)
{
	enum { LEN = 24 << 20 };
	struct buf b = BUF_INIT(0), got = BUF_INIT(0);
	struct intake_bed t;
	size_t sent;
	int fd;

	intake_bed_open(&t, (struct server_opts){0});
	fd = dial(&t.w);
	t.pause_at = 1;
	buf_putf(&b,
		 "POST " SUM " HTTP/1.1\r\nHost: localhost:%d\r\n"
		 "Content-Type: " WEB "\r\nContent-Length: %d\r\n\r\n",
		 server_port(t.w.server), LEN / 7 * 7);
	for (int i = 0; i < LEN / 7; i++)
		buf_put(&b, "\0\0\0\0\2\x08\1", 7);
	sent = send_all_there_is_room_for(&t, fd, b.p, b.len);
	CHECK(sent < b.len);
	CHECK_INT(t.messages, 1);
	call_resume(t.call);
	CHECK_INT(send_all_there_is_room_for(&t, fd, b.p + sent, b.len - sent),
		  b.len - sent);
	intake_bed_hear(&t, fd, &got, "grpc-status: 0\r\n");
	CHECK_INT(t.messages, LEN / 7);
	CHECK_INT(t.cancels, 0);
	close(fd);
	buf_release(&b);
	buf_release(&got);
	intake_bed_close(&t);
}

TEST(who_does_not_read_the_echo_is_held_back)
{
	enum { N = 2000000 };
	struct buf b = BUF_INIT(0);
	struct intake_bed t;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	caller_close(&t.c);
	caller_open(&t.c, &t.w, 1000, true);
	for (int i = 0; i < N; i++)
		buf_put(&b, "\0\0\0\0\2\x08\1", 7);
	id = caller_begin(&t.c, BACK, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	for (int i = 0; i < 100; i++)
		caller_turn(&t.c);
	CHECK(t.messages < 300000);
	CHECK(caller_unsent(&t.c, id) > b.len / 2);
	CHECK_INT(t.cancels, 0);
	caller_open_window(&t.c, id, 1 << 30);
	CALLER_UNTIL(&t.c, t.messages > 400000);
	buf_release(&b);
	intake_bed_close(&t);
}

TEST(text_and_gzip_come_in_streams_too)
{
	static const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
	struct buf b = BUF_INIT(0), got = BUF_INIT(0);
	struct gzip *z = gzip_new();
	struct intake_bed t;
	struct reply *r;
	int fd;

	intake_bed_open(&t, (struct server_opts){0});
	for (int i = 0; i < 3; i++) {
		size_t at = b.len;

		buf_put(&b, "\1\0\0\0\0", 5);
		gzip_pack(z, &b, "\x08\7", 2);
		b.p[at + 4] = (char)(b.len - at - 5);
	}
	r = caller_wait(&t.c, caller_post(&t.c, SUM, GRPC, b.p, b.len, gzip));
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(t.sum, 21);
	buf_reset(&b);
	buf_puts(&b, "AAAAAAIIBg==AAAAAAI=CAY=");
	fd = dial(&t.w);
	for (size_t piece = 1; piece < 9; piece++) {
		intake_bed_post(&t, fd, SUM, "application/grpc-web-text", &b,
				piece);
		say(fd, "0\r\n\r\n");
		/* "grpc-status: 0\r\n" in its frame */
		intake_bed_hear(&t, fd, &got, "gAAAABBncnBjLXN0YXR1czogMA0K");
		buf_reset(&got);
		CHECK_INT(t.sum, 21 + 12 * piece);
	}
	gzip_free(z);
	close(fd);
	buf_release(&got);
	buf_release(&b);
	intake_bed_close(&t);
}
