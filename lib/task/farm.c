#include "task/farm_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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

/* Until a task is tried again. That the clock of the wall was set meanwhile, or
 * is not yet, makes it no longer than any. */
static int64_t left_ms(const struct farm *f, const struct task *t,
		       struct instant now)
{
	int64_t ms = t->due_wall_ms - now.wall_ms;

	return ms < f->config.retry_max_ms ? ms : f->config.retry_max_ms;
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
	t->due_ms = now.ms + left_ms(f, t, now);
	f->count[t->state]++;
	farm_enter(f, t, state);
	if (t->state != stored)
		farm_note(f, t);
}
