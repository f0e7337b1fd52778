/* task_bench - pull workers that have nothing to compute, for tasks.sh:
 *
 *	task_bench WORKERS PORT
 *
 * Each asks the master for tasks, brings the results of all that it got in one
 * call, and asks again, until the process is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "proto/master.pb-c.h"
#include "wire/client.h"

enum { TIMEOUT_MS = 30000, HOLD_MS = 20000, AHEAD = 64 };

struct hand {
	struct client *client; /* its own, so that it has its own connection */
	const char *url;
	char *id, instance[STR_ID];
};

static const struct rpc_opts opts = {.timeout_ms = TIMEOUT_MS};

static void need(const struct err *err)
{
	if (!err)
		return;
	fprintf(stderr, "task_bench: %s\n", err->msg);
	exit(1);
}

static void ask(struct hand *h);

static void brought(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	(void)out;
	need(err);
	ask(arg);
}

static void bring(struct hand *h,
		  const Morphml__Distributed__TaskResponse *tasks)
{
	size_t n = tasks->n_tasks;
	Morphml__Distributed__ResultRequest *all = mem_zero(n, sizeof(*all));
	Morphml__Distributed__ResultRequest **more = mem_zero(n, sizeof(*more));

	for (size_t i = 0; i < n; i++) {
		morphml__distributed__result_request__init(&all[i]);
		all[i].task_id = tasks->tasks[i]->task_id;
		all[i].attempt = tasks->tasks[i]->attempt;
		all[i].worker_id = h->id;
		all[i].success = true;
		all[i].duration = 1e-5;
		more[i] = &all[i];
	}
	all[0].more = more + 1;
	all[0].n_more = n - 1;
	client_call(h->client, h->url, RPC_MASTER_SUBMIT_RESULT, &all[0].base,
		    &opts, brought, h);
	free(more);
	free(all);
}

static void asked(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Morphml__Distributed__TaskResponse *out =
		(const Morphml__Distributed__TaskResponse *)msg;

	need(err);
	if (out->n_tasks)
		bring(arg, out);
	else
		ask(arg);
}

static void ask(struct hand *h)
{
	Morphml__Distributed__TaskRequest in =
		MORPHML__DISTRIBUTED__TASK_REQUEST__INIT;

	in.worker_id = h->id;
	in.instance = h->instance;
	in.max_tasks = AHEAD;
	in.wait_ms = HOLD_MS;
	client_call(h->client, h->url, RPC_MASTER_REQUEST_TASK, &in.base, &opts,
		    asked, h);
}

static void registered(const struct err *err, const ProtobufCMessage *msg,
		       void *arg)
{
	(void)msg;
	need(err);
	ask(arg);
}

int main(int argc, char **argv)
{
	struct loop *loop;
	struct err err;

	if (argc < 3)
		return 2;
	need(loop_open(&loop, &err) ? &err : NULL);
	for (int i = 0; i < atoi(argv[1]); i++) {
		Morphml__Distributed__RegisterRequest in =
			MORPHML__DISTRIBUTED__REGISTER_REQUEST__INIT;
		struct hand *h = mem_zero(1, sizeof(*h));

		need(client_open(&h->client, loop, NULL, &err) ? &err : NULL);
		h->url = mem_fmt("http://127.0.0.1:%s", argv[2]);
		h->id = mem_fmt("hand%d", i);
		str_new_id(h->instance);
		in.worker_id = h->id;
		in.instance = h->instance;
		client_call(h->client, h->url, RPC_MASTER_REGISTER_WORKER,
			    &in.base, &opts, registered, h);
	}
	loop_run(loop);
	return 0;
}
