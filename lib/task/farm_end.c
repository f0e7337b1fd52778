/* Tasks end, or are tried again: what came of them, and what became of those
 * that wait for them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "task/farm_impl.h"
#include "wire/backoff.h"
#include "wire/utf8.h"

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
	f->ended_as[state]++;
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
	if (!t->worker)
		return err_set(err, ERR_ABORTED,
			       "task %" PRId64 " was given to nobody: it is %s",
			       t->id, task_state_name(t->state));
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
	int64_t id;
	struct task *t = task_parse_id(r->task, &id) ? farm_find(f, id) : NULL;
	bool here = t && t->worker && !strcmp(t->worker, r->worker);
	bool mine = here && t->state == TASK_RUNNING &&
		    (!r->try || r->try == t->tries);
	bool late = t && t->worker && r->success && !task_ended(t->state);

	if (!t || !(mine || late)) {
		/* the same again, after the acknowledgement was lost */
		if (here && t->state == TASK_DONE && r->success)
			return 0;
		settle(f, r);
		return t ? refuse(t, err)
			 : err_set(err, ERR_NOT_FOUND, "there is no task %s",
				   r->task);
	}
	if (r->returned) {
		if (t->on)
			t->on->slower = true;
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
