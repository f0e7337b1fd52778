#include "task/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "task/task_json.h"
#include "task/task.h"
#include "wire/utf8.h"

enum { OUT_MAX = 1 << 20 };

int job_new(struct job **out, const Morphml__Distributed__EvaluateRequest *in,
	    struct err *err)
{
	char *text;
	struct job *j;

	if (!*in->task_id || strlen(in->task_id) > TASK_NAME_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "task_id has %zu bytes, not 1 to %d",
			       strlen(in->task_id), TASK_NAME_MAX);
	if (task_json_text(in, &text, err))
		return (int)err->code;
	j = mem_zero(1, sizeof(*j));
	j->task_id = mem_str(in->task_id);
	j->try = in->attempt;
	j->text = text;
	j->timeout_ms = in->timeout_ms > 0 ? in->timeout_ms : 0;
	j->gpu = in->has_gpu && in->config ? in->config->gpu_id : -1;
	*out = j;
	return 0;
}

void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->task_id);
	free(j->text);
	free(j->error);
	free(j->output);
	free(j);
}

char *job_text(const struct job *j)
{
	const char *how = j->state == JOB_OVER ? "=" : j->stopped ? "-" : "";

	return mem_fmt("%s/%d%s", j->task_id, j->try, how);
}

bool job_is(const struct job *j, const char *text)
{
	size_t len = strlen(j->task_id);

	if (strncmp(text, j->task_id, len) != 0)
		return false;
	return !text[len] ||
	       (text[len] == '/' && atoi(text + len + 1) == j->try);
}

static void fail(struct job *j, const struct err *err, const char *said)
{
	const char *more = said && strchr(said, '\n') ? said : "";
	struct buf text = BUF_INIT(0);

	utf8_put(&text, err->msg, strlen(err->msg));
	if (*more)
		buf_putc(&text, '\n');
	utf8_put(&text, more, strlen(more));
	free(j->error);
	j->error = mem_str(text.p);
	j->success = false;
	buf_release(&text);
}

void job_refuse(struct job *j, const struct err *err)
{
	struct err why = *err;

	err_wrap(&why, "the master refuses its result");
	fail(j, &why, NULL);
	free(j->output);
	j->output = NULL;
	j->final = j->refused = true;
}

static void ended(const struct err *err, const char *out, size_t len, void *arg)
{
	struct job *j = arg;
	struct err bad;

	j->duration_s = (double)(clock_us() - j->started_us) / 1e6;
	j->state = JOB_OVER;
	j->success = !err;
	if (err) {
		fail(j, err, process_said(j->process));
		j->final = err->code == ERR_RESOURCE_EXHAUSTED; /* it printed
								   too much */
	} else if (task_json_printed(out, len, &j->output, &bad)) {
		err_wrap(&bad, "the result");
		fail(j, &bad, process_said(j->process));
	}
	j->process = NULL;
	j->done(j, j->arg);
}

/* What a command that only looks at its environment wants to know. No name is
 * that of an option of ours, which the command may run. */
static void add_fields(struct facts *f, const char *text)
{
	static const struct {
		const char *name, *keys[2];
	} rows[] = {
		{"GFL_TASK_EPOCHS", {"num_epochs", "epochs"}},
		{"GFL_TASK_BATCH", {"batch_size", "batch"}},
		{"GFL_TASK_LR", {"learning_rate", "lr"}},
		{"GFL_TASK_DATASET", {"dataset", "dataset"}},
		{"GFL_TASK_SEED", {"seed", "seed"}},
	};
	json_t *all = json_loads(text, 0, NULL);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const json_t *v = json_object_get(all, rows[i].keys[0]);

		if (!v)
			v = json_object_get(all, rows[i].keys[1]);
		if (json_is_string(v))
			facts_add(f, rows[i].name, "%s", json_string_value(v));
		else if (json_is_number(v))
			facts_add(f, rows[i].name, "%.15g",
				  json_number_value(v));
	}
	json_decref(all);
}

static void add_facts(struct facts *f, const struct job *j, const char *worker)
{
	facts_add(f, "GFL_TASK_ID", "%s", j->task_id);
	facts_add(f, "GFL_TASK_TRY", "%d", j->try);
	facts_add(f, "GFL_TASK_WORKER", "%s", worker);
	if (j->timeout_ms)
		facts_add(f, "GFL_TASK_SECONDS", "%g",
			  (double)j->timeout_ms / 1000);
	if (j->gpu >= 0) {
		facts_add(f, "GFL_TASK_GPU", "%d", j->gpu);
		facts_add(f, "CUDA_VISIBLE_DEVICES", "%d", j->gpu);
	}
	add_fields(f, j->text);
}

int job_start(struct job *j, struct loop *loop, const struct job_opts *how,
	      job_done_fn *done, void *arg)
{
	struct facts facts = {0};
	struct process_opts opts = {
		.facts = &facts,
		.input = j->text,
		.len = strlen(j->text),
		.timeout_ms = j->timeout_ms,
		.grace_ms = how->grace_ms,
		.out_max = OUT_MAX,
		.works = true,
		.logged = true,
	};
	struct err err;
	int rc;

	add_facts(&facts, j, how->worker);
	j->done = done;
	j->arg = arg;
	j->started_us = clock_us();
	j->state = JOB_RUNNING;
	rc = process_start(&j->process, loop, how->command, &opts, ended, j,
			   &err);
	facts_release(&facts);
	if (rc) {
		j->state = JOB_OVER;
		fail(j, &err, NULL);
	}
	return rc;
}

void job_stop(struct job *j)
{
	j->stopped = true;
	if (j->process)
		process_stop(j->process);
}

void job_drop(struct job *j)
{
	process_drop(j->process);
	j->process = NULL;
}
