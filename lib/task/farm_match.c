/* Which task goes to which worker. */
#include <math.h>

#include "task/farm_impl.h"

struct match {
	struct task *t;
	struct crew *c;
	double cost;
};

/* The best worker for one of the first tasks of a heap. */
static void look(struct farm *f, const struct heap *h, struct instant now,
		 struct match *best)
{
	const struct scheduler *how = f->config.scheduler;
	const struct schedule s = {f->crew, f->ready.n + f->ready_gpu.n};
	size_t n = h->n < (size_t)how->look ? h->n : (size_t)how->look;

	for (size_t i = 0; i < n; i++) {
		struct task *t = h->at[i];

		for (struct crew *c = f->crew; c; c = c->hh.next) {
			double cost;

			if ((t->gpu && crew_free_gpu(c) < 0) ||
			    crew_room(c, now.ms) < 1)
				continue;
			cost = how->cost(&s, c, t);
			if (cost < best->cost)
				*best = (struct match){t, c, cost};
		}
	}
}

struct task *farm_next(const struct farm *f)
{
	struct task *plain = f->ready.n ? f->ready.at[0] : NULL;
	struct task *gpu = f->ready_gpu.n ? f->ready_gpu.at[0] : NULL;

	if (!plain || !gpu)
		return plain ? plain : gpu;
	return f->ready.less(gpu, plain) ? gpu : plain;
}

/* Of the two kinds of tasks the one that is first, if there is a worker for
 * it. */
static struct match choose(struct farm *f, struct instant now)
{
	const struct task *next = farm_next(f);
	bool gpu = next && next->gpu;
	struct heap *first = gpu ? &f->ready_gpu : &f->ready;
	struct heap *second = gpu ? &f->ready : &f->ready_gpu;
	struct match best = {.cost = INFINITY};

	look(f, first, now, &best);
	if (!best.t)
		look(f, second, now, &best);
	return best;
}

/* Who failed so often is to be spared while there is somebody else; if there is
 * nobody, it is tried, one task at a time. */
static void spare_nobody(struct farm *f, struct instant now)
{
	struct crew *c;

	for (c = f->crew; c; c = c->hh.next)
		if (!c->dead && !c->left &&
		    breaker_allows(&c->breaker, 1, now.ms))
			return;
	for (c = f->crew; c; c = c->hh.next)
		c->breaker.until_ms = now.ms;
}

bool farm_match(struct farm *f, struct instant now)
{
	struct match best;
	bool any = false;

	if (f->ready.n + f->ready_gpu.n)
		spare_nobody(f, now);
	while (f->ready.n + f->ready_gpu.n && (best = choose(f, now)).t) {
		farm_attach(f, best.t, best.c, false, now);
		best.t->deliver = true;
		if (best.c->asks)
			best.c->asks--;
		farm_tell(f, best.c);
		any = true;
	}
	return any;
}
