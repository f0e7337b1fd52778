/* A trainer that bridges its cluster and others: every so many rounds it
 * exchanges, as the upper cluster's plan has it, with one that does so there.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fl/trainer_impl.h"
#include "node/hierarchy.h"

enum {
	FRAMING = 5,       /* bytes before a message */
	PATIENCE_MS = 100, /* without a word from the peer, then ask it */
	ASK_WAIT_MS = 1000,
	NOTHING = -1,
};

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

static void open_bridge(struct trainer *t, const Gfl__V1__Bridge *b)
{
	const Gfl__V1__RunSpec *spec = spec_of(t);
	struct bridge *br = &t->bridge;

	if (br->exchange || !t->run.learner || !spec)
		return;
	br->self = b->self;
	br->upper_run = spec->upper_run;
	br->wanted = NOTHING;
	br->vain = 0;
	str_copy(br->upper_id, sizeof(br->upper_id), spec->upper_id);
	br->exchange = exchange_new(b->self);
	exchange_begin(br->exchange, br->upper_run, t->run.learner->params,
		       (uint32_t)t->run.learner->model->n,
		       t->run.learner->model->layout);
	if (!strcmp(spec->dtype, "bf16"))
		exchange_bf16(br->exchange);
	log_info("bridges", "trainer=%lld upper=%s place=%lld",
		 (long long)t->id, br->upper_id, (long long)b->self);
}

/* --- our request ---------------------------------------------------------- */

static void got_reply(struct trainer *t, const Gfl__V1__ExchangeResponse *r)
{
	struct exchange_message m = t->bridge.sent_message;
	uint64_t bytes;
	int64_t us;

	client_timing(t->client, &bytes, &us);
	trainer_bridge_link(t, m.key.to, m.key.from, trainer_speed(bytes, us));
	t->run.tally.bytes_received += (int64_t)bytes;
	m.k = (uint32_t)(r->values.len / 4);
	m.crc = r->crc32c;
	m.values = r->values.data;
	m.len = r->values.len;
	exchange_reply(t->bridge.exchange, &m, clock_ms());
}

static void sent_done(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct trainer *t = arg;
	struct bridge *br = &t->bridge;

	br->sent = NULL;
	if (err) {
		log_debug("bridge", "round=%lld peer=%lld error=%s",
			  (long long)br->round.t, (long long)br->round.peer,
			  err->msg);
		exchange_failed(br->exchange, err->code, clock_ms());
	} else {
		got_reply(t, (const Gfl__V1__ExchangeResponse *)out);
	}
	trainer_bridge_drain(t);
}

static const char *url_of(const struct trainer *t, int64_t peer)
{
	const Gfl__V1__Bridge *b = bridge_of(t);

	for (size_t i = 0; b && i < b->n_peers; i++)
		if (b->peers[i]->id == peer)
			return b->peers[i]->url;
	return NULL;
}

static void send_request(struct trainer *t, const struct exchange_out *out)
{
	Gfl__V1__ExchangeRequest in = GFL__V1__EXCHANGE_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = PLAN_DEADLINE_MAX_MS};
	const char *url = url_of(t, out->peer);
	struct bridge *br = &t->bridge;
	char layout[17];

	client_cancel(br->sent);
	br->sent = NULL;
	br->sent_message = out->message;
	br->sent_message.values = NULL;
	if (!url) {
		exchange_abandon(br->exchange, "nobody bridges that cluster");
		return;
	}
	trainer_fill_exchange(t, &out->message, &br->round, &in, layout);
	in.cluster_id = br->upper_id;
	t->run.tally.bytes_sent +=
		(int64_t)gfl__v1__exchange_request__get_packed_size(&in) +
		FRAMING;
	br->sent = client_call(t->client, url, RPC_TRAINER_EXCHANGE, &in.base,
			       &opts, sent_done, t);
}

/* --- waiting for the peer's ----------------------------------------------- */

static void ask(void *arg);

static void ask_done(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	const Gfl__V1__TrainerStatus *s = (const Gfl__V1__TrainerStatus *)out;
	struct trainer *t = arg;
	struct bridge *br = &t->bridge;

	br->asking = NULL;
	if (!err && s->upper_run == br->upper_run &&
	    s->upper_round > br->round.t &&
	    !strcmp(s->upper_id, br->upper_id)) {
		exchange_abandon(br->exchange, "the peer is past it");
		trainer_bridge_drain(t);
		return;
	}
	timer_set(&br->patience, t->loop, PATIENCE_MS, ask, t);
}

static void ask(void *arg)
{
	Gfl__V1__TrainerStatusRequest in =
		GFL__V1__TRAINER_STATUS_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = ASK_WAIT_MS};
	struct trainer *t = arg;
	const char *url = url_of(t, t->bridge.round.peer);

	if (url)
		t->bridge.asking =
			client_call(t->client, url, RPC_TRAINER_GET_STATUS,
				    &in.base, &opts, ask_done, t);
}

static void stop_waiting(struct bridge *br)
{
	timer_stop(&br->patience);
	client_cancel(br->asking);
	br->asking = NULL;
	br->wanted = NOTHING;
}

/* --- outputs -------------------------------------------------------------- */

static void done(struct trainer *t, const struct exchange_out *out)
{
	struct bridge *br = &t->bridge;
	bool planned = out->outcome != EXCHANGE_RESTED;

	client_cancel(br->sent);
	br->sent = NULL;
	stop_waiting(br);
	br->done += out->outcome == EXCHANGE_MERGED;
	br->missed += planned && out->outcome != EXCHANGE_MERGED;
	t->run.tally.lost += out->outcome == EXCHANGE_LOST;
	if (planned && out->outcome != EXCHANGE_MERGED)
		log_info("bridge_missed", "round=%lld peer=%lld reason=%s",
			 (long long)out->t, (long long)out->peer, out->text);
	t->run.tally.wait_s += (double)(clock_ms() - t->run.since_ms) / 1e3;
	trainer_round_over(t);
}

static void tick(void *arg)
{
	struct trainer *t = arg;

	exchange_tick(t->bridge.exchange, clock_ms());
	trainer_bridge_drain(t);
}

static void set_tick(struct trainer *t)
{
	int64_t at = exchange_deadline(t->bridge.exchange), now = clock_ms();

	timer_stop(&t->bridge.tick);
	if (at != INT64_MAX)
		timer_set(&t->bridge.tick, t->loop, at > now ? at - now : 0,
			  tick, t);
}

/* The last output may end the run, and the bridge with it. */
void trainer_bridge_drain(struct trainer *t)
{
	struct exchange_out out;

	while (t->bridge.exchange && exchange_next(t->bridge.exchange, &out)) {
		switch (out.kind) {
		case EXCHANGE_SEND:
			send_request(t, &out);
			break;
		case EXCHANGE_ANSWER:
			trainer_answer(t, &out);
			break;
		case EXCHANGE_REFUSE:
			trainer_refuse(t, &out);
			break;
		case EXCHANGE_DONE:
			done(t, &out);
			break;
		}
	}
	if (t->bridge.exchange)
		set_tick(t);
}

/* --- rounds --------------------------------------------------------------- */

/* At round `at` above, of which the plan is there. */
static void arrive(struct trainer *t, const Gfl__V1__Bridge *b, int64_t at)
{
	const Gfl__V1__BridgeRound *r = b->rounds[at - b->t0];
	struct bridge *br = &t->bridge;

	br->round = (struct exchange_round){
		.run = br->upper_run,
		.epoch = b->epoch,
		.t = at,
		.peer = r->peer,
		.seed = r->seed,
		.c = r->c,
		.deadline_ms = r->deadline_ms,
	};
	exchange_arrive(br->exchange, &br->round, clock_ms());
	if (exchange_busy(br->exchange) && r->peer < br->self)
		timer_set(&br->patience, t->loop, PATIENCE_MS, ask, t);
	trainer_bridge_drain(t);
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
	if (!t->bridge.exchange || at < b->t0 ||
	    at <= exchange_round_at(t->bridge.exchange))
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
	if (!br->exchange)
		return;
	if (b)
		exchange_epoch(br->exchange, b->epoch, clock_ms());
	trainer_bridge_drain(t);
	if (!br->exchange || br->wanted < 0 ||
	    (b && !is_planned(b, br->wanted)))
		return;
	stop_waiting(br);
	if (!trainer_bridge_begin(t))
		trainer_round_over(t);
}

void trainer_bridge_abandon(struct trainer *t, const char *why)
{
	struct bridge *br = &t->bridge;

	if (!br->exchange)
		return;
	if (br->wanted >= 0) {
		stop_waiting(br);
		trainer_round_over(t);
		return;
	}
	exchange_abandon(br->exchange, why);
	trainer_bridge_drain(t);
}

void trainer_bridge_close(struct trainer *t)
{
	struct bridge *br = &t->bridge;

	stop_waiting(br);
	timer_stop(&br->tick);
	client_cancel(br->sent);
	exchange_free(br->exchange);
	*br = (struct bridge){0};
}

void trainer_bridge_status(const struct trainer *t, Gfl__V1__TrainerStatus *out)
{
	const struct bridge *br = &t->bridge;

	if (!br->exchange)
		return;
	out->upper_id = (char *)(uintptr_t)br->upper_id;
	out->upper_run = br->upper_run;
	out->upper_round =
		exchange_round_at(br->exchange) + !exchange_busy(br->exchange);
}

/* --- for others ----------------------------------------------------------- */

struct exchange *trainer_bridge_of(struct trainer *t,
				   const Gfl__V1__ExchangeRequest *r,
				   struct err *err)
{
	struct bridge *br = &t->bridge;

	if (!br->exchange)
		err_set(err, ERR_UNAVAILABLE,
			"trainer %lld bridges no clusters now",
			(long long)t->id);
	else if (strcmp(r->cluster_id, br->upper_id) != 0)
		err_set(err, ERR_FAILED_PRECONDITION,
			"trainer %lld bridges clusters of %s, not of %s",
			(long long)t->id, br->upper_id, r->cluster_id);
	else
		return br->exchange;
	return NULL;
}

void trainer_bridge_link(struct trainer *t, int64_t from, int64_t to,
			 double bps)
{
	if (bps >= 1)
		t->bridge.link =
			(struct bandwidth_cell){from, to, bandwidth_level(bps)};
}
