#include "task/agent_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/task_json.h"

enum {
	QUEUED_MAX = 10000,
	PAUSE_MS = 200, /* before the master is called again; doubles */
	PAUSE_MAX_MS = 5000,
};

const char *agent_master(const struct agent *a)
{
	return a->config.masters[a->at % a->config.n_masters];
}

/* ---- jobs ---- */

static void count(struct agent *a, enum job_state state, int by)
{
	if (state == JOB_QUEUED)
		a->queued += by;
	else if (state == JOB_RUNNING)
		a->running += by;
	else
		a->over += by;
}

void agent_drop_job(struct agent *a, struct job *j)
{
	count(a, j->state, -1);
	TAILQ_REMOVE(&a->jobs, j, next);
	job_free(j);
}

/* The caller has what came of it. */
static void answer_call(struct agent *a, struct job *j)
{
	Morphml__Distributed__EvaluateResponse out =
		MORPHML__DISTRIBUTED__EVALUATE_RESPONSE__INIT;
	struct call *call = j->call;

	j->call = NULL;
	out.task_id = j->task_id;
	out.success = j->success;
	out.duration = j->duration_s;
	out.error = j->error ? j->error : (char *)"";
	out.output = j->output ? j->output : (char *)"";
	task_json_numbers(out.output, (task_json_metric ***)&out.metrics,
			  &out.n_metrics);
	call_reply(call, &out.base);
	task_json_free_numbers((task_json_metric **)out.metrics, out.n_metrics);
	agent_drop_job(a, j);
}

/* It has a result, which goes to the caller, to the master, or to nobody. */
static void over(struct job *j, void *arg)
{
	struct agent *a = arg;

	a->running--;
	a->over++;
	a->completed += j->success;
	a->failed += !j->success;
	if (j->success)
		log_info("task_done", "task=%s try=%d duration_s=%.3f",
			 j->task_id, j->try, j->duration_s);
	else
		log_info("task_failed",
			 "task=%s try=%d duration_s=%.3f error=%s", j->task_id,
			 j->try, j->duration_s, j->error);
	if (j->call)
		answer_call(a, j);
	else if (!a->config.n_masters || j->orphan)
		agent_drop_job(a, j);
	agent_go_on(a);
}

static void begin(struct agent *a, struct job *j)
{
	const struct job_opts how = {a->config.command, a->config.id,
				     a->config.grace_ms};

	a->queued--;
	a->running++;
	timer_stop(&a->patience);
	if (job_start(j, a->loop, &how, over, a))
		over(j, a);
}

static struct job *next_queued(const struct agent *a)
{
	struct job *j;

	TAILQ_FOREACH (j, &a->jobs, next)
		if (j->state == JOB_QUEUED)
			return j;
	return NULL;
}

void agent_go_on(struct agent *a)
{
	struct job *j;

	while (!a->stopping && a->queued && a->running < a->config.slots &&
	       (j = next_queued(a)))
		begin(a, j);
	if (!a->config.n_masters) {
		if (a->stopping && TAILQ_EMPTY(&a->jobs))
			agent_end(a);
		return;
	}
	agent_watch_queue(a);
	agent_bring(a);
	agent_ask(a);
	if (a->stopping && TAILQ_EMPTY(&a->jobs))
		agent_leave(a);
}

int agent_take(struct agent *a, const Morphml__Distributed__EvaluateRequest *in,
	       struct call *call, struct err *err)
{
	struct job *j, *other;

	if (a->stopping)
		return err_set(err, ERR_UNAVAILABLE, "worker %s is stopping",
			       a->config.id);
	if (a->queued >= QUEUED_MAX)
		return err_full(err, "worker %s has %d tasks that wait",
				a->config.id, a->queued);
	if (job_new(&j, in, err))
		return (int)err->code;
	TAILQ_FOREACH (other, &a->jobs, next)
		if (!other->orphan && !strcmp(other->task_id, j->task_id) &&
		    other->try == j->try) {
			job_free(j);
			return err_set(err, ERR_ALREADY_EXISTS,
				       "worker %s has task %s already",
				       a->config.id, other->task_id);
		}
	j->call = call;
	TAILQ_INSERT_TAIL(&a->jobs, j, next);
	a->queued++;
	return 0;
}

/* One that was not begun has its result at once. */
static void stop_job(struct agent *a, struct job *j)
{
	if (j->state == JOB_RUNNING) {
		job_stop(j);
	} else if (j->state == JOB_QUEUED) {
		j->stopped = true;
		j->state = JOB_OVER;
		j->error = mem_str("it was stopped before it began");
		a->queued--;
		a->over++;
		if (j->call)
			answer_call(a, j);
	}
}

void agent_orphan(struct agent *a, struct job *j)
{
	j->orphan = true;
	if (j->state != JOB_RUNNING) {
		agent_drop_job(a, j);
		return;
	}
	log_info("task_stopped", "task=%s try=%d reason=%s", j->task_id, j->try,
		 "nobody waits for it");
	job_stop(j);
}

void agent_belong(struct agent *a, const char *master_id)
{
	const char *now = a->gfl ? master_id : agent_master(a);
	bool same = a->whose && !strcmp(a->whose, now);
	struct job *j, *next;

	if (same)
		return;
	remote_cancel(a->bringing);
	a->bringing = NULL;
	for (j = TAILQ_FIRST(&a->jobs); a->whose && j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (!j->call && !j->orphan)
			agent_orphan(a, j);
	}
	free(a->whose);
	a->whose = mem_str(now);
}

bool agent_cancel(struct agent *a, const char *text)
{
	struct job *j, *next;
	bool any = false;

	for (j = TAILQ_FIRST(&a->jobs); j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (!job_is(j, text) || j->stopped)
			continue;
		log_info("task_stopped", "task=%s try=%d", j->task_id, j->try);
		any = true;
		stop_job(a, j);
	}
	return any;
}

/* ---- what it says of itself ---- */

char **agent_holding(const struct agent *a, size_t *n)
{
	size_t most = (size_t)(a->queued + a->running + a->over);
	char **all = mem_zero(most, sizeof(*all));
	const struct job *j;

	*n = 0;
	TAILQ_FOREACH (j, &a->jobs, next)
		if (!j->orphan)
			all[(*n)++] = job_text(j);
	return all;
}

const char *agent_status(const struct agent *a)
{
	return a->running || a->queued ? "busy" : "idle";
}

const char *agent_current(const struct agent *a)
{
	const struct job *j;

	TAILQ_FOREACH (j, &a->jobs, next)
		if (j->state == JOB_RUNNING)
			return j->task_id;
	return "";
}

void agent_metrics(const struct agent *a,
		   Morphml__Distributed__WorkerMetrics *out)
{
	const struct machine_metrics *m = machine_look(a->machine);

	morphml__distributed__worker_metrics__init(out);
	out->cpu_usage = m->cpu;
	out->memory_usage = m->memory;
	out->gpu_usage = m->gpu;
	out->gpu_memory = m->gpu_memory;
	out->tasks_completed = a->completed;
	out->tasks_failed = a->failed;
}

static void metrics(struct buf *text, void *arg)
{
	const struct agent *a = arg;
	const struct machine_metrics *m = machine_look(a->machine);

	buf_putf(text,
		 "# TYPE gfl_worker_tasks gauge\n"
		 "gfl_worker_tasks{state=\"queued\"} %d\n"
		 "gfl_worker_tasks{state=\"running\"} %d\n"
		 "# TYPE gfl_worker_tasks_total counter\n"
		 "gfl_worker_tasks_total{outcome=\"done\"} %d\n"
		 "gfl_worker_tasks_total{outcome=\"failed\"} %d\n"
		 "# TYPE gfl_worker_usage_percent gauge\n"
		 "gfl_worker_usage_percent{of=\"cpu\"} %.1f\n"
		 "gfl_worker_usage_percent{of=\"memory\"} %.1f\n"
		 "gfl_worker_usage_percent{of=\"gpu\"} %.1f\n"
		 "gfl_worker_usage_percent{of=\"gpu_memory\"} %.1f\n",
		 a->queued, a->running, (int)a->completed, (int)a->failed,
		 m->cpu, m->memory, m->gpu, m->gpu_memory);
}

/* ---- the whole ---- */

int agent_open(struct agent **out, struct loop *loop, struct server *s,
	       struct client *client, const struct agent_config *config,
	       loop_fn *ended, void *arg, struct err *err)
{
	struct agent *a = mem_zero(1, sizeof(*a));

	(void)err;
	a->loop = loop;
	a->server = s;
	a->remotes.client = client;
	a->config = *config;
	a->on_ended = ended;
	a->arg = arg;
	a->started_ms = clock_ms();
	a->rand.state = rand_id();
	a->pause = (struct backoff){PAUSE_MS, PAUSE_MAX_MS, 0};
	a->bring_pause = a->pause;
	str_new_id(a->instance);
	TAILQ_INIT(&a->jobs);
	machine_open(&a->machine, loop, config->beat_ms, config->no_gpu);
	agent_serve(a);
	server_metrics(s, metrics, a);
	if (config->n_masters)
		agent_register(a);
	*out = a;
	return 0;
}

void agent_end(struct agent *a)
{
	if (a->ended)
		return;
	a->ended = true;
	a->on_ended(a->arg);
}

void agent_stop(struct agent *a)
{
	if (a->stopping)
		return;
	a->stopping = true;
	log_info("leaving", "running=%d", a->running);
	remote_cancel(a->asking);
	a->asking = NULL;
	agent_hand_back(a);
	if (!a->known && TAILQ_EMPTY(&a->jobs))
		agent_end(a);
	else
		agent_go_on(a);
}

const struct err *agent_failed(const struct agent *a)
{
	return a->error.code ? &a->error : NULL;
}

void agent_close(struct agent *a)
{
	struct job *j;

	if (!a)
		return;
	agent_release_master(a);
	timer_stop(&a->patience);
	while ((j = TAILQ_FIRST(&a->jobs))) {
		job_drop(j);
		agent_drop_job(a, j);
	}
	machine_close(a->machine);
	free(a->whose);
	free(a);
}
