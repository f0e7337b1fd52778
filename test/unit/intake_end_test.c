#include "intake_bed.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

TEST(a_stream_on_which_nothing_comes_is_ended)
{
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){.idle_ms = 300});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	r = caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "4");
	CHECK_HAS(r->message, "no message came");
	CHECK_INT(t.cancels, 1);
	intake_bed_close(&t);
}

TEST(a_message_that_drips_ends_its_stream)
{
	char head[5] = {0, 0, 0, 16, 0};
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){.idle_ms = 30});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	r = caller_reply(&t.c, id);
	caller_say(&t.c, id, head, 5);
	while (!r->closed) {
		caller_say(&t.c, id, "", 1);
		caller_turn(&t.c);
	}
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(t.messages, 0);
	intake_bed_close(&t);
}

static void forget(struct call *call, void *arg)
{
	(void)call, (void)arg;
}

TEST(between_messages_a_patient_handler_waits_for_ever)
{
	struct intake_bed t;
	struct reply *r;
	int32_t id, other;

	intake_bed_open(&t, (struct server_opts){.idle_ms = 150});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	CALLER_UNTIL(&t.c, t.call);
	call_be_patient(t.call);
	call_on_cancel(t.call, forget, NULL); /* the bed looks at others */
	for (int i = 0; i < 3; i++) { /* each of them for the whole time */
		other = caller_begin(&t.c, BACK, GRPC, NULL);
		CHECK_STR(caller_wait(&t.c, other)->grpc_status, "4");
	}
	r = caller_reply(&t.c, id);
	CHECK(!r->closed);
	caller_say(&t.c, id, "\0\0\0",
		   3); /* but no message may take for ever */
	CHECK_STR(caller_wait(&t.c, id)->grpc_status, "4");
	intake_bed_close(&t);
}

TEST(a_stream_ends_at_its_deadline)
{
	static const char *const soon[] = {"grpc-timeout", "30m", NULL};
	struct intake_bed t;
	struct reply *r;

	intake_bed_open(&t, (struct server_opts){0});
	r = caller_wait(&t.c, caller_begin(&t.c, BACK, GRPC, soon));
	CHECK_STR(r->grpc_status, "4");
	CHECK_INT(t.cancels, 1);
	intake_bed_close(&t);
}

TEST(a_reset_stream_is_cancelled)
{
	struct buf b = intake_bed_frames(2);
	struct intake_bed t;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	caller_say(&t.c, id, b.p, b.len);
	CALLER_UNTIL(&t.c, t.messages == 2);
	nghttp2_submit_rst_stream(t.c.session, 0, id, NGHTTP2_CANCEL);
	CALLER_UNTIL(&t.c, t.cancels);
	CHECK_INT(t.ends, 0);
	buf_release(&b);
	intake_bed_close(&t);
}

/* The stream of these bytes ends so; its handler is told. */
static void check_ends(struct intake_bed *t, const char *bytes, size_t len,
		       const char *status, const char *why)
{
	struct reply *r;
	int cancels = t->cancels;

	r = caller_wait(&t->c, caller_post(&t->c, SUM, GRPC, bytes, len, NULL));
	CHECK_STR(r->grpc_status, status);
	CHECK_HAS(r->message, why);
	CHECK_INT(t->cancels, cancels + 1);
}

TEST(a_stream_of_what_is_no_message_is_ended)
{
	struct intake_bed t;

	intake_bed_open(&t, (struct server_opts){.max_message = 1000});
	check_ends(&t, "\0\0\0\0\2\x08", 6, "3", "within a message");
	check_ends(&t, "\0\0\0\0\2\x08\1\0\0", 9, "3", "within a message");
	check_ends(&t, "\0\0\0\0\2\xff\xff", 7, "3", "");
	check_ends(&t, "\2\0\0\0\2\x08\1", 7, "3", "flags 0x02");
	check_ends(&t, "\1\0\0\0\2\x08\1", 7, "13", "compressed");
	check_ends(&t, "\0\0\0\3\xe9", 5, "8", "max-message");
	CHECK_INT(t.messages, 1);
	intake_bed_close(&t);
}

TEST(messages_are_bounded_but_not_their_sum)
{
	char frame[5 + 900] = {0, 0, 0, 900 >> 8, (char)(900 & 0xff)};
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){.max_message = 1000});
	memcpy(frame + 5, "\x1a\x81\7", 3); /* an unknown field */
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	for (int i = 0; i < 100; i++)
		caller_say(&t.c, id, frame, sizeof(frame));
	caller_finish(&t.c, id);
	r = caller_wait(&t.c, id);
	CHECK_STR(r->grpc_status, "0");
	CHECK_INT(t.messages, 100);
	intake_bed_close(&t);
}

static void fail_now(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct err err;

	(void)in, (void)arg;
	err_set(&err, ERR_PERMISSION_DENIED, "not here");
	call_fail(call, &err);
}

TEST(a_stream_may_be_refused_at_its_head)
{
	struct buf b = intake_bed_frames(5);
	struct intake_bed t;
	struct reply *r;
	char *got;
	int fd;

	intake_bed_open(&t, (struct server_opts){0});
	server_handle_method(t.w.server, &intake_bed_sum, fail_now, &t);
	r = caller_wait(&t.c, caller_begin(&t.c, SUM, GRPC, NULL));
	CHECK_STR(r->grpc_status, "7");
	fd = dial(&t.w);
	intake_bed_post(&t, fd, SUM, WEB, &b, b.len);
	got = hear_all(&t.w, fd);
	CHECK_HAS(got, "connection: close\r\n");
	CHECK(strstr(got, "\r\n\r\n"));
	free(got);
	close(fd);
	buf_release(&b);
	intake_bed_close(&t);
}

TEST(closing_the_server_ends_streams)
{
	struct intake_bed t;
	struct reply *r;
	int32_t id;

	intake_bed_open(&t, (struct server_opts){0});
	id = caller_begin(&t.c, SUM, GRPC, NULL);
	CALLER_UNTIL(&t.c, t.call);
	server_close(t.w.server, 1000);
	CHECK_INT(t.cancels, 1);
	CALLER_UNTIL(&t.c, t.c.gone);
	r = caller_reply(&t.c, id);
	CHECK_STR(r->grpc_status, "14");
	caller_close(&t.c);
	world_close_rest(&t.w);
}
