/* Without rounds, beside a Raft node: an update that was trained for another
 * start of the server, here or elsewhere, is taken by the next one. Its sender
 * cannot know whether it counts already, so each has an id. */
#include <stdlib.h>

#include "base/mem.h"
#include "fl/hub_impl.h"

/* A version of a higher term, or one that was lost, is not what it was. */
static bool has_base(const struct hub *h, const Gfl__V1__FlUpdateRequest *u)
{
	if (u->base_term == h->opts.term)
		return u->base_version <= h->version;
	return u->base_term < h->opts.term && u->base_version <= h->resumed;
}

/* As if it had been asked for. */
static struct hub_part *activate(struct hub_client *c,
				 const Gfl__V1__FlUpdateRequest *u)
{
	struct hub_activation *g = &c->given;

	hub_scoring_again(c);
	free(g->parts);
	*g = (struct hub_activation){
		.id = ++c->hub->last_activation,
		.code = GFL__V1__FL_CODE__ACTIVATION,
		.round = u->round,
		.version = u->base_version,
		.parts = mem_zero(1, sizeof(*g->parts)),
		.n = 1,
		.open = 1,
	};
	g->parts[0].logical = u->logical;
	c->told = g->id;
	c->hub->now.activated++;
	return g->parts;
}

bool hub_carried(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub *h = l->hub;

	if (!u->update_id || u->logical < 0 ||
	    (size_t)u->logical >= l->client->nlogical ||
	    h->opts.training.scheme == GFL__V1__SCHEME__STRAT) {
		hub_refused(l, HUB_MALFORMED, "not to be carried on");
		return false;
	}
	if (u->base_version < 0 || !has_base(h, u)) {
		hub_refused(l, HUB_BASE,
			    "made from a version that was lost with another "
			    "server");
		return false;
	}
	l->part = activate(l->client, u);
	return true;
}
