#include "h2_bed.h"
#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(what_only_begins_as_http2_is_closed)
{
	struct h2_bed b;
	char *got;
	int fd;

	h2_bed_open(&b, (struct server_opts){0});
	fd = dial(&b.w);
	say(fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n and so on");
	free(hear_all(&b.w, fd));
	close(fd);
	fd = dial(&b.w);
	say(fd, "PRI * HTTP/1.1\r\n\r\n");
	got = hear_all(&b.w, fd);
	CHECK_HAS(got, "HTTP/1.1 400 ");
	free(got);
	close(fd);
	h2_bed_close(&b);
}

TEST(first_bytes_may_come_one_by_one)
{
	static const char first[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\0\4\0\0\0\0\0";
	struct h2_bed b;
	struct buf got = BUF_INIT(0);
	int fd;

	h2_bed_open(&b, (struct server_opts){0});
	fd = dial(&b.w);
	for (size_t i = 0; i < sizeof(first) - 1; i++) {
		say_bytes(fd, first + i, 1);
		world_turn(&b.w);
	}
	while (got.len < 9)
		CHECK(hear_more(&b.w, fd, &got));
	CHECK_INT(got.p[3], NGHTTP2_SETTINGS);
	close(fd);
	fd = dial(&b.w);
	say(fd, "P");
	world_turn(&b.w);
	say(fd, "OS");
	world_turn(&b.w);
	say(fd, "T / HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n");
	hear_part(&b.w, fd, "HTTP/1.1 403 ");
	close(fd);
	buf_release(&got);
	h2_bed_close(&b);
}

TEST(first_bytes_that_do_not_go_on_are_cut)
{
	struct h2_bed b;
	char *got;
	int fd;

	h2_bed_open(&b, (struct server_opts){.receive_ms = 300});
	fd = dial(&b.w);
	say(fd, "PRI * H");
	got = hear_all(&b.w, fd);
	CHECK_HAS(got, "HTTP/1.1 408 ");
	free(got);
	close(fd);
	h2_bed_close(&b);
}

/* What a client sends for a few calls, before it has heard anything. */
static void record(struct h2_bed *b, struct buf *out)
{
	const uint8_t *p;
	ssize_t n;

	for (int i = 0; i < 4; i++)
		caller_beat(&b->c, i, NULL);
	caller_get(&b->c, "GET", "/healthz", NULL);
	nghttp2_submit_ping(b->c.session, 0, NULL);
	caller_post(&b->c, WATCH, GRPC, "\0\0\0\0\0", 5, NULL);
	while ((n = nghttp2_session_mem_send(b->c.session, &p)) > 0)
		buf_put(out, p, (size_t)n);
}

TEST(bytes_that_were_bent_do_no_harm)
{
	enum { MAGIC = 24, ROUNDS = 300 };
	struct buf sent = BUF_INIT(0), got = BUF_INIT(0);
	struct h2_bed b;

	h2_bed_open(&b, (struct server_opts){0});
	server_handle(b.w.server, RPC_GATEWAY_WATCH_NODES, h2_bed_send_events,
		      &b);
	record(&b, &sent);
	srandom(7);
	for (int i = 0; i < ROUNDS; i++) {
		char *bent = mem_dup(sent.p, sent.len);
		int fd = dial(&b.w);

		for (int k = 0; k <= i % 3; k++)
			bent[MAGIC + random() % (long)(sent.len - MAGIC)] ^=
				(char)(1 << random() % 8);
		say_bytes(fd, bent, sent.len);
		shutdown(fd, SHUT_WR);
		while (hear_more(&b.w, fd, &got))
			;
		buf_reset(&got);
		close(fd);
		free(bent);
	}
	caller_close(&b.c);
	caller_open(&b.c, &b.w, WINDOW, false);
	CHECK_STR(caller_wait(&b.c, caller_beat(&b.c, 1, NULL))->grpc_status,
		  "0");
	buf_release(&sent);
	buf_release(&got);
	h2_bed_close(&b);
}

TEST(a_flood_of_pings_or_resets_ends_the_connection)
{
	struct h2_bed b;

	h2_bed_open(&b, (struct server_opts){0});
	for (int i = 0; i < 1500; i++)
		nghttp2_submit_ping(b.c.session, 0, NULL);
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK_INT(b.c.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	caller_close(&b.c);
	caller_open(&b.c, &b.w, WINDOW, false);
	server_handle(b.w.server, RPC_GATEWAY_HEARTBEAT, h2_bed_keep, &b);
	for (int i = 0; i < 1300 && !b.c.gone; i++) {
		int32_t id = caller_beat(&b.c, 1, NULL);

		b.n_kept = 0;
		CALLER_UNTIL(&b.c, b.n_kept || b.c.gone);
		nghttp2_submit_rst_stream(b.c.session, 0, id, NGHTTP2_CANCEL);
	}
	CALLER_UNTIL(&b.c, b.c.gone);
	CHECK(b.c.goaway);
	CHECK(b.w.cancels >= 1000);
	h2_bed_close(&b);
}
