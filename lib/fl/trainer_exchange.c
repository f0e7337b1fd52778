/* The exchanges with trainers of our cluster, and what others ask of us. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/trainer_impl.h"

enum { FRAMING = 5 }; /* bytes before a message */

/* --- requests of others --------------------------------------------------- */

static struct asked *find_asked(struct trainer *t, uint64_t token)
{
	struct asked *a;

	DL_FOREACH (t->asked, a)
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
	r.told = out->message.told;
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
	if (t->talk.exchange)
		exchange_cancel(t->talk.exchange, a->token);
	if (t->bridge.talk.exchange)
		exchange_cancel(t->bridge.talk.exchange, a->token);
	DL_DELETE(t->asked, a);
	free(a);
}

static bool is_form(const Gfl__V1__ExchangeRequest *r)
{
	return (r->scheme == GFL__V1__SCHEME__STRAT ||
		r->scheme == GFL__V1__SCHEME__INDEXED) &&
	       r->dtype <= GFL__V1__DTYPE__INT8 &&
	       r->codec <= GFL__V1__CODEC__ZSTD;
}

static int check_request(const struct trainer *t,
			 const Gfl__V1__ExchangeRequest *r, struct err *err)
{
	bool ours = !*r->cluster_id && r->run == t->run.id;

	if (!is_form(r))
		return err_set(err, ERR_UNIMPLEMENTED,
			       "scheme %d, type %d, codec %d: not known here",
			       (int)r->scheme, (int)r->dtype, (int)r->codec);
	if (r->run < 1 || r->epoch < 1 || r->round < 0 ||
	    r->round >= STATE_ROUNDS_MAX || (ours && r->round >= t->run.rounds))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "run %lld has no round %lld in epoch %lld",
			       (long long)r->run, (long long)r->round,
			       (long long)r->epoch);
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

static struct talk *talk_of(struct trainer *t,
			    const Gfl__V1__ExchangeRequest *r, struct err *err)
{
	if (*r->cluster_id)
		return trainer_bridge_of(t, r, err);
	if (t->talk.exchange)
		return &t->talk;
	err_set(err, ERR_UNAVAILABLE, "not attached yet");
	return NULL;
}

static void take_request(struct trainer *t, struct talk *c, struct call *call,
			 const Gfl__V1__ExchangeRequest *r)
{
	struct exchange_message m = {
		.key = {r->run, r->epoch, r->round, r->from, r->to},
		.digest = r->mask_digest,
		.phase = r->phase,
		.told = r->told,
		.layout = strtoull(r->layout_hash, NULL, 16),
		.form = {.dtype = (enum payload_dtype)r->dtype,
			 .codec = (enum payload_codec)r->codec,
			 .indexed = r->scheme == GFL__V1__SCHEME__INDEXED},
		.crc = r->crc32c,
		.values = r->values.data,
		.len = r->values.len,
	};
	struct asked *a = mem_zero(1, sizeof(*a));

	a->trainer = t;
	a->token = ++t->tokens;
	a->call = call;
	DL_APPEND(t->asked, a);
	call_on_cancel(call, asked_gone, a);
	exchange_request(c->exchange, &m, a->token, clock_ms());
	trainer_talk_drain(c);
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

void trainer_on_exchange(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	struct err err;
	const Gfl__V1__ExchangeRequest *r =
		(const Gfl__V1__ExchangeRequest *)in;
	struct trainer *t = arg;
	struct talk *c = talk_of(t, r, &err);

	if (!c || check_request(t, r, &err)) {
		call_fail(call, &err);
		return;
	}
	note_request(t, call, r);
	take_request(t, c, call, r);
}

void trainer_forget_calls(struct trainer *t)
{
	struct err err;

	trainer_talk_quiet(&t->talk);
	err_set(&err, ERR_UNAVAILABLE, "trainer %lld stops", (long long)t->id);
	while (t->asked)
		call_fail(take_asked(t, t->asked->token), &err);
}

/* --- with trainers of our cluster ----------------------------------------- */

static const char *url_of(const struct trainer *t, int64_t peer)
{
	const Gfl__V1__Trainer *to = state_trainer(trainer_state(t), peer);

	return to ? to->url : NULL;
}

static const char *our_cluster(const struct trainer *t)
{
	(void)t;
	return "";
}

static bool at_of(const struct trainer *t, const Gfl__V1__TrainerStatus *s,
		  int64_t *round, int *phase)
{
	*phase = s->phase;
	*round = s->round;
	return s->run == t->run.id && s->trainer_id == t->talk.round.peer;
}

/* A peer that was heard in the round is no suspect, however it went. */
static void note_miss(struct trainer *t, const struct exchange_out *out)
{
	enum { MAX = 256 };
	Gfl__V1__Miss *m;

	if (t->nmisses >= MAX ||
	    (out->outcome != EXCHANGE_MISSED && out->outcome != EXCHANGE_LOST))
		return;
	if (t->talk.round.epoch < trainer_epoch(t))
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
	note_miss(t, out);
	if (out->outcome == EXCHANGE_MERGED &&
	    t->talk.sent_message.len < TRAINER_PROBE_BYTES)
		trainer_probe(t, out->peer);
	trainer_round_done(t, out);
}

const struct talk_kind trainer_peers = {
	.url = url_of,
	.cluster = our_cluster,
	.at = at_of,
	.link = trainer_link,
	.done = done,
	.nobody = "the peer is gone",
};
