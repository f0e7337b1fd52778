#include "node/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

_Static_assert(offsetof(Gfl__V1__Member, id) == offsetof(Gfl__V1__Trainer, id),
	       "members and trainers begin alike");
_Static_assert(offsetof(Gfl__V1__Member, id) == offsetof(Gfl__V1__Run, id),
	       "members and runs begin alike");

static int64_t id_of(const void *item)
{
	return *(const int64_t *)((const char *)item +
				  offsetof(Gfl__V1__Member, id));
}

/* Where id is, or would be. */
static size_t place(struct state_list l, int64_t id)
{
	size_t low = 0, high = *l.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (id_of((*l.items)[mid]) < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void *state_find(struct state_list l, int64_t id)
{
	size_t at = place(l, id);

	return at < *l.n && id_of((*l.items)[at]) == id ? (*l.items)[at] : NULL;
}

void state_insert(struct state_list l, void *item)
{
	size_t at = place(l, id_of(item));
	void **grown = mem_zero(*l.n + 1, sizeof(*grown));

	if (*l.n) {
		memcpy(grown, *l.items, at * sizeof(*grown));
		memcpy(grown + at + 1, *l.items + at,
		       (*l.n - at) * sizeof(*grown));
	}
	grown[at] = item;
	free(*l.items);
	*l.items = grown;
	*l.n += 1;
}

void state_remove(struct state_list l, int64_t id)
{
	size_t at = place(l, id);

	rpc_free((*l.items)[at]);
	*l.n -= 1;
	memmove(*l.items + at, *l.items + at + 1,
		(*l.n - at) * sizeof(**l.items));
}

void state_text(char **to, const char *text)
{
	char *old = *to;

	*to = *text ? mem_str(text) : (char *)protobuf_c_empty_string;
	if (old != protobuf_c_empty_string)
		free(old);
}

struct state *state_new(void)
{
	return mem_zero(1, sizeof(struct state));
}

static void free_list(struct state_list l)
{
	for (size_t i = 0; i < *l.n; i++)
		rpc_free((*l.items)[i]);
	free(*l.items);
}

void state_free(struct state *s)
{
	if (!s)
		return;
	free_list(STATE_LIST(s, members));
	free_list(STATE_LIST(s, trainers));
	free_list(STATE_LIST(s, runs));
	plans_release(&s->plans);
	state_drop_bridge(s);
	bandwidth_release(&s->bandwidth);
	graph_release(&s->graph);
	free(s);
}

/* ---- looking things up ---- */

Gfl__V1__Member *state_member(const struct state *s, int64_t id)
{
	return state_find(STATE_LIST((struct state *)s, members), id);
}

Gfl__V1__Trainer *state_trainer(const struct state *s, int64_t id)
{
	return state_find(STATE_LIST((struct state *)s, trainers), id);
}

Gfl__V1__Run *state_run(const struct state *s, int64_t id)
{
	return state_find(STATE_LIST((struct state *)s, runs), id);
}

Gfl__V1__Trainer *state_trainer_of(const struct state *s, const char *instance)
{
	for (size_t i = 0; i < s->ntrainers; i++)
		if (!strcmp(s->trainers[i]->instance_id, instance))
			return s->trainers[i];
	return NULL;
}

Gfl__V1__Run *state_running(const struct state *s)
{
	for (size_t i = 0; i < s->nruns; i++)
		if (!strcmp(s->runs[i]->state, "running"))
			return s->runs[i];
	return NULL;
}

bool state_run_over(const Gfl__V1__Run *run)
{
	return strcmp(run->state, "running") && strcmp(run->state, "waiting");
}

size_t state_live(const struct state *s, bool runs)
{
	size_t n = 0;

	for (size_t i = 0; i < s->ntrainers; i++)
		if (s->trainers[i]->liveness == GFL__V1__LIVENESS__LIVE &&
		    (!runs || !s->trainers[i]->no_runs))
			n++;
	return n;
}

int64_t state_next_id(const struct state *s)
{
	int64_t top = 0;

	if (s->nmembers)
		top = s->members[s->nmembers - 1]->id;
	if (s->ntrainers && s->trainers[s->ntrainers - 1]->id > top)
		top = s->trainers[s->ntrainers - 1]->id;
	return top + 1;
}

/* ---- applying ---- */

static int unknown(struct err *err, const char *what)
{
	err_set(err, ERR_UNIMPLEMENTED,
		"%s of a kind that this version does not know", what);
	err_hint(err, "a newer version wrote it: upgrade this node");
	return ERR_UNIMPLEMENTED;
}

static int no_version(struct err *err, const char *what)
{
	return err_set(err, ERR_DATA_LOSS, "%s that no version writes", what);
}

/* An action is within 1..last, and comes with what it acts on. */
static int check_action(const char *what, int action, int last, bool complete,
			struct err *err)
{
	if (action > last || action < 0)
		return unknown(err, what);
	return action && complete ? 0 : no_version(err, what);
}

/* A member that is added has an id, since it is put into a list by it. */
static bool whole(const Gfl__V1__Membership *c)
{
	return c->member && (c->action != GFL__V1__MEMBERSHIP__ACTION__ADD ||
			     c->member->id > 0);
}

static int check(const Gfl__V1__Entry *e, bool within, struct err *err);

static int check_batch(const Gfl__V1__Batch *b, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < b->n_entries; i++)
		rc = check(b->entries[i], true, err);
	return rc;
}

/* Every node must be able to apply e, or stop before it does. */
static int check(const Gfl__V1__Entry *e, bool within, struct err *err)
{
	switch (e->kind_case) {
	case GFL__V1__ENTRY__KIND_MEMBERSHIP:
		return check_action("a membership entry", e->membership->action,
				    GFL__V1__MEMBERSHIP__ACTION__MARK_UP,
				    whole(e->membership), err);
	case GFL__V1__ENTRY__KIND_TRAINER:
		return check_action("a trainer entry", e->trainer->action,
				    GFL__V1__TRAINER_CHANGE__ACTION__MARK_UP,
				    e->trainer->trainer, err);
	case GFL__V1__ENTRY__KIND_RUN:
		return check_action("a run entry", e->run->action,
				    GFL__V1__RUN_CHANGE__ACTION__FAIL, true,
				    err);
	case GFL__V1__ENTRY__KIND_BATCH:
		return within ? no_version(err, "a batch within a batch")
			      : check_batch(e->batch, err);
	case GFL__V1__ENTRY__KIND_NOOP:
	case GFL__V1__ENTRY__KIND_TOPOLOGY:
	case GFL__V1__ENTRY__KIND_BANDWIDTH:
	case GFL__V1__ENTRY__KIND_COORDINATOR:
	case GFL__V1__ENTRY__KIND_BRIDGE:
		return 0;
	default:
		return unknown(err, "an entry");
	}
}

static void apply_coordinator(struct turn *t, const Gfl__V1__Coordinator *c)
{
	if (c->node_id && !state_member(t->s, c->node_id)) {
		err_set(&t->res->refused, ERR_NOT_FOUND,
			"node %lld is no member", (long long)c->node_id);
		return;
	}
	t->s->coordinator = c->node_id;
	t->s->coordinator_term = c->term;
	t->res->id = c->node_id;
	t->res->changed |= STATE_COORDINATOR;
}

static void apply_batch(struct turn *t, const Gfl__V1__Batch *b);

static void apply_one(struct turn *t, const Gfl__V1__Entry *e)
{
	switch (e->kind_case) {
	case GFL__V1__ENTRY__KIND_MEMBERSHIP:
		state_apply_membership(t, e->membership);
		break;
	case GFL__V1__ENTRY__KIND_TRAINER:
		state_apply_trainer(t, e->trainer);
		break;
	case GFL__V1__ENTRY__KIND_TOPOLOGY:
		if (e->topology->graph)
			state_apply_graph(t, e->topology->graph);
		else
			state_apply_topology(t, e->topology);
		break;
	case GFL__V1__ENTRY__KIND_BANDWIDTH:
		state_apply_bandwidth(t, e->bandwidth);
		break;
	case GFL__V1__ENTRY__KIND_COORDINATOR:
		apply_coordinator(t, e->coordinator);
		break;
	case GFL__V1__ENTRY__KIND_RUN:
		state_apply_run(t, e->run);
		break;
	case GFL__V1__ENTRY__KIND_BRIDGE:
		state_apply_bridge(t, e->bridge);
		break;
	case GFL__V1__ENTRY__KIND_BATCH:
		apply_batch(t, e->batch);
		break;
	default:
		break;
	}
}

/* Each by itself; the proposer hears of the first that was refused. */
static void apply_batch(struct turn *t, const Gfl__V1__Batch *b)
{
	struct err first = {0};

	for (size_t i = 0; i < b->n_entries; i++) {
		t->res->refused.code = 0;
		apply_one(t, b->entries[i]);
		if (t->res->refused.code && !first.code)
			first = t->res->refused;
	}
	t->res->refused = first;
}

int state_apply(struct state *s, int64_t index, int64_t term,
		enum state_config config, const Gfl__V1__Entry *e,
		struct state_result *result, struct err *err)
{
	struct turn t = {
		s,     index, config, s->graph.version, s->bandwidth.version,
		result};

	*result = (struct state_result){0};
	if (index != s->applied + 1)
		return err_set(err, ERR_OUT_OF_RANGE,
			       "entry %lld does not follow entry %lld",
			       (long long)index, (long long)s->applied);
	if (e && check(e, false, err))
		return err_wrap(err, "apply entry %lld", (long long)index);
	if (e)
		apply_one(&t, e);
	else if (config == STATE_CONFIG)
		state_end_joint(&t);
	s->applied = index;
	s->term = term;
	return 0;
}

int state_apply_told(struct state *s, const Gfl__V1__LogEntry *e,
		     struct state_result *result, struct err *err)
{
	enum state_config config = e->joint    ? STATE_JOINT
				   : e->config ? STATE_CONFIG
					       : STATE_NO_CONFIG;

	return state_apply(s, e->index, e->term, config, e->entry, result, err);
}

int state_entry(Gfl__V1__Entry **out, const void *p, size_t len,
		struct err *err)
{
	ProtobufCMessage *msg = NULL;

	*out = NULL;
	if (!len)
		return 0;
	if (rpc_unpack(&msg, &gfl__v1__entry__descriptor, p, len, err)) {
		err->code = ERR_DATA_LOSS;
		return ERR_DATA_LOSS;
	}
	*out = (Gfl__V1__Entry *)msg;
	return 0;
}
