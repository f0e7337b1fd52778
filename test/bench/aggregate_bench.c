/* aggregate_bench.c - GB of updates a CPU-second that a server aggregates: a
 * round of 32 clients of the CNN's 1,663,370 parameters, from the first update
 * to the next model, beside copying the same updates by memcpy() in turn. Prints
 * records.
 *
 *	aggregate_bench SECONDS
 *
 * aggregate_numpy.py prints the same for numpy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/aggregate.h"

enum { PARAMS = 1663370, CLIENTS = 32 };

static const double gigabytes = 4.0 * PARAMS * CLIENTS / 1e9;

struct bench {
	float *update[CLIENTS], *global, *copy;
	struct aggregate *a;
};

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static float *values(uint64_t seed)
{
	float *x = mem_zero(PARAMS, sizeof(*x));
	struct rand r = {seed};

	for (size_t i = 0; i < PARAMS; i++)
		x[i] = (float)(rand_unit(&r) - 0.5);
	return x;
}

static void die(const struct err *err)
{
	fprintf(stderr, "aggregate_bench: %s\n", err->msg);
	exit(1);
}

static double round_s(struct bench *b)
{
	const double from = cpu_s();
	struct err err;

	aggregate_begin(b->a, b->global);
	for (int c = 0; c < CLIENTS; c++)
		if (aggregate_admit(b->a,
				    &(struct aggregate_update){
					    .client = c,
					    .values = b->update[c],
					    .n = PARAMS,
					    .weight = 1 + c,
				    },
				    &err))
			die(&err);
	if (aggregate_finish(b->a, b->global, NULL, &err))
		die(&err);
	return cpu_s() - from;
}

static double copy_s(struct bench *b)
{
	const double from = cpu_s();

	for (int c = 0; c < CLIENTS; c++) {
		memcpy(b->copy, b->update[c], PARAMS * sizeof(float));
		__asm__ volatile("" ::"r"(b->copy) : "memory");
	}
	return cpu_s() - from;
}

static void run(struct bench *b, const char *rule, double seconds)
{
	struct aggregate_opts opts = AGGREGATE_OPTS;
	double ours = 0, copies = 0;
	struct err err;
	int rounds = 0;

	opts.byzantine = 2;
	if (aggregate_open(&b->a, rule, &opts, PARAMS, PARAMS, &err))
		die(&err);
	round_s(b);
	copy_s(b);
	while (ours < seconds) {
		ours += round_s(b);
		copies += copy_s(b);
		rounds++;
	}
	printf("aggregate_%s\tgfl\t%.3f\n", rule, gigabytes * rounds / ours);
	printf("aggregate_%s\tmemcpy\t%.3f\n", rule,
	       gigabytes * rounds / copies);
	aggregate_free(b->a);
}

int main(int argc, char **argv)
{
	static const char *const rules[] = {"fedavg", "fedadam", "median",
					    "trimmed", "krum"};
	struct bench b;

	if (argc != 2) {
		fputs("aggregate_bench SECONDS\n", stderr);
		return 2;
	}
	for (int c = 0; c < CLIENTS; c++)
		b.update[c] = values((uint64_t)c + 1);
	b.global = values(100);
	b.copy = values(101);
	for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
		run(&b, rules[k], atof(argv[1]));
	for (int c = 0; c < CLIENTS; c++)
		free(b.update[c]);
	free(b.global);
	free(b.copy);
	return 0;
}
