#include "nn/partition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

enum { DRAWS_MAX = 1000, SHARDS_MAX = 65536, LEAST = 10 };

static int parse_error(const char *text, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "\"%.40s\" is no way to divide, expected iid, "
		       "dirichlet:ALPHA (0.001 to 1000000), shards:K (1 to "
		       "%d) or lognormal:SIGMA (0 to 10)",
		       text, SHARDS_MAX);
}

int partition_parse(struct partition *p, const char *text, struct err *err)
{
	const char *colon = strchr(text, ':');
	double v = 0;
	char *end;

	if (!strcmp(text, "iid")) {
		*p = (struct partition){.by = PARTITION_IID};
		return 0;
	}
	if (!colon || !colon[1])
		return parse_error(text, err);
	v = strtod(colon + 1, &end);
	if (*end)
		return parse_error(text, err);
	if (!strncmp(text, "dirichlet:", 10) && v >= 1e-3 && v <= 1e6)
		*p = (struct partition){.by = PARTITION_DIRICHLET, .alpha = v};
	else if (!strncmp(text, "shards:", 7) && v >= 1 && v <= SHARDS_MAX &&
		 v == floor(v))
		*p = (struct partition){.by = PARTITION_SHARDS,
					.shards = (int)v};
	else if (!strncmp(text, "lognormal:", 10) && v >= 0 && v <= 10)
		*p = (struct partition){.by = PARTITION_LOGNORMAL, .sigma = v};
	else
		return parse_error(text, err);
	return 0;
}

static void shuffle(uint32_t *a, size_t n, struct rand *r)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = rand_below(r, i);
		uint32_t other = a[j];

		a[j] = a[i - 1];
		a[i - 1] = other;
	}
}

/* The examples' numbers, by label; start[c] is where class c begins, and
 * start[classes] is n. */
static uint32_t *by_label(const struct partition_labels *l, size_t *start)
{
	uint32_t *order = mem_zero(l->n, sizeof(*order));
	size_t *to = mem_zero((size_t)l->classes + 1, sizeof(*to));

	memset(start, 0, ((size_t)l->classes + 1) * sizeof(*start));
	for (size_t i = 0; i < l->n; i++)
		start[l->label[i] + 1]++;
	for (int c = 0; c < l->classes; c++)
		start[c + 1] += start[c];
	memcpy(to, start, ((size_t)l->classes + 1) * sizeof(*to));
	for (size_t i = 0; i < l->n; i++)
		order[to[l->label[i]]++] = (uint32_t)i;
	free(to);
	return order;
}

static void make_iid(const struct partition_labels *l, int parts,
		     struct rand *r, uint32_t *part_of)
{
	for (size_t i = 0; i < l->n; i++)
		part_of[i] = (uint32_t)(i % (size_t)parts);
	shuffle(part_of, l->n, r);
}

/* From the normal distribution, by the polar method of Marsaglia. */
static double normal(struct rand *r)
{
	for (;;) {
		double u = 2 * rand_unit(r) - 1, v = 2 * rand_unit(r) - 1;
		double s = u * u + v * v;

		if (s > 0 && s < 1)
			return u * sqrt(-2 * log(s) / s);
	}
}

/* The logarithm of a draw from Gamma(shape, 1), by Marsaglia and Tsang (2000).
 * A shape below 1 is drawn as shape + 1 times U^(1/shape); its logarithm does
 * not underflow where the value would. */
static double log_gamma_draw(double shape, struct rand *r)
{
	const double boost = shape < 1 ? log(1 - rand_unit(r)) / shape : 0;
	const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3;
	const double c = 1 / sqrt(9 * d);

	for (;;) {
		double x = normal(r), t = 1 + c * x;
		double v = t * t * t;

		if (t > 0 &&
		    log(1 - rand_unit(r)) < x * x / 2 + d - d * v + d * log(v))
			return log(d * v) + boost;
	}
}

/* shares[0..parts-1] from Dirichlet(alpha, ..., alpha). */
static void dirichlet(double *shares, int parts, double alpha, struct rand *r)
{
	double top = -INFINITY, sum = 0;

	for (int i = 0; i < parts; i++) {
		shares[i] = log_gamma_draw(alpha, r);
		top = fmax(top, shares[i]);
	}
	for (int i = 0; i < parts; i++) {
		shares[i] = exp(shares[i] - top);
		sum += shares[i];
	}
	for (int i = 0; i < parts; i++)
		shares[i] /= sum;
}

/* Divide n examples of one class by shares; sizes grows by what each gets. */
static void deal(const uint32_t *examples, size_t n, const double *shares,
		 int parts, uint32_t *part_of, size_t *sizes)
{
	double sum = 0;
	size_t at = 0;

	for (int k = 0; k < parts; k++) {
		size_t end;

		sum += shares[k];
		end = k == parts - 1 ? n : (size_t)(sum * (double)n + 0.5);
		if (end > n)
			end = n;
		for (; at < end; at++) {
			part_of[examples[at]] = (uint32_t)k;
			sizes[k]++;
		}
	}
}

static size_t smallest(const size_t *sizes, int parts)
{
	size_t least = sizes[0];

	for (int k = 1; k < parts; k++)
		if (sizes[k] < least)
			least = sizes[k];
	return least;
}

static int make_dirichlet(const struct partition *p,
			  const struct partition_labels *l, int parts,
			  struct rand *r, uint32_t *part_of, struct err *err)
{
	size_t *start = mem_zero((size_t)l->classes + 1, sizeof(*start));
	uint32_t *order = by_label(l, start);
	double *shares = mem_zero((size_t)parts, sizeof(*shares));
	size_t *sizes = mem_zero((size_t)parts, sizeof(*sizes));
	size_t least = l->n / (2 * (size_t)parts);
	int draw = 0;

	least = least > LEAST ? LEAST : least < 1 ? 1 : least;
	do {
		memset(sizes, 0, (size_t)parts * sizeof(*sizes));
		for (int c = 0; c < l->classes; c++) {
			uint32_t *of_class = order + start[c];
			size_t n = start[c + 1] - start[c];

			dirichlet(shares, parts, p->alpha, r);
			shuffle(of_class, n, r);
			deal(of_class, n, shares, parts, part_of, sizes);
		}
	} while (smallest(sizes, parts) < least && ++draw < DRAWS_MAX);
	free(start);
	free(order);
	free(shares);
	free(sizes);
	if (draw == DRAWS_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "no division by dirichlet:%g into %d parts "
			       "gives each %zu examples",
			       p->alpha, parts, least);
	return 0;
}

static int make_shards(const struct partition *p,
		       const struct partition_labels *l, int parts,
		       struct rand *r, uint32_t *part_of, struct err *err)
{
	const size_t shards = (size_t)p->shards * (size_t)parts;
	size_t *start;
	uint32_t *order, *owner;

	if (shards > l->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu shards (%d for each of %d parts), but only "
			       "%zu examples",
			       shards, p->shards, parts, l->n);
	start = mem_zero((size_t)l->classes + 1, sizeof(*start));
	order = by_label(l, start);
	owner = mem_zero(shards, sizeof(*owner));
	for (size_t s = 0; s < shards; s++)
		owner[s] = (uint32_t)(s % (size_t)parts);
	shuffle(owner, shards, r);
	for (size_t i = 0; i < l->n; i++)
		part_of[order[i]] = owner[i * shards / l->n];
	free(start);
	free(order);
	free(owner);
	return 0;
}

/* Everyone has one; the rest is dealt by shares of exp(sigma z). */
static void make_lognormal(const struct partition *p,
			   const struct partition_labels *l, int parts,
			   struct rand *r, uint32_t *part_of)
{
	const size_t rest = l->n - (size_t)parts;
	double *shares = mem_zero((size_t)parts, sizeof(*shares));
	size_t *sizes = mem_zero((size_t)parts, sizeof(*sizes));
	uint32_t *order = mem_zero(l->n, sizeof(*order));
	double sum = 0;

	for (int k = 0; k < parts; k++) {
		shares[k] = exp(p->sigma * normal(r));
		sum += shares[k];
	}
	for (int k = 0; k < parts; k++)
		shares[k] /= sum;
	for (size_t i = 0; i < l->n; i++)
		order[i] = (uint32_t)i;
	shuffle(order, l->n, r);
	for (int k = 0; k < parts; k++)
		part_of[order[k]] = (uint32_t)k;
	deal(order + parts, rest, shares, parts, part_of, sizes);
	free(shares);
	free(sizes);
	free(order);
}

int partition_make(const struct partition *p,
		   const struct partition_labels *labels, int parts,
		   uint64_t seed, uint32_t *part_of, struct err *err)
{
	struct rand r = {rand_mix(seed)};

	if (parts < 1 || parts > PARTITION_PARTS_MAX ||
	    (size_t)parts > labels->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%d parts of %zu examples, expected 1 to %d and "
			       "at most an example each",
			       parts, labels->n, PARTITION_PARTS_MAX);
	switch (p->by) {
	case PARTITION_DIRICHLET:
		return make_dirichlet(p, labels, parts, &r, part_of, err);
	case PARTITION_SHARDS:
		return make_shards(p, labels, parts, &r, part_of, err);
	case PARTITION_LOGNORMAL:
		make_lognormal(p, labels, parts, &r, part_of);
		return 0;
	case PARTITION_IID:
		break;
	}
	make_iid(labels, parts, &r, part_of);
	return 0;
}
