/* round.h - round plans: who exchanges with whom, as data.
 *
 * A plan covers rounds t0 .. t0 + n - 1 of one run, for one epoch (the log
 * index of the last change of the trainer set, or of the speeds for which the
 * rounds ahead were planned anew). It is committed before anyone acts on it. A
 * trainer that is in no pair of a round rests in it. */
#ifndef PLAN_ROUND_H
#define PLAN_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	PLAN_ROUNDS = 16,         /* rounds of one plan */
	PLAN_ROUNDS_MAX = 256,    /* of one that is read */
	PLAN_TRAINERS_MAX = 4096, /* in one round */
	PLAN_DEADLINE_MAX_MS = 30000,
};

struct plan_pair {
	int64_t a, b; /* trainer ids, a < b */
};

struct plan_round {
	uint64_t seed;        /* of the mask */
	uint32_t c;           /* one parameter in c travels */
	uint32_t deadline_ms; /* from a trainer's own arrival at the round */
	int64_t bye;          /* who rests because the number is odd, or 0 */
	size_t npairs;
	struct plan_pair *pairs; /* by ascending a */
};

struct plan {
	int64_t run, epoch, t0;
	size_t nrounds;
	struct plan_round *rounds;
};

/* An empty plan of nrounds rounds; plan_free() frees it with all its pairs. */
struct plan *plan_new(int64_t run, int64_t epoch, int64_t t0, size_t nrounds);
void plan_free(struct plan *p);

/* Whatever a plan from outside must satisfy beyond its pairs: positive ids,
 * 1 to PLAN_ROUNDS_MAX rounds, c of at least 1, a deadline within bounds. Else
 * INVALID_ARGUMENT. */
int plan_check(const struct plan *p, struct err *err) MUST_CHECK;

/* Append pairs and bye of a round to out, as varints: bye, number of pairs,
 * then per pair a - (the a before) and b - a; about one byte a trainer. */
void plan_pairs_encode(const struct plan_round *r, struct buf *out);

/* Set bye and pairs of *r (which holds none) from what plan_pairs_encode()
 * wrote; plan_round_release() frees them. INVALID_ARGUMENT, and *r as it was,
 * for anything else: an id twice, ids below 1, pairs out of order, a varint
 * longer than needed, too many pairs, bytes left over. */
int plan_pairs_decode(struct plan_round *r, const void *p, size_t len,
		      struct err *err) MUST_CHECK;
void plan_round_release(struct plan_round *r);

/* The partner of a trainer in a round, or 0 if it rests. */
int64_t plan_partner(const struct plan_round *r, int64_t trainer);

/* The plans of one run that somebody holds: a trainer those it knows, a
 * coordinator those committed. Zero bytes are an empty set. */
struct plans {
	struct plan **all; /* in the order of the log */
	size_t n, cap;
};

/* Take p. Of two plans of one epoch the first committed has its rounds for
 * good, so one that overlaps it is freed and false returned: masks and pairs
 * that somebody acted on never change. */
bool plans_take(struct plans *s, struct plan *p);

/* The round t of run by the newest epoch in the set; NULL when that does not
 * hold it (its rounds before t0 are rests: nothing of an older epoch begins any
 * more), or is older than `epoch`, the newest the caller has heard of (0:
 * none). *of, unless NULL, is the plan found. */
const struct plan_round *plans_at(const struct plans *s, int64_t run,
				  int64_t epoch, int64_t t,
				  const struct plan **of);

/* What was planned for a past round t: by the newest epoch that began at or
 * before t. NULL if nothing was. */
const struct plan_round *plans_was(const struct plans *s, int64_t run,
				   int64_t t);

/* The newest epoch of run in the set, or 0. */
int64_t plans_epoch(const struct plans *s, int64_t run);

/* The first round that the newest epoch of run has, or 0. */
int64_t plans_start(const struct plans *s, int64_t run);

/* The round after the last that the newest epoch of run has, or 0. */
int64_t plans_end(const struct plans *s, int64_t run);

/* The round after the last that any epoch of run has, or 0: nobody can have
 * come further. */
int64_t plans_horizon(const struct plans *s, int64_t run);

/* Free the plans of other runs, and those that end at or before round t. */
void plans_trim(struct plans *s, int64_t run, int64_t t);
void plans_release(struct plans *s);

#endif
