/* Requests of others: answered, held until we are there, or refused. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "fl/exchange_impl.h"

static void refuse(struct exchange *e, uint64_t token, enum err_code code,
		   const char *fmt, ...) PRINTF(4, 5);

static void refuse(struct exchange *e, uint64_t token, enum err_code code,
		   const char *fmt, ...)
{
	struct exchange_out *out = exchange_push(e, EXCHANGE_REFUSE);
	va_list ap;

	out->token = token;
	out->code = code;
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
}

static void answer(struct exchange *e, uint64_t token, const struct kept *k)
{
	struct exchange_out *out = exchange_push(e, EXCHANGE_ANSWER);

	out->token = token;
	out->message = (struct exchange_message){
		.key = k->key,
		.digest = k->digest,
		.layout = k->layout,
		.form = exchange_form(e, true),
		.told = k->told,
		.crc = crc32c_of(0, k->values, k->len),
		.values = k->values,
		.len = k->len,
	};
}

void exchange_held_drop(struct exchange *e, size_t i)
{
	free(e->held[i].values);
	memmove(&e->held[i], &e->held[i + 1],
		(e->nheld - i - 1) * sizeof(e->held[0]));
	e->nheld--;
}

/* Our answer is kept before anything else can ask for it. */
static const struct kept *keep_mine(struct exchange *e)
{
	struct kept k = {.key = exchange_key_now(e),
			 .digest = e->digest,
			 .layout = e->layout,
			 .told = e->how.tells ? e->told : 0,
			 .values = e->bytes.p,
			 .len = e->bytes.len};

	return exchange_keep(e, &k);
}

/* A request for the round we wait in. */
static void meet(struct exchange *e, const struct exchange_message *m,
		 uint64_t token)
{
	struct exchange_key now = exchange_key_now(e);
	struct err err;
	int rc;

	if (!exchange_same_key(&m->key, &now)) {
		refuse(e, token, ERR_FAILED_PRECONDITION,
		       "round %lld of epoch %lld is with trainer %lld",
		       (long long)e->round.t, (long long)e->round.epoch,
		       (long long)e->round.peer);
		return;
	}
	rc = exchange_read(e, m, false, &err);
	if (!rc && e->how.topk && e->how.tells)
		exchange_choose(e);
	if (!rc && e->how.topk)
		rc = exchange_take(e, true, &err);
	if (rc) {
		refuse(e, token, (enum err_code)rc, "%.120s", err.msg);
		if (rc != ERR_DATA_LOSS)
			exchange_done(e, EXCHANGE_REFUSED, err.msg);
		return;
	}
	answer(e, token, keep_mine(e));
	exchange_merge(e);
	exchange_done(e, EXCHANGE_MERGED, "");
}

/* Deal with a request that was not answered before; false when it has to wait
 * until we are there. */
static bool deal(struct exchange *e, const struct exchange_message *m,
		 uint64_t token)
{
	const struct exchange_key *key = &m->key;

	if (key->run < e->run ||
	    (key->run == e->run && key->epoch < e->epoch)) {
		refuse(e, token, ERR_FAILED_PRECONDITION,
		       "run %lld epoch %lld is over, here is %lld epoch %lld",
		       (long long)key->run, (long long)key->epoch,
		       (long long)e->run, (long long)e->epoch);
		return true;
	}
	if (key->run > e->run || key->t > e->at ||
	    (key->t == e->at && m->phase > e->phase_at))
		return false;
	if (key->t == e->at && m->phase == e->phase_at && e->state == WAITING)
		meet(e, m, token);
	else
		refuse(e, token, ERR_FAILED_PRECONDITION,
		       "round %lld is over here, at %lld", (long long)key->t,
		       (long long)e->at);
	return true;
}

void exchange_held_look(struct exchange *e)
{
	for (size_t i = 0; i < e->nheld;) {
		if (deal(e, &e->held[i].message, e->held[i].token))
			exchange_held_drop(e, i);
		else
			i++;
	}
}

void exchange_held_of_runs(struct exchange *e, int64_t run)
{
	for (size_t i = e->nheld; i-- > 0;) {
		if (e->held[i].message.key.run >= run)
			continue;
		refuse(e, e->held[i].token, ERR_FAILED_PRECONDITION,
		       "that run is over");
		exchange_held_drop(e, i);
	}
	exchange_kept_clear(e);
}

/* The same request again, over a new connection: the old one is of no use. */
static void supersede(struct exchange *e, const struct exchange_key *key)
{
	for (size_t i = 0; i < e->nheld; i++) {
		if (!exchange_same_key(&e->held[i].message.key, key))
			continue;
		refuse(e, e->held[i].token, ERR_ABORTED, "asked again");
		exchange_held_drop(e, i);
		return;
	}
}

static void hold(struct exchange *e, const struct exchange_message *m,
		 uint64_t token, int64_t now_ms)
{
	struct held *h;

	supersede(e, &m->key);
	if (e->nheld == EXCHANGE_HELD_MAX || m->len > EXCHANGE_HELD_BYTES) {
		refuse(e, token, ERR_RESOURCE_EXHAUSTED,
		       "%zu requests are held, at most %d of %d MiB", e->nheld,
		       EXCHANGE_HELD_MAX, EXCHANGE_HELD_BYTES >> 20);
		return;
	}
	h = &e->held[e->nheld++];
	*h = (struct held){.token = token, .message = *m};
	h->values = mem_dup(m->values, m->len);
	h->message.values = h->values;
	h->until_ms = now_ms + e->hold_ms;
}

/* A request for a later round from whom we wait for: it has given this one up,
 * and will not come any more. */
static bool is_past(const struct exchange *e, const struct exchange_key *key)
{
	return e->state == WAITING && key->run == e->run &&
	       key->from == e->round.peer && key->t > e->round.t;
}

/* By the mask only a lower id asks. */
static bool may_ask(const struct exchange *e, const struct exchange_key *key)
{
	bool by_mask = key->run == e->run && !e->how.shared;

	return key->to == e->self && key->from >= 1 && key->from != e->self &&
	       !(by_mask && key->from > e->self);
}

void exchange_request(struct exchange *e, const struct exchange_message *m,
		      uint64_t token, int64_t now_ms)
{
	const struct exchange_key *key = &m->key;
	const struct kept *again = exchange_kept_find(e, key);

	if (again) {
		e->counts.repeated++;
		answer(e, token, again);
	} else if (!may_ask(e, key)) {
		refuse(e, token, ERR_INVALID_ARGUMENT,
		       "trainer %lld sends to %lld, but this is %lld",
		       (long long)key->from, (long long)key->to,
		       (long long)e->self);
	} else if (!deal(e, m, token)) {
		hold(e, m, token, now_ms);
		if (is_past(e, key))
			exchange_done(e, EXCHANGE_MISSED,
				      "the peer is past it");
	}
}

void exchange_cancel(struct exchange *e, uint64_t token)
{
	for (size_t i = 0; i < e->nheld; i++)
		if (e->held[i].token == token) {
			exchange_held_drop(e, i);
			return;
		}
}

void exchange_held_expire(struct exchange *e, int64_t now_ms)
{
	for (size_t i = e->nheld; i-- > 0;) {
		if (e->held[i].until_ms > now_ms)
			continue;
		refuse(e, e->held[i].token, ERR_DEADLINE_EXCEEDED,
		       "not yet at round %lld, but at %lld",
		       (long long)e->held[i].message.key.t, (long long)e->at);
		exchange_held_drop(e, i);
	}
}
