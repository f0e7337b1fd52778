/* schedule.h - which task goes next, and to which of the workers that have
 * room: one row a way of choosing. Pure. */
#ifndef TASK_SCHEDULE_H
#define TASK_SCHEDULE_H

#include "task/crew.h"

/* What there is to choose by. */
struct schedule {
	const struct crew *crew; /* all workers, a hash */
	size_t ready;            /* tasks that could begin */
};

struct scheduler {
	const char *name;
	bool by_priority; /* the order of tasks; else by age alone */
	int look; /* so many tasks are considered, from the first one on */
	/* The worker of the least cost gets the task; of equal ones the task
	 * that is first and the worker that registered first. Infinite: this
	 * worker is to leave it to another. */
	double (*cost)(const struct schedule *s, const struct crew *c,
		       const struct task *t);
};

#define SCHEDULERS "fifo|priority|round-robin|least-loaded|adaptive|affinity"

const struct scheduler *schedule_find(const char *name); /* or NULL */

#endif
