/* An exchange's inputs and outputs as calls of TrainerService: our request, a
 * peer that is waited for, and whatever time brings. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fl/trainer_impl.h"

enum {
	PATIENCE_MS = 100, /* without a word from the peer, then ask it */
	ASK_WAIT_MS = 1000,
	FRAMING = 5, /* bytes before a message */
};

void trainer_talk_open(struct talk *c, struct trainer *t,
		       const struct talk_kind *kind, struct exchange *exchange)
{
	*c = (struct talk){
		.trainer = t,
		.kind = kind,
		.exchange = exchange,
	};
}

/* --- our request ---------------------------------------------------------- */

static void got_reply(struct talk *c, const Gfl__V1__ExchangeResponse *r)
{
	struct exchange_message m = c->sent_message;
	struct trainer *t = c->trainer;
	uint64_t bytes;
	int64_t us;

	client_timing(t->client, &bytes, &us);
	c->kind->link(t, m.key.to, m.key.from, trainer_speed(bytes, us));
	t->run.tally.bytes_received += (int64_t)bytes;
	m.told = r->told;
	m.crc = r->crc32c;
	m.values = r->values.data;
	m.len = r->values.len;
	exchange_reply(c->exchange, &m, clock_ms());
}

static void sent_done(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct talk *c = arg;

	c->sent = NULL;
	c->heard |= !err || err->code == ERR_FAILED_PRECONDITION ||
		    err->code == ERR_DEADLINE_EXCEEDED;
	if (err) {
		log_debug("exchange", "round=%lld peer=%lld error=%s",
			  (long long)c->sent_message.key.t,
			  (long long)c->sent_message.key.to, err->msg);
		exchange_failed(c->exchange, err->code, clock_ms());
	} else {
		got_reply(c, (const Gfl__V1__ExchangeResponse *)out);
	}
	trainer_talk_drain(c);
}

static void fill_request(const struct talk *c, const struct exchange_message *m,
			 Gfl__V1__ExchangeRequest *in, char *layout)
{
	const struct trainer *t = c->trainer;

	in->run = m->key.run;
	in->epoch = m->key.epoch;
	in->round = m->key.t;
	in->from = m->key.from;
	in->to = m->key.to;
	in->phase = m->phase;
	in->told = m->told;
	trainer_layout(t, layout);
	in->layout_hash = layout;
	in->parameters = t->run.learner->model->n;
	in->scheme = m->form.indexed ? GFL__V1__SCHEME__INDEXED
				     : GFL__V1__SCHEME__STRAT;
	in->c = c->round.c;
	in->seed = c->round.seed;
	in->dtype = (Gfl__V1__Dtype)m->form.dtype;
	in->codec = (Gfl__V1__Codec)m->form.codec;
	in->mask_digest = m->digest;
	in->crc32c = m->crc;
	in->values.len = m->len;
	in->values.data = (uint8_t *)(uintptr_t)m->values;
	in->cluster_id = (char *)(uintptr_t)c->kind->cluster(t);
}

static void send_request(struct talk *c, const struct exchange_out *out)
{
	Gfl__V1__ExchangeRequest in = GFL__V1__EXCHANGE_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = PLAN_DEADLINE_MAX_MS};
	struct trainer *t = c->trainer;
	const char *url = c->kind->url(t, out->peer);
	char layout[17];

	client_cancel(c->sent);
	c->sent = NULL;
	c->sent_message = out->message;
	c->sent_message.values = NULL;
	if (!url) {
		exchange_abandon(c->exchange, c->kind->nobody);
		return;
	}
	fill_request(c, &out->message, &in, layout);
	t->run.tally.bytes_sent +=
		(int64_t)gfl__v1__exchange_request__get_packed_size(&in) +
		FRAMING;
	c->sent = client_call(t->client, url, RPC_TRAINER_EXCHANGE, &in.base,
			      &opts, sent_done, c);
}

/* --- waiting for the peer's ----------------------------------------------- */

static void ask(void *arg);

/* The peer that we wait for is alive, and may be past this round: it had given
 * it up before we came. */
static void ask_done(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	const Gfl__V1__TrainerStatus *s = (const Gfl__V1__TrainerStatus *)out;
	struct talk *c = arg;
	int64_t round;
	int phase;

	c->asking = NULL;
	if (!err && c->kind->at(c->trainer, s, &round, &phase)) {
		c->heard = true;
		if (round > c->round.t ||
		    (round == c->round.t && phase > c->round.phase)) {
			exchange_abandon(c->exchange, "the peer is past it");
			trainer_talk_drain(c);
			return;
		}
	}
	timer_set(&c->patience, c->trainer->loop, PATIENCE_MS, ask, c);
}

static void ask(void *arg)
{
	Gfl__V1__TrainerStatusRequest in =
		GFL__V1__TRAINER_STATUS_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = ASK_WAIT_MS};
	struct talk *c = arg;
	const char *url = c->kind->url(c->trainer, c->round.peer);

	in.to = c->round.peer;
	in.cluster_id = (char *)(uintptr_t)c->kind->cluster(c->trainer);
	if (url)
		c->asking = client_call(c->trainer->client, url,
					RPC_TRAINER_GET_STATUS, &in.base, &opts,
					ask_done, c);
}

void trainer_talk_arrive(struct talk *c, const struct exchange_round *round)
{
	c->round = *round;
	c->heard = false;
	exchange_arrive(c->exchange, round, clock_ms());
	if (exchange_waits(c->exchange))
		timer_set(&c->patience, c->trainer->loop, PATIENCE_MS, ask, c);
	trainer_talk_drain(c);
}

static void stop_waiting(struct talk *c)
{
	timer_stop(&c->patience);
	client_cancel(c->asking);
	c->asking = NULL;
	client_cancel(c->sent);
	c->sent = NULL;
}

void trainer_talk_quiet(struct talk *c)
{
	stop_waiting(c);
	timer_stop(&c->tick);
}

/* --- outputs -------------------------------------------------------------- */

static void tick(void *arg)
{
	struct talk *c = arg;

	exchange_tick(c->exchange, clock_ms());
	trainer_talk_drain(c);
}

static void set_tick(struct talk *c)
{
	int64_t at = exchange_deadline(c->exchange), now = clock_ms();

	timer_stop(&c->tick);
	if (at != INT64_MAX)
		timer_set(&c->tick, c->trainer->loop, at > now ? at - now : 0,
			  tick, c);
}

/* The last output may end the run, and a bridge with it. */
void trainer_talk_drain(struct talk *c)
{
	struct exchange_out out;

	while (c->exchange && exchange_next(c->exchange, &out)) {
		switch (out.kind) {
		case EXCHANGE_SEND:
			send_request(c, &out);
			break;
		case EXCHANGE_ANSWER:
			trainer_answer(c->trainer, &out);
			break;
		case EXCHANGE_REFUSE:
			trainer_refuse(c->trainer, &out);
			break;
		case EXCHANGE_DONE:
			stop_waiting(c);
			c->kind->done(c->trainer, &out);
			break;
		}
	}
	if (c->exchange)
		set_tick(c);
}
