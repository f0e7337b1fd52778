#include "task/farm_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/backoff.h"
#include "wire/utf8.h"

/* ---- the whole ---- */

static bool older(const void *a, const void *b)
{
	return ((const struct task *)a)->id < ((const struct task *)b)->id;
}

static bool before(const void *a, const void *b)
{
	const struct task *s = a, *t = b;

	return s->priority != t->priority ? s->priority > t->priority
					  : s->id < t->id;
}

static bool sooner(const void *a, const void *b)
{
	const struct task *s = a, *t = b;

	return s->due_ms != t->due_ms ? s->due_ms < t->due_ms : s->id < t->id;
}

void farm_init(struct farm *f, const struct farm_config *config, uint64_t seed)
{
	heap_less_fn *less = config->scheduler->by_priority ? before : older;

	*f = (struct farm){.config = *config, .rand = {seed}};
	heap_init(&f->ready, less, offsetof(struct task, ready_place));
	heap_init(&f->ready_gpu, less, offsetof(struct task, ready_place));
	heap_init(&f->due, sooner, offsetof(struct task, due_place));
	STAILQ_INIT(&f->ending);
	STAILQ_INIT(&f->tell);
}

void farm_changes_release(struct farm_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->at[i].worker);
		free(c->at[i].error);
		free(c->at[i].metrics);
		free(c->at[i].output);
		free(c->at[i].lost);
	}
	free(c->at);
	*c = (struct farm_changes){0};
}

void farm_release(struct farm *f)
{
	struct task *t, *next;
	struct crew *c, *other;

	HASH_ITER (hh, f->tasks, t, next) {
		HASH_DEL(f->tasks, t);
		task_free(t);
	}
	HASH_ITER (hh, f->crew, c, other) {
		HASH_DEL(f->crew, c);
		crew_free(c);
	}
	heap_release(&f->ready);
	heap_release(&f->ready_gpu);
	heap_release(&f->due);
	farm_changes_release(&f->changes);
}

struct task *farm_find(const struct farm *f, int64_t id)
{
	struct task *t;

	HASH_FIND(hh, f->tasks, &id, sizeof(id), t);
	return t;
}

void farm_forget(struct farm *f, int64_t id)
{
	struct task *t = farm_find(f, id);

	if (!t || !task_ended(t->state))
		return;
	f->count[t->state]--;
	HASH_DEL(f->tasks, t);
	task_free(t);
}

size_t farm_unfinished(const struct farm *f)
{
	size_t n = 0;

	for (int i = 0; i < TASK_DONE; i++)
		n += f->count[i];
	return n;
}

/* ---- states ---- */

void farm_enter(struct farm *f, struct task *t, enum task_state state)
{
	heap_take(t->gpu ? &f->ready_gpu : &f->ready, t);
	heap_take(&f->due, t);
	f->count[t->state]--;
	f->count[state]++;
	t->state = state;
	if (state == TASK_READY)
		heap_add(t->gpu ? &f->ready_gpu : &f->ready, t);
	if (state == TASK_DELAYED || state == TASK_RUNNING)
		heap_add(&f->due, t);
}

struct farm_change *farm_note(struct farm *f, const struct task *t)
{
	struct farm_changes *all = &f->changes;
	struct farm_change *c;

	all->at = mem_grow(all->at, &all->cap, all->n + 1, sizeof(*all->at));
	c = &all->at[all->n++];
	*c = (struct farm_change){
		.id = t->id,
		.submission = t->submission,
		.state = t->state,
		.tries = t->tries,
		.worker = mem_str(t->worker),
		.due_wall_ms = t->due_wall_ms,
		.started_wall_ms = t->started_wall_ms,
	};
	return c;
}

void farm_attach(struct farm *f, struct task *t, struct crew *c, bool again,
		 struct instant now)
{
	t->on = c;
	if (t->worker != c->id) {
		free(t->worker);
		t->worker = mem_str(c->id);
	}
	if (!again) {
		t->tries++;
		t->started_wall_ms = now.wall_ms;
	}
	t->gpu_index = t->gpu ? crew_free_gpu(c) : -1;
	if (t->gpu_index >= 0)
		c->gpu_busy |= 1u << t->gpu_index;
	t->doubt_ms = 0;
	t->due_ms = now.ms + t->timeout_ms + f->config.grace_ms;
	t->due_wall_ms = now.wall_ms + t->timeout_ms;
	TAILQ_INSERT_TAIL(&c->tasks, t, of_crew);
	c->running++;
	t->given = c->given = ++f->given;
	crew_learn(c, crew_key(t->affinity));
	farm_enter(f, t, TASK_RUNNING);
	farm_note(f, t);
}

void farm_detach(struct task *t)
{
	struct crew *c = t->on;

	t->deliver = false;
	if (!c)
		return;
	TAILQ_REMOVE(&c->tasks, t, of_crew);
	c->running--;
	if (t->gpu_index >= 0)
		c->gpu_busy &= ~(1u << t->gpu_index);
	t->gpu_index = -1;
	t->on = NULL;
}

void farm_stop(struct farm *f, struct task *t)
{
	struct crew *c = t->on;

	if (c && !t->deliver) {
		crew_cancel(c, t->id, t->tries);
		farm_tell(f, c);
	}
	farm_detach(t);
}

/* ---- ends ---- */

static char *some(const char *text)
{
	enum { ERROR_MAX = 6000 };
	struct buf kept = BUF_INIT(0);
	char *out;

	if (!text || !*text)
		return NULL;
	utf8_put(&kept, text, strnlen(text, ERROR_MAX));
	out = mem_str(kept.p);
	buf_release(&kept);
	return out;
}

static char *whole(const char *text)
{
	return text && *text ? mem_str(text) : NULL;
}

/* A worker may say anything; what is no number cannot be stored. */
static double took_s(const struct farm_result *r)
{
	const double max_s = 1e9;

	if (!(r->duration_s > 0))
		return 0;
	return r->duration_s < max_s ? r->duration_s : max_s;
}

static void end_one(struct farm *f, struct task *t, enum task_state state,
		    const char *error, const struct farm_result *r,
		    struct instant now)
{
	struct farm_change *c;

	farm_enter(f, t, state);
	c = farm_note(f, t);
	c->ended_wall_ms = now.wall_ms;
	c->error = some(error);
	c->ended = ++f->ended;
	if (r) {
		c->duration_s = took_s(r);
		c->metrics = whole(r->metrics);
		c->output = whole(r->output);
	}
	STAILQ_INSERT_TAIL(&f->ending, t, ending);
}

static void doom(struct farm *f, struct task *t, int64_t after,
		 struct instant now)
{
	char *why = mem_fmt("task %" PRId64 ", which it comes after, is not "
			    "done",
			    after);

	end_one(f, t, TASK_CANCELLED, why, NULL, now);
	free(why);
}

/* Not by recursion: a chain of tasks may be as long as it likes. */
static void end_all(struct farm *f, struct instant now)
{
	struct task *t, *w;

	while ((t = STAILQ_FIRST(&f->ending))) {
		STAILQ_REMOVE_HEAD(&f->ending, ending);
		for (size_t i = 0; i < t->n_next; i++) {
			w = farm_find(f, t->next[i]);
			if (!w || w->state != TASK_WAITING)
				continue;
			if (t->state != TASK_DONE) {
				doom(f, w, t->id, now);
			} else if (--w->before == 0) {
				farm_enter(f, w, TASK_READY);
				farm_note(f, w);
			}
		}
	}
}

void farm_end(struct farm *f, struct task *t, enum task_state state,
	      const char *error, const struct farm_result *r,
	      struct instant now)
{
	farm_detach(t);
	end_one(f, t, state, error, r, now);
	end_all(f, now);
}

void farm_fail(struct farm *f, struct task *t, const char *why,
	       const struct farm_result *r, struct instant now)
{
	struct backoff pause = {f->config.retry_ms, f->config.retry_max_ms, 0};
	int64_t wait_ms = 0;

	if (t->tries >= t->max_tries || (r && r->final)) {
		farm_end(f, t, TASK_FAILED, why, r, now);
		return;
	}
	for (int i = 0; i < t->tries && pause.now_ms < pause.max_ms; i++)
		wait_ms = backoff_next(&pause, &f->rand);
	farm_detach(t);
	t->due_ms = now.ms + wait_ms;
	t->due_wall_ms = now.wall_ms + wait_ms;
	farm_enter(f, t, TASK_DELAYED);
	farm_note(f, t)->lost = some(why);
}

void farm_lose(struct farm *f, struct task *t, const char *why, bool counts,
	       struct instant now)
{
	farm_detach(t);
	if (counts && t->tries >= t->max_tries) {
		farm_end(f, t, TASK_FAILED, why, NULL, now);
		return;
	}
	if (!counts)
		t->tries--;
	farm_enter(f, t, TASK_READY);
	farm_note(f, t)->lost = counts ? some(why) : NULL;
}

bool farm_cancel(struct farm *f, int64_t id, const char *why,
		 struct instant now)
{
	struct task *t = farm_find(f, id);

	if (!t || task_ended(t->state))
		return false;
	farm_stop(f, t);
	farm_end(f, t, TASK_CANCELLED, why, NULL, now);
	return true;
}

void farm_doom(struct farm *f, int64_t id, int64_t after, struct instant now)
{
	struct task *t = farm_find(f, id);

	if (!t || t->state != TASK_WAITING)
		return;
	doom(f, t, after, now);
	end_all(f, now);
}

/* ---- begins ---- */

/* Where it was before we restarted; a worker that cannot say what it holds, and
 * whose answer was lost with us, has it no longer. */
static void go_on(struct farm *f, struct task *t, struct instant now)
{
	struct crew *c = NULL;

	if (t->worker)
		HASH_FIND_STR(f->crew, t->worker, c);
	t->due_ms = now.ms;
	f->count[t->state]++;
	if (c && !c->dead && !c->left && (c->gfl || !c->push)) {
		farm_attach(f, t, c, true, now);
		if (c->push) /* it may not have been sent */
			t->doubt_ms = now.ms;
		return;
	}
	farm_lose(f, t, "", false, now);
}

void farm_add(struct farm *f, struct task *t, const int64_t *after, size_t n,
	      struct instant now)
{
	enum task_state stored = t->state, state = stored;
	struct task *b;

	HASH_ADD(hh, f->tasks, id, sizeof(t->id), t);
	if (state == TASK_RUNNING) {
		go_on(f, t, now);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		b = farm_find(f, after[i]);
		if (!b || b->state == TASK_DONE)
			continue;
		if (task_ended(b->state)) {
			f->count[state]++;
			farm_doom(f, t->id, b->id, now);
			return;
		}
		task_add_next(b, t->id);
		t->before++;
	}
	if (state == TASK_WAITING && !t->before)
		state = TASK_READY;
	t->due_ms = now.ms + (t->due_wall_ms - now.wall_ms);
	f->count[t->state]++;
	farm_enter(f, t, state);
	if (t->state != stored)
		farm_note(f, t);
}

/* ---- results ---- */

/* What it still held and should not it holds no longer. */
static void settle(struct farm *f, const struct farm_result *r)
{
	struct crew *c;

	HASH_FIND_STR(f->crew, r->worker, c);
	if (c && c->stopping)
		c->stopping--;
}

static void score(struct farm *f, const struct task *t,
		  const struct farm_result *r, struct instant now)
{
	struct crew *c;

	HASH_FIND_STR(f->crew, r->worker, c);
	if (!c)
		return;
	if (r->success) {
		c->done++;
		crew_took(c, took_s(r) * 1000);
		breaker_success(&c->breaker, &f->config.breaker);
	} else {
		c->failed++;
		breaker_failure(&c->breaker, &f->config.breaker, t->id, now.ms);
	}
}

static int refuse(const struct task *t, struct err *err)
{
	const char *who = t->worker ? t->worker : "nobody";

	if (t->state == TASK_CANCELLED)
		return err_set(err, ERR_ABORTED,
			       "task %" PRId64 " was cancelled", t->id);
	if (t->state == TASK_DONE || t->state == TASK_FAILED)
		return err_set(err, ERR_ABORTED,
			       "task %" PRId64 " is %s already, by %s", t->id,
			       task_state_name(t->state), who);
	return err_set(err, ERR_ABORTED,
		       "task %" PRId64 " was taken from %s: it is %s%s%s",
		       t->id, who, task_state_name(t->state),
		       t->on ? " on " : "", t->on ? t->on->id : "");
}

static void succeed(struct farm *f, struct task *t, const struct farm_result *r,
		    bool mine, struct instant now)
{
	if (!mine) {
		farm_stop(f, t);
		settle(f, r);
		free(t->worker);
		t->worker = mem_str(r->worker);
	}
	farm_end(f, t, TASK_DONE, "", r, now);
}

int farm_result(struct farm *f, const struct farm_result *r, struct instant now,
		struct err *err)
{
	char *end;
	int64_t id = strtoll(r->task, &end, 10);
	struct task *t = *end ? NULL : farm_find(f, id);
	bool here = t && t->worker && !strcmp(t->worker, r->worker);
	bool mine = here && t->state == TASK_RUNNING &&
		    (!r->try || r->try == t->tries);

	if (!t || (!mine && !(r->success && !task_ended(t->state)))) {
		/* the same again, after the acknowledgement was lost */
		if (here && t->state == TASK_DONE && r->success)
			return 0;
		settle(f, r);
		return t ? refuse(t, err)
			 : err_set(err, ERR_NOT_FOUND, "there is no task %s",
				   r->task);
	}
	if (r->returned) {
		farm_lose(f, t, "", false, now);
		return 0;
	}
	score(f, t, r, now);
	if (r->success)
		succeed(f, t, r, mine, now);
	else
		farm_fail(f, t, *r->error ? r->error : "it failed", r, now);
	return 0;
}
