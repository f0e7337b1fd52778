/* One question to several peers by script. */
#include "test.h"

#include "base/clock.h"
#include "bed.h"
#include "proto/gateway.pb-c.h"
#include "registry/hedge.h"

enum { PEERS = 3 };

struct bench {
	struct loop *loop;
	struct client *client;
	struct peer peers[PEERS];
	const char *urls[PEERS];
	HeartbeatRequest in;
	struct hedge_opts opts;
	struct err err;
	size_t heard[PEERS], nheard, enough; /* who has answered */
	bool ended;
};

static void silent(struct peer_conn *c, int n)
{
	(void)c, (void)n;
}

static void open_peers(struct bench *b, peer_fn *one, peer_fn *two,
		       peer_fn *three)
{
	peer_fn *const fns[PEERS] = {one, two, three};

	*b = (struct bench){.enough = 1};
	CHECK(!loop_open(&b->loop, &b->err));
	CHECK(!client_open(&b->client, b->loop, NULL, &b->err));
	for (int i = 0; i < PEERS; i++) {
		peer_open(&b->peers[i], b->loop, fns[i]);
		b->urls[i] = b->peers[i].url;
	}
	heartbeat_request__init(&b->in);
	b->opts = (struct hedge_opts){
		.urls = b->urls,
		.n = PEERS,
		.name = RPC_GATEWAY_HEARTBEAT,
		.in = &b->in.base,
		.timeout_ms = 60000,
		.pace_ms = 60000, /* a busy machine asks nobody more */
	};
}

static void close_peers(struct bench *b)
{
	client_close(b->client);
	for (int i = 0; i < PEERS; i++)
		peer_close(&b->peers[i]);
	loop_close(b->loop);
}

static bool each(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct bench *b = arg;

	(void)out;
	b->heard[b->nheard++] = i;
	return b->nheard == b->enough;
}

static void done(const struct err *err, void *arg)
{
	struct bench *b = arg;

	b->err = err ? *err : (struct err){0};
	b->ended = true;
	loop_stop(b->loop);
}

static void ask(struct bench *b)
{
	hedge_call(b->client, b->loop, &b->opts, each, done, b);
	loop_run(b->loop);
	CHECK(b->ended);
}

/* Nobody is there. */
static void refuse(struct bench *b, int i)
{
	b->urls[i] = "http://127.0.0.1:1";
}

TEST(hedge_asks_nobody_else_when_the_first_answers)
{
	struct bench b;

	open_peers(&b, bed_answer_well, bed_answer_well, bed_answer_well);
	ask(&b);
	CHECK_INT(b.err.code, 0);
	CHECK(b.nheard == 1 && b.heard[0] == 0);
	CHECK_INT(b.peers[1].accepted, 0);
	close_peers(&b);
}

TEST(hedge_does_not_wait_for_one_that_hangs)
{
	int64_t began_ms = clock_ms();
	struct bench b;

	open_peers(&b, silent, silent, bed_answer_well);
	b.opts.pace_ms = 0;
	ask(&b);
	CHECK_INT(b.err.code, 0);
	CHECK(b.nheard == 1 && b.heard[0] == 2);
	CHECK(clock_ms() - began_ms >= 2 * HEDGE_PACE_MS);
	CHECK(clock_ms() - began_ms < 50000);
	close_peers(&b);
}

TEST(hedge_goes_on_at_once_where_nobody_listens)
{
	struct bench b;

	open_peers(&b, silent, silent, bed_answer_well);
	refuse(&b, 0);
	refuse(&b, 1);
	ask(&b);
	CHECK(b.nheard == 1 && b.heard[0] == 2);
	close_peers(&b);
}

TEST(hedge_says_what_the_first_said_when_all_fail)
{
	struct bench b;

	open_peers(&b, silent, silent, silent);
	refuse(&b, 0);
	b.opts.timeout_ms = 300;
	b.opts.pace_ms = 50;
	ask(&b);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	CHECK_HAS(b.err.msg, "http://127.0.0.1:1: Connection refused");
	close_peers(&b);
}

TEST(hedge_of_nobody_is_unavailable)
{
	struct bench b;

	open_peers(&b, silent, silent, silent);
	b.opts.n = 0;
	ask(&b);
	CHECK_INT(b.err.code, ERR_UNAVAILABLE);
	close_peers(&b);
}

TEST(hedge_waits_a_moment_for_the_others_after_a_good_answer)
{
	int64_t began_ms = clock_ms();
	struct bench b;

	open_peers(&b, bed_answer_well, silent, bed_answer_well);
	b.opts.together = PEERS;
	b.opts.grace_ms = 500;
	b.enough = PEERS;
	ask(&b);
	CHECK_INT(b.err.code, 0);
	CHECK_INT(b.nheard, 2);
	CHECK(clock_ms() - began_ms >= 500 && clock_ms() - began_ms < 50000);
	close_peers(&b);
}

TEST(hedge_spares_the_last_once_somebody_has_answered)
{
	struct bench b;

	open_peers(&b, bed_answer_well, silent, bed_answer_well);
	b.opts.spare = 2;
	b.enough = PEERS;
	ask(&b);
	CHECK_INT(b.err.code, 0);
	CHECK_INT(b.nheard, 1);
	CHECK_INT(b.peers[1].accepted + b.peers[2].accepted, 0);
	close_peers(&b);
}

static void refused_in_words(struct peer_conn *c, int n)
{
	struct buf body = BUF_INIT(0);

	(void)n;
	peer_trailers(&body, "grpc-status: 3\r\ngrpc-message: no\r\n");
	peer_answer(c, &body);
	buf_release(&body);
}

TEST(hedge_takes_a_refusal_for_all_unless_told_otherwise)
{
	struct bench b;

	open_peers(&b, refused_in_words, bed_answer_well, bed_answer_well);
	ask(&b);
	CHECK_INT(b.err.code, ERR_INVALID_ARGUMENT);
	CHECK_INT(b.peers[1].accepted, 0);
	b.opts.any_failure = true;
	b.ended = false;
	ask(&b);
	CHECK_INT(b.err.code, 0);
	CHECK(b.nheard == 1 && b.heard[0] == 1);
	close_peers(&b);
}

TEST(hedge_that_is_cancelled_is_silent)
{
	struct bench b;

	open_peers(&b, silent, silent, silent);
	hedge_cancel(hedge_call(b.client, b.loop, &b.opts, each, done, &b));
	hedge_cancel(NULL);
	uv_run(loop_uv(b.loop), UV_RUN_NOWAIT);
	CHECK(!b.ended);
	close_peers(&b);
}

TEST(hedge_shuffles_fairly)
{
	const char *urls[PEERS];
	int first[PEERS] = {0};

	for (int k = 0; k < 3000; k++) {
		for (int i = 0; i < PEERS; i++)
			urls[i] = &"abc"[i];
		hedge_shuffle(urls, PEERS);
		first[*urls[0] - 'a']++;
	}
	for (int i = 0; i < PEERS; i++)
		CHECK(first[i] > 800 && first[i] < 1200);
}
