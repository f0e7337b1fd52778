#include "fl/first.h"

#include <stdlib.h>

#include "fl/exec.h"
#include "nn/checkpoint.h"
#include "plan/hyper.h"

enum { GRACE_MS = 10000, REASON_MAX = 700 };

static int begin(struct exec *x, struct learner *l, struct tensors *ts,
		 struct err *err)
{
	/* a program may look at them before it sees that there are no steps */
	const struct learner_steps none = {.batch = 1, .lr = 1};
	char *why;

	if (!exec_begin(l, &none, err)) {
		checkpoint_put(ts, l->model, "", l->params);
		return 0;
	}
	why = exec_reason(x, "the first model", err, REASON_MAX);
	err_set(err, err->code, "%s", why);
	free(why);
	return (int)err->code;
}

static int make(struct exec *x, const struct exec_run *run, struct tensors *ts,
		struct err *err)
{
	struct learner *l;
	int rc;

	for (size_t i = 0; i < run->nhyper; i++)
		if (!hyper_ok(run->hyper[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "--hp %s: expected " HYPER_WANTED,
				       run->hyper[i]);
	if (exec_learner(&l, x, run, err))
		return (int)err->code;
	rc = begin(x, l, ts, err);
	learner_free(l);
	return rc;
}

int first_model(struct tensors *ts, const struct first_opts *opts,
		struct err *err)
{
	const struct exec_opts how = {
		.command = opts->command,
		.data = opts->data,
		.threads = 1,
		.task_ms = opts->task_ms,
		.ready_ms = opts->task_ms,
		.grace_ms = GRACE_MS,
	};
	char *hyper[OPT_PAIRS_MAX];
	const struct exec_run run = {
		.run_seed = opts->seed,
		.own_seed = opts->seed,
		.model = EXEC_MODEL,
		.hyper = hyper,
		.nhyper = opts->hyper->n,
	};
	struct exec *x;
	int rc = exec_open(&x, &how, opts->beside, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < run.nhyper; i++)
		hyper[i] = hyper_of(opts->hyper->at[i].name,
				    opts->hyper->at[i].text);
	rc = make(x, &run, ts, err);
	for (size_t i = 0; i < run.nhyper; i++)
		free(hyper[i]);
	exec_close(x);
	return rc;
}
