/* How far the trainers of a run are, and which round wants a plan therefore. */
#include "plan/coordinator_impl.h"

struct known *coordinator_find(const struct coordinator *c, int64_t id)
{
	for (size_t i = 0; i < c->nknown; i++)
		if (c->known[i].id == id)
			return &c->known[i];
	return NULL;
}

int64_t coordinator_round_of(const struct coordinator *c, int64_t run,
			     int64_t id)
{
	const struct known *k = coordinator_find(c, id);

	return k && k->run == run ? k->round : -1;
}

/* The highest round of the run that any live trainer has reported, or -1. */
static int64_t fastest(const struct coordinator *c,
		       const struct coordinator_view *v)
{
	int64_t most = -1;

	for (size_t i = 0; v->run && i < v->ntrainers; i++) {
		int64_t t =
			coordinator_round_of(c, v->run->id, v->trainers[i].id);

		if (v->trainers[i].runs && t > most)
			most = t;
	}
	return most;
}

void coordinator_note_slowest(struct coordinator *c,
			      const struct coordinator_view *v, int64_t now_ms)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; v->run && i < v->ntrainers; i++) {
		int64_t t =
			coordinator_round_of(c, v->run->id, v->trainers[i].id);

		if (v->trainers[i].runs && t < least)
			least = t;
	}
	if (least != c->slowest)
		c->slowest_ms = now_ms;
	c->slowest = least;
}

/* The round that plans are to be ahead of. Along a graph with few edges many
 * rest, and rests cost nothing: so that nobody runs far ahead of whom he is to
 * meet, it is that of the slowest, unless it is at it for a round's deadline.
 */
static int64_t front(const struct coordinator *c,
		     const struct coordinator_view *v, int64_t now_ms)
{
	int64_t most = fastest(c, v);
	bool moves = now_ms - c->slowest_ms < (int64_t)v->run->deadline_ms;

	return v->graph->n && moves && c->slowest < most ? c->slowest : most;
}

size_t coordinator_runners(const struct coordinator_view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->ntrainers; i++)
		n += v->trainers[i].runs;
	return n;
}

int64_t coordinator_next_round(const struct coordinator *c,
			       const struct coordinator_view *v)
{
	return fastest(c, v) + 1;
}

/* The first round that needs a plan now, or -1. Where the fastest has finished,
 * the last is planned for those who have not. */
int64_t coordinator_round_to_plan(const struct coordinator *c,
				  const struct coordinator_view *v,
				  int64_t now_ms)
{
	int64_t run = v->run->id, planned = plans_epoch(v->plans, run);
	int64_t next = coordinator_next_round(c, v);
	int64_t end = plans_end(v->plans, run);

	if (next >= v->run->rounds)
		next = v->run->rounds - 1;
	if (!planned)
		return coordinator_runners(v) >= 2 &&
				       coordinator_runners(v) >=
					       (size_t)v->run->min_trainers
			       ? next
			       : -1;
	if (planned < v->epoch)
		return coordinator_runners(v) > 0 ? next : -1;
	if (end >= v->run->rounds ||
	    front(c, v, now_ms) + 1 < end - PLAN_ROUNDS / 2)
		return -1;
	return end > next ? end : next;
}
