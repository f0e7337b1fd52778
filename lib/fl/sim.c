#include "fl/sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/sim_impl.h"

/* ---- threads: each goes through every so-manieth trainer ---- */

/* Lend a learner to a trainer, and take back what has changed. */
static int with_learner(struct sim_thread *th, struct sim_trainer *t)
{
	struct learner *l = th->learner, own = *l;
	int rc;

	l->params = t->params;
	l->velocity = t->velocity;
	l->sampler = t->sampler;
	rc = th->sim->job(th->sim, l, t, &th->err);
	t->sampler = l->sampler;
	l->params = own.params;
	l->velocity = own.velocity;
	l->sampler = own.sampler;
	return rc;
}

static void work(void *arg)
{
	struct sim_thread *th = arg;
	struct sim *s = th->sim;

	th->rc = 0;
	for (int i = th->number; i < s->o.trainers && !th->rc;
	     i += s->o.threads)
		th->rc = with_learner(th, &s->trainer[i]);
}

static void worked(void *arg)
{
	struct sim_thread *th = arg;

	if (--th->sim->left == 0)
		loop_stop(th->sim->loop);
}

/* Do job for every trainer. */
static int for_all(struct sim *s, sim_job *job, struct err *err)
{
	int rc = 0;

	s->job = job;
	s->left = s->o.threads;
	for (int k = 0; k < s->o.threads; k++)
		if (worker_submit(s->thread[k].worker, work, worked,
				  &s->thread[k], err))
			abort(); /* each has room for one */
	loop_run(s->loop);
	for (int k = 0; k < s->o.threads && !rc; k++) {
		rc = s->thread[k].rc;
		if (rc)
			*err = s->thread[k].err;
	}
	return rc;
}

static int train(struct sim *s, struct learner *l, struct sim_trainer *t,
		 struct err *err)
{
	size_t i = (size_t)(t - s->trainer);

	if (!s->active[i])
		return 0;
	if (s->mix.before)
		memcpy(s->mix.before[i], t->params,
		       s->mix.params * sizeof(float));
	if (sim_server_train(s, l, t, err))
		return err_wrap(err, "trainer %zu, round %lld", i + 1,
				(long long)s->mix.t);
	return 0;
}

static int evaluate(struct sim *s, struct learner *l, struct sim_trainer *t,
		    struct err *err)
{
	struct learner_score score;
	int rc = learner_evaluate(l, &score, err);

	(void)s;
	if (!rc)
		t->accuracy = score.accuracy;
	return rc;
}

static int evaluate_average(struct sim *s, struct learner *l,
			    struct sim_trainer *t, struct err *err)
{
	if (t != s->trainer)
		return 0;
	l->params = s->average;
	return evaluate(s, l, t, err);
}

/* ---- what there is to tell ---- */

static void set_average(struct sim *s)
{
	double *sum = mem_zero(s->mix.len, sizeof(*sum));

	for (size_t i = 0; i < s->mix.n; i++)
		for (uint32_t j = 0; j < s->mix.len; j++)
			sum[j] += (double)s->mix.x[i][j];
	for (uint32_t j = 0; j < s->mix.len; j++)
		s->average[j] = (float)(sum[j] / (double)s->mix.n);
	free(sum);
}

static double distance(const struct sim *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->mix.n; i++)
		for (uint32_t j = 0; j < s->mix.params; j++) {
			double d =
				(double)s->mix.x[i][j] - (double)s->average[j];

			sum += d * d;
		}
	return sum / (double)s->mix.n;
}

static void sum_up(const struct sim *s, struct sim_record *r)
{
	double n = s->o.trainers;
	int active = 0;

	for (int i = 0; i < s->o.trainers; i++) {
		const struct sim_trainer *t = &s->trainer[i];

		r->accuracy += t->accuracy / n;
		r->bytes += t->bytes / n;
		if (s->active[i])
			r->loss += t->loss;
		active += s->active[i];
		if (t->clock_s > r->seconds)
			r->seconds = t->clock_s;
	}
	r->loss /= active;
}

static int record(struct sim *s, int64_t rounds, struct sim_record *r,
		  struct err *err)
{
	*r = (struct sim_record){.round = rounds};
	set_average(s);
	if (for_all(s, evaluate, err))
		return (int)err->code;
	sum_up(s, r);
	r->consensus = distance(s);
	r->refused = (int64_t)s->mix.refused;
	if (for_all(s, evaluate_average, err))
		return (int)err->code;
	r->accuracy_average = s->trainer[0].accuracy;
	return 0;
}

static int round_of(struct sim *s, int64_t t, struct err *err)
{
	s->o.steps.round = t;
	sim_plan_round(s, t);
	if (for_all(s, train, err))
		return (int)err->code;
	sim_clock_steps(s);
	sim_server_attack(s);
	s->mix.ntransfers = 0;
	strategy_mix(s->o.strategy, &s->mix);
	if (s->mix.rc) {
		*err = s->mix.err;
		return err_wrap(err, "round %lld", (long long)t);
	}
	sim_clock_transfers(s);
	return 0;
}

static int rounds(struct sim *s, sim_fn *fn, void *arg, struct err *err)
{
	struct sim_record r;

	for (int64_t t = 0; t < s->o.rounds; t++) {
		bool last = t + 1 == s->o.rounds;

		if (round_of(s, t, err))
			return (int)err->code;
		if (!last && (t + 1) % s->o.eval_every)
			continue;
		if (record(s, t + 1, &r, err))
			return (int)err->code;
		fn(&r, arg);
		if (s->o.target > 0 && r.accuracy >= s->o.target)
			return 0;
	}
	return 0;
}

/* ---- setting up ---- */

static int divide(struct sim *s, struct err *err)
{
	const struct data *d = s->o.train;
	const struct partition_labels labels = {d->labels, d->count,
						d->classes};
	uint32_t *part_of = mem_zero(d->count, sizeof(*part_of));
	int rc = partition_make(&s->o.by, &labels, s->o.trainers, s->o.seed,
				part_of, err);

	for (size_t i = 0; i < d->count && !rc; i++)
		s->trainer[part_of[i]].index.n++;
	for (int i = 0; i < s->o.trainers && !rc; i++) {
		struct index *ix = &s->trainer[i].index;

		ix->i = mem_zero(ix->n + 1, sizeof(*ix->i));
		ix->n = 0;
	}
	for (size_t i = 0; i < d->count && !rc; i++) {
		struct index *ix = &s->trainer[part_of[i]].index;

		ix->i[ix->n++] = (uint32_t)i;
	}
	free(part_of);
	return rc;
}

static int open_thread(struct sim *s, int k, struct err *err)
{
	const struct learner_data data = {
		.train = s->o.train,
		.index = &s->trainer[0].index,
		.test = s->o.test,
	};
	struct sim_thread *th = &s->thread[k];

	th->sim = s;
	th->number = k;
	if (learner_open(&th->learner, s->o.model, &data, s->o.seed, 1, err))
		return (int)err->code;
	return worker_open(&th->worker, s->loop, "train", 1, err);
}

static float **copies(const struct sim *s, const float *x)
{
	float **all = mem_zero(s->mix.n, sizeof(*all));

	for (size_t i = 0; i < s->mix.n; i++)
		all[i] = mem_dup(x, s->mix.len * sizeof(*x));
	return all;
}

static void free_copies(float **all, size_t n)
{
	for (size_t i = 0; all && i < n; i++)
		free(all[i]);
	free(all);
}

/* All begin with the same model, as the trainers of a run do. */
static void open_models(struct sim *s)
{
	const struct learner *l = s->thread[0].learner;
	struct strategy_mix *m = &s->mix;

	m->params = (uint32_t)l->model->n;
	m->len = (uint32_t)l->model->len;
	m->scheme = s->o.scheme;
	m->form = s->o.form;
	m->c = s->o.scheme == SCHEME_DENSE ? 1 : (uint32_t)lrint(1 / s->o.keep);
	m->eta = s->o.eta;
	m->x = copies(s, l->params);
	if (s->o.strategy->needs_before)
		m->before = copies(s, l->params);
	if (s->o.strategy->needs_shared)
		m->shared = copies(s, l->params);
	m->transfer = mem_zero(2 * m->n + 2, sizeof(*m->transfer));
	s->average = mem_zero(m->len, sizeof(*s->average));
	for (size_t i = 0; i < m->n; i++) {
		struct sim_trainer *t = &s->trainer[i];

		t->params = m->x[i];
		t->velocity = mem_zero(m->params, sizeof(float));
		sampler_init(&t->sampler, t->index.i, t->index.n,
			     rand_mix(s->o.seed ^ rand_mix(i + 1)));
	}
}

static void release(struct sim *s)
{
	for (int k = 0; k < s->o.threads; k++) {
		worker_close(s->thread[k].worker);
		learner_free(s->thread[k].learner);
	}
	for (int i = 0; i < s->o.trainers; i++) {
		index_release(&s->trainer[i].index);
		free(s->trainer[i].velocity);
		sampler_release(&s->trainer[i].sampler);
	}
	free_copies(s->mix.x, s->mix.n);
	free_copies(s->mix.before, s->mix.n);
	free_copies(s->mix.shared, s->mix.n);
	sim_plan_release(s);
	sim_server_release(s);
	free(s->mix.transfer);
	free(s->average);
	free(s->trainer);
	free(s->thread);
	loop_close(s->loop);
}

int sim_run(const struct sim_opts *opts, sim_fn *fn, void *arg, struct err *err)
{
	struct sim s = {.o = *opts};
	int rc;

	if (loop_open(&s.loop, err))
		return (int)err->code;
	if (s.o.threads > s.o.trainers)
		s.o.threads = s.o.trainers;
	s.mix.n = (size_t)s.o.trainers;
	s.thread = mem_zero((size_t)s.o.threads, sizeof(*s.thread));
	s.trainer = mem_zero(s.mix.n, sizeof(*s.trainer));
	rc = divide(&s, err);
	for (int k = 0; k < s.o.threads && !rc; k++)
		rc = open_thread(&s, k, err);
	if (!rc) {
		open_models(&s);
		sim_plan_open(&s);
		rc = sim_server_open(&s, err);
		if (!rc)
			rc = rounds(&s, fn, arg, err);
	}
	release(&s);
	return rc;
}
