#include "aggregate_bed.h"
#include "base/rand.h"
#include "test.h"

enum { CLIENTS_MAX = 23, WIDE = 150 };

/* f of n say something wild, in the same direction or each its own; what comes
 * of it must lie within what the others say, value by value. */
static void check_robust(const char *rule, int n, int f, struct rand *r)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	float v[CLIENTS_MAX][WIDE], x[WIDE], low[WIDE], high[WIDE];
	struct aggregate_facts facts;
	struct aggregate *a;

	o.trim = (f + 0.01) / n;
	o.byzantine = f;
	a = rule_make(rule, o, WIDE, WIDE);
	rule_units(rand_next(r), x, WIDE);
	aggregate_begin(a, x);
	for (int c = 0; c < n; c++) {
		const float wild = rand_below(r, 2) ? 1e14F : -20;

		rule_units(rand_next(r), v[c], WIDE);
		for (int i = 0; i < WIDE; i++) {
			v[c][i] *= c < f ? wild : 1;
			low[i] = c <= f ? v[c][i] : fminf(low[i], v[c][i]);
			high[i] = c <= f ? v[c][i] : fmaxf(high[i], v[c][i]);
		}
	}
	for (int k = 0; k < n; k++)
		rule_admit(a, &(struct aggregate_update){.client = k * 7 % n,
							 .values = v[k * 7 % n],
							 .n = WIDE,
							 .weight = 1});
	rule_finish(a, x, &facts);
	for (int i = 0; i < WIDE; i++)
		if (!(x[i] >= low[i] - 1e-6F && x[i] <= high[i] + 1e-6F))
			test_fail(__FILE__, __LINE__,
				  "%s of %d with %d false: %g is not between "
				  "%g and %g",
				  rule, n, f, (double)x[i], (double)low[i],
				  (double)high[i]);
	for (size_t k = 0; k < facts.n_chosen; k++)
		CHECK(facts.chosen[k] >= f);
	CHECK_INT(!facts.n_chosen, !strstr(rule, "krum"));
	aggregate_free(a);
}

TEST(median_and_trimmed_stay_within_the_honest_as_long_as_these_are_more)
{
	struct rand r = {11};

	for (int n = 1; n <= CLIENTS_MAX; n++)
		for (int f = 0; f < n - f; f++) {
			if (n % 7 == 0)
				continue;
			check_robust("median", n, f, &r);
			check_robust("trimmed", n, f, &r);
		}
}

TEST(krum_chooses_none_of_the_false)
{
	struct rand r = {12};

	for (int n = 3; n <= CLIENTS_MAX; n++)
		for (int f = 0; 2 * f + 3 <= n; f++) {
			if (n % 7 == 0)
				continue;
			check_robust("krum", n, f, &r);
			check_robust("multikrum", n, f, &r);
		}
}

/* One lie moves the mean as far as it likes. */
TEST(the_mean_has_no_such_bound)
{
	struct aggregate *a = rule_plain("fedavg", 1);
	float x = 0, v = 1, wild = 1e6F;
	struct aggregate_update u = {.values = &v, .n = 1, .weight = 1};

	aggregate_begin(a, &x);
	for (int k = 0; k < 9; k++)
		rule_admit(a, &u);
	u.values = &wild;
	rule_admit(a, &u);
	rule_finish(a, &x, NULL);
	CHECK(x > 1e4F);
	aggregate_free(a);
}

static int compare(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

TEST(median_is_that_of_sorting_of_any_number_of_updates)
{
	struct rand r = {13};

	for (int n = 1; n <= CLIENTS_MAX * 4; n++) {
		struct aggregate *a = rule_plain("median", 3);
		float v[CLIENTS_MAX * 4][3], column[CLIENTS_MAX * 4], x[3];

		aggregate_begin(a, x);
		for (int c = 0; c < n; c++) {
			for (int i = 0; i < 3; i++)
				v[c][i] = (float)rand_below(&r, 1u << (n % 8));
			rule_admit(a, &(struct aggregate_update){.values = v[c],
								 .n = 3,
								 .weight = 1});
		}
		memset(x, 0, sizeof(x));
		rule_finish(a, x, NULL);
		for (int i = 0; i < 3; i++) {
			for (int c = 0; c < n; c++)
				column[c] = v[c][i];
			qsort(column, (size_t)n, sizeof(*column), compare);
			CHECK_NEAR(x[i],
				   (column[(n - 1) / 2] + column[n / 2]) / 2,
				   1e-6);
		}
		aggregate_free(a);
	}
}

TEST(distances_of_many_updates_are_bounded_as_the_updates_are)
{
	struct aggregate_opts o = AGGREGATE_OPTS;
	struct aggregate *krum, *median;

	o.bytes_max = 80000;
	krum = rule_make("krum", o, 1, 1);
	median = rule_make("median", o, 1, 1);
	CHECK_INT(aggregate_most(krum), 100);
	CHECK_INT(aggregate_most(median), 10000);
	aggregate_free(krum);
	aggregate_free(median);
}
