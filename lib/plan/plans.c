#include "plan/round.h"

#include <stdlib.h>

#include "base/mem.h"

static int64_t end_of(const struct plan *p)
{
	return p->t0 + (int64_t)p->nrounds;
}

static bool overlaps(const struct plan *a, const struct plan *b)
{
	return a->run == b->run && a->epoch == b->epoch && a->t0 < end_of(b) &&
	       b->t0 < end_of(a);
}

bool plans_take(struct plans *s, struct plan *p)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!overlaps(s->all[i], p))
			continue;
		plan_free(p);
		return false;
	}
	s->all = mem_grow(s->all, &s->cap, s->n + 1, sizeof(struct plan *));
	s->all[s->n++] = p;
	return true;
}

static const struct plan_round *find(const struct plans *s, int64_t run,
				     int64_t epoch, int64_t t,
				     const struct plan **of)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct plan *p = s->all[i];

		if (p->run != run || p->epoch != epoch || t < p->t0 ||
		    t >= end_of(p))
			continue;
		if (of)
			*of = p;
		return &p->rounds[t - p->t0];
	}
	return NULL;
}

const struct plan_round *plans_at(const struct plans *s, int64_t run,
				  int64_t epoch, int64_t t,
				  const struct plan **of)
{
	int64_t newest = plans_epoch(s, run);

	return newest < epoch ? NULL : find(s, run, newest, t, of);
}

const struct plan_round *plans_was(const struct plans *s, int64_t run,
				   int64_t t)
{
	int64_t epoch = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct plan *p = s->all[i];

		if (p->run == run && p->t0 <= t && p->epoch > epoch)
			epoch = p->epoch;
	}
	return find(s, run, epoch, t, NULL);
}

int64_t plans_epoch(const struct plans *s, int64_t run)
{
	int64_t epoch = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->run == run && s->all[i]->epoch > epoch)
			epoch = s->all[i]->epoch;
	return epoch;
}

int64_t plans_start(const struct plans *s, int64_t run)
{
	int64_t epoch = plans_epoch(s, run), t0 = INT64_MAX;

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->run == run && s->all[i]->epoch == epoch &&
		    s->all[i]->t0 < t0)
			t0 = s->all[i]->t0;
	return epoch ? t0 : 0;
}

int64_t plans_end(const struct plans *s, int64_t run)
{
	int64_t epoch = plans_epoch(s, run), end = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->run == run && s->all[i]->epoch == epoch &&
		    end_of(s->all[i]) > end)
			end = end_of(s->all[i]);
	return end;
}

int64_t plans_horizon(const struct plans *s, int64_t run)
{
	int64_t end = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->run == run && end_of(s->all[i]) > end)
			end = end_of(s->all[i]);
	return end;
}

void plans_trim(struct plans *s, int64_t run, int64_t t)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct plan *p = s->all[i];

		if (p->run == run && end_of(p) > t)
			s->all[kept++] = p;
		else
			plan_free(p);
	}
	s->n = kept;
}

void plans_release(struct plans *s)
{
	plans_trim(s, -1, 0);
	free(s->all);
	*s = (struct plans){0};
}
