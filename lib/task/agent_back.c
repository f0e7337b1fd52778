/* What a worker was given and has not begun goes back: when the worker ends, and
 * when what it has begun takes so long that others would have done it. */
#include "base/mem.h"
#include "task/agent_impl.h"

enum { PATIENCE_MS = 1000 };

static void give_back(struct agent *a, struct job *j, const struct err *why)
{
	a->queued--;
	a->over++;
	j->state = JOB_OVER;
	j->returned = a->gfl;
	j->error = mem_str(why->msg);
	if (!j->call)
		return;
	call_fail(j->call, why);
	j->call = NULL;
	agent_drop_job(a, j);
}

void agent_hand_back(struct agent *a)
{
	struct job *j, *next;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "worker %s is stopping", a->config.id);
	for (j = TAILQ_FIRST(&a->jobs); j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (j->state == JOB_QUEUED)
			give_back(a, j, &err);
	}
}

/* A master of others, and who calls, have not given more than they know. */
static void on_patience(void *arg)
{
	struct agent *a = arg;
	struct job *j, *next;
	struct err err;

	timer_stop(&a->patience);
	err_set(&err, ERR_UNAVAILABLE, "worker %s is busy", a->config.id);
	for (j = TAILQ_FIRST(&a->jobs); a->gfl && j; j = next) {
		next = TAILQ_NEXT(j, next);
		if (j->state == JOB_QUEUED && !j->call)
			give_back(a, j, &err);
	}
	agent_bring(a);
}

void agent_watch_queue(struct agent *a)
{
	if (a->queued && !a->patience.h)
		timer_set(&a->patience, a->loop, PATIENCE_MS, on_patience, a);
}
