#include "test.h"

#include "base/rand.h"
#include "plan/round.h"

static struct plan *plan_of(int64_t epoch, int64_t t0, size_t n)
{
	struct plan *p = plan_new(1, epoch, t0, n);

	for (size_t i = 0; i < n; i++) {
		p->rounds[i].seed = (uint64_t)(epoch * 1000 + t0) + i;
		p->rounds[i].c = 10;
		p->rounds[i].deadline_ms = 1000;
	}
	return p;
}

TEST(pairs_survive_the_wire_at_about_a_byte_a_trainer)
{
	struct plan_pair pairs[50];
	struct plan_round r = {.bye = 101, .npairs = 50, .pairs = pairs};
	struct plan_round back = {0};
	struct buf b = BUF_INIT(0);
	struct err err;

	for (int i = 0; i < 50; i++)
		pairs[i] = (struct plan_pair){i + 1, i + 51};
	plan_pairs_encode(&r, &b);
	CHECK_INT(b.len, 102);
	CHECK(!plan_pairs_decode(&back, b.p, b.len, &err));
	CHECK_INT(back.bye, 101);
	CHECK_INT(back.npairs, 50);
	CHECK(!memcmp(back.pairs, pairs, sizeof(pairs)));
	CHECK_INT(plan_partner(&back, 3), 53);
	CHECK_INT(plan_partner(&back, 53), 3);
	CHECK_INT(plan_partner(&back, 101), 0);
	plan_round_release(&back);
	buf_release(&b);
}

TEST(pairs_that_are_malformed_are_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} rows[] = {
		{"", 0, "cut short"},
		{"\0", 1, "cut short"},
		{"\0\1\1", 3, "cut short"},
		{"\0\1\1\1\0", 5, "left over"},
		{"\0\1\0\1", 4, "out of order"},
		{"\0\1\1\0", 4, "out of order"},
		{"\0\2\1\2\1\1", 6, "twice"}, /* 1-3, 2-3 */
		{"\1\1\1\1", 4, "twice"},     /* bye 1, 1-2 */
		{"\0\x80\0", 3, "cut short"}, /* longer than needed */
		{"\0\x81\x10", 3, "too many"},
		{"\0\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\1", 12, "range"},
		{"\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1", 13, "short"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan_round r = {0};
		struct err err;

		CHECK_INT(
			plan_pairs_decode(&r, rows[i].bytes, rows[i].len, &err),
			ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, rows[i].says);
		CHECK(!r.pairs);
	}
}

TEST(pairs_of_random_bytes_are_refused_or_read_back_the_same)
{
	struct rand chance = {3};

	for (int i = 0; i < 20000; i++) {
		struct plan_round r = {0};
		unsigned char bytes[12];
		size_t len = rand_below(&chance, sizeof(bytes) + 1);
		struct buf b = BUF_INIT(0);

		for (size_t j = 0; j < len; j++)
			bytes[j] = (unsigned char)rand_below(
				&chance, rand_below(&chance, 4) ? 8 : 256);
		if (!plan_pairs_decode(&r, bytes, len, NULL)) {
			plan_pairs_encode(&r, &b);
			CHECK_INT(b.len, len);
			CHECK(!memcmp(b.p, bytes, len));
		}
		plan_round_release(&r);
		buf_release(&b);
	}
}

TEST(plan_with_bounds_exceeded_is_refused)
{
	struct plan *p = plan_of(1, 0, 2);
	struct err err;

	CHECK(!plan_check(p, &err));
	p->rounds[1].c = 0;
	CHECK(plan_check(p, &err) == ERR_INVALID_ARGUMENT);
	p->rounds[1].c = 1;
	p->rounds[1].deadline_ms = PLAN_DEADLINE_MAX_MS + 1;
	CHECK(plan_check(p, &err) == ERR_INVALID_ARGUMENT);
	p->rounds[1].deadline_ms = 5;
	p->run = 0;
	CHECK(plan_check(p, &err) == ERR_INVALID_ARGUMENT);
	plan_free(p);
}

TEST(plans_of_the_newest_epoch_hide_older_ones)
{
	struct plans s = {0};
	const struct plan *of;

	CHECK(plans_take(&s, plan_of(5, 0, 16)));
	CHECK(plans_take(&s, plan_of(5, 16, 16)));
	CHECK_INT(plans_end(&s, 1), 32);
	CHECK(plans_take(&s, plan_of(9, 20, 16)));
	CHECK_INT(plans_epoch(&s, 1), 9);
	CHECK_INT(plans_start(&s, 1), 20);
	CHECK_INT(plans_end(&s, 1), 36);
	CHECK(!plans_at(&s, 1, 0, 19, NULL)); /* a rest now */
	CHECK_INT(plans_at(&s, 1, 0, 20, &of)->seed, 9020);
	CHECK_INT(of->epoch, 9);
	CHECK(!plans_at(&s, 1, 10, 20, NULL)); /* heard of epoch 10 */
	CHECK(!plans_at(&s, 2, 0, 20, NULL));
	CHECK_INT(plans_was(&s, 1, 19)->seed, 5016 + 3);
	CHECK_INT(plans_was(&s, 1, 21)->seed, 9021);
	CHECK(!plans_was(&s, 1, 40));
	plans_trim(&s, 1, 17);
	CHECK_INT(s.n, 2);
	plans_release(&s);
}

TEST(plans_of_one_epoch_never_replace_each_other)
{
	struct plans s = {0};

	CHECK(plans_take(&s, plan_of(5, 0, 16)));
	CHECK(!plans_take(&s, plan_of(5, 15, 16)));
	CHECK_INT(s.n, 1);
	plans_release(&s);
}
