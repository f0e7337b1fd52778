/* A trainer that bridges its cluster and others: every so many rounds it
 * exchanges, as the upper cluster's plan has it, with one that does so there.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fl/trainer_impl.h"
#include "node/hierarchy.h"

enum { NOTHING = -1 };

/* Of our run, and with us in it; or NULL. */
static const Gfl__V1__Bridge *bridge_of(const struct trainer *t)
{
	const struct state *s = trainer_state(t);
	const Gfl__V1__Bridge *b = s ? s->bridge : NULL;

	return b && b->run == t->run.id && b->trainer == t->id ? b : NULL;
}

static const Gfl__V1__RunSpec *spec_of(const struct trainer *t)
{
	const Gfl__V1__Run *run = state_run(trainer_state(t), t->run.id);

	return run ? run->spec : NULL;
}

/* --- with the trainers that bridge other clusters --------------------------
 */

static const char *url_of(const struct trainer *t, int64_t peer)
{
	const Gfl__V1__Bridge *b = bridge_of(t);

	for (size_t i = 0; b && i < b->n_peers; i++)
		if (b->peers[i]->id == peer)
			return b->peers[i]->url;
	return NULL;
}

static const char *upper_cluster(const struct trainer *t)
{
	return t->bridge.upper_id;
}

static bool at_of(const struct trainer *t, const Gfl__V1__TrainerStatus *s,
		  int64_t *round, int *phase)
{
	*phase = 0;
	*round = s->upper_round;
	return s->upper_run == t->bridge.upper_run &&
	       !strcmp(s->upper_id, t->bridge.upper_id);
}

static void stop_waiting(struct bridge *br)
{
	timer_stop(&br->patience);
	br->wanted = NOTHING;
}

static void done(struct trainer *t, const struct exchange_out *out)
{
	struct bridge *br = &t->bridge;
	bool planned = out->outcome != EXCHANGE_RESTED;

	br->done += out->outcome == EXCHANGE_MERGED;
	br->missed += planned && out->outcome != EXCHANGE_MERGED;
	t->run.tally.lost += out->outcome == EXCHANGE_LOST;
	if (planned && out->outcome != EXCHANGE_MERGED)
		log_info("bridge_missed", "round=%lld peer=%lld reason=%s",
			 (long long)out->t, (long long)out->peer, out->text);
	t->run.tally.wait_s += (double)(clock_ms() - t->run.since_ms) / 1e3;
	trainer_round_over(t);
}

static const struct talk_kind bridges = {
	.url = url_of,
	.cluster = upper_cluster,
	.at = at_of,
	.link = trainer_bridge_link,
	.done = done,
	.nobody = "nobody bridges that cluster",
};

static void open_bridge(struct trainer *t, const Gfl__V1__Bridge *b)
{
	const Gfl__V1__RunSpec *spec = spec_of(t);
	struct bridge *br = &t->bridge;
	struct exchange *e;

	if (br->talk.exchange || !t->run.learner || !t->run.learner->model ||
	    !spec)
		return;
	br->self = b->self;
	br->upper_run = spec->upper_run;
	br->wanted = NOTHING;
	br->vain = 0;
	str_copy(br->upper_id, sizeof(br->upper_id), spec->upper_id);
	e = exchange_new(b->self);
	exchange_begin(e, br->upper_run, t->run.learner->params,
		       (uint32_t)t->run.learner->model->n,
		       t->run.learner->model->layout);
	trainer_meet_by(t, e, spec, false);
	trainer_talk_open(&br->talk, t, &bridges, e);
	log_info("bridges", "trainer=%lld upper=%s place=%lld",
		 (long long)t->id, br->upper_id, (long long)b->self);
}

/* --- rounds --------------------------------------------------------------- */

/* At round `at` above, of which the plan is there. */
static void arrive(struct trainer *t, const Gfl__V1__Bridge *b, int64_t at)
{
	const Gfl__V1__BridgeRound *r = b->rounds[at - b->t0];
	const struct exchange_round round = {
		.run = t->bridge.upper_run,
		.epoch = b->epoch,
		.t = at,
		.peer = r->peer,
		.seed = r->seed,
		.c = r->c,
		.deadline_ms = r->deadline_ms,
		.weight = 0.5F,
	};

	trainer_talk_arrive(&t->bridge.talk, &round);
}

static void in_vain(void *arg)
{
	struct trainer *t = arg;
	const Gfl__V1__Bridge *b = bridge_of(t);

	t->bridge.wanted = NOTHING;
	t->bridge.vain = b ? b->index : 0;
	trainer_round_over(t);
}

static bool is_planned(const Gfl__V1__Bridge *b, int64_t at)
{
	return at < b->t0 + (int64_t)b->n_rounds;
}

/* A plan that does not come is waited for once, until there is a newer bridge:
 * a cluster that is cut off trains on alone. */
static bool wait_for_plan(struct trainer *t, const Gfl__V1__Bridge *b,
			  int64_t at)
{
	if (b->index == t->bridge.vain)
		return false;
	t->bridge.wanted = at;
	timer_set(&t->bridge.patience, t->loop,
		  spec_of(t)->round_deadline_ms / 2, in_vain, t);
	return true;
}

bool trainer_bridge_begin(struct trainer *t)
{
	const Gfl__V1__Bridge *b = bridge_of(t);
	const Gfl__V1__RunSpec *spec = spec_of(t);
	int64_t at = spec ? hierarchy_round(spec, t->run.t) : -1;

	if (at < 0 || !b || t->run.over)
		return false;
	open_bridge(t, b);
	if (!t->bridge.talk.exchange || at < b->t0 ||
	    at <= exchange_round_at(t->bridge.talk.exchange))
		return false;
	t->run.since_ms = clock_ms();
	if (!is_planned(b, at))
		return wait_for_plan(t, b, at);
	arrive(t, b, at);
	return true;
}

void trainer_bridge_look(struct trainer *t)
{
	const Gfl__V1__Bridge *b = bridge_of(t);
	struct bridge *br = &t->bridge;

	if (b)
		open_bridge(t, b);
	if (!br->talk.exchange)
		return;
	if (b)
		exchange_epoch(br->talk.exchange, b->epoch, clock_ms());
	trainer_talk_drain(&br->talk);
	if (!br->talk.exchange || br->wanted < 0 ||
	    (b && !is_planned(b, br->wanted)))
		return;
	stop_waiting(br);
	if (!trainer_bridge_begin(t))
		trainer_round_over(t);
}

void trainer_bridge_abandon(struct trainer *t, const char *why)
{
	struct bridge *br = &t->bridge;

	if (!br->talk.exchange)
		return;
	if (br->wanted >= 0) {
		stop_waiting(br);
		trainer_round_over(t);
		return;
	}
	exchange_abandon(br->talk.exchange, why);
	trainer_talk_drain(&br->talk);
}

void trainer_bridge_close(struct trainer *t)
{
	struct bridge *br = &t->bridge;

	stop_waiting(br);
	trainer_talk_quiet(&br->talk);
	exchange_free(br->talk.exchange);
	*br = (struct bridge){0};
}

void trainer_bridge_status(const struct trainer *t, Gfl__V1__TrainerStatus *out)
{
	const struct bridge *br = &t->bridge;

	if (!br->talk.exchange)
		return;
	out->upper_id = (char *)(uintptr_t)br->upper_id;
	out->upper_run = br->upper_run;
	out->upper_round = exchange_round_at(br->talk.exchange) +
			   !exchange_busy(br->talk.exchange);
}

/* --- for others ----------------------------------------------------------- */

bool trainer_bridges(const struct trainer *t, const char *cluster_id)
{
	return t->bridge.talk.exchange &&
	       !strcmp(t->bridge.upper_id, cluster_id);
}

struct talk *trainer_bridge_of(struct trainer *t,
			       const Gfl__V1__ExchangeRequest *r,
			       struct err *err)
{
	struct bridge *br = &t->bridge;

	if (!br->talk.exchange)
		err_set(err, ERR_UNAVAILABLE,
			"trainer %lld bridges no clusters now",
			(long long)t->id);
	else if (strcmp(r->cluster_id, br->upper_id) != 0)
		err_set(err, ERR_FAILED_PRECONDITION,
			"trainer %lld bridges clusters of %s, not of %s",
			(long long)t->id, br->upper_id, r->cluster_id);
	else
		return &br->talk;
	return NULL;
}

void trainer_bridge_link(struct trainer *t, int64_t from, int64_t to,
			 double bps)
{
	if (bps >= 1)
		t->bridge.link =
			(struct bandwidth_cell){from, to, bandwidth_level(bps)};
}
