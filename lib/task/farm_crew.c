/* The workers of the farm, and time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "task/farm_impl.h"

enum {
	TICK_MS = 1000,  /* so often farm_tick() runs */
	DOUBT_MS = 2000, /* until what a worker says it holds has come from
			    after we began to doubt */
};

/* ---- who is to be told ---- */

void farm_tell(struct farm *f, struct crew *c)
{
	if (c->told)
		return;
	c->told = true;
	STAILQ_INSERT_TAIL(&f->tell, c, tell);
}

struct crew *farm_next_to_tell(struct farm *f)
{
	struct crew *c = STAILQ_FIRST(&f->tell);

	if (!c)
		return NULL;
	STAILQ_REMOVE_HEAD(&f->tell, tell);
	c->told = false;
	return c;
}

/* ---- coming and going ---- */

static void lose_all(struct farm *f, struct crew *c, const char *how,
		     bool counts, struct instant now)
{
	char *why = mem_fmt("worker %s %s", c->id, how);
	struct task *t;

	while ((t = TAILQ_FIRST(&c->tasks)))
		farm_lose(f, t, why, counts && !t->deliver, now);
	free(why);
	c->asks = 0;
	c->stopping = 0;
	while (c->n_cancels)
		free(c->cancels[--c->n_cancels]);
}

static void set(char **at, const char *text)
{
	free(*at);
	*at = mem_str(text);
}

static void describe(struct crew *c, const struct farm_worker *who)
{
	int slots = who->slots > 0 ? who->slots : 1;

	set(&c->url, who->url);
	c->gfl = who->gfl;
	c->push = who->push;
	c->slots = slots < CREW_SLOTS_MAX ? slots : CREW_SLOTS_MAX;
	c->n_gpus = who->n_gpus < CREW_GPUS ? who->n_gpus : CREW_GPUS;
	for (int i = 0; i < c->n_gpus; i++)
		c->gpus[i] = who->gpus[i];
}

static void add(struct farm *f, struct crew *c)
{
	c->order = ++f->registered;
	HASH_ADD_KEYPTR(hh, f->crew, c->id, strlen(c->id), c);
}

static bool same_instance(const struct crew *c, const char *instance)
{
	return *instance && !strcmp(c->instance, instance);
}

/* Whoever is gone for longest is forgotten for somebody else. */
static bool make_room(struct farm *f)
{
	struct crew *c, *first = NULL;

	for (c = f->crew; c; c = c->hh.next)
		if ((c->dead || c->left) &&
		    (!first || c->seen_ms < first->seen_ms))
			first = c;
	if (first)
		farm_dismiss(f, first);
	return first;
}

int farm_register(struct farm *f, const struct farm_worker *who,
		  struct instant now, struct err *err)
{
	struct crew *c;

	HASH_FIND_STR(f->crew, who->id, c);
	if (c && *who->instance && !strcmp(c->former, who->instance) &&
	    !c->dead && !c->left)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another worker has the id %s by now", who->id);
	if (!c && HASH_COUNT(f->crew) >= CREW_MAX && !make_room(f))
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "there are %d workers already", CREW_MAX);
	if (!c) {
		c = crew_new(who->id);
		add(f, c);
	} else if (!same_instance(c, who->instance)) {
		lose_all(f, c, "was started anew", true, now);
		str_copy(c->former, sizeof(c->former), c->instance);
		c->breaker = (struct breaker){0};
		c->mean_ms = 0;
	}
	str_copy(c->instance, sizeof(c->instance), who->instance);
	describe(c, who);
	c->dead = c->left = false;
	c->seen_ms = now.ms;
	c->seen_wall_ms = now.wall_ms;
	str_copy(c->status, sizeof(c->status), "idle");
	return 0;
}

void farm_restore(struct farm *f, struct crew *c, struct instant now)
{
	c->seen_ms = now.ms;
	if ((c->dead || c->left) && c->seen_wall_ms < now.wall_ms)
		c->seen_ms -= now.wall_ms - c->seen_wall_ms;
	add(f, c);
}

struct crew *farm_hear(struct farm *f, const char *id, const char *instance,
		       struct instant now)
{
	struct crew *c;

	HASH_FIND_STR(f->crew, id, c);
	if (!c || c->dead || c->left ||
	    (c->gfl && strcmp(c->instance, instance) != 0))
		return NULL;
	c->seen_ms = now.ms;
	c->seen_wall_ms = now.wall_ms;
	return c;
}

void farm_leave(struct farm *f, struct crew *c, struct instant now)
{
	lose_all(f, c, "left", true, now);
	c->left = true;
}

void farm_dismiss(struct farm *f, struct crew *c)
{
	if (c->told)
		STAILQ_REMOVE(&f->tell, c, crew, tell);
	HASH_DEL(f->crew, c);
	crew_free(c);
}

/* ---- what a worker holds ---- */

/* Behind what it holds: '=' it is over, '-' it is being stopped. */
static struct task *named(const struct farm *f, const char *text, int64_t *id,
			  int64_t *try, char *how)
{
	char *end;

	*id = strtoll(text, &end, 10);
	*try = *end == '/' ? strtoll(end + 1, &end, 10) : 0;
	*how = *end;
	return farm_find(f, *id);
}

static void hold(struct farm *f, struct crew *c, const char *text,
		 struct instant now)
{
	int64_t id, try;
	char how;
	struct task *t = named(f, text, &id, &try, &how);

	if (t && t->on == c && t->tries == try) {
		t->held = true;
		return;
	}
	c->stopping += how == '-';
	if (how || try < 1 || try > TASK_TRIES_MAX)
		return;
	if (t && t->tries == try &&
	    (t->state == TASK_READY || t->state == TASK_DELAYED)) {
		farm_attach(f, t, c, true, now);
		t->held = true;
		return;
	}
	crew_cancel(c, id, (int)try);
	farm_tell(f, c);
}

void farm_holding(struct farm *f, struct crew *c, char *const *holding,
		  size_t n, bool asks, struct instant now)
{
	struct task *t, *next;

	c->stopping = 0;
	while (c->n_cancels)
		free(c->cancels[--c->n_cancels]);
	for (size_t i = 0; i < n; i++)
		hold(f, c, holding[i], now);
	for (t = TAILQ_FIRST(&c->tasks); t; t = next) {
		next = TAILQ_NEXT(t, of_crew);
		if (t->held) {
			t->held = false;
			t->doubt_ms = 0;
		} else if (asks) {
			t->deliver = true;
			farm_tell(f, c);
		} else if (t->doubt_ms && now.ms - t->doubt_ms > DOUBT_MS) {
			farm_lose(f, t, "", false, now);
		}
	}
}

/* A worker that cannot be called: not at once again, and soon not at all. */
static void unreached(struct farm *f, struct task *t, struct instant now)
{
	breaker_failure(&t->on->breaker, &f->config.breaker, -(++f->given),
			now.ms);
	farm_detach(t);
	t->tries--;
	t->due_ms = now.ms + f->config.retry_ms;
	t->due_wall_ms = now.wall_ms + f->config.retry_ms;
	farm_enter(f, t, TASK_DELAYED);
	farm_note(f, t);
}

struct task *farm_still(const struct farm *f, struct farm_given what)
{
	struct task *t = farm_find(f, what.task);

	return t && t->state == TASK_RUNNING && t->given == what.given ? t
								       : NULL;
}

void farm_unsent(struct farm *f, struct farm_given what, bool surely,
		 struct instant now)
{
	struct task *t = farm_still(f, what);

	if (!t)
		return;
	if (!surely)
		t->doubt_ms = now.ms > 0 ? now.ms : 1;
	else if (t->on && t->on->push)
		unreached(f, t, now);
	else
		farm_lose(f, t, "", false, now);
}

/* ---- time ---- */

/* While we slept, or were starved, we heard nobody. */
static void awake(struct farm *f, int64_t now_ms)
{
	int64_t slept_ms = f->awake_ms ? now_ms - f->awake_ms - 2 * TICK_MS : 0;

	f->awake_ms = now_ms;
	if (slept_ms <= 0)
		return;
	for (struct crew *c = f->crew; c; c = c->hh.next)
		c->seen_ms += slept_ms;
	for (size_t i = 0; i < f->due.n; i++) /* their order stays */
		((struct task *)f->due.at[i])->due_ms += slept_ms;
}

static void too_late(struct farm *f, struct task *t, struct instant now)
{
	char *why = mem_fmt("it took longer than %g s",
			    (double)t->timeout_ms / 1000);
	struct crew *c = t->on;

	if (c) {
		c->failed++;
		breaker_failure(&c->breaker, &f->config.breaker, t->id, now.ms);
	}
	farm_stop(f, t);
	farm_fail(f, t, why, NULL, now);
	free(why);
}

void farm_tick(struct farm *f, struct instant now, farm_dead_fn *fn, void *arg)
{
	struct task *t;

	awake(f, now.ms);
	while (f->due.n && (t = f->due.at[0])->due_ms <= now.ms) {
		if (t->state == TASK_RUNNING) {
			too_late(f, t, now);
			continue;
		}
		farm_enter(f, t, TASK_READY);
		farm_note(f, t);
	}
	for (struct crew *c = f->crew; c; c = c->hh.next) {
		if (c->dead || c->left ||
		    now.ms - c->seen_ms < f->config.silence_ms)
			continue;
		c->dead = true;
		fn(c, arg);
		lose_all(f, c, "is silent", true, now);
	}
}

int64_t farm_due(const struct farm *f)
{
	return f->due.n ? ((const struct task *)f->due.at[0])->due_ms
			: INT64_MAX;
}
