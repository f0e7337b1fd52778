#include "base/nearest.h"

#include <string.h>

enum { LONGEST = 63 };

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[LONGEST + 1], na = strlen(a), nb = strlen(b);

	if (na > LONGEST || nb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t above = row[j];

			row[j] = min3(row[j] + 1, row[j - 1] + 1,
				      diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

struct nearest nearest_to(const char *name)
{
	return (struct nearest){.name = name, .distance = strlen(name) / 3 + 2};
}

void nearest_offer(struct nearest *n, const char *candidate)
{
	size_t d = distance(n->name, candidate);

	if (d >= n->distance)
		return;
	n->distance = d;
	n->best = candidate;
}
