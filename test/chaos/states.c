/* The states that members have built: they come to be the same. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "chaos.h"

enum { SETTLE_MS = 60000 };

/* The states of all members, as bytes. */
struct states {
	int left, voters;
	int64_t applied[SITES_MAX + 1];
	struct {
		uint8_t *p;
		size_t len;
	} at[SITES_MAX + 1];
};

struct one_state {
	struct states *all;
	int id;
};

static void on_state(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	const Gfl__V1__State *s = (const Gfl__V1__State *)out;
	struct one_state *one = arg;
	struct states *all = one->all;

	all->left--;
	if (!err) {
		size_t len = gfl__v1__state__get_packed_size(s);

		all->at[one->id].p = mem_zero(1, len + 1);
		all->at[one->id].len =
			gfl__v1__state__pack(s, all->at[one->id].p);
		all->applied[one->id] = s->applied;
		if (one->id == 1)
			for (size_t i = 0; i < s->n_members; i++)
				all->voters += s->members[i]->role ==
					       GFL__V1__ROLE__VOTER;
	}
	free(one);
}

static bool all_told(struct chaos *c, void *arg)
{
	(void)c;
	return !((const struct states *)arg)->left;
}

static void ask_states(struct chaos *c, struct states *s)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};

	for (int id = 1; id <= c->sites; id++)
		free(s->at[id].p);
	*s = (struct states){0};
	for (int id = 1; id <= c->nodes; id++) {
		struct one_state *one = mem_zero(1, sizeof(*one));

		*one = (struct one_state){s, id};
		s->left++;
		client_call(c->client, c->site[id].url, RPC_NODE_GET_STATE,
			    &in.base, &opts, on_state, one);
	}
	turn_until(c, all_told, s, 10000);
}

/* All members vote, and have applied as much. */
static bool settled(const struct chaos *c, const struct states *s)
{
	for (int id = 2; id <= c->nodes; id++)
		if (!s->applied[1] || s->applied[id] != s->applied[1])
			return false;
	return s->voters >= c->nodes || s->voters >= c->max_voters;
}

static void settle(struct chaos *c, struct states *s)
{
	int64_t until = clock_ms() + SETTLE_MS;
	struct err err;

	ask_states(c, s);
	while (!c->err.code && !settled(c, s) && clock_ms() < until) {
		turn_for(c, 50);
		ask_states(c, s);
	}
	if (c->err.code || settled(c, s))
		return;
	err_set(&err, ERR_DEADLINE_EXCEEDED,
		"the members do not come to have the same: voters %d, applied "
		"%" PRId64 " %" PRId64 " %" PRId64,
		s->voters, s->applied[1], s->applied[2], s->applied[3]);
	chaos_fail(c, &err);
}

static void compare(struct chaos *c, const struct states *s)
{
	struct err err;

	for (int id = 2; id <= c->nodes && !c->err.code; id++)
		if (s->at[id].len != s->at[1].len ||
		    memcmp(s->at[id].p, s->at[1].p, s->at[1].len) != 0) {
			err_set(&err, ERR_DATA_LOSS,
				"the states of nodes 1 and %d differ at entry "
				"%" PRId64,
				id, s->applied[1]);
			chaos_fail(c, &err);
		}
}

void states_agree(struct chaos *c)
{
	struct states *s = mem_zero(1, sizeof(*s));

	settle(c, s);
	compare(c, s);
	for (int id = 1; id <= c->sites; id++)
		free(s->at[id].p);
	if (!s->left) /* else the run is over, and answers are still to come */
		free(s);
}
