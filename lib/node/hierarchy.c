#include "node/hierarchy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { OCTAVE = 2 }; /* a change of the median that is worth an entry */

/* ---- above ---- */

bool hierarchy_superseded(const struct state *upper, const Gfl__V1__Member *m)
{
	const Gfl__V1__Trainer *t;
	const Gfl__V1__Member *now;

	if (!*m->lower_id)
		return false;
	t = state_trainer_of(upper, m->lower_id);
	if (!t || t->node_id == m->id || t->term < m->lower_term)
		return false;
	now = state_member(upper, t->node_id);
	return now && !now->liveness && now->role != GFL__V1__ROLE__LEARNER;
}

/* ---- below ---- */

static bool takes_part(const Gfl__V1__Trainer *t)
{
	return t && !t->liveness && !t->no_runs;
}

int64_t hierarchy_bridge(const struct state *lower, int64_t before)
{
	if (takes_part(state_trainer(lower, before)))
		return before;
	for (size_t i = 0; i < lower->ntrainers; i++)
		if (takes_part(lower->trainers[i]))
			return lower->trainers[i]->id;
	return 0;
}

static int ascending(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Of the links between trainers that are live; 0 if none was measured. */
static int median_level(const struct state *s)
{
	int *levels = mem_zero(s->bandwidth.n + 1, sizeof(*levels)), median = 0;
	size_t n = 0;

	for (size_t i = 0; i < s->bandwidth.n; i++) {
		const struct bandwidth_cell *c = &s->bandwidth.cells[i];

		if (takes_part(state_trainer(s, c->from)) &&
		    takes_part(state_trainer(s, c->to)))
			levels[n++] = c->level;
	}
	if (n) {
		qsort(levels, n, sizeof(*levels), ascending);
		median = levels[n / 2];
	}
	free(levels);
	return median;
}

void hierarchy_fill(Gfl__V1__Trainer *out, const struct state *lower,
		    int64_t bridge, int64_t term, const char *url)
{
	const Gfl__V1__Trainer *b = state_trainer(lower, bridge);

	gfl__v1__trainer__init(out);
	out->instance_id = (char *)lower->cluster_id;
	out->url = b ? b->url : (char *)url;
	out->term = term;
	out->members = (int64_t)lower->nmembers;
	for (size_t i = 0; i < lower->ntrainers; i++)
		if (takes_part(lower->trainers[i])) {
			out->trainers++;
			out->examples += lower->trainers[i]->examples;
		}
	out->no_runs = out->trainers < 2;
	out->half_octaves = median_level(lower);
}

enum hierarchy_news hierarchy_news(const Gfl__V1__Trainer *said,
				   const Gfl__V1__Trainer *now)
{
	if (!said || said->liveness || said->term != now->term ||
	    said->node_id != now->node_id || said->no_runs != now->no_runs ||
	    strcmp(said->url, now->url) != 0)
		return HIERARCHY_PLACE;
	if (said->members != now->members || said->trainers != now->trainers ||
	    said->examples != now->examples ||
	    abs(said->half_octaves - now->half_octaves) >= OCTAVE)
		return HIERARCHY_COUNTS;
	return HIERARCHY_SAME;
}
