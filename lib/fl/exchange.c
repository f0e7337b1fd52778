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

struct exchange_out *exchange_push(struct exchange *e,
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

void exchange_done(struct exchange *e, enum exchange_outcome outcome,
		   const char *why)
{
	struct exchange_out *out = exchange_push(e, EXCHANGE_DONE);

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

void exchange_free(struct exchange *e)
{
	if (!e)
		return;
	while (e->nheld)
		exchange_held_drop(e, 0);
	exchange_kept_clear(e);
	free(e->idx);
	free(e->mine);
	free(e->outs);
	free(e);
}

void exchange_begin(struct exchange *e, int64_t run, float *x, uint32_t n,
		    uint64_t layout)
{
	if (run != e->run)
		exchange_held_of_runs(e, run);
	e->run = run;
	e->x = x;
	e->n = n;
	e->bf16 = false;
	e->layout = layout;
	e->at = -1;
	e->epoch = 0;
	e->phase = IDLE;
}

void exchange_bf16(struct exchange *e)
{
	e->bf16 = true;
}

size_t exchange_size(const struct exchange *e, uint32_t k)
{
	return (size_t)k * (e->bf16 ? 2 : 4);
}

static bool all_finite(const struct exchange *e, const void *values)
{
	return e->bf16 ? sparsify_finite_bf16(values, e->k)
		       : sparsify_finite(values, e->k);
}

void exchange_merge(struct exchange *e, const struct exchange_message *m)
{
	if (e->bf16)
		sparsify_average_bf16(e->x, e->idx, e->k, m->values);
	else
		sparsify_average(e->x, e->idx, e->k, m->values);
}

/* --- the round we are at ------------------------------------------------ */

/* Our masked values as they are now: what we send, or answer with. */
static bool snapshot(struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	struct mask m = {r->run, r->t, r->seed, e->n, r->c};

	e->k = mask_count(e->n, r->c);
	e->idx = mem_grow(e->idx, &e->idx_cap, e->k, sizeof(*e->idx));
	e->mine = mem_grow(e->mine, &e->mine_cap, exchange_size(e, e->k), 1);
	mask_indices(&m, e->idx);
	e->digest = mask_digest(&m, e->idx);
	if (e->bf16)
		sparsify_gather_bf16(e->x, e->idx, e->k, e->mine);
	else
		sparsify_gather(e->x, e->idx, e->k, e->mine);
	return all_finite(e, e->mine);
}

struct exchange_key exchange_key_now(const struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	bool lower = e->self < r->peer;

	return (struct exchange_key){r->run, r->epoch, r->t,
				     lower ? e->self : r->peer,
				     lower ? r->peer : e->self};
}

int exchange_check(const struct exchange *e, const struct exchange_message *m,
		   struct err *err)
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
	if (m->bf16 != e->bf16)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "values of %d bytes each, not %d",
			       m->bf16 ? 2 : 4, e->bf16 ? 2 : 4);
	if (m->k != e->k || m->len != exchange_size(e, e->k))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%u values in %zu bytes, not %u in %zu", m->k,
			       m->len, e->k, exchange_size(e, e->k));
	if (crc32c_of(0, m->values, m->len) != m->crc)
		return err_set(err, ERR_DATA_LOSS, "checksum does not match");
	if (!all_finite(e, m->values))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "values that are not finite");
	return 0;
}

static void send(struct exchange *e)
{
	struct exchange_out *out = exchange_push(e, EXCHANGE_SEND);
	size_t len = exchange_size(e, e->k);

	out->peer = e->round.peer;
	out->message = (struct exchange_message){
		.key = exchange_key_now(e),
		.digest = e->digest,
		.layout = e->layout,
		.k = e->k,
		.crc = crc32c_of(0, e->mine, len),
		.values = e->mine,
		.len = len,
		.bf16 = e->bf16,
	};
	e->phase = SENT;
	e->retry_ms = INT64_MAX;
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
		exchange_done(e, EXCHANGE_RESTED, "");
	else if (r->epoch < e->epoch)
		exchange_done(e, EXCHANGE_MISSED, "the trainers have changed");
	else if (!snapshot(e))
		exchange_done(e, EXCHANGE_REFUSED,
			      "our own values are not finite");
	else if (e->self < r->peer)
		send(e);
	else
		e->phase = WAITING;
	exchange_held_look(e);
}

/* --- what came of our own request --------------------------------------- */

void exchange_reply(struct exchange *e, const struct exchange_message *m,
		    int64_t now_ms)
{
	struct exchange_key now = exchange_key_now(e);
	struct err err;
	int rc;

	if ((e->phase != SENT && e->phase != RETRYING) ||
	    !exchange_same_key(&m->key, &now))
		return;
	rc = exchange_check(e, m, &err);
	if (rc == ERR_DATA_LOSS) {
		exchange_failed(e, ERR_DATA_LOSS, now_ms);
	} else if (rc) {
		exchange_done(e, EXCHANGE_REFUSED, err.msg);
	} else {
		exchange_merge(e, m);
		exchange_done(e, EXCHANGE_MERGED, "");
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
	exchange_done(e, e->unsure ? EXCHANGE_LOST : EXCHANGE_MISSED, why);
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
		exchange_done(e, EXCHANGE_MISSED, "the trainers have changed");
	exchange_held_look(e);
}

void exchange_tick(struct exchange *e, int64_t now_ms)
{
	exchange_held_expire(e, now_ms);
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
