/* A run of the upper cluster, as it has to go in a lower one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/hierarchy.h"
#include "node/state_impl.h"
#include "wire/rpc.h"

static int64_t every(const Gfl__V1__RunSpec *spec)
{
	return spec->bridge_every ? spec->bridge_every : STATE_BRIDGE_DEFAULT;
}

Gfl__V1__RunSpec *hierarchy_spec(const Gfl__V1__Run *above,
				 const char *upper_id, int64_t from)
{
	Gfl__V1__RunSpec *spec =
		(Gfl__V1__RunSpec *)rpc_copy(&above->spec->base);

	spec->bridge_every = every(above->spec);
	spec->rounds = (above->spec->rounds - from) * spec->bridge_every;
	spec->min_trainers = 2;
	spec->target_accuracy = 0; /* of all clusters, so it is seen above */
	state_text(&spec->upper_id, upper_id);
	spec->upper_run = above->id;
	spec->upper_from = from;
	return spec;
}

int64_t hierarchy_front(const Gfl__V1__Run *above)
{
	int64_t front = 0;

	for (size_t i = 0; i < above->n_reports; i++)
		if (above->reports[i]->round > front)
			front = above->reports[i]->round;
	return front < above->spec->rounds ? front : above->spec->rounds - 1;
}

int64_t hierarchy_rounds(const Gfl__V1__RunSpec *part, int64_t rounds)
{
	return part->upper_from + rounds / every(part);
}

int64_t hierarchy_round(const Gfl__V1__RunSpec *part, int64_t t)
{
	if (!*part->upper_id || (t + 1) % every(part))
		return -1;
	return hierarchy_rounds(part, t + 1) - 1;
}

/* ---- the plan ---- */

/* With half the time: the others here wait for the bridge meanwhile. */
static Gfl__V1__BridgeRound *round_of(const struct plan_round *r, int64_t self)
{
	Gfl__V1__BridgeRound *out = mem_zero(1, sizeof(*out));

	gfl__v1__bridge_round__init(out);
	out->c = 1;
	if (!r)
		return out;
	out->peer = plan_partner(r, self);
	out->seed = r->seed;
	out->c = r->c;
	out->deadline_ms = r->deadline_ms / 2;
	return out;
}

static const Gfl__V1__BridgePeer *peer_of(const Gfl__V1__Bridge *b, int64_t id)
{
	for (size_t i = 0; i < b->n_peers; i++)
		if (b->peers[i]->id == id)
			return b->peers[i];
	return NULL;
}

static void add_peer(Gfl__V1__Bridge *b, const struct state *upper, int64_t id)
{
	const Gfl__V1__Trainer *t = state_trainer(upper, id);
	Gfl__V1__BridgePeer *p;

	if (!t || peer_of(b, id))
		return;
	p = mem_zero(1, sizeof(*p));
	gfl__v1__bridge_peer__init(p);
	p->id = id;
	state_text(&p->url, t->url);
	b->peers[b->n_peers++] = p;
}

Gfl__V1__Bridge *hierarchy_plan(const struct state *upper,
				const Gfl__V1__Run *part, int64_t self,
				int64_t bridge, int64_t at)
{
	int64_t run = part->spec->upper_run,
		end = plans_end(&upper->plans, run);
	size_t n = end > at ? (size_t)(end - at) : 0;
	Gfl__V1__Bridge *b = mem_zero(1, sizeof(*b));

	if (n > PLAN_ROUNDS_MAX)
		n = PLAN_ROUNDS_MAX;
	gfl__v1__bridge__init(b);
	b->run = part->id;
	b->trainer = bridge;
	b->self = self;
	b->epoch = plans_epoch(&upper->plans, run);
	b->t0 = at;
	b->rounds = mem_zero(n + 1, sizeof(*b->rounds));
	b->peers = mem_zero(n + 1, sizeof(*b->peers));
	for (; b->n_rounds < n; b->n_rounds++) {
		const struct plan_round *r = plans_at(
			&upper->plans, run, 0, at + (int64_t)b->n_rounds, NULL);

		b->rounds[b->n_rounds] = round_of(r, self);
		add_peer(b, upper, b->rounds[b->n_rounds]->peer);
	}
	return b;
}

/* Rounds of one epoch never change, so that their end tells them apart. */
bool hierarchy_replan(const Gfl__V1__Bridge *told, const Gfl__V1__Bridge *now)
{
	if (!told || told->run != now->run || told->trainer != now->trainer ||
	    told->self != now->self || told->epoch != now->epoch ||
	    told->t0 + (int64_t)told->n_rounds <
		    now->t0 + (int64_t)now->n_rounds)
		return true;
	for (size_t i = 0; i < now->n_peers; i++) {
		const Gfl__V1__BridgePeer *was =
			peer_of(told, now->peers[i]->id);

		if (!was || strcmp(was->url, now->peers[i]->url) != 0)
			return true;
	}
	return false;
}

/* ---- how it goes ---- */

static const char *state_above(const Gfl__V1__Run *part)
{
	if (!strcmp(part->state, "waiting"))
		return "joining";
	if (!strcmp(part->state, "running"))
		return "training";
	return !strcmp(part->state, "finished") ? "finished" : "failed";
}

static void add_up(Gfl__V1__TrainerReport *out, const Gfl__V1__Run *part)
{
	double accuracy = 0, loss = 0;
	size_t n = 0;

	for (size_t i = 0; i < part->n_reports; i++) {
		const Gfl__V1__TrainerReport *r = part->reports[i];

		loss += r->loss / (double)part->n_reports;
		if (r->_accuracy_case) {
			accuracy += r->accuracy;
			n++;
		}
		out->bytes_sent += r->bytes_sent;
		out->bytes_received += r->bytes_received;
		out->compute_s += r->compute_s;
		out->wait_s += r->wait_s;
		out->lost_replies += r->lost_replies;
		out->exchanges += r->bridged;
		out->misses += r->bridge_misses;
	}
	out->loss = loss;
	if (!n)
		return;
	out->_accuracy_case = GFL__V1__TRAINER_REPORT___ACCURACY_ACCURACY;
	out->accuracy = accuracy / (double)n;
}

void hierarchy_report(Gfl__V1__TrainerReport *out, const Gfl__V1__Run *part,
		      int64_t self, int64_t bridge)
{
	int64_t rounds = 0;

	gfl__v1__trainer_report__init(out);
	out->trainer_id = self;
	out->run = part->spec->upper_run;
	out->state = (char *)state_above(part);
	if (!strcmp(out->state, "failed"))
		out->reason = part->reason;
	for (size_t i = 0; i < part->n_reports; i++)
		if (part->reports[i]->trainer_id == bridge)
			rounds = part->reports[i]->round;
	if (!strcmp(out->state, "finished"))
		rounds = part->spec->rounds;
	out->round = hierarchy_rounds(part->spec, rounds);
	add_up(out, part);
}
