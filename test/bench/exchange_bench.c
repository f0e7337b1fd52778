/* exchange_bench - what an exchange costs each of its two sides in processor
 * time, the network apart: which values, taking them, the checksum, reading
 * the other's, mixing. Beside it a memcpy of the whole model, which is the
 * least that sending all of it could cost. Prints records, in ms.
 *
 *	exchange_bench SECONDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rand.h"
#include "fl/exchange.h"

enum { PARAMS = 1663370, FEW = 4 }; /* those of cnn */

struct side {
	struct exchange *e;
	float *x, *shared;
};

static void open_side(struct side *s, int64_t id)
{
	struct rand r = {(uint64_t)id};

	s->e = exchange_new(id);
	s->x = mem_zero(PARAMS, sizeof(*s->x));
	for (int i = 0; i < PARAMS; i++)
		s->x[i] = (float)rand_unit(&r) - 0.5F;
	s->shared = mem_dup(s->x, PARAMS * sizeof(*s->x));
}

static void close_side(struct side *s)
{
	exchange_free(s->e);
	free(s->x);
	free(s->shared);
}

static void begin(struct side *s, struct exchange_how how)
{
	if (how.shared)
		how.shared = s->shared;
	exchange_begin(s->e, 1, s->x, PARAMS, 1);
	exchange_by(s->e, &how);
}

static void expect(struct side *s, enum exchange_out_kind kind,
		   struct exchange_out *out)
{
	if (exchange_next(s->e, out) && out->kind == kind &&
	    (kind != EXCHANGE_DONE || out->outcome == EXCHANGE_MERGED))
		return;
	fprintf(stderr, "exchange_bench: no output of kind %d\n", kind);
	exit(1);
}

/* A whole exchange; a sends in even rounds, which these are. */
static void exchange(struct side *a, struct side *b, int64_t t, uint32_t c)
{
	struct exchange_round r = {
		.run = 1,
		.epoch = 1,
		.t = t,
		.seed = 9,
		.c = c,
		.deadline_ms = 1000,
		.weight = 0.5F,
	};
	struct exchange_out sent, answer, done;

	r.peer = 1;
	exchange_arrive(b->e, &r, 0);
	r.peer = 2;
	exchange_arrive(a->e, &r, 0);
	expect(a, EXCHANGE_SEND, &sent);
	exchange_request(b->e, &sent.message, 1, 0);
	expect(b, EXCHANGE_ANSWER, &answer);
	exchange_reply(a->e, &answer.message, 0);
	expect(a, EXCHANGE_DONE, &done);
	expect(b, EXCHANGE_DONE, &done);
}

static void report(const char *what, const char *whose, clock_t spent, int done)
{
	printf("%s\t%s\t%.4f\n", what, whose,
	       1e3 * (double)spent / CLOCKS_PER_SEC / done);
}

static void bench(const char *what, uint32_t c, struct exchange_how how,
		  double seconds)
{
	struct side a, b;
	clock_t from, spent = 0;
	int64_t t = 0;
	int done = 0;

	open_side(&a, 1);
	open_side(&b, 2);
	begin(&a, how);
	begin(&b, how);
	exchange(&a, &b, t += 2, c); /* makes room */
	from = clock();
	while ((double)spent < seconds * CLOCKS_PER_SEC) {
		for (int i = 0; i < FEW; i++)
			exchange(&a, &b, t += 2, c);
		done += 2 * FEW;
		spent = clock() - from;
	}
	report(what, "gfl", spent, done);
	close_side(&a);
	close_side(&b);
}

/* For all of the figures the same peer. */
static void dense(const char *const *names, double seconds)
{
	float *from = mem_zero(PARAMS, sizeof(*from));
	float *to = mem_zero(PARAMS, sizeof(*to));
	clock_t begun, spent = 0;
	int done = 0;

	memset(from, 1, PARAMS * sizeof(*from));
	memset(to, 2, PARAMS * sizeof(*to));
	begun = clock();
	while ((double)spent < seconds * CLOCKS_PER_SEC) {
		for (int i = 0; i < FEW; i++) {
			memcpy(to, from, PARAMS * sizeof(*to));
			__asm__ volatile("" : : "r"(to) : "memory");
		}
		done += FEW;
		spent = clock() - begun;
	}
	for (; *names; names++)
		report(*names, "memcpy", spent, done);
	free(from);
	free(to);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"exchange_ms_1",   "exchange_ms_10",  "exchange_ms_100",
		"exchange_bf16_1", "exchange_topk_1", "exchange_int8_1",
		"exchange_zstd_1", NULL};
	static float any;
	double seconds = argc == 2 ? atof(argv[1]) : 0;

	if (seconds <= 0) {
		fputs("exchange_bench SECONDS\n", stderr);
		return 2;
	}
	seconds /= 8;
	dense(names, seconds);
	bench(names[0], 100, (struct exchange_how){0}, seconds);
	bench(names[1], 10, (struct exchange_how){0}, seconds);
	bench(names[2], 1, (struct exchange_how){0}, seconds);
	bench(names[3], 100, (struct exchange_how){.dtype = PAYLOAD_BF16},
	      seconds);
	bench(names[4], 100,
	      (struct exchange_how){.topk = true, .shared = &any}, seconds);
	bench(names[5], 100, (struct exchange_how){.dtype = PAYLOAD_INT8},
	      seconds);
	bench(names[6], 100, (struct exchange_how){.codec = PAYLOAD_ZSTD},
	      seconds);
	return 0;
}
