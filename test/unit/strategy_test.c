#include "test.h"

#include <math.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/strategy.h"
#include "fl/topk.h"
#include "plan/mask.h"

enum { N_MAX = 7, PARAMS = 40 };

/* A small federation with chance models; before is what x was. */
struct bed {
	struct strategy_mix m;
	float *x[N_MAX], *before[N_MAX], *shared[N_MAX];
	float own[3][N_MAX][PARAMS];
	struct strategy_transfer transfer[2 * N_MAX + 2];
	struct aggregate_update update[N_MAX];
	float global[PARAMS];
	bool active[N_MAX];
	int mate[N_MAX];
};

static void begin(struct bed *b, size_t n, enum strategy_scheme scheme,
		  uint32_t c)
{
	struct rand r = {n * 31 + c};

	*b = (struct bed){.m = {.n = n,
				.params = PARAMS,
				.scheme = scheme,
				.c = c,
				.eta = 1,
				.seed = 9}};
	for (size_t i = 0; i < n; i++) {
		b->x[i] = b->own[0][i];
		b->before[i] = b->own[1][i];
		b->shared[i] = b->own[2][i];
		for (int j = 0; j < PARAMS; j++) {
			b->before[i][j] = (float)rand_below(&r, 1000);
			b->x[i][j] =
				b->before[i][j] + (float)rand_below(&r, 100);
			b->shared[i][j] = b->before[i][j];
		}
		b->update[i].weight = 1 + (double)i;
		b->active[i] = true;
		b->mate[i] = -1;
	}
	b->m.x = b->x;
	b->m.before = b->before;
	b->m.shared = b->shared;
	b->m.transfer = b->transfer;
	b->m.len = PARAMS;
	b->m.update = b->update;
	b->m.global = b->global;
	b->m.active = b->active;
	b->m.mate = b->mate;
}

static void mix(struct bed *b, const char *name)
{
	const struct strategy *s = strategies_find(name);

	CHECK(s);
	CHECK_STR(s->name, name);
	CHECK(s == &strategies[s->kind]);
	b->m.ntransfers = 0;
	strategy_mix(s, &b->m);
}

static double sum_of(float *const *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		for (int j = 0; j < PARAMS; j++)
			sum += (double)x[i][j];
	return sum;
}

static double bytes_of(const struct bed *b, int from)
{
	double sum = 0;

	for (size_t k = 0; k < b->m.ntransfers; k++)
		if (b->transfer[k].from == from)
			sum += b->transfer[k].bytes;
	return sum;
}

static void pair(struct bed *b, int i, int j)
{
	b->mate[i] = j;
	b->mate[j] = i;
}

TEST(gossip_averages_pairs_in_the_mask_and_nothing_else)
{
	uint32_t index[PARAMS / 4];
	struct bed b, was;
	double sum;

	begin(&b, 5, SCHEME_STRAT, 4);
	pair(&b, 0, 3);
	pair(&b, 1, 2);
	was = b;
	sum = sum_of(b.x, 5);
	mix(&b, "gossip");
	CHECK_NEAR(sum_of(b.x, 5), sum, 1e-6 * sum);
	mask_indices(&(struct mask){.run = 1, .seed = 9, .n = PARAMS, .c = 4},
		     index);
	for (int j = 0, at = 0; j < PARAMS; j++) {
		bool sent = at < PARAMS / 4 && index[at] == (uint32_t)j;
		float half = (was.own[0][0][j] + was.own[0][3][j]) / 2;

		at += sent;
		CHECK_NEAR(b.x[0][j], sent ? half : was.own[0][0][j], 1e-4);
		CHECK_NEAR(b.x[3][j], sent ? half : was.own[0][3][j], 1e-4);
		CHECK_NEAR(b.x[4][j], was.own[0][4][j], 0);
	}
	CHECK_NEAR(bytes_of(&b, 3), 4 * PARAMS / 4, 0);
	CHECK_NEAR(bytes_of(&b, 4), 0, 0);
}

TEST(gossip_in_fewer_bytes_keeps_the_mean_and_comes_as_near)
{
	static const struct {
		enum payload_dtype dtype;
		double bytes, near;
	} form[] = {
		{PAYLOAD_F32, 4 * PARAMS / 2, 1e-3},
		{PAYLOAD_BF16, 2 * PARAMS / 2, 8},  /* of values up to 1100 */
		{PAYLOAD_INT8, 4 + PARAMS / 2, 10}, /* a scale for each 256 */
	};
	uint32_t index[PARAMS / 2];

	mask_indices(&(struct mask){.run = 1, .seed = 9, .n = PARAMS, .c = 2},
		     index);
	for (int i = 0; i < 3; i++) {
		struct bed b;
		double sum;

		begin(&b, 2, SCHEME_STRAT, 2);
		b.m.form.dtype = form[i].dtype;
		pair(&b, 0, 1);
		sum = sum_of(b.x, 2);
		mix(&b, "gossip");
		CHECK_NEAR(sum_of(b.x, 2), sum, 1e-6 * sum);
		CHECK_NEAR(bytes_of(&b, 0), form[i].bytes, 0);
		for (int k = 0; k < PARAMS / 2; k++)
			CHECK_NEAR(b.x[0][index[k]], b.x[1][index[k]],
				   form[i].near);
	}
}

TEST(gossip_of_what_is_not_finite_does_not_happen)
{
	struct bed b;

	begin(&b, 2, SCHEME_DENSE, 1);
	pair(&b, 0, 1);
	b.x[1][3] = NAN;
	mix(&b, "gossip");
	CHECK_NEAR(b.x[0][3], b.own[0][0][3], 0);
	CHECK(isfinite(b.x[0][3]));
	CHECK_INT(b.m.ntransfers, 0);
}

TEST(gossip_by_topk_sends_what_changed_most_and_the_rest_later)
{
	struct bed b;
	double sum;

	begin(&b, 2, SCHEME_TOPK, PARAMS / 2); /* two values */
	memcpy(b.x[0], b.shared[0], sizeof(b.own[0][0]));
	b.x[0][7] += 50;
	b.x[0][30] -= 40;
	b.x[0][31] += 30;
	pair(&b, 0, 1);
	sum = sum_of(b.x, 2);
	mix(&b, "gossip");
	CHECK_NEAR(sum_of(b.x, 2), sum, 1e-6 * sum);
	CHECK_NEAR(b.x[0][7], b.x[1][7], 0);
	CHECK_NEAR(b.x[0][30], b.x[1][30], 0);
	CHECK(b.x[0][31] != b.x[1][31]);
	CHECK_NEAR(b.shared[0][7], b.x[0][7], 0);
	CHECK_NEAR(bytes_of(&b, 0), 4 * 2 + 2, 0); /* 7, 23 further */
	CHECK_NEAR(bytes_of(&b, 1), 4 * 2, 0);
	for (b.m.t = 2; b.m.t < 10; b.m.t += 2)
		mix(&b, "gossip");
	CHECK_NEAR(b.x[0][31], b.x[1][31], 0);
}

TEST(dpsgd_is_the_ring_of_what_was_less_the_gradient)
{
	for (size_t n = 1; n <= N_MAX; n++) {
		struct bed b, was;

		begin(&b, n, SCHEME_DENSE, 1);
		was = b;
		mix(&b, "dpsgd");
		for (size_t i = 0; i < n; i++) {
			size_t l = (i + n - 1) % n, r = (i + 1) % n;
			float self = was.own[1][i][5], left = was.own[1][l][5];
			float right = was.own[1][r][5];
			float ring = n == 1   ? self
				     : n == 2 ? (self + left) / 2
					      : (self + left + right) / 3;

			CHECK_NEAR(b.x[i][5], ring + was.own[0][i][5] - self,
				   1e-3);
			CHECK_NEAR(bytes_of(&b, (int)i),
				   4.0 * PARAMS *
					   (n == 1   ? 0
					    : n == 2 ? 1
						     : 2),
				   0);
		}
	}
}

/* Without compression both are D-PSGD, each in its own way. */
TEST(dcd_and_choco_that_send_all_are_what_their_papers_say)
{
	struct bed dense, dcd, choco;

	begin(&dense, 5, SCHEME_DENSE, 1);
	dcd = dense;
	begin(&dcd, 5, SCHEME_DENSE, 1);
	begin(&choco, 5, SCHEME_DENSE, 1);
	mix(&dense, "dpsgd");
	mix(&dcd, "dcd");
	mix(&choco, "choco");
	for (size_t i = 0; i < 5; i++)
		for (int j = 0; j < PARAMS; j++) {
			size_t l = (i + 4) % 5, r = (i + 1) % 5;

			CHECK_NEAR(dcd.x[i][j], dense.x[i][j], 1e-3);
			CHECK_NEAR(dcd.shared[i][j], dcd.x[i][j], 0);
			CHECK_NEAR(choco.x[i][j],
				   (choco.shared[i][j] + choco.shared[l][j] +
				    choco.shared[r][j]) /
					   3,
				   1e-3);
		}
}

TEST(dcd_and_choco_keep_the_mean_and_what_they_did_not_send)
{
	static const char *const name[] = {"dcd", "choco"};

	for (int k = 0; k < 2; k++) {
		struct bed b, was;
		int same = 0;

		begin(&b, 6, SCHEME_TOPK, 10);
		was = b;
		mix(&b, name[k]);
		for (int j = 0; j < PARAMS; j++)
			same += b.shared[2][j] == was.own[2][2][j];
		CHECK_INT(same, PARAMS - PARAMS / 10);
		if (k)
			CHECK_NEAR(sum_of(b.x, 6), sum_of(was.x, 6),
				   1e-6 * sum_of(b.x, 6));
	}
}

TEST(psgd_gives_all_the_mean)
{
	struct bed b, was;

	begin(&b, 4, SCHEME_DENSE, 1);
	was = b;
	mix(&b, "psgd");
	for (int i = 0; i < 4; i++)
		CHECK_NEAR(b.x[i][3],
			   (was.own[0][0][3] + was.own[0][1][3] +
			    was.own[0][2][3] + was.own[0][3][3]) /
				   4,
			   1e-3);
	CHECK_NEAR(bytes_of(&b, 2), 4.0 * PARAMS * 2 * 3 / 4, 1e-9);
}

static struct aggregate *rule(const char *name)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	struct aggregate *a;
	struct err err;

	opts.staleness.kind = STALENESS_CONSTANT;
	opts.mix = 0.5;
	opts.buffer = 2;
	if (aggregate_open(&a, name, &opts, PARAMS, PARAMS, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return a;
}

/* A round of four, of whom the second rests and the last has the server. */
static void serve(struct bed *b, const char *name, struct bed *was)
{
	begin(b, 4, SCHEME_DENSE, 1);
	b->active[1] = false;
	b->m.server = 3;
	b->m.aggregate = rule(name);
	memset(b->global, 0, sizeof(b->global));
	*was = *b;
	mix(b, "fedavg");
	CHECK_INT(b->m.rc, 0);
	for (int i = 0; i < 4; i++)
		CHECK(!memcmp(b->x[i], b->global, sizeof(b->global)));
}

TEST(fedavg_gives_all_what_the_server_makes_of_some)
{
	struct bed b, was;

	serve(&b, "fedavg", &was);
	CHECK_NEAR(b.x[1][3],
		   (was.own[0][0][3] + 3 * was.own[0][2][3] +
		    4 * was.own[0][3][3]) /
			   8,
		   1e-3);
	CHECK_NEAR(bytes_of(&b, 3), 4.0 * PARAMS * 2, 0);
	CHECK_NEAR(bytes_of(&b, 0), 4.0 * PARAMS, 0);
	CHECK_NEAR(bytes_of(&b, 1), 0, 0);
	aggregate_free(b.m.aggregate);
}

/* Each client moves the model by half; from 0 on. */
TEST(fedasync_takes_one_client_after_the_other)
{
	struct bed b, was;

	serve(&b, "fedasync", &was);
	CHECK_NEAR(b.x[1][3],
		   was.own[0][0][3] / 8 + was.own[0][2][3] / 4 +
			   was.own[0][3][3] / 2,
		   1e-3);
	aggregate_free(b.m.aggregate);
}

/* Of three differences two make a model; the third waits for the next round's
 * first, which is relative to the model of then. */
TEST(fedbuff_keeps_what_is_too_few_for_the_next_round)
{
	struct bed b, was;
	float half;

	serve(&b, "fedbuff", &was);
	half = (was.own[0][0][3] + was.own[0][2][3]) / 2;
	CHECK_NEAR(b.x[1][3], half, 1e-3);
	CHECK_INT(aggregate_count(b.m.aggregate), 1);
	for (int i = 0; i < 4; i++) {
		b.active[i] = i == 1;
		b.x[i][3] = half + 8;
	}
	mix(&b, "fedavg");
	CHECK_INT(b.m.rc, 0);
	CHECK_NEAR(b.x[0][3], half + (was.own[0][3][3] + 8) / 2, 1e-3);
	aggregate_free(b.m.aggregate);
}

TEST(a_server_goes_on_without_an_update_that_it_refuses)
{
	struct bed b, was;

	begin(&b, 3, SCHEME_DENSE, 1);
	b.m.aggregate = rule("fedavg");
	b.x[1][7] = NAN;
	was = b;
	mix(&b, "fedavg");
	CHECK_INT(b.m.rc, 0);
	CHECK_INT(b.m.refused, 1);
	CHECK_NEAR(b.x[1][3], (was.own[0][0][3] + 3 * was.own[0][2][3]) / 4,
		   1e-3);
	aggregate_free(b.m.aggregate);
}

TEST(a_mean_that_cannot_be_made_is_an_error)
{
	struct bed b;

	begin(&b, 3, SCHEME_DENSE, 1);
	b.x[1][7] = INFINITY;
	mix(&b, "psgd");
	CHECK_INT(b.m.rc, ERR_INVALID_ARGUMENT);
	CHECK_HAS(b.m.err.msg, "client 2");
	begin(&b, 3, SCHEME_DENSE, 1);
	b.m.aggregate = rule("krum");
	b.active[0] = false;
	mix(&b, "fedavg");
	CHECK_INT(b.m.rc, ERR_FAILED_PRECONDITION);
	aggregate_free(b.m.aggregate);
}

/* ---- topk ---- */

TEST(topk_takes_the_largest_magnitudes_by_ascending_index)
{
	static const float x[] = {1, -9, 3, NAN, 9, 0, -3, 3};
	uint32_t out[8];

	topk_select(x, 8, 2, out);
	CHECK_INT(out[0], 1);
	CHECK_INT(out[1], 4);
	topk_select(x, 8, 4, out); /* of 3, -3 and 3 the first two */
	CHECK_INT(out[1], 2);
	CHECK_INT(out[3], 6);
	topk_select(x, 8, 8, out);
	CHECK_INT(out[7], 7);
	topk_select(x, 8, 0, out);
}

TEST(topk_agrees_with_sorting)
{
	struct rand r = {4};

	for (int round = 0; round < 200; round++) {
		uint32_t n = 1 + (uint32_t)rand_below(&r, 300);
		uint32_t k = 1 + (uint32_t)rand_below(&r, n);
		float x[300], least = INFINITY;
		uint32_t out[300], above = 0;

		for (uint32_t i = 0; i < n; i++)
			x[i] = (float)rand_unit(&r) -
			       (round % 2 ? 0.5f : (float)rand_below(&r, 2));
		topk_select(x, n, k, out);
		for (uint32_t i = 0; i < k; i++) {
			CHECK(!i || out[i] > out[i - 1]);
			least = fminf(least, fabsf(x[out[i]]));
		}
		for (uint32_t i = 0; i < n; i++)
			above += fabsf(x[i]) > least;
		CHECK(above < k);
	}
}

TEST(topk_index_bytes_are_those_of_varints)
{
	static const uint32_t index[] = {0, 127, 255, 256, 20000};

	CHECK_INT(topk_index_bytes(index, 5), 1 + 1 + 2 + 1 + 3);
	CHECK_INT(topk_index_bytes(index, 0), 0);
}
