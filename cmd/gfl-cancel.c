/* gfl-cancel - end tasks, also those that run. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/task.pb-c.h"
#include "task/reach.h"
#include "task/task.h"

struct config {
	struct reach reach;
	struct out_opts out;
	bool all;
};

static const struct opt opts[] = {
	OPT_REACH(struct config, reach),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_BOOL('a', "all", struct config, all,
		 "every task that has not ended, no ID"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-cancel",
	.args = "[ID]...",
	.brief = "end tasks, also those that run",
	.about = "What runs is stopped on its worker, with all that it "
		 "started. Tasks that come after a cancelled one are cancelled "
		 "with it. A task that has ended before is told of, and so is "
		 "one that there is not: the status is 1 then, or 6 if others "
		 "were cancelled. Prints what became of each with -o or -F.",
	.example = "gfl-cancel 7 8\n"
		   "gfl-cancel --all",
	.opts = opts,
};

static const struct out_col cols[] = {{"id", OUT_INT}, {"status", OUT_TEXT}};

static int parse_ids(char **words, Gfl__V1__CancelTasksRequest *in,
		     struct err *err)
{
	size_t cap = 0;

	for (; *words; words++) {
		int64_t id;

		if (!task_parse_id(*words, &id))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "'%s' is no id of a task", *words);
		in->ids = mem_grow(in->ids, &cap, in->n_ids + 1,
				   sizeof(*in->ids));
		in->ids[in->n_ids++] = id;
	}
	if (!in->n_ids == !in->all)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "ids of tasks or --all, one of them");
	return 0;
}

struct job {
	const struct config *cfg;
	struct out *out; /* or NULL: prints nothing */
	size_t good, bad;
};

static void take(struct job *j, const Gfl__V1__CancelVerdict *v)
{
	struct err err;

	if (j->out)
		out_row(j->out, out_int(v->id), out_text(v->state));
	if (!strcmp(v->state, "cancelled")) {
		j->good++;
		return;
	}
	j->bad++;
	if (!strcmp(v->state, "unknown"))
		err_set(&err, ERR_NOT_FOUND, "there is no task %" PRId64,
			v->id);
	else
		err_set(&err, ERR_ABORTED, "task %" PRId64 " is %s already",
			v->id, v->state);
	err_report(&prog, &err);
}

/* As many requests as it takes. */
static int cancel(struct job *j, const Gfl__V1__CancelTasksRequest *all,
		  struct err *err)
{
	Gfl__V1__CancelTasksRequest in = *all;
	Gfl__V1__CancelTasksResponse *out;
	size_t done = 0;

	do {
		size_t left = all->n_ids - done;

		in.n_ids = left < TASK_CANCEL_MAX ? left : TASK_CANCEL_MAX;
		in.ids = left ? all->ids + done : NULL;
		if (reach_call(&j->cfg->reach, RPC_TASK_CANCEL, &in.base,
			       (ProtobufCMessage **)&out, err))
			return (int)err->code;
		for (size_t i = 0; i < out->n_tasks; i++)
			take(j, out->tasks[i]);
		rpc_free(&out->base);
		done += in.n_ids;
	} while (done < all->n_ids);
	return 0;
}

static int run(struct job *j, char **words, struct err *err)
{
	const struct config *cfg = j->cfg;
	Gfl__V1__CancelTasksRequest in = GFL__V1__CANCEL_TASKS_REQUEST__INIT;
	struct err later;
	int rc;

	in.all = cfg->all;
	rc = parse_ids(words, &in, err);
	if (!rc && (cfg->out.format || cfg->out.fields))
		rc = out_begin(&j->out, &cfg->out, cols, 2, false, err);
	if (!rc)
		rc = cancel(j, &in, err);
	free(in.ids);
	if (!j->out)
		return rc;
	return out_end(j->out, rc ? &later : err) && !rc ? (int)err->code : rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct job j = {.cfg = &cfg};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), closed;

	if (run(&j, argv + rest, &err))
		return err_report(&prog, &err);
	closed = out_close(&prog);
	if (j.bad)
		return j.good ? EXIT_PARTLY : 1;
	return closed;
}
