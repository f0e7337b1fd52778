/* linear_test - the checker of histories takes what a register can give, and
 * nothing else. */
#include "linear.h"

#include "base/mem.h"
#include "base/rand.h"
#include "test.h"

#define W(v, from, to)                                                  \
	{                                                               \
		.key = 1, .write = true, .value = (v), .start = (from), \
		.end = (to)                                             \
	}
#define R(v, from, to)                                               \
	{                                                            \
		.key = 1, .value = (v), .start = (from), .end = (to) \
	}
#define JUDGE(...)                                        \
	judge((struct linear_op[]){__VA_ARGS__},          \
	      sizeof((struct linear_op[]){__VA_ARGS__}) / \
		      sizeof(struct linear_op))

static int judge(const struct linear_op *op, size_t n)
{
	struct err err;
	int rc = linear_check(op, n, &err);

	if (rc)
		printf("# %s\n", err.msg);
	return rc;
}

TEST(a_history_of_one_after_the_other_is_taken)
{
	CHECK(!JUDGE(R(0, 1, 2), W(5, 3, 4), R(5, 5, 6), W(7, 7, 8),
		     R(7, 9, 10)));
	CHECK(!linear_check(NULL, 0, NULL));
}

TEST(a_read_during_a_write_may_see_it_or_not)
{
	CHECK(!JUDGE(W(5, 1, 10), R(5, 2, 3), R(5, 4, 5)));
	CHECK(!JUDGE(W(5, 1, 10), R(0, 2, 3), R(5, 4, 5)));
	CHECK(!JUDGE(W(5, 1, 10), R(0, 2, 3), R(0, 4, 5)));
}

/* Once it was seen it stays seen. */
TEST(two_reads_during_a_write_agree_on_its_moment)
{
	CHECK_INT(JUDGE(W(5, 1, 10), R(5, 2, 3), R(0, 4, 5)), ERR_DATA_LOSS);
}

TEST(a_stale_read_is_refused)
{
	CHECK_INT(JUDGE(W(5, 1, 2), W(6, 3, 4), R(5, 5, 6)), ERR_DATA_LOSS);
	CHECK_INT(JUDGE(W(5, 1, 2), R(0, 3, 4)), ERR_DATA_LOSS);
}

TEST(a_lost_write_is_refused)
{
	CHECK_INT(JUDGE(W(5, 1, 2), R(5, 3, 4), W(6, 5, 6), R(5, 7, 8),
			R(5, 9, 10)),
		  ERR_DATA_LOSS);
}

TEST(a_read_of_what_nobody_wrote_is_refused)
{
	CHECK_INT(JUDGE(W(5, 1, 2), R(9, 3, 4)), ERR_DATA_LOSS);
	CHECK_INT(JUDGE(R(5, 1, 2), W(5, 3, 4)), ERR_DATA_LOSS);
}

/* Two halves of a cluster, each with writes that the other does not see. */
TEST(a_split_brain_is_refused)
{
	CHECK_INT(JUDGE(W(1, 1, 2), W(2, 3, 4), W(3, 3, 4), R(2, 5, 6),
			R(3, 5, 6), R(2, 7, 8), R(3, 7, 8)),
		  ERR_DATA_LOSS);
}

/* Applied once more, long after: what was overwritten comes back. */
TEST(a_write_that_is_applied_twice_is_refused)
{
	CHECK_INT(JUDGE(W(1, 1, 2), W(2, 3, 4), R(2, 5, 6), R(1, 7, 8)),
		  ERR_DATA_LOSS);
}

TEST(a_write_without_an_answer_may_be_there_or_not)
{
	CHECK(!JUDGE(W(5, 1, LINEAR_OPEN), R(0, 9, 10)));
	CHECK(!JUDGE(W(5, 1, LINEAR_OPEN), R(0, 3, 4), R(5, 9, 10)));
	CHECK(!JUDGE(W(5, 1, LINEAR_OPEN), W(6, 2, 3), R(6, 4, 5), R(5, 6, 7)));
	CHECK_INT(JUDGE(W(5, 1, LINEAR_OPEN), R(5, 3, 4), R(0, 5, 6)),
		  ERR_DATA_LOSS);
	CHECK_INT(JUDGE(R(5, 1, 2), W(5, 3, LINEAR_OPEN)), ERR_DATA_LOSS);
}

TEST(a_read_without_an_answer_says_nothing)
{
	CHECK(!JUDGE(W(5, 1, 2), R(0, 3, LINEAR_OPEN)));
}

TEST(each_key_is_a_register_of_its_own)
{
	struct linear_op op[] = {W(5, 1, 2), R(0, 3, 4)};

	op[1].key = 2;
	CHECK(!judge(op, 2));
}

TEST(what_makes_no_sense_is_refused)
{
	CHECK_INT(JUDGE(W(5, 2, 1)), ERR_INVALID_ARGUMENT);
	CHECK_INT(JUDGE(W(0, 1, 2)), ERR_INVALID_ARGUMENT);
}

TEST(more_on_one_key_than_can_be_searched_is_not_called_good)
{
	struct linear h = {0};
	struct err err;

	for (int i = 0; i <= LINEAR_MAX; i++)
		linear_end(&h, linear_begin(&h, 1, true, i + 1, i, 1), i + 1,
			   i);
	CHECK_INT(linear_check(h.op, h.n, &err), ERR_RESOURCE_EXHAUSTED);
	CHECK(!linear_check(h.op, h.n - 1, &err));
	linear_release(&h);
}

/* A register that clients use at once: each operation takes effect at some
 * moment between its start and its end. */
static void history(struct linear *h, struct rand *r, int clients, int n)
{
	int64_t now = 0, value = 0;
	struct {
		size_t number;
		int64_t value;
		int state; /* 0 idle, 1 under way, 2 has taken effect */
	} c[16] = {0};

	for (int next = 1; next <= n;) {
		int i = (int)rand_below(r, (uint64_t)clients);
		struct linear_op *o = &h->op[c[i].number];

		now++;
		if (c[i].state == 0) {
			c[i].number = linear_begin(h, 1, rand_below(r, 2) == 0,
						   next++, now, i);
		} else if (c[i].state == 1) {
			if (o->write)
				value = o->value;
			c[i].value = value;
		} else if (rand_below(r, 20)) {
			linear_end(h, c[i].number, c[i].value, now);
		}
		c[i].state = (c[i].state + 1) % 3;
	}
}

/* And what a history cannot be: a read of what was no longer, or not yet, or
 * never there while it ran. */
TEST(random_histories_are_taken_and_damaged_ones_refused)
{
	int refused = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rand r = {seed};
		struct linear h = {0};
		struct err err = {0};
		int rc;

		history(&h, &r, 2 + (int)rand_below(&r, 9), 400);
		rc = linear_check(h.op, h.n, &err);
		if (rc)
			printf("# seed %d: %s\n", (int)seed, err.msg);
		CHECK_INT(rc, 0);
		for (size_t i = h.n / 2; i < h.n; i++)
			if (!h.op[i].write && h.op[i].end != LINEAR_OPEN) {
				h.op[i].value = 0;
				break;
			}
		rc = linear_check(h.op, h.n, &err);
		CHECK(rc != ERR_RESOURCE_EXHAUSTED);
		refused += rc == ERR_DATA_LOSS;
		linear_release(&h);
	}
	CHECK_INT(refused, 300);
}
