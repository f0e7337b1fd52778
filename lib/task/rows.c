#include "task/rows.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "wire/rpc.h"

static const char *or_none(const char *s)
{
	return *s ? s : NULL;
}

/* ---- results ---- */

const struct out_col rows_result[ROWS_RESULT] = {
	{"id", OUT_INT},      {"status", OUT_TEXT},     {"name", OUT_TEXT},
	{"worker", OUT_TEXT}, {"duration_s", OUT_REAL}, {"error", OUT_TEXT},
	{"task", OUT_JSON},   {"result", OUT_SPREAD},
};

/* A count is written as one, not as 3.0. */
static json_t *number(double v)
{
	return v == rint(v) && fabs(v) < 1e15 ? json_integer((json_int_t)v)
					      : json_real(v);
}

char *rows_result_of(const Gfl__V1__Task *t)
{
	json_t *all = json_object();
	json_t *printed = json_loads(t->output, 0, NULL);
	char *text;

	for (size_t i = 0; i < t->n_metrics; i++)
		json_object_set_new(all, t->metrics[i]->key,
				    number(t->metrics[i]->value));
	if (t->n_metrics)
		json_object_del(printed, "metrics");
	json_object_update_missing(all, printed);
	text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(printed);
	json_decref(all);
	return text;
}

void rows_put_result(struct out *o, const Gfl__V1__Task *t)
{
	char *result = rows_result_of(t);

	out_row(o, out_int(t->id), out_text(t->state),
		out_text(or_none(t->name)), out_text(or_none(t->worker)),
		out_real(t->duration_s), out_text(or_none(t->error)),
		out_json(t->task), out_spread(result));
	free(result);
}

/* ---- tasks ---- */

static const struct out_col task_cols[] = {
	{"id", OUT_INT},          {"name", OUT_TEXT},
	{"status", OUT_TEXT},     {"worker", OUT_TEXT},
	{"tries", OUT_INT},       {"priority", OUT_INT},
	{"duration_s", OUT_REAL}, {"submitted", OUT_TIME},
	{"started", OUT_TIME},    {"ended", OUT_TIME},
	{"gpu", OUT_BOOL},        {"affinity", OUT_TEXT},
	{"error", OUT_WORDS},     {"task", OUT_JSON},
	{"result", OUT_SPREAD},
};

enum { TASK_COLS = sizeof(task_cols) / sizeof(task_cols[0]) };

static void put_task(struct out *o, const Gfl__V1__Task *t)
{
	char *result = rows_result_of(t);

	out_row(o, out_int(t->id), out_text(or_none(t->name)),
		out_text(t->state), out_text(or_none(t->worker)),
		out_int(t->tries), out_int(t->priority),
		t->ended ? out_real(t->duration_s) : out_none(),
		out_time(t->submitted_ms), out_time(t->started_ms),
		out_time(t->ended_ms), out_bool(t->gpu),
		out_text(or_none(t->affinity)), out_text(or_none(t->error)),
		out_json(t->task), out_spread(result));
	free(result);
}

int rows_tasks(const struct reach *r, const struct out_opts *out,
	       struct err *err)
{
	Gfl__V1__ListTasksRequest in = GFL__V1__LIST_TASKS_REQUEST__INIT;
	Gfl__V1__ListTasksResponse *some;
	struct out *o = NULL;
	struct err later;
	int rc;

	do {
		rc = reach_call(r, RPC_TASK_LIST, &in.base,
				(ProtobufCMessage **)&some, err);
		if (!rc && !o)
			rc = out_begin(&o, out, task_cols, TASK_COLS, false,
				       err);
		if (rc)
			break;
		for (size_t i = 0; i < some->n_tasks; i++)
			put_task(o, some->tasks[i]);
		in.after = some->after;
		rpc_free(&some->base);
	} while (in.after);
	if (!o)
		return rc;
	return out_end(o, rc ? &later : err) && !rc ? (int)err->code : rc;
}

/* ---- workers ---- */

static const struct out_col worker_cols[] = {
	{"id", OUT_TEXT},
	{"status", OUT_TEXT},
	{"mode", OUT_TEXT},
	{"running", OUT_INT},
	{"slots", OUT_INT},
	{"done", OUT_INT},
	{"failed", OUT_INT},
	{"mean_s", OUT_REAL},
	{"breaker", OUT_TEXT},
	{"cpu_percent", OUT_REAL},
	{"memory_percent", OUT_REAL},
	{"gpus", OUT_INT},
	{"gpu_percent", OUT_REAL},
	{"gpu_memory_percent", OUT_REAL},
	{"last_seen", OUT_TIME},
	{"url", OUT_TEXT},
};

enum { WORKER_COLS = sizeof(worker_cols) / sizeof(worker_cols[0]) };

/* What is measured is no more exact than that. */
static struct out_cell percent(double v)
{
	return out_real(round(v * 10) / 10);
}

static void put_worker(struct out *o, const Gfl__V1__Worker *w)
{
	out_row(o, out_text(w->id), out_text(w->status), out_text(w->mode),
		out_int(w->running), out_int(w->slots), out_int(w->done),
		out_int(w->failed),
		w->mean_s > 0 ? out_real(w->mean_s) : out_none(),
		out_text(w->breaker), percent(w->cpu), percent(w->memory),
		out_int(w->gpus), w->gpus ? percent(w->gpu) : out_none(),
		w->gpus ? percent(w->gpu_memory) : out_none(),
		out_time(w->seen_ms), out_text(or_none(w->url)));
}

int rows_workers(const struct reach *r, const struct out_opts *out,
		 struct err *err)
{
	Gfl__V1__ListWorkersRequest in = GFL__V1__LIST_WORKERS_REQUEST__INIT;
	Gfl__V1__ListWorkersResponse *all;
	struct out *o;

	if (reach_call(r, RPC_TASK_LIST_WORKERS, &in.base,
		       (ProtobufCMessage **)&all, err))
		return (int)err->code;
	if (out_begin(&o, out, worker_cols, WORKER_COLS, false, err)) {
		rpc_free(&all->base);
		return (int)err->code;
	}
	for (size_t i = 0; i < all->n_workers; i++)
		put_worker(o, all->workers[i]);
	rpc_free(&all->base);
	return out_end(o, err);
}
