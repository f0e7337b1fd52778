/* Random runs of the exchange: n trainers, a network that drops, delays and
 * doubles, crashes with restart from a checkpoint. Whatever happens, nobody
 * averages twice for one key, every exchange leaves the sum of the pair as it
 * was unless its answer was lost and counted, and everyone reaches the end. A
 * seed that fails prints itself. */
#undef TEST_SECONDS
#define TEST_SECONDS 60
#include "test.h"

#include <stdbool.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/exchange.h"
#include "plan/coordinator.h"
#include "plan/shape.h"

enum { MAX = 9, PARAMS = 37, ROUNDS = 48, MAX_EVENTS = 4096 };

enum what { STEP, TICK, REQUEST, ANSWER, REFUSAL, RESTART };

struct event {
	int64_t at;
	uint64_t order;
	enum what what;
	int to;
	int life; /* of the receiver, for STEP and TICK and answers */
	uint64_t token;
	int from;
	int from_life;
	enum err_code code;
	struct exchange_message m;
	char *values;
};

struct trainer {
	struct exchange *e;
	float x[PARAMS], shared[PARAMS];
	int64_t t; /* the round worked on */
	int life;
	bool up;
	float saved_x[PARAMS];
	struct buf saved;
	int64_t averaged[ROUNDS]; /* by life + 1, per round */
	double sum;               /* of x */
	double moved[ROUNDS];     /* the sum, by the average of a round */
};

struct call { /* a request being served: who gets the answer */
	int from, life;
	int64_t t;
};

struct sim {
	uint64_t seed;
	struct rand r;
	int64_t now;
	uint64_t order;
	int n;
	double drop, dup, crash;
	struct trainer all[MAX];
	struct event events[MAX_EVENTS];
	size_t nevents;
	struct call calls[MAX_EVENTS * 64];
	uint64_t ncalls;
	struct plans plans;
	int64_t merged; /* by either side */
};

static double sum_of(const float *x)
{
	double sum = 0;

	for (int j = 0; j < PARAMS; j++)
		sum += (double)x[j];
	return sum;
}

static void post(struct sim *s, struct event e)
{
	if (s->nevents == MAX_EVENTS)
		test_fail(__FILE__, __LINE__, "seed %llu: too many events",
			  (unsigned long long)s->seed);
	e.order = s->order++;
	s->events[s->nevents++] = e;
}

static struct event take(struct sim *s)
{
	size_t first = 0;
	struct event e;

	for (size_t i = 1; i < s->nevents; i++) {
		struct event *a = &s->events[i], *b = &s->events[first];

		if (a->at < b->at || (a->at == b->at && a->order < b->order))
			first = i;
	}
	e = s->events[first];
	s->events[first] = s->events[--s->nevents];
	return e;
}

static int64_t delay(struct sim *s)
{
	int64_t ms = 1 + (int64_t)rand_below(&s->r, 20);

	return rand_unit(&s->r) < 0.05 ? ms + 700 : ms;
}

/* A message on the network: lost, doubled or late. What is lost is noticed by
 * the sender as a broken connection, sooner or later. */
static void transmit(struct sim *s, struct event e)
{
	int copies = rand_unit(&s->r) < s->dup ? 2 : 1;

	if (rand_unit(&s->r) < s->drop) {
		if (e.what == REQUEST && rand_unit(&s->r) < 0.7)
			post(s, (struct event){.at = s->now + delay(s),
					       .what = REFUSAL,
					       .to = e.from,
					       .life = e.from_life,
					       .code = ERR_UNAVAILABLE,
					       .m = e.m});
		return;
	}
	while (copies--) {
		struct event copy = e;

		copy.at = s->now + delay(s);
		copy.values = mem_dup(e.m.values, e.m.len);
		copy.m.values = copy.values;
		post(s, copy);
	}
}

static void schedule_step(struct sim *s, int i)
{
	post(s,
	     (struct event){.at = s->now + 5 + (int64_t)rand_below(&s->r, 60),
			    .what = STEP,
			    .to = i,
			    .life = s->all[i].life});
}

static void note_merge(struct sim *s, int i, const struct exchange_out *out)
{
	struct trainer *w = &s->all[i];

	if (w->averaged[out->t] == w->life + 1)
		test_fail(__FILE__, __LINE__,
			  "seed %llu: trainer %d averages round %lld twice",
			  (unsigned long long)s->seed, i + 1,
			  (long long)out->t);
	w->averaged[out->t] = w->life + 1;
	w->moved[out->t] = sum_of(w->x) - w->sum;
	w->sum += w->moved[out->t];
	s->merged++;
}

static void checkpoint(struct trainer *w)
{
	memcpy(w->saved_x, w->x, sizeof(w->x));
	buf_reset(&w->saved);
	exchange_dump(w->e, &w->saved);
}

static void finish_round(struct sim *s, int i, const struct exchange_out *out)
{
	struct trainer *w = &s->all[i];

	if (out->outcome == EXCHANGE_MERGED)
		note_merge(s, i, out);
	CHECK(out->outcome != EXCHANGE_REFUSED);
	w->t = out->t + 1;
	if (rand_below(&s->r, 4) == 0)
		checkpoint(w);
	if (w->t < ROUNDS)
		schedule_step(s, i);
}

static void drain(struct sim *s, int i)
{
	struct trainer *w = &s->all[i];
	struct exchange_out out;
	int64_t when;

	while (exchange_next(w->e, &out)) {
		struct event e = {.to = (int)out.peer - 1,
				  .from = i,
				  .from_life = w->life,
				  .m = out.message,
				  .code = out.code};

		switch (out.kind) {
		case EXCHANGE_SEND:
			e.what = REQUEST;
			transmit(s, e);
			break;
		case EXCHANGE_ANSWER:
		case EXCHANGE_REFUSE:
			e.what = out.kind == EXCHANGE_ANSWER ? ANSWER : REFUSAL;
			e.to = s->calls[out.token].from;
			e.life = s->calls[out.token].life;
			e.m.key.t = s->calls[out.token].t;
			transmit(s, e);
			break;
		case EXCHANGE_DONE:
			finish_round(s, i, &out);
			break;
		}
	}
	when = exchange_deadline(w->e);
	if (when != INT64_MAX)
		post(s, (struct event){.at = when > s->now ? when : s->now + 1,
				       .what = TICK,
				       .to = i,
				       .life = w->life});
}

static void step(struct sim *s, int i)
{
	struct trainer *w = &s->all[i];
	const struct plan *of;
	const struct plan_round *r = plans_at(&s->plans, 1, 0, w->t, &of);
	struct exchange_round at = {.run = 1,
				    .weight = 0.5F,
				    .epoch = of->epoch,
				    .t = w->t,
				    .peer = plan_partner(r, i + 1),
				    .seed = r->seed,
				    .c = r->c,
				    .deadline_ms = r->deadline_ms};

	if (rand_unit(&s->r) < s->crash) {
		w->up = false;
		w->life++;
		post(s, (struct event){.at = s->now + 1 +
					     (int64_t)rand_below(&s->r, 500),
				       .what = RESTART,
				       .to = i});
		return;
	}
	exchange_arrive(w->e, &at, s->now);
	drain(s, i);
}

static int64_t fastest(const struct sim *s)
{
	int64_t t = 0;

	for (int i = 0; i < s->n; i++)
		t = s->all[i].t > t ? s->all[i].t : t;
	return t;
}

/* In every form by turns, by the mask or by choice. */
static void begin(const struct sim *s, struct trainer *w)
{
	const struct exchange_how how = {
		.dtype = (enum payload_dtype)(s->seed % 3),
		.codec = (enum payload_codec)(s->seed / 3 % 2),
		.topk = s->seed / 6 % 2,
		.shared = s->seed / 6 % 2 ? w->shared : NULL,
	};

	memcpy(w->shared, w->x, sizeof(w->x));
	exchange_begin(w->e, 1, w->x, PARAMS, 5);
	exchange_by(w->e, &how);
}

/* From the checkpoint, at the round the others are in. */
static void restart(struct sim *s, int i)
{
	struct trainer *w = &s->all[i];
	int64_t now_at = fastest(s), was = w->t;

	exchange_free(w->e);
	w->e = exchange_new(i + 1);
	memcpy(w->x, w->saved_x, sizeof(w->x));
	w->sum = sum_of(w->x);
	begin(s, w);
	CHECK(!exchange_load(w->e, w->saved.p, w->saved.len, NULL));
	w->up = true;
	w->t = exchange_round_at(w->e) + 1;
	if (now_at - w->t > 8 && now_at < ROUNDS)
		w->t = now_at;
	CHECK(w->t <= was || w->t == now_at);
	if (w->t < ROUNDS)
		schedule_step(s, i);
}

static void handle(struct sim *s, struct event *e)
{
	struct trainer *w = &s->all[e->to];

	if (e->what == RESTART) {
		restart(s, e->to);
		return;
	}
	if (!w->up)
		return;
	if (e->what == REQUEST) {
		s->calls[s->ncalls] =
			(struct call){e->from, e->from_life, e->m.key.t};
		exchange_request(w->e, &e->m, s->ncalls++, s->now);
		drain(s, e->to);
		return;
	}
	if (e->life != w->life)
		return;
	if (e->what == STEP) {
		step(s, e->to);
		return;
	}
	if (e->what == TICK)
		exchange_tick(w->e, s->now);
	else if (e->what == ANSWER)
		exchange_reply(w->e, &e->m, s->now);
	else if (e->m.key.t == exchange_round_at(w->e))
		exchange_failed(w->e, e->code, s->now);
	drain(s, e->to);
}

/* Every other cluster has a topology, by chance. */
static void draw_graph(struct graph *g, size_t n, uint64_t seed)
{
	struct shape shape = {.kind = SHAPE_RANDOM, .n = n, .seed = seed};
	unsigned char edge[MAX * MAX] = {0};

	if (seed % 2)
		return;
	CHECK(!shape_make(&shape, edge, NULL));
	for (size_t i = 0; i < n * n; i++) {
		struct graph_edge e = {(int64_t)(i / n) + 1,
				       (int64_t)(i % n) + 1, 1};

		if (edge[i] && e.a < e.b)
			graph_apply(g, &e, 1, 1);
	}
}

/* The next plan, all of whose pairs are of the topology. */
static void plan_on(struct sim *s, const struct coordinator_view *v, int64_t t)
{
	struct plan *p = coordinator_plan(v, t);

	for (size_t i = 0; i < p->nrounds; i++)
		for (size_t j = 0; j < p->rounds[i].npairs; j++)
			CHECK(graph_weight(v->graph, p->rounds[i].pairs[j].a,
					   p->rounds[i].pairs[j].b) > 0);
	CHECK(plans_take(&s->plans, p));
}

static void setup(struct sim *s, uint64_t seed, bool crashes)
{
	struct coordinator_trainer ids[MAX];
	struct coordinator_run run = {.id = 1,
				      .rounds = ROUNDS,
				      .seed = seed,
				      .c = 5,
				      .deadline_ms = 300};
	struct bandwidth none = {0};
	struct graph graph = {0};
	struct coordinator_view v = {.epoch = 1,
				     .trainers = ids,
				     .run = &run,
				     .plans = &s->plans,
				     .bandwidth = &none,
				     .graph = &graph};

	*s = (struct sim){.seed = seed, .r = {seed}};
	s->n = 2 + (int)rand_below(&s->r, MAX - 1);
	s->drop = 0.3 * rand_unit(&s->r);
	s->dup = 0.2 * rand_unit(&s->r);
	s->crash = crashes ? 0.02 * rand_unit(&s->r) : 0;
	for (int i = 0; i < s->n; i++)
		ids[i] = (struct coordinator_trainer){i + 1, true};
	v.ntrainers = (size_t)s->n;
	draw_graph(&graph, v.ntrainers, seed);
	for (int64_t t = 0; t < ROUNDS; t += PLAN_ROUNDS)
		plan_on(s, &v, t);
	graph_release(&graph);
	for (int i = 0; i < s->n; i++) {
		struct trainer *w = &s->all[i];

		w->e = exchange_new(i + 1);
		w->up = true;
		for (int j = 0; j < PARAMS; j++)
			w->x[j] = (float)rand_unit(&s->r);
		w->sum = sum_of(w->x);
		begin(s, w);
		checkpoint(w);
		schedule_step(s, i);
	}
}

static void teardown(struct sim *s)
{
	for (int i = 0; i < s->n; i++) {
		exchange_free(s->all[i].e);
		buf_release(&s->all[i].saved);
	}
	for (size_t i = 0; i < s->nevents; i++)
		free(s->events[i].values);
	plans_release(&s->plans);
}

/* Exchanges that only one side has merged. Where both did, what one gained the
 * other has lost. */
static int64_t one_sided(const struct sim *s)
{
	int64_t odd = 0;

	for (int64_t t = 0; t < ROUNDS; t++) {
		const struct plan_round *r = plans_at(&s->plans, 1, 0, t, NULL);

		for (size_t i = 0; i < r->npairs; i++) {
			const struct trainer *a = &s->all[r->pairs[i].a - 1];
			const struct trainer *b = &s->all[r->pairs[i].b - 1];

			if (!a->averaged[t] != !b->averaged[t])
				odd++;
			else if (fabs(a->moved[t] + b->moved[t]) > 1e-4)
				test_fail(__FILE__, __LINE__,
					  "seed %llu: round %lld moved the sum",
					  (unsigned long long)s->seed,
					  (long long)t);
		}
	}
	return odd;
}

static void run(uint64_t seed, bool crashes)
{
	static struct sim s;
	int64_t lost = 0, odd = 0;

	setup(&s, seed, crashes);
	while (s.nevents && s.now < 600000) {
		struct event e = take(&s);

		s.now = e.at;
		handle(&s, &e);
		free(e.values);
	}
	for (int i = 0; i < s.n; i++) {
		if (s.all[i].t != ROUNDS)
			test_fail(__FILE__, __LINE__,
				  "seed %llu: trainer %d ends at round %lld",
				  (unsigned long long)seed, i + 1,
				  (long long)s.all[i].t);
		lost += exchange_counts(s.all[i].e)->lost;
	}
	if (!crashes)
		odd = one_sided(&s);
	if (odd > lost)
		test_fail(__FILE__, __LINE__,
			  "seed %llu: %lld one-sided merges, %lld counted",
			  (unsigned long long)seed, (long long)odd,
			  (long long)lost);
	CHECK(s.merged > 0);
	teardown(&s);
}

TEST(gossip_under_loss_doubling_and_delay_keeps_the_mean_and_goes_on)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		run(seed, false);
}

TEST(gossip_under_crashes_averages_nothing_twice_and_goes_on)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		run(seed, true);
}
