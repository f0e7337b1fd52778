/* aggregate_impl.h - a rule at work, for the files of aggregate.h alone. */
#ifndef FL_AGGREGATE_IMPL_H
#define FL_AGGREGATE_IMPL_H

#include "fl/aggregate.h"

/* Values that are worked on at a time, from the nearest cache. */
enum { AGGREGATE_TILE = 1024 };

/* Sums over the round's updates u of their coefficients c: of c v, v being
 * values or differences, of c, and of c where v are values. The sum of
 * c (x_u - x) is then sum - absolute x: the model need not be read for it. */
struct aggregate_tally {
	double coef, absolute;
};

struct aggregate_rule {
	const char *name;
	unsigned needs;
	int moments; /* vectors of state, of trained values */

	/* The server's step of len values at x, moments at m and v, by the mean
	 * difference d. */
	void (*step)(const struct aggregate_opts *o, float *x, float *m,
		     float *v, const double *d, size_t len);
};

struct aggregate {
	const struct aggregate_rule *rule;
	struct aggregate_opts o;
	size_t n, trained;
	float *moment[2]; /* NULL: the rule has none */

	const float *global; /* NULL: no round */
	size_t count, clipped;
	double weight;
	double *sum;
	struct aggregate_tally first,
		rest; /* trained values, and those behind */
};

/* aggregate_sum.c: vectors. Magnitudes are compared as the integers that their
 * bits are, so that NaN and infinity are the largest. */
bool aggregate_is_finite(const float *x, size_t n);
double aggregate_square(const float *x, const float *from, size_t n);
bool aggregate_add(double *sum, const float *x, size_t n, double c,
		   double room);

/* aggregate_opt.c: steps. */
void aggregate_sgd(const struct aggregate_opts *o, float *x, float *m, float *v,
		   const double *d, size_t len);
void aggregate_avgm(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len);
void aggregate_adagrad(const struct aggregate_opts *o, float *x, float *m,
		       float *v, const double *d, size_t len);
void aggregate_yogi(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len);
void aggregate_adam(const struct aggregate_opts *o, float *x, float *m,
		    float *v, const double *d, size_t len);

#endif
