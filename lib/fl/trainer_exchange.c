/* The exchange's inputs and outputs as calls of TrainerService, and what they
 * tell about the speed of links. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/trainer_impl.h"

enum {
	PATIENCE_MS = 100, /* without a word from the peer, then ask it */
	ASK_WAIT_MS = 1000,
	FRAMING = 5, /* bytes before a message */
};

/* --- our request ---------------------------------------------------------- */

static void got_reply(struct trainer *t, const Gfl__V1__ExchangeResponse *r)
{
	struct exchange_message m = t->sent_message;
	uint64_t bytes;
	int64_t us;

	client_timing(t->client, &bytes, &us);
	trainer_link(t, m.key.to, t->id, trainer_speed(bytes, us));
	t->run.tally.bytes_received += (int64_t)bytes;
	m.k = (uint32_t)(r->values.len / (m.bf16 ? 2 : 4));
	m.crc = r->crc32c;
	m.values = r->values.data;
	m.len = r->values.len;
	exchange_reply(t->exchange, &m, clock_ms());
}

static void sent_done(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct trainer *t = arg;

	t->sent = NULL;
	t->heard_peer |= !err || err->code == ERR_FAILED_PRECONDITION ||
			 err->code == ERR_DEADLINE_EXCEEDED;
	if (err) {
		log_debug("exchange", "round=%lld peer=%lld error=%s",
			  (long long)t->sent_message.key.t,
			  (long long)t->sent_message.key.to, err->msg);
		exchange_failed(t->exchange, err->code, clock_ms());
	} else {
		got_reply(t, (const Gfl__V1__ExchangeResponse *)out);
	}
	trainer_drain(t);
}

void trainer_fill_exchange(const struct trainer *t,
			   const struct exchange_message *m,
			   const struct exchange_round *round,
			   Gfl__V1__ExchangeRequest *in, char *layout)
{
	in->run = m->key.run;
	in->epoch = m->key.epoch;
	in->round = m->key.t;
	in->from = m->key.from;
	in->to = m->key.to;
	trainer_layout(t, layout);
	in->layout_hash = layout;
	in->parameters = t->run.learner->model->n;
	in->scheme = GFL__V1__SCHEME__STRAT;
	in->c = round->c;
	in->seed = round->seed;
	in->dtype = m->bf16 ? GFL__V1__DTYPE__BF16 : GFL__V1__DTYPE__F32;
	in->mask_digest = m->digest;
	in->crc32c = m->crc;
	in->values.len = m->len;
	in->values.data = (uint8_t *)(uintptr_t)m->values;
}

static void send_request(struct trainer *t, const struct exchange_out *out)
{
	Gfl__V1__ExchangeRequest in = GFL__V1__EXCHANGE_REQUEST__INIT;
	const Gfl__V1__Trainer *to = state_trainer(trainer_state(t), out->peer);
	struct rpc_opts opts = {.timeout_ms = PLAN_DEADLINE_MAX_MS};
	char layout[17];

	client_cancel(t->sent);
	t->sent = NULL;
	t->sent_message = out->message;
	t->sent_message.values = NULL;
	if (!to) {
		exchange_abandon(t->exchange, "the peer is gone");
		return;
	}
	trainer_fill_exchange(t, &out->message, &t->round, &in, layout);
	t->run.tally.bytes_sent +=
		(int64_t)gfl__v1__exchange_request__get_packed_size(&in) +
		FRAMING;
	t->sent = client_call(t->client, to->url, RPC_TRAINER_EXCHANGE,
			      &in.base, &opts, sent_done, t);
}

/* --- waiting for one -------------------------------------------------------
 */

static void ask(void *arg);

/* The peer that we wait for is alive, and may be past this round: it had given
 * it up before we came. */
static void ask_done(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	const Gfl__V1__TrainerStatus *s = (const Gfl__V1__TrainerStatus *)out;
	struct trainer *t = arg;

	t->asking = NULL;
	if (!err && s->run == t->run.id && s->trainer_id == t->round.peer) {
		t->heard_peer = true;
		if (s->round > t->round.t) {
			exchange_abandon(t->exchange, "the peer is past it");
			trainer_drain(t);
			return;
		}
	}
	timer_set(&t->patience, t->loop, PATIENCE_MS, ask, t);
}

static void ask(void *arg)
{
	Gfl__V1__TrainerStatusRequest in =
		GFL__V1__TRAINER_STATUS_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = ASK_WAIT_MS};
	struct trainer *t = arg;
	const Gfl__V1__Trainer *peer =
		state_trainer(trainer_state(t), t->round.peer);

	if (peer)
		t->asking = client_call(t->client, peer->url,
					RPC_TRAINER_GET_STATUS, &in.base, &opts,
					ask_done, t);
}

void trainer_wait_for_peer(struct trainer *t)
{
	t->heard_peer = false;
	if (exchange_busy(t->exchange) && t->round.peer < t->id)
		timer_set(&t->patience, t->loop, PATIENCE_MS, ask, t);
}

static void stop_waiting(struct trainer *t)
{
	timer_stop(&t->patience);
	client_cancel(t->asking);
	t->asking = NULL;
}

/* --- requests of others --------------------------------------------------- */

static struct asked *find_asked(struct trainer *t, uint64_t token)
{
	struct asked *a;

	DL_FOREACH(t->asked, a)
	if (a->token == token)
		return a;
	return NULL;
}

static struct call *take_asked(struct trainer *t, uint64_t token)
{
	struct asked *a = find_asked(t, token);
	struct call *call;

	if (!a)
		return NULL;
	call = a->call;
	DL_DELETE(t->asked, a);
	free(a);
	return call;
}

void trainer_answer(struct trainer *t, const struct exchange_out *out)
{
	Gfl__V1__ExchangeResponse r = GFL__V1__EXCHANGE_RESPONSE__INIT;
	struct call *call = take_asked(t, out->token);

	if (!call)
		return;
	r.crc32c = out->message.crc;
	r.values.len = out->message.len;
	r.values.data = (uint8_t *)(uintptr_t)out->message.values;
	t->run.tally.bytes_sent +=
		(int64_t)gfl__v1__exchange_response__get_packed_size(&r) +
		FRAMING;
	call_reply(call, &r.base);
}

void trainer_refuse(struct trainer *t, const struct exchange_out *out)
{
	struct call *call = take_asked(t, out->token);
	struct err err;

	if (!call)
		return;
	err_set(&err, out->code, "trainer %lld: %s", (long long)t->id,
		out->text);
	call_fail(call, &err);
}

static void asked_gone(struct call *call, void *arg)
{
	struct asked *a = arg;
	struct trainer *t = a->trainer;

	(void)call;
	if (t->exchange)
		exchange_cancel(t->exchange, a->token);
	if (t->bridge.exchange)
		exchange_cancel(t->bridge.exchange, a->token);
	DL_DELETE(t->asked, a);
	free(a);
}

/* Bytes of a value; 0 of a type that we do not know. */
static size_t value_size(const Gfl__V1__ExchangeRequest *r)
{
	return r->dtype == GFL__V1__DTYPE__F32	  ? 4
	       : r->dtype == GFL__V1__DTYPE__BF16 ? 2
						  : 0;
}

static int check_request(const struct trainer *t,
			 const Gfl__V1__ExchangeRequest *r, struct err *err)
{
	bool ours = !*r->cluster_id && r->run == t->run.id;

	const size_t size = value_size(r);

	if (r->scheme != GFL__V1__SCHEME__STRAT || !size)
		return err_set(err, ERR_UNIMPLEMENTED,
			       "scheme %d, type %d: only STRAT of F32 or BF16",
			       (int)r->scheme, (int)r->dtype);
	if (r->run < 1 || r->epoch < 1 || r->round < 0 ||
	    r->round >= STATE_ROUNDS_MAX || (ours && r->round >= t->run.rounds))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "run %lld has no round %lld in epoch %lld",
			       (long long)r->run, (long long)r->round,
			       (long long)r->epoch);
	if (r->values.len % size || r->values.len / size > UINT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu bytes are no values of %zu bytes",
			       r->values.len, size);
	return 0;
}

/* A peer that is further on: it can be so only as far as plans go. */
static void note_round(struct trainer *t, const Gfl__V1__ExchangeRequest *r)
{
	const struct state *s = trainer_state(t);

	if (s && r->run == t->run.id && r->round > t->run.fastest &&
	    state_trainer(s, r->from) &&
	    r->round < plans_end(&s->plans, r->run))
		t->run.fastest = r->round;
}

static struct exchange *exchange_of(struct trainer *t,
				    const Gfl__V1__ExchangeRequest *r,
				    struct err *err)
{
	if (*r->cluster_id)
		return trainer_bridge_of(t, r, err);
	if (!t->exchange)
		err_set(err, ERR_UNAVAILABLE, "not attached yet");
	return t->exchange;
}

static void take_request(struct trainer *t, struct exchange *e,
			 struct call *call, const Gfl__V1__ExchangeRequest *r)
{
	struct exchange_message m = {
		.key = {r->run, r->epoch, r->round, r->from, r->to},
		.digest = r->mask_digest,
		.layout = strtoull(r->layout_hash, NULL, 16),
		.k = (uint32_t)(r->values.len / value_size(r)),
		.crc = r->crc32c,
		.values = r->values.data,
		.len = r->values.len,
		.bf16 = r->dtype == GFL__V1__DTYPE__BF16,
	};
	struct asked *a = mem_zero(1, sizeof(*a));

	a->trainer = t;
	a->token = ++t->tokens;
	a->call = call;
	DL_APPEND(t->asked, a);
	call_on_cancel(call, asked_gone, a);
	exchange_request(e, &m, a->token, clock_ms());
	if (e == t->exchange)
		trainer_drain(t);
	else
		trainer_bridge_drain(t);
}

/* What a request tells beside its values. */
static void note_request(struct trainer *t, struct call *call,
			 const Gfl__V1__ExchangeRequest *r)
{
	uint64_t bytes;
	int64_t us;

	call_timing(call, &bytes, &us);
	if (*r->cluster_id) {
		trainer_bridge_link(t, r->from, r->to,
				    trainer_speed(bytes, us));
		t->run.tally.bytes_received += (int64_t)bytes;
		return;
	}
	trainer_link(t, r->from, t->id, trainer_speed(bytes, us));
	if (r->run == t->run.id)
		t->run.tally.bytes_received += (int64_t)bytes;
	note_round(t, r);
}

static void serve_exchange(struct call *call, const ProtobufCMessage *in,
			   void *arg)
{
	struct err err;
	const Gfl__V1__ExchangeRequest *r =
		(const Gfl__V1__ExchangeRequest *)in;
	struct trainer *t = arg;
	struct exchange *e = exchange_of(t, r, &err);

	if (!e || check_request(t, r, &err)) {
		call_fail(call, &err);
		return;
	}
	note_request(t, call, r);
	take_request(t, e, call, r);
}

void trainer_serve_exchange(struct trainer *t)
{
	server_handle(t->server, RPC_TRAINER_EXCHANGE, serve_exchange, t);
}

/* --- outputs -------------------------------------------------------------- */

/* A peer that was heard in the round is no suspect, however it went. */
static void note_miss(struct trainer *t, const struct exchange_out *out)
{
	enum { MAX = 256 };
	const struct state *s = trainer_state(t);
	Gfl__V1__Miss *m;

	if (t->nmisses >= MAX ||
	    (out->outcome != EXCHANGE_MISSED && out->outcome != EXCHANGE_LOST))
		return;
	if (plans_epoch(&s->plans, t->run.id) < s->epoch)
		return; /* it was the epoch that ended, not the peer */
	t->misses = mem_grow(t->misses, &t->misses_cap, t->nmisses + 1,
			     sizeof(*t->misses));
	m = &t->misses[t->nmisses++];
	gfl__v1__miss__init(m);
	m->peer = out->peer;
	m->round = out->t;
	m->by = t->id;
}

static void done(struct trainer *t, const struct exchange_out *out)
{
	client_cancel(t->sent);
	t->sent = NULL;
	stop_waiting(t);
	note_miss(t, out);
	if (out->outcome == EXCHANGE_MERGED &&
	    t->sent_message.len < TRAINER_PROBE_BYTES)
		trainer_probe(t, out->peer);
	trainer_round_done(t, out);
}

static void tick(void *arg)
{
	struct trainer *t = arg;

	exchange_tick(t->exchange, clock_ms());
	trainer_drain(t);
}

static void set_tick(struct trainer *t)
{
	int64_t at = exchange_deadline(t->exchange), now = clock_ms();

	timer_stop(&t->tick);
	if (at != INT64_MAX)
		timer_set(&t->tick, t->loop, at > now ? at - now : 0, tick, t);
}

void trainer_drain(struct trainer *t)
{
	struct exchange_out out;

	if (!t->exchange)
		return;
	while (exchange_next(t->exchange, &out)) {
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
	set_tick(t);
}

void trainer_forget_calls(struct trainer *t)
{
	struct err err;

	stop_waiting(t);
	err_set(&err, ERR_UNAVAILABLE, "trainer %lld stops", (long long)t->id);
	while (t->asked)
		call_fail(take_asked(t, t->asked->token), &err);
}
