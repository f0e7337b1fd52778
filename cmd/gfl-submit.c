/* gfl-submit - tasks in as JSON Lines, results out as JSON Lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/out.h"
#include "task/rows.h"
#include "task/submit.h"
#include "task/task.h"

struct config {
	struct reach reach;
	struct out_opts out;
	bool wait, gpu;
	const char *token, *affinity;
	int priority, retries;
	int64_t task_timeout_ms, max_inflight;
	struct opt_list after;
};

static const struct opt opts[] = {
	OPT_REACH(struct config, reach),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_BOOL('w', "wait", struct config, wait,
		 "print the results, in the order in which the tasks end"),
	OPT_STRING(0, "token", struct config, token, "TEXT", NULL,
		   "names this submission: the same again submits nothing new"),
	OPT_INT(0, "priority", struct config, priority, "N", "0", -1000000,
		1000000, "a task of a higher one goes first"),
	OPT_INT(0, "retries", struct config, retries, "N", "3", 0, 999,
		"try again so often what fails"),
	OPT_SECONDS(0, "task-timeout", struct config, task_timeout_ms, "3600",
		    "a try that takes longer has failed", .min = 1,
		    .max = 365LL * 86400 * 1000),
	OPT_LIST(0, "after", struct config, after, "ID[,ID...]", NULL,
		 "begin once these tasks are done"),
	OPT_BOOL(0, "gpu", struct config, gpu, "only on workers with a GPU"),
	OPT_STRING(0, "affinity", struct config, affinity, "TEXT", NULL,
		   "tasks of the same go to one worker, if they can"),
	OPT_INT64(0, "max-inflight", struct config, max_inflight, "N", "0", 0,
		  INT64_MAX, "at most so many have not ended; 0: any"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-submit",
	.args = "[FILE]",
	.brief = "give tasks to the master, and print what comes of them",
	.about =
		"Reads a JSON object per line, of at most 1 MiB, from standard "
		"input without FILE. Each is a task: a worker gets it as it "
		"is. What the "
		"queue is to know may stand in its \"gfl\", which the worker "
		"does not see: name, after (ids, or names of earlier lines), "
		"priority, retries, timeout_s, gpu, affinity. Prints the id of "
		"each task once it is queued for good; with --wait instead "
		"what came of each: its numbers beside id, status (done, "
		"failed or "
		"cancelled), worker, duration_s, error and the task; -F takes "
		"their names too (-F id,accuracy); on a terminal name and task "
		"are left out, so that the numbers are seen. Each line "
		"is queued once, also when the master is killed and started "
		"again meanwhile; it may be away for --timeout. Says on "
		"standard error why nothing comes. Interrupted, "
		"it leaves its tasks where they are: gfl-cancel ends them, and "
		"the same lines with the same --token --wait have the results. "
		"Exits 1 if every task failed, 6 if some did or some lines are "
		"no tasks.",
	.example = "jq -nc '{lr:(0.1,0.05),batch:(16,32)}' | gfl-submit --wait "
		   "-o jsonl | jq -sc 'max_by(.accuracy)'\n"
		   "gfl-submit --wait -F accuracy,task <settings.jsonl | sort "
		   "-rg | head -3\n"
		   "gfl-submit tasks.jsonl --token search-1 --max-inflight 100",
	.opts = opts,
};

static const struct out_col id_cols[] = {{"id", OUT_INT}};

struct job {
	const struct config *cfg;
	struct out *out;
	int bad; /* exit status of the first line that is no task, or 0 */
	int64_t good, failed;
};

static void on_bad(const struct err *err, void *arg)
{
	struct job *j = arg;
	int status = err_report(&prog, err);

	j->bad = j->bad ? j->bad : status;
}

static int on_queued(const int64_t *ids, size_t n, void *arg, struct err *err)
{
	struct job *j = arg;

	for (size_t i = 0; i < n; i++)
		out_row(j->out, out_int(ids[i]));
	j->good += (int64_t)n;
	return out_flush(j->out, err);
}

static int on_ended(const Gfl__V1__Task *t, void *arg, struct err *err)
{
	struct job *j = arg;
	bool done = t->state[0] == 'd';

	j->good += done;
	j->failed += !done;
	rows_put_result(j->out, t);
	return out_flush(j->out, err);
}

static void on_silence(const char *why, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s: waiting for %s\n", prog.name, why);
}

static int parse_after(const struct config *cfg, int64_t *ids, struct err *err)
{
	for (size_t i = 0; i < cfg->after.n; i++)
		if (!task_parse_id(cfg->after.at[i], &ids[i]))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "--after: '%s' is no id of a task",
				       cfg->after.at[i]);
	return 0;
}

static int submit(struct job *j, const char *path, const int64_t *after,
		  struct err *err)
{
	const struct config *cfg = j->cfg;
	const struct submit_hooks hooks = {on_bad, on_queued, on_ended,
					   on_silence, j};
	const struct submit_opts o = {
		.reach = &cfg->reach,
		.line = {cfg->priority, cfg->retries, cfg->task_timeout_ms,
			 cfg->gpu, cfg->affinity, after, cfg->after.n},
		.token = cfg->token,
		.wait = cfg->wait,
		.max_inflight = cfg->max_inflight,
		.path = path,
	};
	int rc = submit_run(&o, &hooks, err);

	return rc ? err_wrap(err, "submit to %s", reach_url(&cfg->reach)) : 0;
}

static int run(struct job *j, const char *path, struct err *err)
{
	const struct config *cfg = j->cfg;
	int64_t after[OPT_LIST_MAX];
	struct out_opts how = cfg->out;
	struct err later;
	int rc;

	if (parse_after(cfg, after, err))
		return (int)err->code;
	if (!how.format && !how.fields && isatty(STDOUT_FILENO))
		how.fields = "id,status,worker,duration_s,error,result";
	if (cfg->wait)
		rc = out_begin(&j->out, &how, rows_result, ROWS_RESULT, true,
			       err);
	else
		rc = out_begin(&j->out, &cfg->out, id_cols, 1, false, err);
	if (rc)
		return rc;
	rc = submit(j, path, after, err);
	return out_end(j->out, rc ? &later : err) && !rc ? (int)err->code : rc;
}

static int status_of(const struct job *j)
{
	if (!j->failed)
		return j->bad && j->good ? EXIT_PARTLY : j->bad;
	return j->good || j->bad ? EXIT_PARTLY : 1;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct job j = {.cfg = &cfg};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), closed;

	if (run(&j, opt_arg(argc, argv, rest, "-"), &err))
		return err_report(&prog, &err);
	closed = out_close(&prog);
	return closed ? closed : status_of(&j);
}
