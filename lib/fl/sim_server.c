#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/correction.h"
#include "fl/sim_impl.h"

/* How many take part in a round. */
static size_t sample_of(const struct sim *s)
{
	return (size_t)ceil(s->o.sample * s->o.trainers - 1e-9);
}

static unsigned needs_of(const struct sim *s)
{
	return s->mix.aggregate ? aggregate_needs(s->mix.aggregate) : 0;
}

static int check(const struct sim *s, struct err *err)
{
	const struct aggregate *a = s->mix.aggregate;
	const bool rounds = !(needs_of(s) & AGGREGATE_STALENESS);

	if (s->o.attackers > s->o.trainers)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%d attackers among %d trainers", s->o.attackers,
			       s->o.trainers);
	if (needs_of(s) & AGGREGATE_PROX && s->o.steps.prox <= 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is fedavg unless prox is above 0",
			       s->o.aggregate);
	if (rounds && (sample_of(s) < aggregate_least(a) ||
		       sample_of(s) > aggregate_most(a)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "aggregation by %s: %zu updates in a round, "
			       "expected %zu to %zu",
			       s->o.aggregate, sample_of(s), aggregate_least(a),
			       aggregate_most(a));
	return 0;
}

static int open_aggregate(struct sim *s, struct err *err)
{
	struct aggregate_opts o = s->o.server;

	o.clients = s->o.trainers;
	o.local_lr = s->o.steps.lr;
	o.local_momentum = s->o.steps.momentum;
	o.local_prox = s->o.steps.prox;
	if (aggregate_open(&s->mix.aggregate, s->o.aggregate, &o, s->mix.len,
			   s->mix.params, err))
		return (int)err->code;
	return check(s, err);
}

int sim_server_open(struct sim *s, struct err *err)
{
	struct strategy_mix *m = &s->mix;

	if (s->o.strategy->links != LINKS_SERVER && s->o.attackers)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "attackers are for strategy fedavg, not for %s",
			       s->o.strategy->name);
	if (s->o.strategy->links != LINKS_SERVER)
		return 0;
	if (open_aggregate(s, err))
		return (int)err->code;
	m->global = mem_dup(m->x[0], m->len * sizeof(float));
	m->update = mem_zero(m->n, sizeof(*m->update));
	for (size_t i = 0; i < m->n; i++) {
		struct sim_trainer *t = &s->trainer[i];

		m->update[i] = (struct aggregate_update){
			.client = (int64_t)i + 1,
			.weight = (double)t->index.n,
			.steps = s->o.steps.steps,
		};
		if (!(needs_of(s) & (AGGREGATE_CONTROL | AGGREGATE_DYN)))
			continue;
		t->own = mem_zero(m->params, sizeof(*t->own));
		t->shift = mem_zero(m->params, sizeof(*t->shift));
		m->update[i].control = t->shift;
	}
	return 0;
}

/* Before the steps: the shift is what is added to gradients. After them it is
 * what the trainer's own has changed by. */
static void begin_correction(const struct sim *s, struct sim_trainer *t,
			     struct learner_steps *how)
{
	const uint32_t n = s->mix.params;

	if (needs_of(s) & AGGREGATE_CONTROL) {
		correction_scaffold(aggregate_control(s->mix.aggregate), t->own,
				    n, t->shift);
	} else {
		correction_dyn(t->own, n, t->shift);
		how->prox = s->o.server.dyn;
	}
	how->shift = t->shift;
}

static void end_correction(const struct sim *s, struct sim_trainer *t,
			   const struct learner_steps *how)
{
	const float *x = s->mix.global, *y = t->params;
	const uint32_t n = s->mix.params;

	if (needs_of(s) & AGGREGATE_CONTROL)
		correction_scaffold_end(
			x, y, aggregate_control(s->mix.aggregate), t->own, n,
			how->lr,
			correction_reach(how->steps, how->momentum,
					 how->prox * how->lr),
			t->shift);
	else
		correction_dyn_end(x, y, t->own, n, how->prox);
}

/* Rules that reckon with a round's steps want no momentum of earlier ones. The
 * loss is that of the steps, which stands for that before them. */
int sim_server_train(struct sim *s, struct learner *l, struct sim_trainer *t,
		     struct err *err)
{
	struct learner_steps how = s->o.steps;

	if (needs_of(s) & (AGGREGATE_STEPS | AGGREGATE_CONTROL | AGGREGATE_DYN))
		memset(t->velocity, 0, s->mix.params * sizeof(float));
	if (t->own)
		begin_correction(s, t, &how);
	if (learner_train(l, &how, &t->loss, err))
		return (int)err->code;
	if (t->own)
		end_correction(s, t, &how);
	if (s->mix.update)
		s->mix.update[t - s->trainer].loss = t->loss;
	return 0;
}

/* ---- attackers ---- */

static void forge(const struct sim *s, size_t i)
{
	struct rand r = {rand_mix(s->o.seed * 5 + i) ^
			 rand_mix((uint64_t)s->mix.t)};
	const float *g = s->mix.global;
	float *x = s->mix.x[i];

	for (uint32_t j = 0; j < s->mix.len; j++)
		switch (s->o.attack) {
		case SIM_FLIP:
			x[j] = g[j] - 10 * (x[j] - g[j]);
			break;
		case SIM_NOISE:
			x[j] = (float)(2 * rand_unit(&r) - 1);
			break;
		case SIM_NAN:
			x[j] = j ? x[j] : NAN;
			break;
		}
}

void sim_server_attack(struct sim *s)
{
	for (size_t i = 0; i < (size_t)s->o.attackers; i++)
		if (s->active[i])
			forge(s, i);
}

void sim_server_release(struct sim *s)
{
	aggregate_free(s->mix.aggregate);
	free(s->mix.global);
	free(s->mix.update);
	for (int i = 0; i < s->o.trainers; i++) {
		free(s->trainer[i].own);
		free(s->trainer[i].shift);
	}
}
