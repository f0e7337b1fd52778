#include "fl/exchange.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "fl/exchange_impl.h"
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
	e->state = IDLE;
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
	free(e->index);
	free(e->their_index);
	exchange_told_forget(e);
	free(e->mine);
	free(e->theirs);
	buf_release(&e->bytes);
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
	e->how = (struct exchange_how){0};
	exchange_told_forget(e);
	e->layout = layout;
	e->at = -1;
	e->epoch = 0;
	e->state = IDLE;
}

void exchange_by(struct exchange *e, const struct exchange_how *how)
{
	assert(how->tells || how->topk == (how->shared != NULL));
	e->how = *how;
}

/* --- the round we are at ------------------------------------------------ */

struct exchange_key exchange_key_now(const struct exchange *e)
{
	const struct exchange_round *r = &e->round;
	bool asks = exchange_asks(e);

	return (struct exchange_key){r->run, r->epoch, r->t,
				     asks ? e->self : r->peer,
				     asks ? r->peer : e->self};
}

static void send(struct exchange *e)
{
	struct exchange_out *out = exchange_push(e, EXCHANGE_SEND);

	out->peer = e->round.peer;
	out->message = (struct exchange_message){
		.key = exchange_key_now(e),
		.digest = e->digest,
		.layout = e->layout,
		.phase = e->round.phase,
		.form = exchange_form(e, false),
		.told = e->how.tells ? exchange_told_round(e) : 0,
		.crc = crc32c_of(0, e->bytes.p, e->bytes.len),
		.values = e->bytes.p,
		.len = e->bytes.len,
	};
	e->state = SENT;
	e->retry_ms = INT64_MAX;
}

/* Who answers takes its values when it is asked, where one chooses. */
static void meet_or_wait(struct exchange *e)
{
	bool asks = exchange_asks(e);
	struct err err;

	exchange_know(e);
	if (asks && e->how.topk)
		exchange_choose(e);
	if ((asks || !e->how.topk) && exchange_take(e, !asks, &err))
		exchange_done(e, EXCHANGE_REFUSED, err.msg);
	else if (asks)
		send(e);
	else
		e->state = WAITING;
}

void exchange_arrive(struct exchange *e, const struct exchange_round *r,
		     int64_t now_ms)
{
	assert(r->run == e->run && e->state == IDLE);
	assert(r->t > e->at || (r->t == e->at && r->phase > e->phase_at));
	e->round = *r;
	e->at = r->t;
	e->phase_at = r->phase;
	if (r->epoch > e->epoch)
		e->epoch = r->epoch;
	e->hold_ms = r->hold_ms ? r->hold_ms : r->deadline_ms;
	e->deadline_ms = now_ms + r->deadline_ms;
	e->backoff_ms = EXCHANGE_BACKOFF_MS;
	e->unsure = false;
	exchange_kept_drop(e, r->t - EXCHANGE_KEEP_ROUNDS);
	if (!r->peer)
		exchange_done(e, EXCHANGE_RESTED, "");
	else if (r->epoch < e->epoch)
		exchange_done(e, EXCHANGE_MISSED, "the trainers have changed");
	else
		meet_or_wait(e);
	exchange_held_look(e);
}

/* --- what came of our own request --------------------------------------- */

void exchange_reply(struct exchange *e, const struct exchange_message *m,
		    int64_t now_ms)
{
	struct exchange_key now = exchange_key_now(e);
	struct err err;
	int rc;

	if ((e->state != SENT && e->state != RETRYING) ||
	    !exchange_same_key(&m->key, &now))
		return;
	rc = exchange_read(e, m, true, &err);
	if (rc == ERR_DATA_LOSS) {
		exchange_failed(e, ERR_DATA_LOSS, now_ms);
	} else if (rc) {
		exchange_done(e, EXCHANGE_REFUSED, err.msg);
	} else {
		exchange_merge(e);
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
	if (e->state != SENT)
		return;
	e->unsure |= outcome_unknown(code);
	if (worth_repeating(code)) {
		e->state = RETRYING;
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
	e->unsure |= e->state == SENT;
	if (e->state != IDLE)
		give_up(e, why);
}

void exchange_epoch(struct exchange *e, int64_t epoch, int64_t now_ms)
{
	(void)now_ms;
	if (epoch <= e->epoch)
		return;
	e->epoch = epoch;
	if (e->state == WAITING)
		exchange_done(e, EXCHANGE_MISSED, "the trainers have changed");
	exchange_held_look(e);
}

void exchange_tick(struct exchange *e, int64_t now_ms)
{
	exchange_held_expire(e, now_ms);
	if (e->state != IDLE && e->deadline_ms <= now_ms)
		exchange_abandon(e, "deadline");
	else if (e->state == RETRYING && e->retry_ms <= now_ms)
		send(e);
}

int64_t exchange_deadline(const struct exchange *e)
{
	int64_t first = INT64_MAX;

	if (e->state != IDLE)
		first = e->deadline_ms;
	if (e->state == RETRYING && e->retry_ms < first)
		first = e->retry_ms;
	for (size_t i = 0; i < e->nheld; i++)
		if (e->held[i].until_ms < first)
			first = e->held[i].until_ms;
	return first;
}

bool exchange_busy(const struct exchange *e)
{
	return e->state != IDLE;
}

bool exchange_waits(const struct exchange *e)
{
	return e->state == WAITING;
}

int64_t exchange_round_at(const struct exchange *e)
{
	return e->at;
}

const struct exchange_counts *exchange_counts(const struct exchange *e)
{
	return &e->counts;
}
