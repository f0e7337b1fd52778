#include "fl/strategy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/mix.h"
#include "fl/topk.h"
#include "plan/mask.h"

static void transfer(struct strategy_mix *m, size_t from, size_t to,
		     double bytes)
{
	m->transfer[m->ntransfers++] =
		(struct strategy_transfer){(int)from, (int)to, bytes};
}

static double dense_bytes(const struct strategy_mix *m)
{
	return 4.0 * m->params;
}

/* ---- gossip: pairs ---- */

/* What two trainers average: the indices, which are the mask's or the first
 * one's choice, and room for both ones' values. */
struct part {
	uint32_t *index, k;
	float *mine, *yours;
	struct buf bytes;
};

static void part_open(struct part *p, const struct strategy_mix *m)
{
	p->k = mask_count(m->params, m->c);
	p->index = mem_zero(p->k, sizeof(*p->index));
	p->mine = mem_zero(p->k, sizeof(*p->mine));
	p->yours = mem_zero(p->k, sizeof(*p->yours));
	p->bytes = (struct buf)BUF_INIT(0);
}

static void part_release(struct part *p)
{
	free(p->index);
	free(p->mine);
	free(p->yours);
	buf_release(&p->bytes);
}

static void part_mask(struct part *p, const struct strategy_mix *m)
{
	const struct mask mask = {
		.run = 1,
		.t = m->t,
		.seed = m->seed,
		.n = m->params,
		.c = m->c,
	};

	mask_indices(&mask, p->index);
}

/* The values of x as the other side will read them. Returns their bytes, or 0
 * where they are not finite. */
static size_t encode(struct part *p, const struct strategy_mix *m,
		     const float *x, bool indexed, float *values)
{
	struct payload_form form = m->form;
	struct err err;

	form.indexed = indexed;
	buf_reset(&p->bytes);
	mix_gather(x, p->index, p->k, values);
	if (payload_encode(&form, p->index, values, p->k, values, &p->bytes,
			   &err))
		return 0;
	return p->bytes.len;
}

/* As a real exchange does it. */
static void average(struct part *p, struct strategy_mix *m, size_t a, size_t b)
{
	bool topk = m->scheme == SCHEME_TOPK;
	size_t there = encode(p, m, m->x[a], topk && m->t % 2 == 0, p->mine);
	size_t back = encode(p, m, m->x[b], topk && m->t % 2, p->yours);

	if (!there || !back)
		return;
	mix_pull(m->x[a], p->index, p->k, 0.5F, p->mine, p->yours);
	mix_pull(m->x[b], p->index, p->k, 0.5F, p->yours, p->mine);
	transfer(m, a, b, (double)there);
	transfer(m, b, a, (double)back);
}

static void note_shared(const struct part *p, const float *x, float *shared)
{
	for (uint32_t i = 0; i < p->k; i++)
		shared[p->index[i]] = x[p->index[i]];
}

/* The one chooses in even rounds, the other in odd ones, by what of its own has
 * changed most since it was shared. Both average the same values, so the mean
 * stays. */
static void choose(struct part *p, const struct strategy_mix *m, size_t a,
		   size_t b)
{
	size_t who = m->t % 2 ? b : a;

	mix_choose(m->x[who], m->shared[who], m->params, p->k, p->index);
}

static void mix_gossip(struct strategy_mix *m)
{
	bool topk = m->scheme == SCHEME_TOPK;
	struct part p;

	part_open(&p, m);
	if (!topk)
		part_mask(&p, m);
	for (size_t a = 0; a < m->n; a++) {
		size_t b = (size_t)m->mate[a];

		if (m->mate[a] <= (int)a)
			continue;
		if (topk)
			choose(&p, m, a, b);
		average(&p, m, a, b);
		if (topk) {
			note_shared(&p, m->x[a], m->shared[a]);
			note_shared(&p, m->x[b], m->shared[b]);
		}
	}
	part_release(&p);
}

/* ---- rings ---- */

static size_t left_of(const struct strategy_mix *m, size_t i)
{
	return (i + m->n - 1) % m->n;
}

static size_t right_of(const struct strategy_mix *m, size_t i)
{
	return (i + 1) % m->n;
}

/* Call for each neighbour once: there is one of two trainers. */
static size_t neighbours(const struct strategy_mix *m, size_t i, size_t *out)
{
	size_t n = 0;

	if (m->n > 1)
		out[n++] = left_of(m, i);
	if (m->n > 2)
		out[n++] = right_of(m, i);
	return n;
}

static void send_to_neighbours(struct strategy_mix *m, size_t i, double bytes)
{
	size_t near[2], n = neighbours(m, i, near);

	for (size_t k = 0; k < n; k++)
		transfer(m, i, near[k], bytes);
}

/* Sum over the neighbours of W (theirs - own), W = 1 / (neighbours + 1). */
static void pull(const struct strategy_mix *m, float *const *from, size_t i,
		 double eta, float *to)
{
	size_t near[2], n = neighbours(m, i, near);
	float w = (float)(eta / (double)(n + 1));

	for (size_t k = 0; k < n; k++)
		mix_pull(to, NULL, m->params, w, from[i], from[near[k]]);
}

/* x = sum of W before - gradient */
static void mix_dpsgd(struct strategy_mix *m)
{
	for (size_t i = 0; i < m->n; i++) {
		pull(m, m->before, i, 1, m->x[i]);
		send_to_neighbours(m, i, dense_bytes(m));
	}
}

/* Add to shared[i] what of x - shared[i] is sent. */
static void share(struct strategy_mix *m, const float *x, size_t i,
		  struct part *p)
{
	float *shared = m->shared[i];
	double bytes = 4.0 * p->k;

	if (m->scheme == SCHEME_TOPK) {
		mix_choose(x, shared, m->params, p->k, p->index);
		bytes += (double)topk_index_bytes(p->index, p->k);
	}
	for (uint32_t j = 0; j < p->k; j++)
		shared[p->index[j]] = x[p->index[j]];
	send_to_neighbours(m, i, bytes);
}

/* x/2 = sum of W shared - gradient; what is sent of x/2 - shared becomes part
 * of shared, which x then is: so shared is what x was before its steps. All of
 * them mix what was shared before any has changed. */
static void mix_dcd(struct strategy_mix *m)
{
	struct part p;

	part_open(&p, m);
	part_mask(&p, m);
	for (size_t i = 0; i < m->n; i++)
		pull(m, m->shared, i, 1, m->x[i]);
	for (size_t i = 0; i < m->n; i++) {
		share(m, m->x[i], i, &p);
		memcpy(m->x[i], m->shared[i], m->params * sizeof(float));
	}
	part_release(&p);
}

static void mix_choco(struct strategy_mix *m)
{
	struct part p;

	part_open(&p, m);
	part_mask(&p, m);
	for (size_t i = 0; i < m->n; i++)
		share(m, m->x[i], i, &p);
	for (size_t i = 0; i < m->n; i++)
		pull(m, m->shared, i, m->eta, m->x[i]);
	part_release(&p);
}

/* ---- all at once ---- */

static void give(struct strategy_mix *m, const float *x, size_t len)
{
	for (size_t i = 0; i < m->n; i++)
		memcpy(m->x[i], x, len * sizeof(*x));
}

static int mean(struct strategy_mix *m, struct aggregate *a, float *out)
{
	aggregate_begin(a, out);
	for (size_t i = 0; i < m->n; i++) {
		const struct aggregate_update u = {.client = (int64_t)i + 1,
						   .values = m->x[i],
						   .n = m->params,
						   .weight = 1};

		if (aggregate_admit(a, &u, &m->err))
			return (int)m->err.code;
	}
	return aggregate_finish(a, out, NULL, &m->err);
}

/* A ring all-reduce: each sends 2 (n - 1) / n of the model to the next. All had
 * the same model before their steps, so the mean of models is that of
 * gradients. */
static void mix_psgd(struct strategy_mix *m)
{
	const struct aggregate_opts opts = AGGREGATE_OPTS;
	double bytes = dense_bytes(m) * 2 * (double)(m->n - 1) / (double)m->n;
	float *x = mem_zero(m->params, sizeof(*x));
	struct aggregate *a;

	m->rc = aggregate_open(&a, "fedavg", &opts, m->params, m->params,
			       &m->err);
	if (!m->rc) {
		m->rc = mean(m, a, x);
		aggregate_free(a);
	}
	if (!m->rc)
		give(m, x, m->params);
	for (size_t i = 0; i < m->n && m->n > 1; i++)
		transfer(m, i, right_of(m, i), bytes);
	free(x);
}

/* Take an update; without rounds the model may be the next one then. One that
 * is not admitted has no part. */
static int take(struct strategy_mix *m, const struct aggregate_update *u,
		int64_t *version)
{
	struct aggregate *a = m->aggregate;
	int rc;

	if (!m->open)
		aggregate_begin(a, m->global);
	m->open = true;
	rc = aggregate_admit(a, u, &m->err);
	m->refused += rc == ERR_INVALID_ARGUMENT;
	if (rc)
		return rc == ERR_INVALID_ARGUMENT ? 0 : rc;
	if (!(aggregate_needs(a) & AGGREGATE_STALENESS) ||
	    aggregate_count(a) < aggregate_most(a))
		return 0;
	m->open = false;
	++*version;
	return aggregate_finish(a, m->global, NULL, &m->err);
}

static void to_differences(struct strategy_mix *m)
{
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t j = 0; j < m->len && m->active[i]; j++)
			m->x[i][j] -= m->global[j];
}

/* The clients of a round come in one after the other. Where there are no rounds
 * each of them makes a model, or as many as the rule wants do; what the later
 * ones send is then of an older model, which all of them were sent. */
static int aggregate(struct strategy_mix *m)
{
	const unsigned needs = aggregate_needs(m->aggregate);
	int64_t version = 0;
	int rc = 0;

	if (needs & AGGREGATE_DELTA)
		to_differences(m);
	for (size_t i = 0; i < m->n && !rc; i++) {
		struct aggregate_update u = m->update[i];

		u.values = m->x[i];
		u.n = m->len;
		u.delta = needs & AGGREGATE_DELTA;
		u.staleness = version;
		if (m->active[i])
			rc = take(m, &u, &version);
	}
	if (rc || needs & AGGREGATE_STALENESS)
		return rc;
	m->open = false;
	return aggregate_finish(m->aggregate, m->global, NULL, &m->err);
}

/* Control variates travel beside the model. */
static void mix_fedavg(struct strategy_mix *m)
{
	const bool twice = aggregate_needs(m->aggregate) & AGGREGATE_CONTROL;
	const double bytes = 4.0 * m->len + (twice ? dense_bytes(m) : 0);
	size_t server = (size_t)m->server;

	m->rc = aggregate(m);
	give(m, m->global, m->len);
	for (size_t i = 0; i < m->n; i++) {
		if (!m->active[i] || i == server)
			continue;
		transfer(m, server, i, bytes);
		transfer(m, i, server, bytes);
	}
}

void strategy_mix(const struct strategy *s, struct strategy_mix *m)
{
	static void (*const mix[])(struct strategy_mix *) = {
		[STRATEGY_GOSSIP] = mix_gossip, [STRATEGY_DPSGD] = mix_dpsgd,
		[STRATEGY_DCD] = mix_dcd,       [STRATEGY_CHOCO] = mix_choco,
		[STRATEGY_PSGD] = mix_psgd,     [STRATEGY_FEDAVG] = mix_fedavg,
	};

	mix[s->kind](m);
}
