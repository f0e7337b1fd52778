#include "fl/exchange.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "fl/exchange_impl.h"
#include "fl/sparsify.h"
#include "plan/mask.h"
#include "plan/round.h"

/* --- outputs ----------------------------------------------------------- */

static struct exchange_out *push(struct exchange *e,
				 enum exchange_out_kind kind)
{
	struct exchange_out *out;

	e->outs =
		mem_grow(e->outs, &e->outs_cap, e->nouts + 1, sizeof(*e->outs));
	out = &e->outs[e->nouts++];
	*out = (struct exchange_out){.kind = kind};
	return out;
}

bool exchange_next(struct exchange *e, struct exchange_out *out)
{
	if (e->out_at == e->nouts) {
		e->out_at = e->nouts = 0;
		return false;
	}
	*out = e->outs[e->out_at++];
	return true;
}

static void refuse(struct exchange *e, uint64_t token, enum err_code code,
		   const char *fmt, ...) PRINTF(4, 5);

static void refuse(struct exchange *e, uint64_t token, enum err_code code,
		   const char *fmt, ...)
{
	struct exchange_out *out = push(e, EXCHANGE_REFUSE);
	va_list ap;

	out->token = token;
	out->code = code;
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
}

static void answer(struct exchange *e, uint64_t token, const struct kept *k)
{
	struct exchange_out *out = push(e, EXCHANGE_ANSWER);

	out->token = token;
	out->message = (struct exchange_message){
		.key = k->key,
		.digest = k->digest,
		.layout = k->layout,
		.k = (uint32_t)(k->len / 4),
		.crc = crc32c_of(0, k->values, k->len),
		.values = k->values,
		.len = k->len,
	};
}

static void count(struct exchange_counts *c, enum exchange_outcome outcome)
{
	switch (outcome) {
	case EXCHANGE_RESTED:
		break;
	case EXCHANGE_MERGED:
		c->merged++;
		break;
	case EXCHANGE_MISSED:
		c->missed++;
		break;
	case EXCHANGE_LOST:
		c->lost++;
		break;
	case EXCHANGE_REFUSED:
		c->refused++;
		break;
	}
}

static void done(struct exchange *e, enum exchange_outcome outcome,
		 const char *why)
{
	struct exchange_out *out = push(e, EXCHANGE_DONE);

	out->peer = e->round.peer;
	out->t = e->round.t;
	out->outcome = outcome;
	snprintf(out->text, sizeof(out->text), "%.127s", why);
	count(&e->counts, outcome);
	e->phase = IDLE;
}

/* --- life -------------------------------------------------------------- */

struct exchange *exchange_new(int64_t self)
{
	struct exchange *e = mem_zero(1, sizeof(*e));

	e->self = self;
	e->at = -1;
	e->hold_ms = PLAN_DEADLINE_MAX_MS;
	return e;
}

static void drop_held(struct exchange *e, size_t i)
{
	free(e->held[i].values);
	memmove(&e->held[i], &e->held[i + 1],
		(e->nheld - i - 1) * sizeof(e->held[0]));
	e->nheld--;
}

void exchange_free(struct exchange *e)
{
	if (!e)
		return;
	while (e->nheld)
		drop_held(e, 0);
	exchange_kept_drop(e, INT64_MAX);
	free(e->idx);
	free(e->mine);
	free(e->outs);
	free(e);
}

static void drop_other_runs(struct exchange *e, int64_t run)
{
	for (size_t i = e->nheld; i-- > 0;) {
		if (e->held[i].message.key.run >= run)
			continue;
		refuse(e, e->held[i].token, ERR_FAILED_PRECONDITION,
		       "that run is over");
		drop_held(e, i);
	}
	exchange_kept_drop(e, INT64_MAX);
}

void exchange_begin(struct exchange *e, int64_t run, float *x, uint32_t n,
		    uint64_t layout)
{
	if (run != e->run)
		drop_other_runs(e, run);
	e->run = run;
	e->x = x;
	e->n = n;
	e->layout = layout;
	e->at = -1;
	e->epoch = 0;
	e->phase = IDLE;
}

/* --- the round we are at ------------------------------------------------ */

/* Our masked values as they are now: what we send, or answer with. */
static bool snapshot(struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	struct mask m = {r->run, r->t, r->seed, e->n, r->c};

	e->k = mask_count(e->n, r->c);
	e->idx = mem_grow(e->idx, &e->idx_cap, e->k, sizeof(*e->idx));
	e->mine = mem_grow(e->mine, &e->mine_cap, (size_t)e->k * 4, 1);
	mask_indices(&m, e->idx);
	e->digest = mask_digest(&m, e->idx);
	sparsify_gather(e->x, e->idx, e->k, e->mine);
	return sparsify_finite(e->mine, e->k);
}

static struct exchange_key key_now(const struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	bool lower = e->self < r->peer;

	return (struct exchange_key){r->run, r->epoch, r->t,
				     lower ? e->self : r->peer,
				     lower ? r->peer : e->self};
}

static void send(struct exchange *e)
{
	struct exchange_out *out = push(e, EXCHANGE_SEND);
	size_t len = (size_t)e->k * 4;

	out->peer = e->round.peer;
	out->message = (struct exchange_message){
		.key = key_now(e),
		.digest = e->digest,
		.layout = e->layout,
		.k = e->k,
		.crc = crc32c_of(0, e->mine, len),
		.values = e->mine,
		.len = len,
	};
	e->phase = SENT;
	e->retry_ms = INT64_MAX;
}

/* Whether values that came agree with ours. DATA_LOSS was damaged on the way
 * and is worth repeating; anything else is not. */
static int check_values(const struct exchange *e,
			const struct exchange_message *m, struct err *err)
{
	if (m->layout != e->layout)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another model: layout %016llx, not %016llx",
			       (unsigned long long)m->layout,
			       (unsigned long long)e->layout);
	if (m->digest != e->digest)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "another mask: digest %016llx, not %016llx",
			       (unsigned long long)m->digest,
			       (unsigned long long)e->digest);
	if (m->k != e->k || m->len != (size_t)e->k * 4)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%u values in %zu bytes, not %u in %zu", m->k,
			       m->len, e->k, (size_t)e->k * 4);
	if (crc32c_of(0, m->values, m->len) != m->crc)
		return err_set(err, ERR_DATA_LOSS, "checksum does not match");
	if (!sparsify_finite(m->values, m->k))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "values that are not finite");
	return 0;
}

/* Our answer is kept before anything else can ask for it. */
static const struct kept *keep_mine(struct exchange *e)
{
	struct kept k = {.key = key_now(e),
			 .digest = e->digest,
			 .layout = e->layout,
			 .values = e->mine,
			 .len = (size_t)e->k * 4};

	return exchange_keep(e, &k);
}

/* A request for the round we wait in. */
static void meet(struct exchange *e, const struct exchange_message *m,
		 uint64_t token)
{
	struct exchange_key now = key_now(e);
	struct err err;
	int rc;

	if (!exchange_same_key(&m->key, &now)) {
		refuse(e, token, ERR_FAILED_PRECONDITION,
		       "round %lld of epoch %lld is with trainer %lld",
		       (long long)e->round.t, (long long)e->round.epoch,
		       (long long)e->round.peer);
		return;
	}
	rc = check_values(e, m, &err);
	if (rc) {
		refuse(e, token, (enum err_code)rc, "%.120s", err.msg);
		if (rc != ERR_DATA_LOSS)
			done(e, EXCHANGE_REFUSED, err.msg);
		return;
	}
	answer(e, token, keep_mine(e));
	sparsify_average(e->x, e->idx, e->k, m->values);
	done(e, EXCHANGE_MERGED, "");
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
	if (key->run > e->run || key->t > e->at)
		return false;
	if (key->t == e->at && e->phase == WAITING)
		meet(e, m, token);
	else
		refuse(e, token, ERR_FAILED_PRECONDITION,
		       "round %lld is over here, at %lld", (long long)key->t,
		       (long long)e->at);
	return true;
}

static void look_at_held(struct exchange *e)
{
	for (size_t i = 0; i < e->nheld;) {
		if (deal(e, &e->held[i].message, e->held[i].token))
			drop_held(e, i);
		else
			i++;
	}
}

void exchange_arrive(struct exchange *e, const struct exchange_round *r,
		     int64_t now_ms)
{
	assert(r->run == e->run && r->t > e->at && e->phase == IDLE);
	e->round = *r;
	e->at = r->t;
	if (r->epoch > e->epoch)
		e->epoch = r->epoch;
	e->hold_ms = r->deadline_ms;
	e->deadline_ms = now_ms + r->deadline_ms;
	e->backoff_ms = EXCHANGE_BACKOFF_MS;
	e->unsure = false;
	exchange_kept_drop(e, r->t - EXCHANGE_KEEP_ROUNDS);
	if (!r->peer)
		done(e, EXCHANGE_RESTED, "");
	else if (r->epoch < e->epoch)
		done(e, EXCHANGE_MISSED, "the trainers have changed");
	else if (!snapshot(e))
		done(e, EXCHANGE_REFUSED, "our own values are not finite");
	else if (e->self < r->peer)
		send(e);
	else
		e->phase = WAITING;
	look_at_held(e);
}

/* --- requests ----------------------------------------------------------- */

/* The same request again, over a new connection: the old one is of no use. */
static void supersede(struct exchange *e, const struct exchange_key *key)
{
	for (size_t i = 0; i < e->nheld; i++) {
		if (!exchange_same_key(&e->held[i].message.key, key))
			continue;
		refuse(e, e->held[i].token, ERR_ABORTED, "asked again");
		drop_held(e, i);
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
	return e->phase == WAITING && key->run == e->run &&
	       key->from == e->round.peer && key->t > e->round.t;
}

void exchange_request(struct exchange *e, const struct exchange_message *m,
		      uint64_t token, int64_t now_ms)
{
	const struct exchange_key *key = &m->key;
	const struct kept *again = exchange_kept_find(e, key);

	if (again) {
		e->counts.repeated++;
		answer(e, token, again);
	} else if (key->to != e->self || key->from < 1 ||
		   key->from >= e->self) {
		refuse(e, token, ERR_INVALID_ARGUMENT,
		       "trainer %lld sends to %lld, but this is %lld",
		       (long long)key->from, (long long)key->to,
		       (long long)e->self);
	} else if (!deal(e, m, token)) {
		hold(e, m, token, now_ms);
		if (is_past(e, key))
			done(e, EXCHANGE_MISSED, "the peer is past it");
	}
}

void exchange_cancel(struct exchange *e, uint64_t token)
{
	for (size_t i = 0; i < e->nheld; i++)
		if (e->held[i].token == token) {
			drop_held(e, i);
			return;
		}
}

/* --- what came of our own request --------------------------------------- */

void exchange_reply(struct exchange *e, const struct exchange_message *m,
		    int64_t now_ms)
{
	struct exchange_key now = key_now(e);
	struct err err;
	int rc;

	if ((e->phase != SENT && e->phase != RETRYING) ||
	    !exchange_same_key(&m->key, &now))
		return;
	rc = check_values(e, m, &err);
	if (rc == ERR_DATA_LOSS) {
		exchange_failed(e, ERR_DATA_LOSS, now_ms);
	} else if (rc) {
		done(e, EXCHANGE_REFUSED, err.msg);
	} else {
		sparsify_average(e->x, e->idx, e->k, m->values);
		done(e, EXCHANGE_MERGED, "");
	}
}

/* What may be otherwise the next time; the rest is the peer's last word. */
static bool worth_repeating(enum err_code code)
{
	return code == ERR_UNAVAILABLE || code == ERR_DATA_LOSS ||
	       code == ERR_CANCELLED || code == ERR_ABORTED ||
	       code == ERR_RESOURCE_EXHAUSTED || code == ERR_UNKNOWN;
}

/* After a refusal in so many words the peer has not averaged; after a broken
 * connection, or while another copy of the request is held, it may have. */
static bool outcome_unknown(enum err_code code)
{
	return code == ERR_UNAVAILABLE || code == ERR_DATA_LOSS ||
	       code == ERR_CANCELLED || code == ERR_UNKNOWN ||
	       code == ERR_DEADLINE_EXCEEDED || code == ERR_ABORTED;
}

static void give_up(struct exchange *e, const char *why)
{
	done(e, e->unsure ? EXCHANGE_LOST : EXCHANGE_MISSED, why);
}

void exchange_failed(struct exchange *e, enum err_code code, int64_t now_ms)
{
	if (e->phase != SENT)
		return;
	e->unsure |= outcome_unknown(code);
	if (worth_repeating(code)) {
		e->phase = RETRYING;
		e->retry_ms = now_ms + e->backoff_ms;
		if (e->backoff_ms < EXCHANGE_BACKOFF_MAX_MS)
			e->backoff_ms *= 2;
	} else {
		give_up(e, err_name(code));
	}
}

/* --- time, and changes around us ---------------------------------------- */

void exchange_abandon(struct exchange *e, const char *why)
{
	e->unsure |= e->phase == SENT;
	if (e->phase != IDLE)
		give_up(e, why);
}

void exchange_epoch(struct exchange *e, int64_t epoch, int64_t now_ms)
{
	(void)now_ms;
	if (epoch <= e->epoch)
		return;
	e->epoch = epoch;
	if (e->phase == WAITING)
		done(e, EXCHANGE_MISSED, "the trainers have changed");
	look_at_held(e);
}

void exchange_tick(struct exchange *e, int64_t now_ms)
{
	for (size_t i = e->nheld; i-- > 0;) {
		if (e->held[i].until_ms > now_ms)
			continue;
		refuse(e, e->held[i].token, ERR_DEADLINE_EXCEEDED,
		       "not yet at round %lld, but at %lld",
		       (long long)e->held[i].message.key.t, (long long)e->at);
		drop_held(e, i);
	}
	if (e->phase != IDLE && e->deadline_ms <= now_ms)
		exchange_abandon(e, "deadline");
	else if (e->phase == RETRYING && e->retry_ms <= now_ms)
		send(e);
}

int64_t exchange_deadline(const struct exchange *e)
{
	int64_t first = INT64_MAX;

	if (e->phase != IDLE)
		first = e->deadline_ms;
	if (e->phase == RETRYING && e->retry_ms < first)
		first = e->retry_ms;
	for (size_t i = 0; i < e->nheld; i++)
		if (e->held[i].until_ms < first)
			first = e->held[i].until_ms;
	return first;
}

bool exchange_busy(const struct exchange *e)
{
	return e->phase != IDLE;
}

int64_t exchange_round_at(const struct exchange *e)
{
	return e->at;
}

const struct exchange_counts *exchange_counts(const struct exchange *e)
{
	return &e->counts;
}
