/* coordinator.h - what the leader proposes next for the trainers.
 *
 * Pure: the committed state and the time are arguments; what only a leader
 * knows (who was heard when, reports, misses, measurements) is kept here, and
 * begins afresh with each leader. The host feeds it what arrives, asks
 * coordinator_next() after each input and a few times a second, for silence
 * has an effect too, proposes the one act it gets, and asks again when that is
 * committed or refused. */
#ifndef PLAN_COORDINATOR_H
#define PLAN_COORDINATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/bandwidth.h"
#include "plan/graph.h"
#include "plan/round.h"
#include "plan/topology.h"

struct coordinator_opts {
	int64_t fail_after_ms; /* silence after which a trainer is down */
	int64_t give_up_ms;    /* below two trainers for so long: run failed */
	int64_t bandwidth_ms;  /* at most one bandwidth entry in so long */
	int misses;            /* in a row, seen by two peers: down */
};

/* 5 s, 5 min, 10 s, 3 */
extern const struct coordinator_opts coordinator_defaults;

struct coordinator_trainer {
	int64_t id;
	bool runs; /* takes part in training runs */
};

/* It failed in the run, and takes no part in it any more. */
struct coordinator_failed {
	int64_t id;
	const char *reason;
};

struct coordinator_run {
	int64_t id, rounds;
	uint64_t seed;
	uint32_t c, deadline_ms;
	enum topology_policy policy;
	int min_trainers;       /* at least so many before the first plan */
	double target_accuracy; /* ends the run; 0 for none */
	int64_t give_up_ms;     /* instead of the option's; 0: as that */
	double exchange_bytes;  /* one way; 0: not known yet */
};

/* The committed state, borrowed for a call. Plans must go back at least
 * max(topology_window(n), n) rounds for the policy to know its history. */
struct coordinator_view {
	int64_t epoch; /* log index of the last change of the set, or graph */
	const struct coordinator_trainer *trainers; /* live, ascending ids */
	size_t ntrainers;
	const struct coordinator_run *run;       /* the active one, or NULL */
	const struct coordinator_failed *failed; /* in it */
	size_t nfailed;
	size_t away; /* down, of those that would take part in runs */
	const struct plans *plans;
	const struct bandwidth *bandwidth;
	const struct graph *graph; /* pairs are of its edges, if it has any */
};

enum coordinator_kind {
	COORDINATOR_NOTHING,
	COORDINATOR_PLAN,         /* append plan */
	COORDINATOR_BANDWIDTH,    /* append cells */
	COORDINATOR_TRAINER_DOWN, /* mark trainer down */
	COORDINATOR_RUN_FINISHED,
	COORDINATOR_RUN_FAILED,
};

struct coordinator_act {
	enum coordinator_kind kind;
	int64_t run, trainer;
	struct plan *plan;            /* owned by the act */
	struct bandwidth_cell *cells; /* owned by the act */
	size_t ncells;
	char why[512]; /* for the log line and the entry */
};

struct coordinator;

/* Begin as leader at now_ms: every clock starts here. opts is copied; NULL
 * gives coordinator_defaults. coordinator_free() frees it. */
struct coordinator *coordinator_new(const struct coordinator_opts *opts,
				    int64_t now_ms);
void coordinator_free(struct coordinator *c);

/* We were stopped or starved for so long, and heard nobody: that counts against
 * nobody. */
void coordinator_slept(struct coordinator *c, int64_t slept_ms);

/* A heartbeat, or anything else, from a trainer. */
void coordinator_heard(struct coordinator *c, int64_t trainer, int64_t now_ms);

/* A trainer has completed a round of a run. accuracy is 0..1, or NAN when it
 * did not evaluate. Older rounds than one reported before change nothing. */
void coordinator_reported(struct coordinator *c, int64_t run, int64_t trainer,
			  int64_t round, double accuracy);

/* The exchange of trainer with peer succeeded, or was missed by trainer. */
void coordinator_exchanged(struct coordinator *c, int64_t trainer, int64_t peer,
			   bool missed);

/* Trainer `to` received from `from` at bps bytes/s. */
void coordinator_measured(struct coordinator *c, int64_t from, int64_t to,
			  double bps);

/* What to propose now. *act is filled; free it with coordinator_act_release().
 */
enum coordinator_kind coordinator_next(struct coordinator *c,
				       const struct coordinator_view *v,
				       int64_t now_ms,
				       struct coordinator_act *act);
void coordinator_act_release(struct coordinator_act *act);

/* The epoch of the plans of v's run: that of the set, or the version of the
 * speeds for which the rounds ahead were planned anew since. */
int64_t coordinator_epoch(const struct coordinator_view *v);

/* Parts that the graph leaves of the trainers of the run: more than one never
 * learn from each other. */
size_t coordinator_parts(const struct coordinator_view *v);

/* The plan that follows from v for rounds t0 on: what coordinator_next() would
 * propose. The caller frees it. */
struct plan *coordinator_plan(const struct coordinator_view *v, int64_t t0);

#endif
