#include "registry/condition.h"

#include <inttypes.h>
#include <string.h>

#include "proto/node.pb-c.h"
#include "proto/participation.pb-c.h"
#include "registry/active.h"
#include "registry/directory.h"
#include "registry/runs.h"

enum { IDS_MAX = 1024 };

static int get_status(struct look *l, Gfl__V1__NodeStatus **out,
		      struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;

	return directory_call(&l->client, RPC_NODE_GET_STATUS, &in.base,
			      (ProtobufCMessage **)out, err);
}

static int get_state(struct look *l, Gfl__V1__State **out, struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;

	return directory_call(&l->client, RPC_NODE_GET_STATE, &in.base,
			      (ProtobufCMessage **)out, err);
}

/* "3 joined (1,2,5)" */
static void note_list(struct look *l, const char *what, const int64_t *ids,
		      size_t n)
{
	buf_putf(&l->note, "%zu %s", n, what);
	for (size_t i = 0; i < n && i < 20; i++)
		buf_putf(&l->note, "%s%" PRId64, i ? "," : " (", ids[i]);
	if (n)
		buf_puts(&l->note, ")");
}

/* The same for who is to be N: are they? */
static bool note_joined(struct look *l, const char *what, const int64_t *ids,
			size_t n)
{
	buf_putf(&l->note, "%" PRId64 " %s: ", l->n, what);
	note_list(l, "joined", ids, n);
	return (int64_t)n >= l->n;
}

static int look_leader(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__NodeStatus *s;

	if (get_status(l, &s, err))
		return (int)err->code;
	*holds = s->leader_id && s->leader_id != l->not_id;
	if (l->not_id)
		buf_putf(&l->note, "a leader that is not %" PRId64 ": ",
			 l->not_id);
	else
		buf_puts(&l->note, "a leader: ");
	if (s->leader_id)
		buf_putf(&l->note, "%" PRId64 " leads", s->leader_id);
	else
		buf_puts(&l->note, "none yet");
	rpc_free(&s->base);
	return 0;
}

static int look_ready(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__NodeStatus *s;

	if (get_status(l, &s, err))
		return (int)err->code;
	*holds = s->ready;
	buf_putf(&l->note, "node %" PRId64 " and its peers: ", s->node_id);
	note_list(l, "ready", s->ready_peers, s->n_ready_peers);
	rpc_free(&s->base);
	return 0;
}

static bool has_log(const Gfl__V1__Member *m)
{
	return m->role != GFL__V1__ROLE__LEARNER;
}

static bool votes(const Gfl__V1__Member *m)
{
	return m->role == GFL__V1__ROLE__VOTER;
}

static int look_members(struct look *l, const char *what,
			bool (*counts)(const Gfl__V1__Member *m), bool *holds,
			struct err *err)
{
	int64_t ids[IDS_MAX];
	Gfl__V1__State *s;
	size_t n = 0;

	if (get_state(l, &s, err))
		return (int)err->code;
	for (size_t i = 0; i < s->n_members && n < IDS_MAX; i++)
		if (s->members[i]->liveness == GFL__V1__LIVENESS__LIVE &&
		    counts(s->members[i]))
			ids[n++] = s->members[i]->id;
	*holds = note_joined(l, what, ids, n);
	rpc_free(&s->base);
	return 0;
}

static int look_nodes(struct look *l, bool *holds, struct err *err)
{
	return look_members(l, "nodes", has_log, holds, err);
}

static int look_voters(struct look *l, bool *holds, struct err *err)
{
	return look_members(l, "voters", votes, holds, err);
}

static int look_trainers(struct look *l, bool *holds, struct err *err)
{
	int64_t ids[IDS_MAX];
	Gfl__V1__State *s;
	size_t n = 0;

	if (get_state(l, &s, err))
		return (int)err->code;
	for (size_t i = 0; i < s->n_trainers && n < IDS_MAX; i++)
		if (s->trainers[i]->liveness == GFL__V1__LIVENESS__LIVE)
			ids[n++] = s->trainers[i]->id;
	*holds = note_joined(l, "trainers", ids, n);
	rpc_free(&s->base);
	return 0;
}

static int look_participants(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__ListParticipantsRequest in =
		GFL__V1__LIST_PARTICIPANTS_REQUEST__INIT;
	Gfl__V1__ListParticipantsResponse *all;
	int64_t ids[IDS_MAX];
	const struct active whom = {&l->client, l->servers};
	size_t n;

	if (active_call(&whom, RPC_PARTICIPANT_LIST, &in.base,
			(ProtobufCMessage **)&all, err))
		return (int)err->code;
	for (n = 0; n < all->n_participants && n < IDS_MAX; n++)
		ids[n] = all->participants[n]->id;
	*holds = note_joined(l, "participants", ids, n) ||
		 (int64_t)all->n_participants >= l->n;
	rpc_free(&all->base);
	return 0;
}

/* Logical ones count: a process may host many. */
static int look_clients(struct look *l, bool *holds, struct err *err)
{
	const struct active whom = {&l->client, l->servers};
	Gfl__V1__FlStatus *s;
	int64_t ids[IDS_MAX] = {0}, here = 0;
	size_t n = 0;

	if (active_status(&whom, &s, err))
		return (int)err->code;
	for (size_t i = 0; i < s->n_clients; i++) {
		if (!strcmp(s->clients[i]->state, "gone"))
			continue;
		here += s->clients[i]->logical;
		if (n < IDS_MAX)
			ids[n++] = s->clients[i]->client_id;
	}
	note_joined(l, "clients", ids, n);
	if (here > (int64_t)n)
		buf_putf(&l->note, ", who host %" PRId64, here);
	*holds = here >= l->n;
	rpc_free(&s->base);
	return 0;
}

static int look_round(struct look *l, bool *holds, struct err *err)
{
	struct runs_progress p;
	Gfl__V1__Run *run;
	int rc = 0;

	if (runs_get(&l->client, 0, &run, err))
		return (int)err->code;
	p = runs_progress_of(run);
	buf_putf(&l->note, "round %" PRId64 " of run %" PRId64 ": at %" PRId64,
		 l->n, run->id, p.round);
	*holds = p.round >= l->n;
	if (!*holds && runs_ended(run, &rc, err) && !rc)
		rc = err_set(err, ERR_ABORTED,
			     "run %" PRId64 " ended at round %" PRId64, run->id,
			     p.round);
	rpc_free(&run->base);
	return rc;
}

static int look_run(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__Run *run;
	int rc;

	if (runs_get(&l->client, l->n, &run, err))
		return (int)err->code;
	buf_putf(&l->note, "run %" PRId64 ": %s at round %" PRId64, run->id,
		 run->state, runs_progress_of(run).round);
	*holds = runs_ended(run, &rc, err);
	rpc_free(&run->base);
	return rc;
}

static const struct condition conditions[] = {
	{"leader", look_leader, false},
	{"nodes", look_nodes, true},
	{"trainers", look_trainers, true},
	{"round", look_round, true},
	{"run", look_run, true},
	{"ready", look_ready, false},
	{"voters", look_voters, true},
	{"participants", look_participants, true},
	{"clients", look_clients, true},
};

const struct condition *condition_find(const char *name)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (!strcmp(conditions[i].name, name))
			return &conditions[i];
	return NULL;
}
