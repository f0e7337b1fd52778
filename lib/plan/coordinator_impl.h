/* coordinator_impl.h - what the files of coordinator.h share. */
#ifndef PLAN_COORDINATOR_IMPL_H
#define PLAN_COORDINATOR_IMPL_H

#include "plan/coordinator.h"
#include "plan/meter.h"

/* What a leader knows of a trainer. run is that of round and accuracy. */
struct known {
	int64_t id, heard_ms;
	bool live; /* in the committed set when last looked at */
	int64_t run, round;
	double accuracy;
};

/* Misses in a row of exchanges with peer, as trainer saw them. */
struct missed {
	int64_t trainer, peer;
	int times;
};

struct coordinator {
	struct coordinator_opts opts;
	int64_t since_ms; /* leader since */
	struct known *known;
	size_t nknown, known_cap;
	struct missed *missed;
	size_t nmissed, missed_cap;
	struct meter meter;
	int64_t bandwidth_ms; /* of the last bandwidth act */
	bool measured;        /* since nothing slow was found ahead */
	int64_t slow_ms;      /* when that was last looked for */
	int64_t enough_ms;    /* when two trainers were last live */
	int64_t slowest;      /* round of the run's slowest, or -1 */
	int64_t slowest_ms;   /* since when it is at that */
};

/* NULL: nothing was heard of it. */
struct known *coordinator_find(const struct coordinator *c, int64_t id);

/* coordinator_plan.c: the trainers of the run, ascending; how many. And where
 * one is among them, or -1. */
size_t coordinator_ids(const struct coordinator_view *v, int64_t *ids);
int coordinator_index(const int64_t *ids, size_t n, int64_t id);

/* Keep the cells of live trainers: those of others would be refused, and come
 * again. How many are left. */
size_t coordinator_keep_live(const struct coordinator_view *v,
			     struct bandwidth_cell *cells, size_t n);

/* coordinator_slow.c: what to do about slow links that rounds ahead count on.
 * False: nothing. */
bool coordinator_look_for_slow(struct coordinator *c,
			       const struct coordinator_view *v, int64_t now_ms,
			       struct coordinator_act *act);

/* coordinator_rounds.c: how far the trainers of a run are. */
int64_t coordinator_round_of(const struct coordinator *c, int64_t run,
			     int64_t id); /* -1: none yet */
size_t coordinator_runners(const struct coordinator_view *v);
void coordinator_note_slowest(struct coordinator *c,
			      const struct coordinator_view *v, int64_t now_ms);

/* The first round that no live trainer has reported. */
int64_t coordinator_next_round(const struct coordinator *c,
			       const struct coordinator_view *v);
int64_t coordinator_round_to_plan(const struct coordinator *c,
				  const struct coordinator_view *v,
				  int64_t now_ms);

#endif
