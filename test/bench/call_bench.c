/* call_bench - our client of server_bench, for calls.sh:
 *
 *	call_bench echo SECONDS BYTES PORT	ms per call of so many bytes
 *	call_bench fan SECONDS BYTES PORT...	ms until all of them have
 *answered
 *
 * Prints the median of the calls, which go one after the other, their number
 * and the seconds of processor time that this program needed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proto/trainer.pb-c.h"
#include "wire/client.h"

enum { MAX = 1000000 };

struct bench {
	struct loop *loop;
	struct client *client;
	char **urls;
	int n, left;
	Gfl__V1__ExchangeRequest in;
	int64_t began_us, end_us;
	double *ms;
	int rounds;
};

static void begin(struct bench *b);

static void done(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__ExchangeResponse *got =
		(const Gfl__V1__ExchangeResponse *)out;
	struct bench *b = arg;

	if (err || got->values.len != b->in.values.len) {
		fprintf(stderr, "call_bench: %s\n", err ? err->msg : "length");
		exit(1);
	}
	if (--b->left)
		return;
	b->ms[b->rounds++] = (double)(clock_us() - b->began_us) / 1e3;
	if (clock_us() < b->end_us && b->rounds < MAX)
		begin(b);
	else
		loop_stop(b->loop);
}

static void begin(struct bench *b)
{
	const struct rpc_opts opts = {.timeout_ms = 30000};

	b->left = b->n;
	b->began_us = clock_us();
	for (int i = 0; i < b->n; i++)
		client_call(b->client, b->urls[i], RPC_TRAINER_EXCHANGE,
			    &b->in.base, &opts, done, b);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct bench b = {.in = GFL__V1__EXCHANGE_REQUEST__INIT};
	struct err err;

	if (argc < 5)
		return 2;
	mem_bulk(); /* as the trainer */
	b.n = strcmp(argv[1], "echo") ? argc - 4 : 1;
	b.urls = mem_zero((size_t)b.n, sizeof(*b.urls));
	for (int i = 0; i < b.n; i++)
		b.urls[i] = mem_fmt("http://127.0.0.1:%s", argv[4 + i]);
	b.in.values.len = (size_t)atoi(argv[3]);
	b.in.values.data = mem_zero(1, b.in.values.len + 1);
	b.ms = mem_zero(MAX, sizeof(*b.ms));
	if (loop_open(&b.loop, &err) ||
	    client_open(&b.client, b.loop, NULL, &err)) {
		fprintf(stderr, "call_bench: %s\n", err.msg);
		return 1;
	}
	b.end_us = clock_us() + (int64_t)(atof(argv[2]) * 1e6);
	begin(&b);
	loop_run(b.loop);
	qsort(b.ms, (size_t)b.rounds, sizeof(*b.ms), ascending);
	printf("%g %d %g\n", b.ms[b.rounds / 2], b.rounds,
	       (double)clock() / CLOCKS_PER_SEC);
	return 0;
}
