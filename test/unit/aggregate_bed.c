#include "aggregate_bed.h"

#include "base/rand.h"
#include "test.h"

const struct aggregate_opts rule_opts = {
	.lr = 0.5,
	.beta1 = 0.9,
	.beta2 = 0.99,
	.tau = 1e-3,
	.local_lr = 0.1,
	.local_momentum = 0.5,
	.local_prox = 0.3,
	.q = 2,
	.clients = 10,
	.dyn = 0.1,
	.staleness = {STALENESS_POLYNOMIAL, 0.5, 0},
	.mix = 0.6,
	.buffer = 7,
	.trim = 0.2,
	.byzantine = 1,
};

const char *rule_name(int k)
{
	static const char all[] = AGGREGATE_RULES;
	static char name[32];
	const char *p = all;

	for (; k > 0 && p; k--) {
		p = strchr(p, '|');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "|"), p);
	return name;
}

void rule_units(uint64_t seed, float *x, size_t n)
{
	struct rand r = {seed};

	for (size_t i = 0; i < n; i++)
		x[i] = (float)(2 * rand_unit(&r) - 1);
}

struct aggregate *rule_make(const char *rule, struct aggregate_opts opts,
			    size_t n, size_t trained)
{
	struct aggregate *a;
	struct err err;

	if (aggregate_open(&a, rule, &opts, n, trained, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return a;
}

struct aggregate *rule_plain(const char *rule, size_t n)
{
	return rule_make(rule, (struct aggregate_opts)AGGREGATE_OPTS, n, n);
}

void rule_admit(struct aggregate *a, const struct aggregate_update *u)
{
	struct err err;

	if (aggregate_admit(a, u, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

void rule_finish(struct aggregate *a, float *x, struct aggregate_facts *f)
{
	struct err err;

	if (aggregate_finish(a, x, f, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

struct aggregate *rule_for_five(const char *rule)
{
	struct aggregate_opts opts = rule_opts;
	struct aggregate *a;

	opts.buffer = 5;
	a = rule_make(rule, opts, MANY, MANY - REST);
	if (aggregate_most(a) >= 5)
		return a;
	aggregate_free(a);
	return NULL;
}

void rule_refuses(struct aggregate *a, struct aggregate_update u,
		  const char *why)
{
	size_t count = aggregate_count(a);
	struct err err;

	u.client = 77;
	CHECK(aggregate_admit(a, &u, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "client 77");
	CHECK_HAS(err.msg, why);
	CHECK_INT(aggregate_count(a), count);
}

void round_fill(struct round *r, uint64_t seed)
{
	rule_units(seed, r->global, MANY);
	for (int c = 0; c < 5; c++) {
		rule_units(seed * 10 + (uint64_t)c, r->update[c], MANY);
		rule_units(seed * 20 + (uint64_t)c, r->control[c], MANY);
		r->weight[c] = 1 + (double)(seed * 7 + (uint64_t)c) / 3;
	}
}

struct aggregate_update round_update(const struct round *r, int c)
{
	return (struct aggregate_update){.client = c + 1,
					 .values = r->update[c],
					 .n = MANY,
					 .weight = r->weight[c],
					 .steps = 3 + c,
					 .loss = 1 + c,
					 .control = r->control[c]};
}

void round_run(struct aggregate *a, const struct round *r, int first, float *x)
{
	memcpy(x, r->global, sizeof(r->global));
	aggregate_begin(a, x);
	for (int k = 0; k < 5; k++) {
		struct aggregate_update u =
			round_update(r, (first + k * 2) % 5);

		rule_admit(a, &u);
	}
	rule_finish(a, x, NULL);
}
