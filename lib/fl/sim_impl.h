/* sim_impl.h - a simulated federation, for the files of sim.h alone. */
#ifndef FL_SIM_IMPL_H
#define FL_SIM_IMPL_H

#include "base/loop.h"
#include "base/worker.h"
#include "fl/sim.h"
#include "plan/coordinator.h"

/* A trainer: what of a learner is its own. */
struct sim_trainer {
	struct index index;
	float *params, *velocity;
	struct sampler sampler;
	double loss, accuracy;
	double clock_s, bytes;
	float *own, *shift; /* of SCAFFOLD and FedDyn, or NULL */
};

struct sim;

/* A thread, and the learner that its trainers borrow in turn. */
struct sim_thread {
	struct sim *sim;
	int number;
	struct worker *worker;
	struct learner *learner;
	struct err err;
	int rc;
};

typedef int sim_job(struct sim *s, struct learner *l, struct sim_trainer *t,
		    struct err *err);

struct sim {
	struct sim_opts o;
	struct loop *loop;
	struct sim_thread *thread;
	struct sim_trainer *trainer;
	sim_job *job; /* what the threads do now, for every trainer */
	int left;     /* threads at it */

	struct strategy_mix mix;
	bool *active;
	int *mate;
	float *average;

	/* The planner's: trainers 1 to n, one epoch, one run. */
	struct coordinator_trainer *who;
	struct coordinator_run run;
	struct plans plans;
	struct bandwidth bandwidth;
};

/* sim_server.c: what a server's rule asks of the trainers, and those who lie to
 * it. sim_server_train() is learner_train(), with that. */
int sim_server_open(struct sim *s, struct err *err) MUST_CHECK;
int sim_server_train(struct sim *s, struct learner *l, struct sim_trainer *t,
		     struct err *err) MUST_CHECK;
void sim_server_attack(struct sim *s);
void sim_server_release(struct sim *s);

/* sim_plan.c: who exchanges with whom in round t, who takes part, and when it
 * is over. */
void sim_plan_open(struct sim *s);
void sim_plan_round(struct sim *s, int64_t t);
void sim_clock_steps(struct sim *s);
void sim_clock_transfers(struct sim *s);
void sim_plan_release(struct sim *s);

#endif
