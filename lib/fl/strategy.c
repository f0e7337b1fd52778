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
};

static void part_open(struct part *p, const struct strategy_mix *m)
{
	p->k = mask_count(m->params, m->c);
	p->index = mem_zero(p->k, sizeof(*p->index));
	p->mine = mem_zero(p->k, sizeof(*p->mine));
	p->yours = mem_zero(p->k, sizeof(*p->yours));
}

static void part_release(struct part *p)
{
	free(p->index);
	free(p->mine);
	free(p->yours);
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

static void average(struct part *p, float *a, float *b)
{
	mix_gather(a, p->index, p->k, p->mine);
	mix_gather(b, p->index, p->k, p->yours);
	mix_pull(a, p->index, p->k, 0.5F, p->mine, p->yours);
	mix_pull(b, p->index, p->k, 0.5F, p->yours, p->mine);
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
		double index = 0;

		if (m->mate[a] <= (int)a)
			continue;
		if (topk) {
			choose(&p, m, a, b);
			index = (double)topk_index_bytes(p.index, p.k);
		}
		if (topk) {
			note_shared(&p, m->x[a], m->shared[a]);
			note_shared(&p, m->x[b], m->shared[b]);
		}
		average(&p, m->x[a], m->x[b]);
		transfer(m, a, b, 4.0 * p.k + (m->t % 2 ? 0 : index));
		transfer(m, b, a, 4.0 * p.k + (m->t % 2 ? index : 0));
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

/* The mean, by weight, of those that are active (NULL: all alike). */
static float *mean(const struct strategy_mix *m, const bool *active,
		   const double *weight)
{
	double *sum = mem_zero(m->params, sizeof(*sum)), total = 0;
	float *out = mem_zero(m->params, sizeof(*out));

	for (size_t i = 0; i < m->n; i++) {
		double w = weight ? weight[i] : 1;

		if (active && !active[i])
			continue;
		total += w;
		for (uint32_t j = 0; j < m->params; j++)
			sum[j] += w * (double)m->x[i][j];
	}
	for (uint32_t j = 0; j < m->params; j++)
		out[j] = (float)(sum[j] / total);
	free(sum);
	return out;
}

static void give(struct strategy_mix *m, float *x)
{
	for (size_t i = 0; i < m->n; i++)
		memcpy(m->x[i], x, m->params * sizeof(*x));
	free(x);
}

/* A ring all-reduce: each sends 2 (n - 1) / n of the model to the next. All had
 * the same model before their steps, so the mean of models is that of
 * gradients. */
static void mix_psgd(struct strategy_mix *m)
{
	double bytes = dense_bytes(m) * 2 * (double)(m->n - 1) / (double)m->n;

	give(m, mean(m, NULL, NULL));
	for (size_t i = 0; i < m->n && m->n > 1; i++)
		transfer(m, i, right_of(m, i), bytes);
}

static void mix_fedavg(struct strategy_mix *m)
{
	size_t server = (size_t)m->server;

	give(m, mean(m, m->active, m->weight));
	for (size_t i = 0; i < m->n; i++) {
		if (!m->active[i] || i == server)
			continue;
		transfer(m, server, i, dense_bytes(m));
		transfer(m, i, server, dense_bytes(m));
	}
}

const struct strategy strategies[] = {
	{.name = "gossip",
	 .brief = "pairs average what the round's mask has",
	 .needs_shared = true,
	 .pairs = true,
	 .mix = mix_gossip},
	{.name = "dpsgd",
	 .brief = "a ring averages whole models",
	 .needs_before = true,
	 .mix = mix_dpsgd},
	{.name = "dcd",
	 .brief = "a ring, compressed differences",
	 .needs_shared = true,
	 .mix = mix_dcd},
	{.name = "choco",
	 .brief = "a ring, compressed differences and a step size",
	 .needs_shared = true,
	 .mix = mix_choco},
	{.name = "psgd",
	 .brief = "all average whole models after each step",
	 .barrier = true,
	 .mix = mix_psgd},
	{.name = "fedavg",
	 .brief = "a server averages the whole models of a sample",
	 .barrier = true,
	 .samples = true,
	 .mix = mix_fedavg},
	{.name = NULL},
};

const struct strategy *strategy_of(const char *name)
{
	const struct strategy *s = strategies;

	while (strcmp(s->name, name))
		s++;
	return s;
}
