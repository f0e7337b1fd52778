#include "test.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/mem.h"
#include "task/farm.h"

static struct err err;
static struct instant now = {1000, 5000000};

static void no_dead(struct crew *c, void *arg)
{
	(void)c, (void)arg;
}

static void begin(struct farm *f, const char *scheduler)
{
	const struct farm_config c = {
		.scheduler = schedule_find(scheduler),
		.silence_ms = 30000,
		.grace_ms = 10,
		.retry_ms = 1000,
		.retry_max_ms = 60000,
		.breaker = {3, 300000, 2},
	};

	farm_init(f, &c, 1);
}

/* ---- by chance: whatever happens, each task ends once ---- */

enum { TASKS = 60, WORKERS = 4, STEPS = 4000 };

/* A worker as it is: what it has, and what got lost on the way. */
struct hand {
	char id[16];
	char instance[16];
	int lives;
	bool up, known;
	char held[TASKS * 8][16];
	size_t n;
};

struct world {
	struct farm f;
	struct rand r;
	struct hand hands[WORKERS];
	int ended[TASKS + 1];
	int running[TASKS + 1]; /* by the master's word */
};

static bool chance(struct world *w, int percent)
{
	return (int)rand_below(&w->r, 100) < percent;
}

static void collect(struct world *w)
{
	for (size_t i = 0; i < w->f.changes.n; i++) {
		const struct farm_change *d = &w->f.changes.at[i];

		CHECK(!w->ended[d->id]); /* nothing follows an end */
		if (d->ended) {
			w->ended[d->id] = (int)d->state;
			farm_forget(&w->f, d->id);
		}
	}
	farm_changes_release(&w->f.changes);
}

/* One task is on one worker, and each worker within its bounds. */
static void check(struct world *w)
{
	size_t n = 0;

	for (struct crew *c = w->f.crew; c; c = c->hh.next) {
		struct task *t;
		int running = 0;

		TAILQ_FOREACH (t, &c->tasks, of_crew) {
			CHECK(t->on == c && t->state == TASK_RUNNING);
			CHECK(!c->dead && !c->left);
			running++;
		}
		CHECK_INT(running, c->running);
		CHECK(c->stopping >= 0);
		n += (size_t)running;
	}
	CHECK_INT(n, w->f.count[TASK_RUNNING]);
}

static void drop(struct hand *h, size_t i)
{
	memmove(h->held[i], h->held[i + 1],
		(h->n - i - 1) * sizeof(h->held[0]));
	h->n--;
}

static struct hand *hand_of(struct world *w, const char *id)
{
	for (int i = 0; i < WORKERS; i++)
		if (!strcmp(w->hands[i].id, id))
			return &w->hands[i];
	return NULL;
}

/* Replies travel, or are lost. */
static void deliver(struct world *w)
{
	struct crew *c;

	while ((c = farm_next_to_tell(&w->f))) {
		struct hand *h = hand_of(w, c->id);
		bool arrives = h->up && chance(w, 80) &&
			       !strcmp(h->instance, c->instance);
		struct task *t;

		TAILQ_FOREACH (t, &c->tasks, of_crew) {
			char text[16];
			bool has = false;

			if (!t->deliver)
				continue;
			t->deliver = false;
			snprintf(text, sizeof(text), "%" PRId64 "/%d", t->id,
				 t->tries);
			for (size_t i = 0; i < h->n; i++)
				has = has || !strcmp(h->held[i], text);
			if (arrives && !has)
				strcpy(h->held[h->n++], text);
		}
		for (size_t k = 0; k < c->n_cancels; k++) {
			for (size_t i = 0; arrives && i < h->n; i++)
				if (!strcmp(h->held[i], c->cancels[k]))
					drop(h, i--);
			free(c->cancels[k]);
		}
		c->n_cancels = 0;
		c->asks = 0;
	}
}

static void ask(struct world *w, struct hand *h)
{
	struct crew *c = farm_hear(&w->f, h->id, h->instance, now);
	char *holding[TASKS * 8];

	if (!c) {
		const struct farm_worker who = {.id = h->id,
						.url = "",
						.instance = h->instance,
						.gfl = true,
						.slots = 2};

		CHECK(!farm_register(&w->f, &who, now, &err));
		return;
	}
	for (size_t i = 0; i < h->n; i++)
		holding[i] = h->held[i];
	c->asks = 2;
	farm_holding(&w->f, c, holding, h->n, true, now);
}

static void finish(struct world *w, struct hand *h, bool success)
{
	size_t i = rand_below(&w->r, h->n);
	char *slash, id[16];
	struct farm_result r = {.worker = h->id,
				.task = id,
				.success = success,
				.duration_s = 0.5,
				.error = "bad",
				.metrics = "",
				.output = ""};

	strcpy(id, h->held[i]);
	slash = strchr(id, '/');
	r.try = atoi(slash + 1);
	*slash = '\0';
	if (farm_result(&w->f, &r, now, &err))
		CHECK(err.code == ERR_ABORTED || err.code == ERR_NOT_FOUND);
	if (chance(w, 80)) /* else the answer is lost, and it comes again */
		drop(h, i);
}

static void happen(struct world *w)
{
	struct hand *h = &w->hands[rand_below(&w->r, WORKERS)];
	int64_t gap_ms = (int64_t)rand_below(&w->r, chance(w, 3) ? 40000 : 900);

	now.ms += gap_ms;
	now.wall_ms += gap_ms;
	farm_tick(&w->f, now, no_dead, NULL);
	if (chance(w, 2)) { /* killed, and started anew */
		h->n = 0;
		snprintf(h->instance, sizeof(h->instance), "%d", ++h->lives);
	} else if (chance(w, 1)) {
		struct crew *c = farm_hear(&w->f, h->id, h->instance, now);

		if (c)
			farm_leave(&w->f, c, now);
	} else if (chance(w, 1)) {
		int64_t id = 1 + (int64_t)rand_below(&w->r, TASKS);

		farm_cancel(&w->f, id, "chance", now);
	} else if (h->n && chance(w, 50)) {
		finish(w, h, chance(w, 70));
	} else {
		ask(w, h);
	}
}

static void fill(struct world *w)
{
	for (int64_t id = 1; id <= TASKS; id++) {
		struct task *t = task_new(id, "{}", NULL, NULL);
		int64_t after = 1 + (int64_t)rand_below(&w->r, TASKS);
		bool waits = after < id && chance(w, 30);

		t->timeout_ms = 20000;
		t->state = waits ? TASK_WAITING : TASK_READY;
		t->priority = (int)rand_below(&w->r, 3);
		farm_add(&w->f, t, &after, waits, now);
	}
}

static int by_chance(uint64_t seed, const char *scheduler)
{
	static struct world w;
	int steps = 0;

	w = (struct world){.r = {seed}};
	begin(&w.f, scheduler);
	for (int i = 0; i < WORKERS; i++) {
		snprintf(w.hands[i].id, sizeof(w.hands[i].id), "w%d", i);
		strcpy(w.hands[i].instance, "0");
		w.hands[i].up = true;
	}
	fill(&w);
	while (farm_unfinished(&w.f) && steps < STEPS * 10) {
		happen(&w);
		farm_match(&w.f, now);
		check(&w);
		deliver(&w);
		collect(&w);
		steps++;
	}
	if (farm_unfinished(&w.f))
		test_fail(__FILE__, __LINE__, "seed %" PRIu64 " %s: %zu open",
			  seed, scheduler, farm_unfinished(&w.f));
	for (int id = 1; id <= TASKS; id++)
		CHECK(w.ended[id]);
	farm_release(&w.f);
	return steps;
}

TEST(whatever_is_lost_or_killed_each_task_ends_once)
{
	static const char *const names[] = {"fifo",        "priority",
					    "round-robin", "least-loaded",
					    "adaptive",    "affinity"};
	const char *from = getenv("SEED");
	uint64_t first = from ? strtoull(from, NULL, 10) : 1;

	for (uint64_t seed = first; seed < first + (from ? 1 : 300); seed++)
		by_chance(seed, names[seed % 6]);
}
