/* Trainers: who is attached where. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

#define ACTION(name) GFL__V1__TRAINER_CHANGE__ACTION__##name

static void refuse(struct turn *t, enum err_code code, const char *what,
		   int64_t id)
{
	err_set(&t->res->refused, code, "trainer %lld %s", (long long)id, what);
}

void state_new_epoch(struct turn *t)
{
	t->s->epoch = t->index;
	t->res->changed |= STATE_EPOCH;
}

/* The first trainer of a node has the node's number, if that is free. */
static int64_t free_id(const struct state *s, int64_t node)
{
	for (size_t i = 0; i < s->ntrainers; i++)
		if (s->trainers[i]->node_id == node)
			return state_next_id(s);
	return state_trainer(s, node) ? state_next_id(s) : node;
}

/* The id that this attachment gets, or 0 when refused. Who is known by its
 * instance keeps its id, so an attachment that is asked for twice is one. */
static int64_t settle_id(struct turn *t, const Gfl__V1__Trainer *want)
{
	const Gfl__V1__Trainer *known =
		state_trainer_of(t->s, want->instance_id);
	const Gfl__V1__Trainer *holder = state_trainer(t->s, want->id);

	if (!*want->instance_id || want->id < 0 || want->id > STATE_ID_MAX)
		refuse(t, ERR_INVALID_ARGUMENT, "has no instance or a bad id",
		       want->id);
	else if (!state_member(t->s, want->node_id))
		refuse(t, ERR_FAILED_PRECONDITION,
		       "attaches to a node that is no member", want->id);
	else if (known && want->id && want->id != known->id)
		refuse(t, ERR_ALREADY_EXISTS, "is this one's id already",
		       known->id);
	else if (known && want->term < known->term)
		refuse(t, ERR_FAILED_PRECONDITION,
		       "is a cluster whose later leader speaks for it",
		       known->id);
	else if (known)
		return known->id;
	else if (holder && holder->liveness == GFL__V1__LIVENESS__LIVE)
		refuse(t, ERR_ALREADY_EXISTS, "is alive elsewhere", want->id);
	else if (!holder && t->s->ntrainers >= STATE_TRAINERS_MAX)
		refuse(t, ERR_RESOURCE_EXHAUSTED, "is one too many", want->id);
	else
		return want->id ? want->id : free_id(t->s, want->node_id);
	return 0;
}

static void attach(struct turn *t, const Gfl__V1__Trainer *want)
{
	struct state_list trainers = STATE_LIST(t->s, trainers);
	int64_t id = settle_id(t, want);
	Gfl__V1__Trainer *old, *now;
	bool same;

	if (!id)
		return;
	old = state_trainer(t->s, id);
	same = old && old->liveness == GFL__V1__LIVENESS__LIVE &&
	       old->no_runs == want->no_runs;
	now = (Gfl__V1__Trainer *)rpc_copy(&want->base);
	now->id = id;
	now->liveness = GFL__V1__LIVENESS__LIVE;
	now->attached_index = t->index;
	if (old)
		state_remove(trainers, id);
	state_insert(trainers, now);
	t->res->id = id;
	if (!same)
		state_new_epoch(t);
}

static void forget_links(struct bandwidth *b, int64_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->cells[i].from != id && b->cells[i].to != id)
			b->cells[kept++] = b->cells[i];
	b->n = kept;
}

static void detach(struct turn *t, Gfl__V1__Trainer *old)
{
	int64_t id = old->id;

	state_remove(STATE_LIST(t->s, trainers), id);
	forget_links(&t->s->bandwidth, id);
	t->res->changed |= STATE_BANDWIDTH;
	state_new_epoch(t);
}

static void mark(struct turn *t, Gfl__V1__Trainer *old,
		 Gfl__V1__Liveness liveness)
{
	if (old->liveness == liveness)
		return;
	old->liveness = liveness;
	state_new_epoch(t);
}

/* A change of a trainer that is there. It may name the instance and the
 * attachment that it speaks of: if those are past, so is the change. */
static void change(struct turn *t, const Gfl__V1__TrainerChange *c)
{
	Gfl__V1__Trainer *old = state_trainer(t->s, c->trainer->id);
	const Gfl__V1__Trainer *named = c->trainer;

	if (!old)
		refuse(t, ERR_NOT_FOUND, "is not attached", named->id);
	else if (*named->instance_id &&
		 strcmp(named->instance_id, old->instance_id))
		refuse(t, ERR_ABORTED, "is another one by now", named->id);
	else if (named->attached_index &&
		 named->attached_index != old->attached_index)
		refuse(t, ERR_ABORTED, "has attached again since", named->id);
	else if (c->action == ACTION(MOVE))
		attach(t, named);
	else if (c->action == ACTION(DETACH))
		detach(t, old);
	else
		mark(t, old,
		     c->action == ACTION(MARK_UP) ? GFL__V1__LIVENESS__LIVE
						  : GFL__V1__LIVENESS__DOWN);
}

void state_apply_trainer(struct turn *t, const Gfl__V1__TrainerChange *c)
{
	t->res->id = c->trainer->id;
	if (c->action == ACTION(ATTACH))
		attach(t, c->trainer);
	else
		change(t, c);
	if (!t->res->refused.code)
		t->res->changed |= STATE_TRAINER;
}
