#include "task/crew.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct crew *crew_new(const char *id)
{
	struct crew *c = mem_zero(1, sizeof(*c));

	c->id = mem_str(id);
	c->url = mem_str("");
	c->slots = 1;
	TAILQ_INIT(&c->tasks);
	return c;
}

void crew_free(struct crew *c)
{
	for (size_t i = 0; i < c->n_cancels; i++)
		free(c->cancels[i]);
	free(c->cancels);
	free(c->id);
	free(c->url);
	free(c);
}

/* Not yet measured, it gets no more than it can begin at once. */
static int ahead(const struct crew *c)
{
	double n = c->mean_ms > 0 && !c->slower
			   ? CREW_AHEAD_MS * c->slots / c->mean_ms
			   : 0;

	return n < CREW_AHEAD_MAX ? (int)n : CREW_AHEAD_MAX;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

int crew_room(struct crew *c, int64_t now_ms)
{
	int most, used = c->running + c->stopping;

	if (c->dead || c->left)
		return 0;
	most = c->push || !c->gfl ? c->slots : c->slots + ahead(c);
	if (!c->gfl && !c->push)
		most = used + c->asks;
	most = breaker_allows(&c->breaker, most, now_ms);
	if (used >= most)
		return 0;
	return c->push ? most - used : least(c->asks, most - used);
}

/* FNV-1a; 0 is kept for none. */
uint64_t crew_key(const char *affinity)
{
	uint64_t h = 14695981039346656037u;

	if (!*affinity)
		return 0;
	for (; *affinity; affinity++)
		h = (h ^ (unsigned char)*affinity) * 1099511628211u;
	return h ? h : 1;
}

bool crew_knows(const struct crew *c, uint64_t key)
{
	for (int i = 0; key && i < CREW_KEYS; i++)
		if (c->keys[i] == key)
			return true;
	return false;
}

void crew_learn(struct crew *c, uint64_t key)
{
	if (!key || crew_knows(c, key))
		return;
	c->keys[c->next_key] = key;
	c->next_key = (c->next_key + 1) % CREW_KEYS;
}

void crew_took(struct crew *c, double ms)
{
	const double least_ms = 0.01;

	c->slower = false;
	ms = ms > least_ms ? ms : least_ms;
	c->mean_ms = c->mean_ms > 0 ? 0.8 * c->mean_ms + 0.2 * ms : ms;
}

int crew_free_gpu(const struct crew *c)
{
	for (int i = 0; i < c->n_gpus; i++)
		if (!(c->gpu_busy & 1u << i))
			return i;
	return -1;
}

void crew_cancel(struct crew *c, int64_t id, int try)
{
	c->cancels = mem_grow(c->cancels, &c->cap_cancels, c->n_cancels + 1,
			      sizeof(*c->cancels));
	c->cancels[c->n_cancels++] = mem_fmt("%" PRId64 "/%d", id, try);
	c->stopping++;
}
