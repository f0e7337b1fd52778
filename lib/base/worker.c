#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"

enum { LOOKS = 8 }; /* in vain, before a job is taken for stuck */

struct job {
	STAILQ_ENTRY(job) next;
	worker_fn *work, *done;
	void *arg;
};
STAILQ_HEAD(jobs, job);

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* over todo, finished, closing, beats */
	pthread_cond_t wake;
	struct jobs todo, finished;
	bool closing;
	uint64_t beats; /* odd: a job is under way */

	/* Of the worker, once it runs. */
	worker_fn *begin, *end;
	void *batch_arg;

	/* Of the loop's thread. */
	uv_async_t async; /* something is finished */
	size_t pending, max;
	struct loop *loop;
	char name[16];
	struct timer watch;
	int64_t stuck_ms;
	uint64_t seen; /* beats at the last look */
	int same;      /* looks that have seen no other */
};

static __thread struct worker *mine; /* whose thread this is */

static void add_beats(struct worker *w, uint64_t n)
{
	pthread_mutex_lock(&w->lock);
	w->beats += n;
	pthread_mutex_unlock(&w->lock);
}

void worker_beat(void)
{
	if (mine)
		add_beats(mine, 2);
}

/* Wait for jobs and move all of them to batch; false when there are none and
 * there will be none. */
static bool take_batch(struct worker *w, struct jobs *batch)
{
	bool some;

	pthread_mutex_lock(&w->lock);
	while (STAILQ_EMPTY(&w->todo) && !w->closing)
		pthread_cond_wait(&w->wake, &w->lock);
	STAILQ_CONCAT(batch, &w->todo);
	some = !STAILQ_EMPTY(batch);
	pthread_mutex_unlock(&w->lock);
	return some;
}

static void hand_back(struct worker *w, struct jobs *some)
{
	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&w->finished, some);
	pthread_mutex_unlock(&w->lock);
	uv_async_send(&w->async);
}

/* With hooks the whole batch goes back at once, without them each job when it
 * is done. */
static void run_batch(struct worker *w, struct jobs *batch)
{
	struct jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct job *j;

	if (w->begin)
		w->begin(w->batch_arg);
	while ((j = STAILQ_FIRST(batch))) {
		STAILQ_REMOVE_HEAD(batch, next);
		add_beats(w, 1);
		j->work(j->arg);
		add_beats(w, 1);
		STAILQ_INSERT_TAIL(&finished, j, next);
		if (!w->end)
			hand_back(w, &finished);
	}
	if (!w->end)
		return;
	w->end(w->batch_arg);
	hand_back(w, &finished);
}

static void *run(void *arg)
{
	struct jobs batch = STAILQ_HEAD_INITIALIZER(batch);
	struct worker *w = arg;

	mine = w;
	while (take_batch(w, &batch))
		run_batch(w, &batch);
	return NULL;
}

/* On the loop's thread: call done of what is finished. */
static void collect(struct worker *w)
{
	struct jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct job *j;

	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&finished, &w->finished);
	pthread_mutex_unlock(&w->lock);
	while ((j = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, next);
		if (--w->pending == 0)
			uv_unref((uv_handle_t *)&w->async);
		if (j->done)
			j->done(j->arg);
		free(j);
	}
}

static void on_finished(uv_async_t *h)
{
	collect(h->data);
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static int start_thread(struct worker *w)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_setname_np(w->thread, w->name);
	return rc;
}

static void on_closed(uv_handle_t *h)
{
	struct worker *w = h->data;

	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int worker_open(struct worker **out, struct loop *loop, const char *name,
		size_t max_jobs, struct err *err)
{
	struct worker *w = mem_zero(1, sizeof(*w));
	int rc;

	STAILQ_INIT(&w->todo);
	STAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->max = max_jobs;
	w->loop = loop;
	str_copy(w->name, sizeof(w->name), name);
	rc = -uv_async_init(loop_uv(loop), &w->async, on_finished);
	if (rc) {
		free(w);
		return err_errno(err, rc, "open worker %s", name);
	}
	w->async.data = w;
	uv_unref((uv_handle_t *)&w->async);
	rc = start_thread(w);
	if (rc) {
		uv_close((uv_handle_t *)&w->async, on_closed);
		return err_errno(err, rc, "start thread %s", name);
	}
	*out = w;
	return 0;
}

void worker_batch(struct worker *w, worker_fn *begin, worker_fn *end, void *arg)
{
	pthread_mutex_lock(&w->lock);
	w->begin = begin;
	w->end = end;
	w->batch_arg = arg;
	pthread_mutex_unlock(&w->lock);
}

int worker_submit(struct worker *w, worker_fn *work, worker_fn *done, void *arg,
		  struct err *err)
{
	struct job *j;

	if (w->pending >= w->max)
		return err_full(err, "%zu jobs are waiting already",
				w->pending);
	j = mem_zero(1, sizeof(*j));
	j->work = work;
	j->done = done;
	j->arg = arg;
	if (w->pending++ == 0)
		uv_ref((uv_handle_t *)&w->async);
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->todo, j, next);
	pthread_mutex_unlock(&w->lock);
	/* Only now: whom it wakes would wait for the lock first. */
	pthread_cond_signal(&w->wake);
	return 0;
}

/* Looks are counted, not time: when the whole process was stopped for a while,
 * that is nobody's fault. */
static void look(void *arg)
{
	struct worker *w = arg;
	uint64_t beats;

	pthread_mutex_lock(&w->lock);
	beats = w->beats;
	pthread_mutex_unlock(&w->lock);
	w->same = beats == w->seen && beats & 1 ? w->same + 1 : 0;
	w->seen = beats;
	if (w->same < LOOKS)
		return;
	log_error("stuck", "worker=%s for_s=%.1f", w->name,
		  (double)w->stuck_ms / 1e3);
	abort();
}

void worker_watch(struct worker *w, int64_t stuck_ms)
{
	w->stuck_ms = stuck_ms;
	timer_every(&w->watch, w->loop, stuck_ms / LOOKS, look, w);
	uv_unref((uv_handle_t *)w->watch.h);
}

size_t worker_pending(const struct worker *w)
{
	return w->pending;
}

void worker_close(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	timer_stop(&w->watch);
	collect(w);
	uv_close((uv_handle_t *)&w->async, on_closed);
}
