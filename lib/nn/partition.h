/* partition.h - who gets which examples; pure, given by the seed for ever. */
#ifndef NN_PARTITION_H
#define NN_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PARTITION_PARTS_MAX = 65536 };

enum partition_by {
	PARTITION_IID,
	PARTITION_DIRICHLET,
	PARTITION_SHARDS,
	PARTITION_LOGNORMAL
};

struct partition {
	enum partition_by by;
	double alpha; /* dirichlet: concentration, above 0 */
	int shards;   /* shards: how many each part gets */
	double sigma; /* lognormal: deviation of the sizes' logarithms */
};

/* The labels that are to be divided: n of them, each below classes. */
struct partition_labels {
	const uint8_t *label;
	size_t n;
	int classes;
};

/* Understand "iid", "dirichlet:ALPHA", "shards:K" or "lognormal:SIGMA". */
int partition_parse(struct partition *p, const char *text,
		    struct err *err) MUST_CHECK;

/* Write the part (0..parts-1) of every label to part_of, n places; each
 * belongs to exactly one.
 * iid: shuffled, parts equal within one.
 * dirichlet: each class is divided in shares drawn from Dirichlet(alpha) (Hsu,
 * Qi, Brown 2019), drawn anew until the smallest part has 10 examples, or half
 * its fair share where that is fewer; FAILED_PRECONDITION if 1000 draws do not.
 * shards: sorted by label, cut into K * parts runs, K to each by chance
 * (McMahan et al. 2017).
 * lognormal: shuffled, sizes in proportion to draws from a log-normal
 * distribution (quantity skew, as FedLab's unbalanced split), none below 1. */
int partition_make(const struct partition *p,
		   const struct partition_labels *labels, int parts,
		   uint64_t seed, uint32_t *part_of,
		   struct err *err) MUST_CHECK;

#endif
