/* With whom this cluster exchanges models, as its leader has it from above. */
#include <string.h>

#include "node/state_impl.h"
#include "wire/rpc.h"

Gfl__V1__Run *state_part(const struct state *s, const char *upper_id,
			 int64_t upper_run)
{
	for (size_t i = 0; i < s->nruns; i++)
		if (s->runs[i]->spec->upper_run == upper_run &&
		    !strcmp(s->runs[i]->spec->upper_id, upper_id))
			return s->runs[i];
	return NULL;
}

void state_drop_bridge(struct state *s)
{
	if (s->bridge)
		rpc_free(&s->bridge->base);
	s->bridge = NULL;
}

int state_bridge_check(const Gfl__V1__Bridge *b, struct err *err)
{
	if (b->n_rounds > PLAN_ROUNDS_MAX || b->n_peers > PLAN_ROUNDS_MAX ||
	    b->t0 < 0 || b->t0 > STATE_ROUNDS_MAX || b->self < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "bridge of %zu rounds and %zu peers: at most %d",
			       b->n_rounds, b->n_peers, PLAN_ROUNDS_MAX);
	for (size_t i = 0; i < b->n_rounds; i++)
		if (b->rounds[i]->peer < 0 || b->rounds[i]->peer == b->self ||
		    !b->rounds[i]->c ||
		    b->rounds[i]->deadline_ms > PLAN_DEADLINE_MAX_MS)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "round %zu of a bridge makes no sense",
				       i);
	for (size_t i = 0; i < b->n_peers; i++)
		if (strlen(b->peers[i]->url) > STATE_TEXT_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "a URL past %d bytes", STATE_TEXT_MAX);
	return 0;
}

void state_apply_bridge(struct turn *t, const Gfl__V1__Bridge *b)
{
	const Gfl__V1__Run *run = state_running(t->s);

	if (!run || run->id != b->run || !*run->spec->upper_id) {
		err_set(&t->res->refused, ERR_FAILED_PRECONDITION,
			"bridge for run %lld, which is not part of one above",
			(long long)b->run);
		return;
	}
	if (state_bridge_check(b, &t->res->refused))
		return;
	state_drop_bridge(t->s);
	t->s->bridge = (Gfl__V1__Bridge *)rpc_copy(&b->base);
	t->s->bridge->index = t->index;
	t->res->id = b->run;
	t->res->changed |= STATE_BRIDGE;
}
