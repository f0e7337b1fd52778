/* cusum.h - the level of what is measured with noise, and may jump. Pure.
 *
 * The level is a moving average (EWMA) of measurements that are near it. One
 * that is far off, by the deviation that was usual so far, changes nothing by
 * itself: a busy machine makes such. Cumulative sums of how far off they are
 * (E. S. Page, Continuous inspection schemes, Biometrika 41, 1954), one for
 * either side, find that the level has jumped: it is then the mean since the
 * sum left zero. Each measurement counts for so much at most that it takes two
 * in a row, or three of five, however far off they are. */
#ifndef PLAN_CUSUM_H
#define PLAN_CUSUM_H

#include <stdbool.h>
#include <stddef.h>

struct cusum_side {
	double sum;   /* in deviations */
	double total; /* of the measurements since sum left zero */
	int n;        /* how many */
};

/* In the caller's unit, of which the deviation is 1 at least. */
struct cusum {
	double level, deviation;
	struct cusum_side below, above;
};

/* Begin with the first measurement. */
void cusum_begin(struct cusum *c, double x);

/* One more; whether the level has jumped. */
bool cusum_add(struct cusum *c, double x);

#endif
