/* director_impl.h - what director.c and director_status.c share. */
#ifndef FL_DIRECTOR_IMPL_H
#define FL_DIRECTOR_IMPL_H

#include "base/process.h"
#include "base/timer.h"
#include "fl/answers.h"
#include "fl/director.h"

struct led {
	int64_t run;
	bool ended;
};

struct director {
	struct loop *loop;
	struct director_opts opts;
	struct answers answers;
	char *reached;
	struct lock *lock; /* of both: another one's answers are not ours */
	struct participants *ps;
	director_fn *over;
	void *over_arg;
	struct process *process;
	struct instruction *next; /* until there are enough participants */
	struct timer soon; /* what does not happen within a director_...() */
	struct led *led;   /* of the round, by ascending number */
	size_t n_led, cap_led, open, enough;
	int64_t round, began_ms;
	int64_t ended, ended_ms; /* the last round that did, and when */
	int64_t all_failed;      /* instructions, in all rounds of this start */
	bool stopped, done;
	struct err err; /* code 0: none */
};

/* Answer those who come for what a server of rounds has: its status, or a
 * model, which there is not. */
void director_serve(struct director *d, struct server *s);

#endif
