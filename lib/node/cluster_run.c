/* Runs of the upper cluster: each has a part here, which who leads starts and
 * ends, and whose bridge it tells the plan above. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/cluster_impl.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

#define ACTION(name) GFL__V1__RUN_CHANGE__ACTION__##name

enum { PAUSE_MS = 200 }; /* after a proposal that came to nothing */

static void proposed(const struct err *err, const struct driver_result *result,
		     void *arg)
{
	struct node *n = arg;
	struct cluster *c = n->cluster;
	const struct err *why = err ? err : &result->refused;

	if (!c)
		return;
	c->busy = false;
	c->looked_above = 0; /* look again */
	if (why->code) {
		log_debug("span", "error=%s", why->msg);
		c->pause_ms = clock_ms() + PAUSE_MS;
	}
	cluster_look(c);
}

static void propose(struct cluster *c, const Gfl__V1__Entry *e)
{
	struct err err;

	c->busy = !node_propose(c->lower, e, proposed, c->lower, &err);
	if (!c->busy)
		c->pause_ms = clock_ms() + PAUSE_MS;
}

static void change(struct cluster *c, Gfl__V1__RunChange *change)
{
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;

	change->at_ms = clock_wall_ms();
	e.kind_case = GFL__V1__ENTRY__KIND_RUN;
	e.run = change;
	propose(c, &e);
}

/* ---- our part begins and ends ---- */

static void start_part(struct cluster *c, const Gfl__V1__Run *above)
{
	Gfl__V1__RunChange start = GFL__V1__RUN_CHANGE__INIT;

	start.action = ACTION(START);
	start.spec = hierarchy_spec(above, node_cluster(c->upper),
				    hierarchy_front(above));
	log_info("run_of_the_upper_cluster", "run=%" PRId64 " rounds=%" PRId64,
		 above->id, start.spec->rounds);
	change(c, &start);
	rpc_free(&start.spec->base);
}

/* As the whole ended, so does the part that is not there yet. */
static void end_part(struct cluster *c, const Gfl__V1__Run *part,
		     const Gfl__V1__Run *above)
{
	Gfl__V1__RunChange end = GFL__V1__RUN_CHANGE__INIT;
	const char *how = above ? above->state : "forgotten";
	char *why =
		mem_fmt("run %" PRId64 " of the upper cluster %s: %.300s",
			part->spec->upper_run, how, above ? above->reason : "");

	end.action = ACTION(STOP);
	if (strcmp(part->state, "waiting") != 0 && !strcmp(how, "finished"))
		end.action = ACTION(FINISH);
	end.id = part->id;
	end.reason = why;
	change(c, &end);
	free(why);
}

static Gfl__V1__Run *newest_part(const struct cluster *c)
{
	const struct state *s = c->lower->state;

	for (size_t i = s->nruns; i-- > 0;)
		if (!strcmp(s->runs[i]->spec->upper_id, node_cluster(c->upper)))
			return s->runs[i];
	return NULL;
}

static bool takes_part(const struct cluster *c)
{
	const Gfl__V1__Trainer *self =
		state_trainer(c->upper->state, c->trainer);

	return self && !self->no_runs;
}

/* Begin or end a part, if there is one to. */
static bool follow_runs(struct cluster *c, const Gfl__V1__Run *part)
{
	const struct state *above = c->upper->state;
	const Gfl__V1__Run *run = state_running(above);

	if (part && !state_run_over(part)) {
		run = state_run(above, part->spec->upper_run);
		if (run && !state_run_over(run))
			return false;
		end_part(c, part, run);
		return true;
	}
	if (!run || !takes_part(c) ||
	    state_part(c->lower->state, node_cluster(c->upper), run->id))
		return false;
	start_part(c, run);
	return true;
}

/* ---- the plan above ---- */

static void tell_bridge(struct cluster *c, const Gfl__V1__Run *part)
{
	const Gfl__V1__TrainerReport *r =
		conductor_said(c->lower, part->id, c->bridge);
	Gfl__V1__Entry e = GFL__V1__ENTRY__INIT;
	Gfl__V1__Bridge *b =
		hierarchy_plan(c->upper->state, part, c->trainer, c->bridge,
			       hierarchy_rounds(part->spec, r ? r->round : 0));

	if (hierarchy_replan(c->lower->state->bridge, b)) {
		e.kind_case = GFL__V1__ENTRY__KIND_BRIDGE;
		e.bridge = b;
		propose(c, &e);
	}
	rpc_free(&b->base);
}

/* Only what was applied since the last look can have changed anything. */
static bool news(struct cluster *c)
{
	if (c->looked_above == c->upper->state->applied &&
	    c->looked_below == c->lower->state->applied)
		return false;
	c->looked_above = c->upper->state->applied;
	c->looked_below = c->lower->state->applied;
	return true;
}

void cluster_span(struct cluster *c)
{
	const Gfl__V1__Run *part;

	if (!c->trainer || c->busy || clock_ms() < c->pause_ms || !news(c))
		return;
	part = newest_part(c);
	if (!follow_runs(c, part) && part && !strcmp(part->state, "running") &&
	    c->bridge)
		tell_bridge(c, part);
}

/* ---- reports ---- */

/* One that the upper cluster has not had. */
bool cluster_progress(struct cluster *c)
{
	const Gfl__V1__Run *part = newest_part(c);
	const Gfl__V1__TrainerReport *r =
		part ? conductor_said(c->lower, part->id, c->bridge) : NULL;
	int64_t rounds = r ? hierarchy_rounds(part->spec, r->round) : 0;
	bool over = part && state_run_over(part);

	if (!part)
		return false;
	if (c->said_run == part->id && c->said_rounds == rounds &&
	    c->said_over == over)
		return false;
	c->said_run = part->id;
	c->said_rounds = rounds;
	c->said_over = over;
	return true;
}

Gfl__V1__Run *cluster_part(const struct cluster *c)
{
	const Gfl__V1__Run *part = newest_part(c);
	Gfl__V1__Run *now;

	if (!part || !state_run(c->upper->state, part->spec->upper_run))
		return NULL;
	now = (Gfl__V1__Run *)rpc_copy(&part->base);
	conductor_merge(c->lower, now);
	return now;
}

void cluster_measured(struct cluster *c, const Gfl__V1__Link *l)
{
	if (!c || c->nlinks == sizeof(c->links) / sizeof(*c->links))
		return;
	c->links[c->nlinks] = *l;
	c->nlinks++;
}
