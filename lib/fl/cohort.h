/* cohort.h - who trains in a round: a sample of the clients that are there.
 * Pure. */
#ifndef FL_COHORT_H
#define FL_COHORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"

enum cohort_rule {
	COHORT_UNIFORM, /* each as likely (McMahan et al. 2017) */
	COHORT_SIZE,    /* likely by the number of its examples */
	COHORT_POWER,   /* power-of-choice (Cho et al. 2020, arXiv 2010.01243):
			   of some drawn by size, those of the highest loss */
};

#define COHORT_RULES "uniform|size|power"

struct cohort_candidate {
	int64_t examples; /* 0: not known */
	double loss; /* the last it told; NAN before, which is the highest */
};

/* Pick want of n candidates (n if that is less), none twice, into picked, which
 * has room for n: their indices, ascending. choices is the number that
 * COHORT_POWER draws first, at least want. Returns how many. */
size_t cohort_pick(enum cohort_rule rule, const struct cohort_candidate *c,
		   size_t n, size_t want, size_t choices, struct rand *r,
		   size_t *picked);

/* Of n candidates the share (0..1], at least one and at least least, at most
 * n. */
size_t cohort_size(size_t n, double share, size_t least);

#endif
