/* meter.h - the leader's running estimate of the speed between trainers, made
 * of what these report, from which it derives the next delta of the replicated
 * matrix (bandwidth.h). A link is as fast as its measurements lately; one that
 * stands alone, as a busy machine makes it, is passed over (cusum.h). Pure. */
#ifndef PLAN_METER_H
#define PLAN_METER_H

#include "plan/bandwidth.h"
#include "plan/cusum.h"

struct meter_estimate {
	int64_t from, to;
	struct cusum speed; /* in half octaves, not rounded */
	size_t times;       /* measured */
};

/* Zero bytes are an empty meter. */
struct meter {
	struct meter_estimate *estimates;
	size_t n, cap;
};

/* One measurement; not positive or not finite ones are ignored. */
void meter_measured(struct meter *m, int64_t from, int64_t to, double bps);

/* How often a pair was measured, in its slower direction and in the other one
 * if that is at most twice as fast. */
size_t meter_times(const struct meter *m, int64_t a, int64_t b);

/* The cells of m that differ from b by enough to be worth an entry: unknown
 * there, or off by more than three quarters of a step. Returns their number;
 * *out is the caller's to free. */
size_t meter_delta(const struct meter *m, const struct bandwidth *b,
		   struct bandwidth_cell **out);
void meter_release(struct meter *m);

#endif
