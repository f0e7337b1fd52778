/* aggregate_impl.h - a rule at work, for the files of aggregate.h alone. */
#ifndef FL_AGGREGATE_IMPL_H
#define FL_AGGREGATE_IMPL_H

#include "fl/aggregate.h"

/* Values that are worked on at a time, from the nearest cache. */
enum { AGGREGATE_TILE = 1024 };

/* Sums over the round's updates of their coefficients c: of c v, v being values
 * or differences, of c, and of c where v are values. The sum of c d is then
 * sum - absolute x: the model need not be read for it. */
struct aggregate_tally {
	double coef, absolute;
};

/* Values from at on, len of them, and what they become. Steps go through all of
 * the tile, a count that the compiler sees; what is behind len is of no
 * meaning. */
struct aggregate_tile {
	size_t at, len;
	float x[AGGREGATE_TILE], moment[2][AGGREGATE_TILE];
	double d[AGGREGATE_TILE]; /* the updates' difference, scaled */
};

/* With what an update enters a sum, and what is summed aside for the scale. */
struct aggregate_coef {
	double c, aside;
};

struct aggregate_rule {
	const char *name;
	unsigned needs;
	double lr; /* unless another is asked for; 0: 1 */
	const char *state[2]; /* names of its moments: vectors of trained values
				 that it keeps between rounds */
	bool by_weight;       /* without coef: weights, else 1 */
	bool measures;        /* coef needs to know how long an update is */
	bool chooses;         /* the centre is one of some updates */

	/* The coefficient of an update, that is square long; it may be
	 * refused. */
	int (*coef)(const struct aggregate *a, const struct aggregate_update *u,
		    double square, struct aggregate_coef *out, struct err *err);
	/* By what the sum of c d is multiplied to be d; NULL: 1 / sum of c. */
	double (*scale)(const struct aggregate *a);
	/* The server's step, of x and the moments. */
	void (*step)(const struct aggregate *a, struct aggregate_tile *t);
	/* Find the centre of the rows that are held, and put it into sum;
	 * NULL: none are. */
	void (*centre)(struct aggregate *a);
};

struct aggregate {
	const struct aggregate_rule *rule;
	struct aggregate_opts o;
	size_t n, trained;
	float *moment[2]; /* NULL: the rule has none */

	const float *global; /* NULL: no round */
	size_t count, clipped;
	double weight;
	double aside; /* fednova: sum of w a; qfedavg: its denominator */
	double *sum, *control; /* of any values until count; control: of trained values, or NULL */
	struct aggregate_tally first,
		rest; /* trained values, and those behind */

	/* Held: at most that many rows of n values, whose clients they are, and
	 * of whom a centre was chosen. Rows are kept for the next round. */
	float **row;
	int64_t *client, *chosen;
	size_t rows_max, rows, n_chosen;
};

/* aggregate_admit.c: have room for that many rows. */
void aggregate_grow(struct aggregate *a, size_t rows);

/* aggregate_sum.c: vectors. Magnitudes are compared as the integers that their
 * bits are, so that NaN and infinity are the largest. */
double aggregate_square(const float *x, const float *from, size_t n);
bool aggregate_add(double *sum, bool fresh, const float *x, size_t n, double c,
		   double room);

/* aggregate_mean.c: rules that are sums. */
int aggregate_nova_coef(const struct aggregate *a,
			const struct aggregate_update *u, double square,
			struct aggregate_coef *out, struct err *err);
double aggregate_nova_scale(const struct aggregate *a);
int aggregate_q_coef(const struct aggregate *a,
		     const struct aggregate_update *u, double square,
		     struct aggregate_coef *out, struct err *err);
double aggregate_q_scale(const struct aggregate *a);
int aggregate_stale_coef(const struct aggregate *a,
			 const struct aggregate_update *u, double square,
			 struct aggregate_coef *out, struct err *err);
double aggregate_async_scale(const struct aggregate *a);
double aggregate_buffer_scale(const struct aggregate *a);
void aggregate_scaffold(const struct aggregate *a, struct aggregate_tile *t);
void aggregate_dyn(const struct aggregate *a, struct aggregate_tile *t);

/* aggregate_opt.c: steps. */
void aggregate_sgd(const struct aggregate *a, struct aggregate_tile *t);
void aggregate_avgm(const struct aggregate *a, struct aggregate_tile *t);
void aggregate_adagrad(const struct aggregate *a, struct aggregate_tile *t);
void aggregate_yogi(const struct aggregate *a, struct aggregate_tile *t);
void aggregate_adam(const struct aggregate *a, struct aggregate_tile *t);

/* aggregate_robust.c and aggregate_krum.c: centres. */
void aggregate_median(struct aggregate *a);
void aggregate_trimmed(struct aggregate *a);
void aggregate_krum(struct aggregate *a);
void aggregate_multikrum(struct aggregate *a);

#endif
