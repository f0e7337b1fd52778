/* Whom a trainer meets in a round, as the strategy of the run has it: the one
 * that the plan pairs it with; or of all that the plan names those beside it,
 * or everyone, in phases. One that is missed counts as if it had our values. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/value.h"
#include "fl/trainer_impl.h"

static bool tells(const struct trainer *t)
{
	return t->run.meeting.strategy->kind == STRATEGY_CHOCO;
}

/* What everybody knows of everybody's model before the first exchange. */
static float *start_of(const struct model *m, uint64_t seed)
{
	float *x = mem_zero(m->len, sizeof(*x));

	model_init(m, seed, x);
	return x;
}

void trainer_meet_open(struct trainer *t, const Gfl__V1__RunSpec *spec)
{
	struct meeting *m = &t->run.meeting;
	size_t n = t->run.learner->model->n;

	m->strategy = strategies_find(spec->strategy);
	if (!strcmp(spec->scheme, "topk"))
		t->run.shared = mem_zero(n, sizeof(float));
	if (m->strategy->links != LINKS_PAIRS)
		t->run.base = mem_zero(n, sizeof(float));
	if (tells(t) && !t->run.brought)
		t->run.start = start_of(t->run.learner->model, spec->seed);
	t->run.eta = tells(t) ? spec->eta : 1;
}

void trainer_meet_by(const struct trainer *t, struct exchange *e,
		     const Gfl__V1__RunSpec *spec, bool own)
{
	const bool tell = own && tells(t);
	const struct exchange_how how = {
		.dtype = (enum payload_dtype)value_choice(PAYLOAD_DTYPES,
							  spec->dtype),
		.codec = (enum payload_codec)value_choice(PAYLOAD_CODECS,
							  spec->codec),
		.topk = t->run.shared,
		.shared = tell ? NULL : t->run.shared,
		.base = own ? t->run.base : NULL,
		.tells = tell,
		.start = t->run.start,
	};

	exchange_by(e, &how);
}

void trainer_meet_close(struct trainer *t)
{
	free(t->run.meeting.ids);
	free(t->run.shared);
	free(t->run.base);
	free(t->run.start);
}

void trainer_meet_resumed(struct trainer *t, const float *shared)
{
	const struct learner *l = t->run.learner;

	if (t->run.shared)
		memcpy(t->run.shared, shared ? shared : l->params,
		       l->model->n * sizeof(float));
}

static void take_base(struct trainer *t)
{
	if (t->run.base)
		memcpy(t->run.base, t->run.learner->params,
		       t->run.learner->model->n * sizeof(float));
}

void trainer_meet_before(struct trainer *t)
{
	if (t->run.meeting.strategy->needs_before)
		take_base(t);
}

/* --- who is in a round ---------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* m->n is 0 when we are not in it. */
static void gather(struct meeting *m, const struct plan_round *r, int64_t self)
{
	free(m->ids);
	m->ids = mem_zero(2 * r->npairs + 1, sizeof(*m->ids));
	m->n = 0;
	if (r->bye)
		m->ids[m->n++] = r->bye;
	for (size_t i = 0; i < r->npairs; i++) {
		m->ids[m->n++] = r->pairs[i].a;
		m->ids[m->n++] = r->pairs[i].b;
	}
	qsort(m->ids, m->n, sizeof(*m->ids), by_id);
	for (m->self = 0; m->self < m->n; m->self++)
		if (m->ids[m->self] == self)
			return;
	m->n = 0;
}

/* Whom we meet in this phase; 0: nobody. */
static int64_t partner(const struct trainer *t, const struct plan_round *r)
{
	const struct meeting *m = &t->run.meeting;
	int mate;

	if (m->strategy->links == LINKS_PAIRS)
		return r ? plan_partner(r, t->id) : 0;
	if (!m->n)
		return 0;
	mate = strategies_mate(m->strategy->links, m->n, m->self, m->phase);
	if (mate < 0 ||
	    graph_weight(&trainer_state(t)->graph, t->id, m->ids[mate]) <= 0)
		return 0;
	return m->ids[mate];
}

bool trainer_meet_planned(const struct trainer *t, const struct plan_round *r)
{
	return r && (plan_partner(r, t->id) ||
		     (t->run.meeting.strategy->links != LINKS_PAIRS &&
		      r->npairs && r->bye == t->id));
}

/* --- one after the other -------------------------------------------------- */

/* What is left of the round's time, for each phase that is left of it. */
static uint32_t deadline_of(const struct meeting *m, size_t left)
{
	int64_t ms = (m->until_ms - clock_ms()) / (int64_t)left;

	return ms > 1 ? (uint32_t)ms : 1;
}

/* The exchange that there is in this phase; or, when it is the last and there
 * was none in this round, a rest. */
static bool meet(struct trainer *t, const struct plan_round *r, size_t left)
{
	struct meeting *m = &t->run.meeting;
	struct exchange_round at = t->talk.round;

	at.peer = partner(t, r);
	at.phase = (int)m->phase;
	at.deadline_ms = deadline_of(m, left);
	if (!at.peer && (m->met || left > 1))
		return false;
	m->met = true;
	t->run.peer = at.peer;
	trainer_talk_arrive(&t->talk, &at);
	return true;
}

static bool go_on(struct trainer *t, const struct plan_round *r)
{
	struct meeting *m = &t->run.meeting;
	size_t phases = strategies_phases(m->strategy->links, m->n);

	for (; m->phase < phases; m->phase++)
		if (meet(t, r, phases - m->phase))
			return true;
	m->phase = 0; /* of the next round, until we are there */
	return false;
}

void trainer_meet_begin(struct trainer *t, const struct plan_round *r,
			int64_t epoch)
{
	struct meeting *m = &t->run.meeting;

	m->phase = m->n = 0;
	m->met = false;
	m->until_ms = clock_ms() + (r ? r->deadline_ms : 0);
	if (r && m->strategy->links != LINKS_PAIRS)
		gather(m, r, t->id);
	if (!m->strategy->needs_before)
		take_base(t);
	t->talk.round = (struct exchange_round){
		.run = t->run.id,
		.epoch = epoch,
		.t = t->run.t,
		.seed = r ? r->seed : 0,
		.c = r ? r->c : 1,
		.hold_ms = r ? r->deadline_ms : 0,
		.weight = (float)(t->run.eta *
				  strategies_weight(m->strategy->links, m->n)),
	};
	go_on(t, r);
}

bool trainer_meet_next(struct trainer *t)
{
	if (t->run.meeting.strategy->links == LINKS_PAIRS)
		return false;
	t->run.meeting.phase++;
	return go_on(t, NULL);
}
