/* The state as one message, and back; what anybody may propose. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/roles.h"
#include "node/spec.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

/* ---- plans ---- */

static Gfl__V1__Round *round_encode(const struct plan_round *r)
{
	Gfl__V1__Round *msg = mem_zero(1, sizeof(*msg));
	struct buf pairs = {0};

	gfl__v1__round__init(msg);
	msg->seed = r->seed;
	msg->c = r->c;
	msg->deadline_ms = r->deadline_ms;
	plan_pairs_encode(r, &pairs);
	msg->pairs.len = pairs.len;
	msg->pairs.data = (uint8_t *)buf_take(&pairs);
	return msg;
}

Gfl__V1__Topology *state_plan_encode(const struct plan *p)
{
	Gfl__V1__Topology *msg = mem_zero(1, sizeof(*msg));

	gfl__v1__topology__init(msg);
	msg->run = p->run;
	msg->epoch = p->epoch;
	msg->t0 = p->t0;
	msg->n_rounds = p->nrounds;
	msg->rounds = mem_zero(p->nrounds + 1, sizeof(*msg->rounds));
	for (size_t i = 0; i < p->nrounds; i++)
		msg->rounds[i] = round_encode(&p->rounds[i]);
	return msg;
}

static int round_decode(struct plan_round *r, const Gfl__V1__Round *msg,
			struct err *err)
{
	r->seed = msg->seed;
	r->c = msg->c;
	r->deadline_ms = msg->deadline_ms;
	return plan_pairs_decode(r, msg->pairs.data, msg->pairs.len, err);
}

int state_plan_decode(struct plan **out, const Gfl__V1__Topology *msg,
		      struct err *err)
{
	struct plan *p;
	int rc = 0;

	if (!msg->n_rounds || msg->n_rounds > PLAN_ROUNDS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "plan of %zu rounds, not 1 to %d", msg->n_rounds,
			       PLAN_ROUNDS_MAX);
	p = plan_new(msg->run, msg->epoch, msg->t0, msg->n_rounds);
	for (size_t i = 0; !rc && i < msg->n_rounds; i++)
		rc = round_decode(&p->rounds[i], msg->rounds[i], err);
	if (!rc)
		rc = plan_check(p, err);
	if (rc) {
		plan_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

/* ---- the whole ---- */

static void **copies(struct state_list l)
{
	void **out = mem_zero(*l.n + 1, sizeof(*out));

	for (size_t i = 0; i < *l.n; i++)
		out[i] = rpc_copy((*l.items)[i]);
	return out;
}

static void encode_links(Gfl__V1__State *msg, const struct bandwidth *b)
{
	msg->bandwidth_version = b->version;
	msg->n_links = b->n;
	msg->links = mem_zero(b->n + 1, sizeof(*msg->links));
	for (size_t i = 0; i < b->n; i++) {
		Gfl__V1__Link *l = mem_zero(1, sizeof(*l));

		gfl__v1__link__init(l);
		l->from = b->cells[i].from;
		l->to = b->cells[i].to;
		l->half_octaves = b->cells[i].level;
		msg->links[i] = l;
	}
}

static void encode_edges(Gfl__V1__State *msg, const struct graph *g)
{
	msg->topology_version = g->version;
	msg->n_edges = g->n;
	msg->edges = mem_zero(g->n + 1, sizeof(*msg->edges));
	for (size_t i = 0; i < g->n; i++) {
		Gfl__V1__Edge *e = mem_zero(1, sizeof(*e));

		gfl__v1__edge__init(e);
		e->a = g->edges[i].a;
		e->b = g->edges[i].b;
		e->weight = g->edges[i].weight;
		msg->edges[i] = e;
	}
}

static void encode_rest(Gfl__V1__State *msg, const struct state *s)
{
	state_text(&msg->cluster_id, s->cluster_id);
	msg->applied = s->applied;
	msg->term = s->term;
	msg->epoch = s->epoch;
	msg->coordinator = mem_zero(1, sizeof(*msg->coordinator));
	gfl__v1__coordinator__init(msg->coordinator);
	msg->coordinator->node_id = s->coordinator;
	msg->coordinator->term = s->coordinator_term;
}

Gfl__V1__State *state_encode(const struct state *s)
{
	Gfl__V1__State *msg = mem_zero(1, sizeof(*msg));
	struct state *lists = (struct state *)s;

	gfl__v1__state__init(msg);
	encode_rest(msg, s);
	msg->n_members = s->nmembers;
	msg->members = (Gfl__V1__Member **)copies(STATE_LIST(lists, members));
	msg->n_trainers = s->ntrainers;
	msg->trainers =
		(Gfl__V1__Trainer **)copies(STATE_LIST(lists, trainers));
	msg->n_runs = s->nruns;
	msg->runs = (Gfl__V1__Run **)copies(STATE_LIST(lists, runs));
	msg->n_plans = s->plans.n;
	msg->plans = mem_zero(s->plans.n + 1, sizeof(*msg->plans));
	for (size_t i = 0; i < s->plans.n; i++)
		msg->plans[i] = state_plan_encode(s->plans.all[i]);
	encode_links(msg, &s->bandwidth);
	encode_edges(msg, &s->graph);
	if (s->bridge)
		msg->bridge = (Gfl__V1__Bridge *)rpc_copy(&s->bridge->base);
	return msg;
}

static int64_t id_at(void *const *items, size_t i)
{
	return ((Gfl__V1__Member *)items[i])->id;
}

/* Fill an empty list with copies of n items, which must ascend. */
static int decode_list(struct state_list l, void *const *items, size_t n,
		       size_t max, const char *what, struct err *err)
{
	if (n > max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "state of %zu %s: at most %zu", n, what, max);
	for (size_t i = 0; i < n; i++)
		if (id_at(items, i) < (i ? id_at(items, i - 1) + 1 : 1))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "state whose %s are out of order", what);
	*l.items = mem_zero(n + 1, sizeof(**l.items));
	for (size_t i = 0; i < n; i++)
		(*l.items)[i] = rpc_copy(items[i]);
	*l.n = n;
	return 0;
}

static int decode_plans(struct state *s, const Gfl__V1__State *msg,
			struct err *err)
{
	for (size_t i = 0; i < msg->n_plans; i++) {
		struct plan *p = NULL;

		if (state_plan_decode(&p, msg->plans[i], err))
			return err_wrap(err, "state's plan %zu", i);
		if (!plans_take(&s->plans, p))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "state whose plans overlap");
	}
	return 0;
}

static void decode_links(struct bandwidth *b, const Gfl__V1__State *msg)
{
	struct bandwidth_cell *cells =
		mem_zero(msg->n_links + 1, sizeof(*cells));

	for (size_t i = 0; i < msg->n_links; i++)
		cells[i] = (struct bandwidth_cell){msg->links[i]->from,
						   msg->links[i]->to,
						   msg->links[i]->half_octaves};
	bandwidth_apply(b, cells, msg->n_links, msg->bandwidth_version);
	free(cells);
}

static int decode_edges(struct graph *g, const Gfl__V1__State *msg,
			struct err *err)
{
	Gfl__V1__Graph whole = GFL__V1__GRAPH__INIT;
	struct graph_edge *edges = mem_zero(msg->n_edges + 1, sizeof(*edges));
	int rc;

	whole.form = GFL__V1__FORM__SPARSE;
	whole.n_edges = msg->n_edges;
	whole.edges = msg->edges;
	rc = state_graph_check(&whole, err);
	for (size_t i = 0; !rc && i < msg->n_edges; i++)
		edges[i] =
			(struct graph_edge){msg->edges[i]->a, msg->edges[i]->b,
					    msg->edges[i]->weight};
	if (!rc)
		graph_replace(g, edges, msg->n_edges, msg->topology_version);
	free(edges);
	return rc ? err_wrap(err, "state") : 0;
}

static int decode_lists(struct state *s, const Gfl__V1__State *msg,
			struct err *err)
{
	if (decode_list(STATE_LIST(s, members), (void **)msg->members,
			msg->n_members, STATE_MEMBERS_MAX, "members", err) ||
	    decode_list(STATE_LIST(s, trainers), (void **)msg->trainers,
			msg->n_trainers, STATE_TRAINERS_MAX, "trainers", err) ||
	    decode_list(STATE_LIST(s, runs), (void **)msg->runs, msg->n_runs,
			STATE_RUNS_MAX + STATE_WAITING_MAX + 1, "runs", err))
		return ERR_INVALID_ARGUMENT;
	for (size_t i = 0; i < s->nruns; i++) {
		if (!s->runs[i]->spec)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "state with a run without settings");
		if (spec_complete(s->runs[i]->spec, err))
			return err_wrap(err, "state");
	}
	return decode_plans(s, msg, err);
}

int state_decode(struct state **out, const Gfl__V1__State *msg, struct err *err)
{
	struct state *s = state_new();
	int rc;

	if (strlen(msg->cluster_id) >= sizeof(s->cluster_id)) {
		state_free(s);
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "state of a cluster without a proper id");
	}
	memcpy(s->cluster_id, msg->cluster_id, strlen(msg->cluster_id) + 1);
	s->applied = msg->applied;
	s->term = msg->term;
	s->epoch = msg->epoch;
	if (msg->coordinator) {
		s->coordinator = msg->coordinator->node_id;
		s->coordinator_term = msg->coordinator->term;
	}
	rc = decode_lists(s, msg, err);
	if (!rc)
		rc = decode_edges(&s->graph, msg, err);
	if (!rc && msg->bridge)
		rc = state_bridge_check(msg->bridge, err);
	if (rc) {
		state_free(s);
		return rc;
	}
	decode_links(&s->bandwidth, msg);
	if (msg->bridge)
		s->bridge = (Gfl__V1__Bridge *)rpc_copy(&msg->bridge->base);
	*out = s;
	return 0;
}

/* ---- what may be proposed ---- */

static int not_yours(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s cannot be proposed by hand", what);
}

static int run_proposable(const Gfl__V1__RunChange *c, struct err *err)
{
	if (c->action < GFL__V1__RUN_CHANGE__ACTION__START ||
	    c->action > GFL__V1__RUN_CHANGE__ACTION__FAIL)
		return not_yours(err, "a run entry of no known action");
	if (strlen(c->reason) > STATE_TEXT_MAX)
		return not_yours(err, "a reason past 4096 bytes");
	return 0;
}

static int kind_proposable(const Gfl__V1__Entry *e, struct err *err)
{
	int rc = 0;

	switch (e->kind_case) {
	case GFL__V1__ENTRY__KIND_NOOP:
		return 0;
	case GFL__V1__ENTRY__KIND_TOPOLOGY:
		return e->topology->graph
			       ? state_graph_check(e->topology->graph, err)
			       : 0;
	case GFL__V1__ENTRY__KIND_BANDWIDTH:
		return state_bandwidth_check(e->bandwidth, err);
	case GFL__V1__ENTRY__KIND_RUN:
		return run_proposable(e->run, err);
	case GFL__V1__ENTRY__KIND_BATCH:
		for (size_t i = 0; !rc && i < e->batch->n_entries; i++)
			rc = e->batch->entries[i]->kind_case ==
					     GFL__V1__ENTRY__KIND_BATCH
				     ? not_yours(err, "a batch within a batch")
				     : kind_proposable(e->batch->entries[i],
						       err);
		return rc;
	case GFL__V1__ENTRY__KIND_MEMBERSHIP:
		return not_yours(err, "membership within other entries");
	case GFL__V1__ENTRY__KIND_TRAINER:
		return not_yours(err, "a trainer (trainers attach)");
	case GFL__V1__ENTRY__KIND_COORDINATOR:
		return not_yours(err, "a coordinator");
	default:
		return not_yours(err, "an entry of an unknown kind");
	}
}

int state_proposable(const Gfl__V1__Entry *e, struct err *err)
{
	size_t size = gfl__v1__entry__get_packed_size(e);

	if (size > STATE_PROPOSED_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an entry of %zu bytes, at most %d", size,
			       STATE_PROPOSED_MAX);
	return roles_asked(e) ? roles_check(e, err) : kind_proposable(e, err);
}
