/* A federation whose trainers meet several others in a round, by real exchanges
 * without a network, beside the simulator's: they are the same. */
#include "test.h"

#include "base/rand.h"
#include "fl/exchange.h"
#include "fl/strategy.h"

enum { N_MAX = 6, PARAMS = 60, C = 4 };

struct bed {
	const struct strategy *s;
	size_t n;
	bool topk;
	double eta;
	struct exchange *e[N_MAX];
	float x[N_MAX][PARAMS], base[N_MAX][PARAMS], start[PARAMS];
	struct rand r;
	int64_t t;
	double drop; /* the chance that an answer is lost */
	int lost;
};

static void open_all(struct bed *b, const char *name, size_t n, bool topk)
{
	*b = (struct bed){.s = strategies_find(name),
			  .n = n,
			  .topk = topk,
			  .r = {n * 5 + topk}};
	b->eta = b->s->kind == STRATEGY_CHOCO ? 0.4 : 1;
	for (int j = 0; j < PARAMS; j++)
		b->start[j] = (float)rand_unit(&b->r);
	for (size_t i = 0; i < n; i++) {
		const struct exchange_how how = {
			.topk = topk,
			.base = b->base[i],
			.tells = b->s->kind == STRATEGY_CHOCO,
			.start = b->start,
		};

		memcpy(b->x[i], b->start, sizeof(b->start));
		b->e[i] = exchange_new((int64_t)i + 1);
		exchange_begin(b->e[i], 1, b->x[i], PARAMS, 5);
		exchange_by(b->e[i], &how);
	}
}

static void close_all(struct bed *b)
{
	for (size_t i = 0; i < b->n; i++)
		exchange_free(b->e[i]);
}

static struct exchange_round round_of(const struct bed *b, size_t phase,
				      int mate)
{
	return (struct exchange_round){
		.run = 1,
		.epoch = 1,
		.t = b->t,
		.phase = (int)phase,
		.peer = mate + 1,
		.seed = (uint64_t)b->t * 7,
		.c = b->s->dense ? 1 : C,
		.deadline_ms = 100,
		.weight =
			(float)(b->eta * strategies_weight(b->s->links, b->n)),
	};
}

static struct exchange_out next(struct exchange *e, enum exchange_out_kind kind)
{
	struct exchange_out out;

	CHECK(exchange_next(e, &out));
	CHECK_INT(out.kind, kind);
	return out;
}

static void ended(struct exchange *e, enum exchange_outcome outcome)
{
	struct exchange_out out;

	CHECK_INT(next(e, EXCHANGE_DONE).outcome, outcome);
	CHECK(!exchange_next(e, &out));
}

/* Trainers a and b, of which a has the lower id. */
static void meet(struct bed *b, size_t phase, size_t i, size_t j)
{
	struct exchange_round at = round_of(b, phase, (int)j);
	struct exchange *a = b->e[i], *to = b->e[j];
	struct exchange_message m;

	exchange_arrive(a, &at, 0);
	at = round_of(b, phase, (int)i);
	exchange_arrive(to, &at, 0);
	m = next(a, EXCHANGE_SEND).message;
	exchange_request(to, &m, 1, 0);
	m = next(to, EXCHANGE_ANSWER).message;
	ended(to, EXCHANGE_MERGED);
	if (rand_unit(&b->r) < b->drop) {
		exchange_failed(a, ERR_UNAVAILABLE, 0);
		exchange_tick(a, 100);
		ended(a, EXCHANGE_LOST);
		b->lost++;
		return;
	}
	exchange_reply(a, &m, 0);
	ended(a, EXCHANGE_MERGED);
}

/* One round of local steps, then all phases. */
static void go_round(struct bed *b, double step)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->s->needs_before)
			memcpy(b->base[i], b->x[i], sizeof(b->x[i]));
		for (int j = 0; j < PARAMS; j++)
			b->x[i][j] += (float)(step * (rand_unit(&b->r) - 0.5));
		if (!b->s->needs_before)
			memcpy(b->base[i], b->x[i], sizeof(b->x[i]));
	}
	for (size_t p = 0; p < strategies_phases(b->s->links, b->n); p++)
		for (size_t i = 0; i < b->n; i++) {
			int j = strategies_mate(b->s->links, b->n, i, p);

			if (j > (int)i)
				meet(b, p, i, (size_t)j);
		}
	b->t++;
}

/* The simulator's, of the same steps. */
struct model {
	struct strategy_mix m;
	float own[3][N_MAX][PARAMS], *at[3][N_MAX];
	struct strategy_transfer transfer[2 * N_MAX + 2];
};

static void open_model(struct model *o, const struct bed *b)
{
	*o = (struct model){0};
	for (size_t i = 0; i < b->n; i++)
		for (int k = 0; k < 3; k++) {
			o->at[k][i] = o->own[k][i];
			memcpy(o->own[k][i], b->start, sizeof(b->start));
		}
	o->m = (struct strategy_mix){
		.n = b->n,
		.params = PARAMS,
		.x = o->at[0],
		.before = o->at[1],
		.shared = o->at[2],
		.scheme = b->s->dense ? SCHEME_DENSE
			  : b->topk   ? SCHEME_TOPK
				      : SCHEME_STRAT,
		.c = b->s->dense ? 1 : C,
		.eta = b->eta,
		.transfer = o->transfer,
	};
}

static void model_round(struct model *o, const struct bed *b, struct rand r)
{
	for (size_t i = 0; i < b->n; i++) {
		memcpy(o->own[1][i], o->own[0][i], sizeof(o->own[0][i]));
		for (int j = 0; j < PARAMS; j++)
			o->own[0][i][j] += (float)(rand_unit(&r) - 0.5);
	}
	o->m.t = b->t;
	o->m.seed = (uint64_t)b->t * 7;
	o->m.ntransfers = 0;
	strategy_mix(b->s, &o->m);
}

static void compare(const char *name, size_t n, bool topk)
{
	struct model o;
	struct bed b;

	open_all(&b, name, n, topk);
	open_model(&o, &b);
	for (int t = 0; t < 12; t++) {
		model_round(&o, &b, b.r);
		go_round(&b, 1);
		for (size_t i = 0; i < n; i++)
			for (int j = 0; j < PARAMS; j++)
				CHECK_NEAR(b.x[i][j], o.own[0][i][j], 2e-5);
	}
	close_all(&b);
}

TEST(ring_of_exchanges_is_the_simulators_dpsgd)
{
	for (size_t n = 2; n <= N_MAX; n++)
		compare("dpsgd", n, false);
}

TEST(ring_of_exchanges_is_the_simulators_choco)
{
	for (size_t n = 2; n <= N_MAX; n++) {
		compare("choco", n, false);
		compare("choco", n, true);
	}
}

static double spread(const struct bed *b, double *mean)
{
	double sum = 0;

	*mean = 0;
	for (int j = 0; j < PARAMS; j++) {
		double m = 0;

		for (size_t i = 0; i < b->n; i++)
			m += (double)b->x[i][j] / (double)b->n;
		for (size_t i = 0; i < b->n; i++)
			sum += ((double)b->x[i][j] - m) *
			       ((double)b->x[i][j] - m);
		*mean += m;
	}
	return sum;
}

TEST(all_exchanges_of_psgd_leave_everyone_with_the_mean)
{
	for (size_t n = 2; n <= N_MAX; n++) {
		double mean;
		struct bed b;

		open_all(&b, "psgd", n, false);
		for (int t = 0; t < 12; t++) {
			go_round(&b, 1);
			CHECK(spread(&b, &mean) < 1e-9);
		}
		close_all(&b);
	}
}

/* Answers are lost; nothing else: every other one of a pair finds out, and both
 * begin anew. The models come together all the same, and the mean stays but for
 * what was lost. */
TEST(choco_goes_on_where_answers_are_lost)
{
	for (int topk = 0; topk < 2; topk++) {
		double mean, before, apart;
		struct bed b;

		open_all(&b, "choco", 5, topk);
		go_round(&b, 1);
		apart = spread(&b, &before);
		b.drop = 0.1;
		for (int t = 0; t < 60; t++)
			go_round(&b, 0);
		CHECK(b.lost > 10);
		b.drop = 0;
		spread(&b, &before);
		for (int t = 0; t < 200; t++)
			go_round(&b, 0);
		CHECK(spread(&b, &mean) < apart / 100);
		CHECK_NEAR(mean, before, 1e-4);
		close_all(&b);
	}
}
