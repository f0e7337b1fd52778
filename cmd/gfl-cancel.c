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

static int print(const struct config *cfg,
		 const Gfl__V1__CancelTasksResponse *out, struct err *err)
{
	struct out *o;

	if (!cfg->out.format && !cfg->out.fields)
		return 0;
	if (out_begin(&o, &cfg->out, cols, 2, false, err))
		return (int)err->code;
	for (size_t i = 0; i < out->n_tasks; i++)
		out_row(o, out_int(out->tasks[i]->id),
			out_text(out->tasks[i]->state));
	return out_end(o, err);
}

static int status_of(const Gfl__V1__CancelTasksResponse *out)
{
	size_t good = 0;
	struct err err;

	for (size_t i = 0; i < out->n_tasks; i++) {
		const Gfl__V1__CancelVerdict *v = out->tasks[i];

		if (!strcmp(v->state, "cancelled")) {
			good++;
			continue;
		}
		if (!strcmp(v->state, "unknown"))
			err_set(&err, ERR_NOT_FOUND,
				"there is no task %" PRId64, v->id);
		else
			err_set(&err, ERR_ABORTED,
				"task %" PRId64 " is %s already", v->id,
				v->state);
		err_report(&prog, &err);
	}
	if (good == out->n_tasks)
		return 0;
	return good ? EXIT_PARTLY : 1;
}

static int run(const struct config *cfg, char **words, int *status,
	       struct err *err)
{
	Gfl__V1__CancelTasksRequest in = GFL__V1__CANCEL_TASKS_REQUEST__INIT;
	Gfl__V1__CancelTasksResponse *out;
	int rc;

	in.all = cfg->all;
	rc = parse_ids(words, &in, err);
	if (!rc)
		rc = reach_call(&cfg->reach, RPC_TASK_CANCEL, &in.base,
				(ProtobufCMessage **)&out, err);
	free(in.ids);
	if (rc)
		return rc;
	*status = status_of(out);
	rc = print(cfg, out, err);
	rpc_free(&out->base);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), status = 0, closed;

	if (run(&cfg, argv + rest, &status, &err))
		return err_report(&prog, &err);
	closed = out_close(&prog);
	return status ? status : closed;
}
