#include "fl/cohort.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct key {
	double key;
	size_t i;
};

static int by_key_down(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return (x->i > y->i) - (x->i < y->i);
}

static int by_index(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

/* Without replacement, in proportion to the weights: those of the largest
 * log(u) / weight (Efraimidis and Spirakis 2006). */
static double key_of(const struct cohort_candidate *c, enum cohort_rule rule,
		     struct rand *r)
{
	const bool same = rule == COHORT_UNIFORM || c->examples < 1;

	return log(1 - rand_unit(r)) / (same ? 1 : (double)c->examples);
}

static double loss_of(const struct cohort_candidate *c)
{
	return isnan(c->loss) ? (double)INFINITY : c->loss;
}

size_t cohort_pick(enum cohort_rule rule, const struct cohort_candidate *c,
		   size_t n, size_t want, size_t choices, struct rand *r,
		   size_t *picked)
{
	struct key *keys = mem_zero(n + 1, sizeof(*keys));

	if (want > n)
		want = n;
	if (choices < want)
		choices = want;
	if (choices > n)
		choices = n;
	for (size_t i = 0; i < n; i++)
		keys[i] = (struct key){key_of(&c[i], rule, r), i};
	qsort(keys, n, sizeof(*keys), by_key_down);
	if (rule == COHORT_POWER) {
		for (size_t i = 0; i < choices; i++)
			keys[i].key = loss_of(&c[keys[i].i]);
		qsort(keys, choices, sizeof(*keys), by_key_down);
	}
	for (size_t i = 0; i < want; i++)
		picked[i] = keys[i].i;
	free(keys);
	qsort(picked, want, sizeof(*picked), by_index);
	return want;
}

size_t cohort_size(size_t n, double share, size_t least)
{
	size_t want = (size_t)ceil((double)n * share - 1e-9);

	if (want < least)
		want = least;
	if (want < 1)
		want = 1;
	return want < n ? want : n;
}
