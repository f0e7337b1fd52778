#include "fl/pace.h"

int64_t pace_fastest(const struct plans *plans, int64_t run)
{
	int64_t epoch = plans_epoch(plans, run);
	int64_t start = plans_start(plans, run), last = -1;

	for (size_t i = 0; i < plans->n; i++) {
		const struct plan *p = plans->all[i];

		if (p->run == run && p->epoch == epoch && p->t0 > last)
			last = p->t0;
	}
	if (last > start && last - PLAN_ROUNDS / 2 > start)
		return last - PLAN_ROUNDS / 2;
	return epoch ? start : -1;
}

struct pace_next pace_next(const struct pace *p)
{
	int64_t planned = plans_epoch(p->plans, p->run);
	int64_t planned_to = plans_horizon(p->plans, p->run);
	int64_t fastest = pace_fastest(p->plans, p->run);
	struct pace_next next = {.t = p->at + 1};
	const struct plan *of = NULL;

	if (p->fastest > fastest)
		fastest = p->fastest;
	if (fastest >= planned_to) /* nobody has been where no plan was */
		fastest = planned_to - 1;
	if (fastest >= p->rounds)
		fastest = p->rounds - 1;
	if (fastest - next.t > (p->graph ? PACE_BEHIND_GRAPH : PACE_BEHIND) &&
	    !p->alone) {
		next.skipped = fastest - next.t;
		next.t = fastest;
	}
	if (next.t >= p->rounds) {
		next.step = PACE_FINISHED;
		return next;
	}
	next.round = plans_at(p->plans, p->run, p->epoch, next.t, &of);
	if (next.round) {
		next.step = PACE_EXCHANGE;
		next.epoch = of->epoch;
	} else if (planned && planned >= p->epoch &&
		   next.t < plans_end(p->plans, p->run)) {
		next.step = PACE_REST;
	}
	return next;
}
