#include "task/schedule.h"

#include <math.h>
#include <string.h>

static double by_order(const struct schedule *s, const struct crew *c,
		       const struct task *t)
{
	(void)s, (void)t;
	return (double)c->order;
}

/* Whoever was given one longest ago. */
static double by_turn(const struct schedule *s, const struct crew *c,
		      const struct task *t)
{
	(void)s, (void)t;
	return (double)c->given;
}

/* The share of its slots that is taken, and how busy its machine is. */
static double by_load(const struct schedule *s, const struct crew *c,
		      const struct task *t)
{
	(void)s, (void)t;
	return (double)c->running / c->slots + c->metrics.cpu / 100;
}

/* How long until the other workers that were measured have done all there is,
 * and one more after that. */
static double others_take_ms(const struct schedule *s, const struct crew *c)
{
	double rate = 0, work = (double)s->ready, quickest = INFINITY;

	for (const struct crew *o = s->crew; o; o = o->hh.next) {
		if (o == c || o->dead || o->left || !(o->mean_ms > 0) ||
		    o->breaker.state != BREAKER_CLOSED)
			continue;
		rate += o->slots / o->mean_ms;
		work += o->running;
		quickest = o->mean_ms < quickest ? o->mean_ms : quickest;
	}
	return rate > 0 ? work / rate + quickest : INFINITY;
}

/* When it would have done the task, as far as its last ones tell. One that was
 * not measured yet is tried; a slow one leaves the last tasks to others that
 * will have done them sooner, busy as they are. */
static double by_time(const struct schedule *s, const struct crew *c,
		      const struct task *t)
{
	double takes_ms = c->mean_ms * (1 + c->running / c->slots);

	(void)t;
	return takes_ms > others_take_ms(s, c) ? INFINITY : takes_ms;
}

/* To whom the like was given lately, else to whom the least was. */
static double by_affinity(const struct schedule *s, const struct crew *c,
			  const struct task *t)
{
	uint64_t key = crew_key(t->affinity);

	(void)s;
	if (crew_knows(c, key))
		return -1;
	return key ? c->next_key + 1.0 * c->running / c->slots
		   : 1.0 * c->running / c->slots;
}

static const struct scheduler schedulers[] = {
	{"fifo", false, 1, by_order},      {"priority", true, 1, by_order},
	{"round-robin", true, 1, by_turn}, {"least-loaded", true, 1, by_load},
	{"adaptive", true, 1, by_time},    {"affinity", true, 64, by_affinity},
};

const struct scheduler *schedule_find(const char *name)
{
	for (size_t i = 0; i < sizeof(schedulers) / sizeof(*schedulers); i++)
		if (!strcmp(schedulers[i].name, name))
			return &schedulers[i];
	return NULL;
}
