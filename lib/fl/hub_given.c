/* What clients are asked to do, and what they owe. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

void hub_asked(struct hub_client *c)
{
	if (!hub_scoring_asked(c) && c->hub->opts.async)
		hub_async_asked(c);
}

void hub_round_lost(struct hub_client *c, bool lost)
{
	const struct hub_activation *g = &c->given;
	const int64_t open = (int64_t)g->open, owed = hub_scoring_owed(c);

	if (g->id && !g->over && g->code == GFL__V1__FL_CODE__ACTIVATION)
		c->hub->now.lost += lost ? open : -open;
	c->hub->scoring.lost += lost ? owed : -owed;
}

void hub_forget_given(struct hub_client *c)
{
	if (c->here)
		hub_round_lost(c, true);
	c->given.over = true;
	c->nto_score = 0;
}

void hub_give(struct hub_client *c, const struct hub_activation *what,
	      const int32_t *logical, size_t n)
{
	struct hub_activation *g = &c->given;

	free(g->parts);
	*g = *what;
	g->id = ++c->hub->last_activation;
	g->parts = mem_zero(n, sizeof(*g->parts));
	g->n = g->open = n;
	for (size_t i = 0; i < n; i++)
		g->parts[i].logical = logical[i];
	hub_instruct(c);
}

void hub_activate(struct hub_client *c, const int32_t *logical, size_t n)
{
	struct hub *h = c->hub;
	const struct hub_activation what = {
		.code = GFL__V1__FL_CODE__ACTIVATION,
		.round = h->now.round,
		.version = h->version,
	};

	h->now.activated += (int64_t)n;
	hub_give(c, &what, logical, n);
}

struct hub_part *hub_part_of(struct hub_client *c, int64_t activation,
			     int32_t logical)
{
	struct hub_activation *g = &c->given;

	for (size_t i = 0; g->id == activation && !g->over && i < g->n; i++)
		if (g->parts[i].logical == logical)
			return &g->parts[i];
	return NULL;
}

char *hub_end_training(struct hub *h, int64_t *missed)
{
	struct buf ids = BUF_INIT(0);
	struct hub_client *c, *next;

	buf_puts(&ids, "");
	HASH_ITER (hh, h->clients, c, next) {
		struct hub_activation *g = &c->given;
		int64_t left = 0;

		if (!g->id || g->over ||
		    g->code != GFL__V1__FL_CODE__ACTIVATION)
			continue;
		for (size_t i = 0; i < g->n; i++)
			left += g->parts[i].state != HUB_ADMITTED;
		g->over = true;
		c->missed += left;
		hub_changed(h, c);
		*missed += left;
		if (left)
			buf_putf(&ids, "%s%" PRId64, ids.len ? "," : "", c->id);
	}
	return buf_take(&ids);
}
