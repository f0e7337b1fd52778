#include "test.h"

#include "base/crc.h"
#include "fl/exchange.h"

enum { PARAMS = 40 };

/* Trainers 1 and 2, run 7, one parameter in ten. What a test hands from one to
 * the other it copies here, as a network would. */
struct pair {
	struct exchange *a, *b;
	float x[PARAMS], y[PARAMS];
	struct exchange_out out;
	struct exchange_message sent;
	char values[PARAMS * 16];
};

static const struct exchange_round ROUND = {.run = 7,
					    .epoch = 3,
					    .t = 5,
					    .seed = 9,
					    .c = 10,
					    .deadline_ms = 1000,
					    .weight = 0.5F};

static void setup(struct pair *p)
{
	*p = (struct pair){.a = exchange_new(1), .b = exchange_new(2)};
	for (int i = 0; i < PARAMS; i++) {
		p->x[i] = (float)i;
		p->y[i] = (float)(3 * i);
	}
	exchange_begin(p->a, 7, p->x, PARAMS, 77);
	exchange_begin(p->b, 7, p->y, PARAMS, 77);
}

static void teardown(struct pair *p)
{
	exchange_free(p->a);
	exchange_free(p->b);
}

static void arrive(struct exchange *e, int64_t peer, int64_t t, int64_t now)
{
	struct exchange_round r = ROUND;

	r.peer = peer;
	r.t = t;
	exchange_arrive(e, &r, now);
}

/* The next output, which must be of that kind. */
static const struct exchange_out *expect(struct pair *p, struct exchange *e,
					 enum exchange_out_kind kind)
{
	CHECK(exchange_next(e, &p->out));
	CHECK_INT(p->out.kind, kind);
	if (kind == EXCHANGE_SEND || kind == EXCHANGE_ANSWER) {
		p->sent = p->out.message;
		memcpy(p->values, p->sent.values, p->sent.len);
		p->sent.values = p->values;
	}
	return &p->out;
}

static void expect_nothing(struct pair *p, struct exchange *e)
{
	CHECK(!exchange_next(e, &p->out));
}

static void expect_done(struct pair *p, struct exchange *e,
			enum exchange_outcome outcome)
{
	CHECK_INT(expect(p, e, EXCHANGE_DONE)->outcome, outcome);
	expect_nothing(p, e);
	CHECK(!exchange_busy(e));
}

static double total(const struct pair *p)
{
	double sum = 0;

	for (int i = 0; i < PARAMS; i++)
		sum += (double)p->x[i] + (double)p->y[i];
	return sum;
}

static int differ(const struct pair *p)
{
	int n = 0;

	for (int i = 0; i < PARAMS; i++)
		n += fabsf(p->x[i] - p->y[i]) > 1e-6f;
	return n;
}

TEST(exchange_averages_both_sides_and_keeps_the_mean)
{
	struct pair p;
	double before;
	int apart;

	setup(&p);
	before = total(&p);
	apart = differ(&p);
	arrive(p.b, 1, 5, 0);
	expect_nothing(&p, p.b);
	arrive(p.a, 2, 5, 0);
	CHECK_INT(expect(&p, p.a, EXCHANGE_SEND)->peer, 2);
	CHECK_INT(p.sent.len, 16);
	exchange_request(p.b, &p.sent, 42, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_ANSWER)->token, 42);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	exchange_reply(p.a, &p.sent, 2);
	expect_done(&p, p.a, EXCHANGE_MERGED);
	CHECK_NEAR(total(&p), before, 1e-4);
	CHECK(differ(&p) >= apart - 4 && differ(&p) < apart);
	teardown(&p);
}

static void by(struct exchange *e, enum payload_dtype dtype,
	       enum payload_codec codec, float *shared)
{
	const struct exchange_how how = {.dtype = dtype,
					 .codec = codec,
					 .topk = shared,
					 .shared = shared};

	exchange_by(e, &how);
}

/* In rounds t that a or b asks, and the other one answers. */
static void exchange(struct pair *p, int64_t t, bool b_asks)
{
	struct exchange *from = b_asks ? p->b : p->a;
	struct exchange *to = b_asks ? p->a : p->b;

	arrive(p->a, 2, t, 0);
	if (!b_asks)
		expect(p, p->a, EXCHANGE_SEND);
	arrive(p->b, 1, t, 0);
	if (b_asks)
		expect(p, p->b, EXCHANGE_SEND);
	CHECK_INT(p->sent.key.from, b_asks ? 2 : 1);
	exchange_request(to, &p->sent, 42, 1);
	expect(p, to, EXCHANGE_ANSWER);
	expect_done(p, to, EXCHANGE_MERGED);
	exchange_reply(from, &p->sent, 2);
	expect_done(p, from, EXCHANGE_MERGED);
}

TEST(exchange_in_every_form_keeps_the_mean)
{
	static const size_t bytes[] = {16, 8, 8}; /* int8: one scale, 4 bytes */

	for (int dtype = 0; dtype < 3; dtype++)
		for (int codec = 0; codec < 2; codec++) {
			struct pair p;
			double before;

			setup(&p);
			for (int i = 0; i < PARAMS; i++)
				p.x[i] += 0.001F; /* which bfloat16 has not */
			by(p.a, dtype, codec, NULL);
			by(p.b, dtype, codec, NULL);
			before = total(&p);
			exchange(&p, 5, false);
			CHECK(codec || p.sent.len == bytes[dtype]);
			CHECK_NEAR(total(&p), before, 1e-4);
			teardown(&p);
		}
}

TEST(exchange_of_values_of_another_form_is_refused)
{
	for (int what = 0; what < 3; what++) {
		static float shared[PARAMS];
		struct pair p;

		setup(&p);
		by(p.a, what == 0, what == 1, what == 2 ? shared : NULL);
		arrive(p.b, 1, 4, 0);
		arrive(p.a, 2, 4, 0);
		expect(&p, p.a, EXCHANGE_SEND);
		exchange_request(p.b, &p.sent, 42, 1);
		CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
			  ERR_FAILED_PRECONDITION);
		CHECK_HAS(p.out.text,
			  what == 2 ? "another mask" : "another form");
		expect_done(&p, p.b, EXCHANGE_REFUSED);
		teardown(&p);
	}
}

/* --- by choice --- */

struct chosen {
	struct pair p;
	float sx[PARAMS], sy[PARAMS];
};

static void setup_chosen(struct chosen *c, enum payload_dtype dtype,
			 enum payload_codec codec)
{
	setup(&c->p);
	memcpy(c->sx, c->p.x, sizeof(c->sx));
	memcpy(c->sy, c->p.y, sizeof(c->sy));
	by(c->p.a, dtype, codec, c->sx);
	by(c->p.b, dtype, codec, c->sy);
}

TEST(exchange_by_choice_sends_what_changed_most_by_turns)
{
	struct chosen c;
	struct pair *p = &c.p;
	double before;

	setup_chosen(&c, PAYLOAD_F32, PAYLOAD_NONE);
	for (int i = 0; i < 6; i++)
		p->x[5 * i + 2] += 10 + (float)i;
	for (int i = 0; i < 4; i++)
		p->y[6 * i + 1] -= 10;
	before = total(p);
	exchange(p, 6, false); /* by a: 12, 17, 22, 27 */
	CHECK_INT(p->sent.len, 16);
	CHECK_NEAR(p->x[12], p->y[12], 0);
	CHECK_NEAR(p->x[27], p->y[27], 0);
	CHECK_NEAR(c.sx[27], p->x[27], 0);
	CHECK_NEAR(c.sy[27], p->x[27], 0);
	CHECK(p->x[7] != p->y[7]); /* of which there is more to come */
	CHECK_NEAR(c.sx[7], 7, 0);
	exchange(p, 7, true); /* by b: 1, 7, 13, 19 */
	CHECK_NEAR(p->x[7], p->y[7], 0);
	CHECK_NEAR(p->x[19], p->y[19], 0);
	CHECK_NEAR(total(p), before, 1e-4);
	teardown(p);
}

TEST(exchange_by_choice_in_every_form_keeps_the_mean)
{
	for (int dtype = 0; dtype < 3; dtype++)
		for (int codec = 0; codec < 2; codec++) {
			struct chosen c;
			double before;

			setup_chosen(&c, dtype, codec);
			for (int i = 0; i < PARAMS; i++)
				c.p.x[i] *= 1.01F;
			before = total(&c.p);
			for (int64_t t = 0; t < 20; t++)
				exchange(&c.p, t, t % 2);
			CHECK_NEAR(total(&c.p), before, 1e-3);
			CHECK(differ(&c.p) < (dtype == 0 ? 1 : PARAMS));
			teardown(&c.p);
		}
}

TEST(exchange_by_choice_refuses_bad_indices_and_changes_nothing)
{
	struct chosen c;
	float y[PARAMS];

	setup_chosen(&c, PAYLOAD_F32, PAYLOAD_NONE);
	memcpy(y, c.p.y, sizeof(y));
	arrive(c.p.b, 1, 6, 0);
	arrive(c.p.a, 2, 6, 0);
	expect(&c.p, c.p.a, EXCHANGE_SEND);
	c.p.values[0] = PARAMS;
	c.p.sent.crc = crc32c_of(0, c.p.values, c.p.sent.len);
	exchange_request(c.p.b, &c.p.sent, 1, 1);
	CHECK_INT(expect(&c.p, c.p.b, EXCHANGE_REFUSE)->code,
		  ERR_INVALID_ARGUMENT);
	CHECK_HAS(c.p.out.text, "index");
	expect_done(&c.p, c.p.b, EXCHANGE_REFUSED);
	CHECK(!memcmp(y, c.p.y, sizeof(y)));
	CHECK(!memcmp(c.sy, c.p.y, sizeof(y)));
	teardown(&c.p);
}

TEST(exchange_by_choice_never_answers_values_that_are_not_finite)
{
	struct chosen c;

	setup_chosen(&c, PAYLOAD_F32, PAYLOAD_NONE);
	for (int i = 0; i < PARAMS; i++)
		c.p.y[i] = INFINITY;
	arrive(c.p.b, 1, 6, 0);
	arrive(c.p.a, 2, 6, 0);
	expect(&c.p, c.p.a, EXCHANGE_SEND);
	exchange_request(c.p.b, &c.p.sent, 1, 1);
	CHECK_HAS(expect(&c.p, c.p.b, EXCHANGE_REFUSE)->text, "not finite");
	expect_done(&c.p, c.p.b, EXCHANGE_REFUSED);
	teardown(&c.p);
}

/* --- several peers a round --- */

static void arrive_in(struct exchange *e, int64_t peer, int phase)
{
	struct exchange_round r = ROUND;

	r.peer = peer;
	r.phase = phase;
	r.c = 1;
	r.weight = 1.0F / 3;
	exchange_arrive(e, &r, 0);
}

/* Trainer b meets c, then a; a, which comes early, is held until then. What
 * travels is the base, whatever has been mixed into b since. */
TEST(exchange_in_phases_mixes_what_models_were_before)
{
	struct exchange *c = exchange_new(3);
	float z[PARAMS], base[3][PARAMS];
	struct pair p;

	setup(&p);
	exchange_begin(c, 7, z, PARAMS, 77);
	for (int i = 0; i < PARAMS; i++) {
		base[0][i] = (float)i;
		base[1][i] = (float)(3 * i);
		base[2][i] = 8;
		p.x[i] = p.y[i] = z[i] = 100;
	}
	exchange_by(p.a, &(struct exchange_how){.base = base[0]});
	exchange_by(p.b, &(struct exchange_how){.base = base[1]});
	exchange_by(c, &(struct exchange_how){.base = base[2]});

	arrive_in(p.a, 2, 1);
	expect(&p, p.a, EXCHANGE_SEND);
	CHECK_INT(p.sent.phase, 1);
	exchange_request(p.b, &p.sent, 1, 0);
	expect_nothing(&p, p.b);
	arrive_in(p.b, 3, 0);
	expect(&p, p.b, EXCHANGE_SEND);
	arrive_in(c, 2, 0);
	exchange_request(c, &p.sent, 2, 0);
	expect(&p, c, EXCHANGE_ANSWER);
	expect_done(&p, c, EXCHANGE_MERGED);
	exchange_reply(p.b, &p.sent, 0);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	CHECK_NEAR(p.y[7], 100 + (8 - 21) / 3.0, 1e-4);

	arrive_in(p.b, 1, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_ANSWER)->token, 1);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	exchange_reply(p.a, &p.sent, 0);
	expect_done(&p, p.a, EXCHANGE_MERGED);
	CHECK_NEAR(p.y[7], 100 + (8 - 21) / 3.0 + (7 - 21) / 3.0, 1e-4);
	CHECK_NEAR(p.x[7], 100 + (21 - 7) / 3.0, 1e-4);
	CHECK_NEAR(z[7], 100 + (21 - 8) / 3.0, 1e-4);
	exchange_free(c);
	teardown(&p);
}

TEST(exchange_of_a_phase_that_is_over_is_refused)
{
	struct pair p;

	setup(&p);
	arrive_in(p.a, 2, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	arrive_in(p.b, 0, 1);
	expect_done(&p, p.b, EXCHANGE_RESTED);
	exchange_request(p.b, &p.sent, 1, 0);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	teardown(&p);
}

/* --- by the mask --- */

/* Bring both to the point where b has merged and its answer is in p.sent; the
 * request is kept in *request. */
static void half_way(struct pair *p, struct exchange_message *request,
		     char *copy)
{
	arrive(p->b, 1, 5, 0);
	arrive(p->a, 2, 5, 0);
	expect(p, p->a, EXCHANGE_SEND);
	*request = p->sent;
	memcpy(copy, p->values, PARAMS * 4);
	request->values = copy;
	exchange_request(p->b, request, 1, 1);
	expect(p, p->b, EXCHANGE_ANSWER);
	expect_done(p, p->b, EXCHANGE_MERGED);
}

TEST(exchange_answers_a_repeated_request_alike_and_averages_once)
{
	struct exchange_message request;
	char copy[PARAMS * 4], first[PARAMS * 4];
	float y[PARAMS];
	struct pair p;

	setup(&p);
	half_way(&p, &request, copy);
	memcpy(first, p.values, sizeof(first));
	memcpy(y, p.y, sizeof(y));
	for (int64_t t = 5; t <= 7; t++) {
		if (t > 5) {
			arrive(p.b, 0, t, t);
			expect_done(&p, p.b, EXCHANGE_RESTED);
		}
		exchange_epoch(p.b, t + 10, t); /* still served */
		exchange_request(p.b, &request, 2, 3);
		expect(&p, p.b, EXCHANGE_ANSWER);
		CHECK(!memcmp(first, p.values, sizeof(first)));
		expect_nothing(&p, p.b);
	}
	CHECK(!memcmp(y, p.y, sizeof(y)));
	CHECK_INT(exchange_counts(p.b)->merged, 1);
	CHECK_INT(exchange_counts(p.b)->repeated, 3);
	teardown(&p);
}

TEST(exchange_forgets_its_answer_after_two_rounds)
{
	struct exchange_message request;
	char copy[PARAMS * 4];
	struct pair p;

	setup(&p);
	half_way(&p, &request, copy);
	arrive(p.b, 0, 8, 9);
	expect_done(&p, p.b, EXCHANGE_RESTED);
	exchange_request(p.b, &request, 2, 9);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	teardown(&p);
}

TEST(exchange_holds_a_request_that_is_early)
{
	struct pair p;

	setup(&p);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 8, 0);
	expect_nothing(&p, p.b);
	arrive(p.b, 1, 5, 500);
	CHECK_INT(expect(&p, p.b, EXCHANGE_ANSWER)->token, 8);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	teardown(&p);
}

TEST(exchange_holds_no_longer_than_the_deadline_nor_for_who_left)
{
	struct pair p;

	setup(&p);
	arrive(p.b, 0, 1, 0);
	expect_done(&p, p.b, EXCHANGE_RESTED);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 8, 100);
	CHECK_INT(exchange_deadline(p.b), 1100);
	exchange_tick(p.b, 1099);
	expect_nothing(&p, p.b);
	exchange_tick(p.b, 1100);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_DEADLINE_EXCEEDED);
	exchange_request(p.b, &p.sent, 9, 1200);
	exchange_cancel(p.b, 9);
	CHECK(exchange_deadline(p.b) == INT64_MAX);
	arrive(p.b, 1, 5, 1300);
	expect_nothing(&p, p.b);
	teardown(&p);
}

TEST(exchange_held_twice_answers_the_newer_connection)
{
	struct pair p;

	setup(&p);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 8, 0);
	exchange_request(p.b, &p.sent, 9, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->token, 8);
	arrive(p.b, 1, 5, 2);
	CHECK_INT(expect(&p, p.b, EXCHANGE_ANSWER)->token, 9);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	teardown(&p);
}

TEST(exchange_ends_a_round_that_the_peer_has_given_up)
{
	struct pair p;

	setup(&p);
	arrive(p.b, 1, 4, 0);
	arrive(p.a, 2, 5, 1);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 8, 2);
	expect_done(&p, p.b, EXCHANGE_MISSED);
	arrive(p.b, 1, 5, 3);
	CHECK_INT(expect(&p, p.b, EXCHANGE_ANSWER)->token, 8);
	expect_done(&p, p.b, EXCHANGE_MERGED);
	teardown(&p);
}

TEST(exchange_too_late_is_refused_and_the_sender_keeps_its_values)
{
	struct pair p;
	float x[PARAMS];

	setup(&p);
	memcpy(x, p.x, sizeof(x));
	arrive(p.b, 1, 5, 0);
	exchange_tick(p.b, 1000);
	expect_done(&p, p.b, EXCHANGE_MISSED);
	arrive(p.a, 2, 5, 1000);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 1, 1001);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	exchange_failed(p.a, p.out.code, 1002);
	expect_done(&p, p.a, EXCHANGE_MISSED);
	CHECK(!memcmp(x, p.x, sizeof(x)));
	teardown(&p);
}

TEST(exchange_repeats_what_a_broken_connection_lost_and_counts_it_if_in_vain)
{
	struct pair p;

	setup(&p);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_failed(p.a, ERR_UNAVAILABLE, 10);
	expect_nothing(&p, p.a);
	CHECK_INT(exchange_deadline(p.a), 60);
	exchange_tick(p.a, 60);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_failed(p.a, ERR_UNAVAILABLE, 70);
	CHECK_INT(exchange_deadline(p.a), 170);
	exchange_tick(p.a, 1000);
	expect_done(&p, p.a, EXCHANGE_LOST);
	CHECK_INT(exchange_counts(p.a)->lost, 1);
	exchange_reply(p.a, &p.sent, 1001); /* too late: ignored */
	expect_nothing(&p, p.a);
	teardown(&p);
}

TEST(exchange_refuses_what_is_not_of_this_mask_model_or_sum)
{
	static const enum err_code want[] = {
		ERR_FAILED_PRECONDITION, ERR_FAILED_PRECONDITION,
		ERR_INVALID_ARGUMENT, ERR_DATA_LOSS, ERR_INVALID_ARGUMENT};

	for (int what = 0; what < 5; what++) {
		struct pair p;
		float y[PARAMS], nan = NAN;

		setup(&p);
		memcpy(y, p.y, sizeof(y));
		arrive(p.b, 1, 5, 0);
		arrive(p.a, 2, 5, 0);
		expect(&p, p.a, EXCHANGE_SEND);
		p.sent.layout += what == 0;
		p.sent.digest += what == 1;
		p.sent.len -= what == 2;
		if (what == 2)
			p.sent.crc = crc32c_of(0, p.values, p.sent.len);
		if (what >= 3)
			memcpy(p.values, &nan, 4);
		if (what == 4)
			p.sent.crc = crc32c_of(0, p.values, p.sent.len);
		exchange_request(p.b, &p.sent, 1, 1);
		CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code, want[what]);
		if (what == 3) /* damaged on the way: it may come again */
			CHECK(exchange_busy(p.b));
		else
			expect_done(&p, p.b, EXCHANGE_REFUSED);
		CHECK(!memcmp(y, p.y, sizeof(y)));
		teardown(&p);
	}
}

TEST(exchange_never_sends_values_that_are_not_finite)
{
	struct pair p;

	setup(&p);
	for (int i = 0; i < PARAMS; i++)
		p.x[i] = p.y[i] = INFINITY;
	arrive(p.a, 2, 5, 0);
	expect_done(&p, p.a, EXCHANGE_REFUSED);
	arrive(p.b, 1, 5, 0);
	expect_done(&p, p.b, EXCHANGE_REFUSED);
	teardown(&p);
}

TEST(exchange_of_an_older_epoch_does_not_begin)
{
	struct pair p;

	setup(&p);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_request(p.b, &p.sent, 4, 0); /* held */
	exchange_epoch(p.b, 4, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	exchange_request(p.b, &p.sent, 5, 2);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	arrive(p.b, 1, 6, 3); /* by a plan of epoch 3 */
	expect_done(&p, p.b, EXCHANGE_MISSED);
	teardown(&p);
}

TEST(exchange_that_waits_ends_when_the_epoch_does_but_not_one_that_is_out)
{
	struct pair p;

	setup(&p);
	arrive(p.b, 1, 5, 0);
	exchange_epoch(p.b, 4, 1);
	expect_done(&p, p.b, EXCHANGE_MISSED);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	exchange_epoch(p.a, 4, 1);
	expect_nothing(&p, p.a);
	CHECK(exchange_busy(p.a));
	exchange_abandon(p.a, "trainer 2 is down");
	expect_done(&p, p.a, EXCHANGE_LOST);
	teardown(&p);
}

TEST(exchange_refuses_who_is_not_the_partner)
{
	struct pair p;

	setup(&p);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	arrive(p.b, 3, 5, 0);
	expect(&p, p.b, EXCHANGE_SEND);
	p.sent.key.to = 9;
	exchange_request(p.b, &p.sent, 1, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code, ERR_INVALID_ARGUMENT);
	p.sent.key.to = 2;
	p.sent.key.from = 1;
	exchange_request(p.b, &p.sent, 1, 1);
	CHECK_INT(expect(&p, p.b, EXCHANGE_REFUSE)->code,
		  ERR_FAILED_PRECONDITION);
	CHECK(exchange_busy(p.b));
	teardown(&p);
}

TEST(exchange_holds_a_bounded_number)
{
	struct exchange *e = exchange_new(100);
	struct pair p;

	setup(&p);
	exchange_begin(e, 7, p.x, PARAMS, 77);
	arrive(p.a, 2, 5, 0);
	expect(&p, p.a, EXCHANGE_SEND);
	p.sent.key.to = 100;
	for (int i = 1; i <= 9; i++) {
		p.sent.key.from = i;
		exchange_request(e, &p.sent, (uint64_t)i, 0);
	}
	CHECK_INT(expect(&p, e, EXCHANGE_REFUSE)->code, ERR_RESOURCE_EXHAUSTED);
	CHECK_INT(p.out.token, 9);
	exchange_free(e);
	teardown(&p);
}

TEST(exchange_state_replaces_all_of_what_was_there)
{
	struct exchange_message request;
	struct buf b = BUF_INIT(0), again = BUF_INIT(0);
	char copy[PARAMS * 4];
	int64_t last = INT64_MAX;
	struct pair p;
	struct err err;

	setup(&p);
	half_way(&p, &request, copy);
	exchange_dump(p.b, &b);
	memcpy(b.p + (1 + 8 + 2) * 8, &last, 8); /* the answer's round */
	CHECK(!exchange_load(p.b, b.p, b.len, &err));
	CHECK(!exchange_load(p.b, b.p, b.len, &err));
	exchange_dump(p.b, &again);
	CHECK_INT(again.len, b.len);
	buf_release(&b);
	buf_release(&again);
	teardown(&p);
}

TEST(exchange_kept_answers_survive_a_checkpoint)
{
	struct exchange_message request;
	struct buf b = BUF_INIT(0);
	char copy[PARAMS * 4], first[PARAMS * 4];
	struct pair p;
	struct err err;

	setup(&p);
	half_way(&p, &request, copy);
	memcpy(first, p.values, sizeof(first));
	exchange_dump(p.b, &b);
	exchange_free(p.b);
	p.b = exchange_new(2);
	exchange_begin(p.b, 7, p.y, PARAMS, 77);
	for (size_t len = 0; len < b.len; len++)
		CHECK(exchange_load(p.b, b.p, len, &err) ==
		      ERR_INVALID_ARGUMENT);
	CHECK(!exchange_load(p.b, b.p, b.len, &err));
	CHECK_INT(exchange_round_at(p.b), 5);
	CHECK_INT(exchange_counts(p.b)->merged, 1);
	exchange_request(p.b, &request, 2, 3);
	expect(&p, p.b, EXCHANGE_ANSWER);
	CHECK(!memcmp(first, p.values, sizeof(first)));
	buf_release(&b);
	teardown(&p);
}
