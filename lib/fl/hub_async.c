/* Without rounds: who asks is given the newest model, and what comes back is
 * mixed by its age, at once or some together. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

/* Its logical clients take turns, so that each begins with what is newest. */
void hub_async_asked(struct hub_client *c)
{
	const struct hub *h = c->hub;
	int32_t logical;

	if (h->state != HUB_TRAINING || !c->held || h->alone || h->ahead >= HUB_AHEAD ||
	    (c->given.id && !c->given.over && c->given.open))
		return;
	logical = (int32_t)(c->turn++ % c->nlogical);
	hub_activate(c, &logical, 1);
}

void hub_async_begin(struct hub *h)
{
	h->now = (struct hub_now){.round = h->round + 1,
				  .began_ms = clock_ms(),
				  .began_wall_ms = clock_wall_ms()};
}

/* Who has a request held here and nothing to do, for whatever reason. */
void hub_async_look(struct hub *h)
{
	struct hub_client *c, *next;

	if (h->state == HUB_WAITING && h->here >= h->opts.min_participants) {
		h->state = HUB_TRAINING;
		if (!h->now.admitted) /* by one who has brought it along */
			hub_async_begin(h);
	}
	HASH_ITER (hh, h->clients, c, next)
		hub_asked(c);
}

void hub_async_count(struct hub_job *j)
{
	struct hub *h = j->hub;
	struct hub_next *n;

	if (++h->buffered < (int64_t)aggregate_least(h->rule))
		return;
	h->buffered = 0;
	n = mem_zero(1, sizeof(*n));
	n->hub = h;
	n->row.round = h->made + 1;
	n->evaluate = hub_next_due(h, n->row.round);
	hub_next_make(n);
	if (n->err.code != ERR_ABORTED) {
		j->next = n;
		return;
	}
	j->err = n->err;
	j->why = HUB_VALUES;
	j->voids = true;
	hub_next_free(n);
}

/* Those before it were taken, and are lost with it. */
void hub_async_void(struct hub_job *j)
{
	struct hub *h = j->hub;

	log_warn("round_void", "round=%lld admitted=%lld client=%lld reason=%s",
		 (long long)h->now.round, (long long)h->now.admitted,
		 (long long)j->client->id, j->err.msg);
	h->voided++;
	hub_async_begin(h);
}

/* The row of what the update has completed. */
void hub_async_made(struct hub_job *j)
{
	struct hub *h = j->hub;
	struct hub_next *n = j->next;
	const struct hub_now *now = &h->now;
	int64_t round = n->row.round;
	double accuracy = n->row.accuracy;

	n->row = (struct hub_round){
		.round = round,
		.activated = now->activated,
		.admitted = now->admitted,
		.refused = now->refused,
		.missing = "",
		.examples = now->examples,
		.loss = now->loss / (double)now->judged,
		.accuracy = accuracy,
		.staleness = now->staleness / (double)now->admitted,
		.bytes_sent = now->bytes_sent,
		.bytes_received = now->bytes_received,
		.began_ms = now->began_wall_ms,
		.ended_ms = clock_wall_ms(),
		.seconds = (double)(clock_ms() - now->began_ms) / 1e3,
	};
	hub_next_made(n);
	hub_async_begin(h);
}
