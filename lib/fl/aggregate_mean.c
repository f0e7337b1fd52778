/* aggregate_mean.c - rules that are sums of differences, each with a
 * coefficient of its own. */
#include <math.h>

#include "fl/aggregate_impl.h"
#include "fl/correction.h"
#include "nn/vector.h"

static int refuse(const struct aggregate_update *u, struct err *err,
		  const char *what, double value)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "update of client %lld: %s %g is out of bounds",
		       (long long)u->client, what, value);
}

int aggregate_nova_coef(const struct aggregate *a,
			const struct aggregate_update *u, double square,
			struct aggregate_coef *out, struct err *err)
{
	const double reach = correction_reach(u->steps, a->o.local_momentum,
					      a->o.local_prox * a->o.local_lr);

	(void)square;
	if (!(reach > 0 && reach <= 1e18))
		return refuse(u, err, "reach of its steps", reach);
	*out = (struct aggregate_coef){u->weight / reach, u->weight * reach};
	return 0;
}

double aggregate_nova_scale(const struct aggregate *a)
{
	return a->aside / a->weight / a->weight;
}

/* A loss of 0 has a power below 0 too (as in the authors' code). */
int aggregate_q_coef(const struct aggregate *a,
		     const struct aggregate_update *u, double square,
		     struct aggregate_coef *out, struct err *err)
{
	const double lipschitz = 1 / a->o.local_lr, loss = u->loss + 1e-10;
	const double coef = lipschitz * pow(loss, a->o.q);
	const double below = coef + a->o.q * pow(loss, a->o.q - 1) * lipschitz *
					    lipschitz * square;

	if (!(coef > 0 && below <= 1e100))
		return refuse(u, err, "loss", u->loss);
	*out = (struct aggregate_coef){coef, below};
	return 0;
}

double aggregate_q_scale(const struct aggregate *a)
{
	return 1 / a->aside;
}

int aggregate_stale_coef(const struct aggregate *a,
			 const struct aggregate_update *u, double square,
			 struct aggregate_coef *out, struct err *err)
{
	(void)square;
	out->c = staleness_weight(&a->o.staleness, u->staleness);
	if (out->c < 1e-30) /* so old that it is worth nothing */
		return refuse(u, err, "staleness", (double)u->staleness);
	return 0;
}

double aggregate_async_scale(const struct aggregate *a)
{
	return a->o.mix;
}

double aggregate_buffer_scale(const struct aggregate *a)
{
	return 1 / (double)a->o.buffer;
}

/* All clients are no fewer than those of a round. */
static double clients_of(const struct aggregate *a)
{
	return fmax((double)a->o.clients, (double)a->count);
}

VECTOR void aggregate_scaffold(const struct aggregate *a,
			       struct aggregate_tile *t)
{
	const double clients = clients_of(a);
	float *c = t->moment[0];

	for (size_t i = 0; i < AGGREGATE_TILE; i++)
		c[i] = (float)((double)c[i] + a->control[t->at + i] / clients);
	aggregate_sgd(a, t);
}

VECTOR void aggregate_dyn(const struct aggregate *a, struct aggregate_tile *t)
{
	const double share = (double)a->count / clients_of(a);
	const double dyn = a->o.dyn;
	float *h = t->moment[0];

	for (size_t i = 0; i < AGGREGATE_TILE; i++) {
		const double next = (double)h[i] - dyn * share * t->d[i];

		h[i] = (float)next;
		t->x[i] = (float)((double)t->x[i] + t->d[i] - next / dyn);
	}
}
