/* pace.h - which round a trainer comes to next. Pure.
 *
 * It acts on committed plans only, one round after another; who has fallen
 * more than PACE_BEHIND rounds behind the fastest jumps to its round. */
#ifndef FL_PACE_H
#define FL_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "plan/round.h"

enum {
	PACE_BEHIND = 8,
	/* Along a graph some rest for long, and rests cost nothing: it takes
	 * more to be late. Above what a leader then plans ahead of the slowest.
	 */
	PACE_BEHIND_GRAPH = 2 * PLAN_ROUNDS,
};

enum pace_step {
	PACE_WAIT,     /* for a plan */
	PACE_EXCHANGE, /* local steps, then as the plan says */
	PACE_REST,     /* local steps only: the plans begin or go on later */
	PACE_FINISHED,
};

/* What is known of a run. */
struct pace {
	const struct plans *plans;
	int64_t run, rounds;
	int64_t epoch;   /* the newest heard of */
	int64_t at;      /* the last round done, or -1 */
	int64_t fastest; /* the highest round seen in others, or -1 */
	bool alone;	 /* the run pairs nobody: nobody waits, no jumps */
	bool graph;	 /* a topology says who pairs */
};

struct pace_next {
	enum pace_step step;
	int64_t t;
	int64_t skipped;                /* rounds jumped over */
	int64_t epoch;                  /* of the plan; 0 without one */
	const struct plan_round *round; /* EXCHANGE: borrowed from plans */
};

struct pace_next pace_next(const struct pace *p);

/* The round that some trainer is at, at least, as the plans tell: a leader
 * plans on when the fastest is half a plan from the end. -1 without plans. */
int64_t pace_fastest(const struct plans *plans, int64_t run);

#endif
