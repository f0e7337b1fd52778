/* aggregate_bed.h - rounds and rules for the tests of aggregate.h. */
#ifndef AGGREGATE_BED_H
#define AGGREGATE_BED_H

#include "fl/aggregate.h"

/* More than a tile, and not a multiple of anything. */
enum { MANY = 2500, REST = 77 };

/* Options under which every rule does something. */
extern const struct aggregate_opts rule_opts;

/* The k-th of AGGREGATE_RULES, or NULL behind the last. */
const char *rule_name(int k);

/* n float32 numbers from -1 to below 1. */
void rule_units(uint64_t seed, float *x, size_t n);

/* What must not fail. */
struct aggregate *rule_make(const char *rule, struct aggregate_opts opts,
			    size_t n, size_t trained);
struct aggregate *rule_plain(const char *rule, size_t n);
void rule_admit(struct aggregate *a, const struct aggregate_update *u);
void rule_finish(struct aggregate *a, float *x, struct aggregate_facts *f);

/* A rule for rounds of five, MANY values of which the last REST are not
 * trained; NULL if it has none. */
struct aggregate *rule_for_five(const char *rule);

/* An update must be refused for that reason, and change no count. */
void rule_refuses(struct aggregate *a, struct aggregate_update u,
		  const char *why);

struct round {
	float global[MANY];
	float update[5][MANY], control[5][MANY];
	double weight[5];
};

void round_fill(struct round *r, uint64_t seed);
struct aggregate_update round_update(const struct round *r, int c);

/* All five, from the first-th on, and what they come to. */
void round_run(struct aggregate *a, const struct round *r, int first, float *x);

#endif
