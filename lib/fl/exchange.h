/* exchange.h - one trainer's part in the pairwise exchanges, as pure state.
 *
 * The key of an exchange is (run, epoch, round, pair). One side sends some of
 * its values; the other mixes them into its model, answers with the values it
 * had before, and keeps that answer for a while, so that the same request again
 * gets the same answer and never a second mix. Whoever gets the answer mixes it
 * in turn: what one gains the other loses, and the mean of all models is as
 * before. (SAPS-PSGD, arXiv 2002.09692, has the update; how it is made atomic
 * and idempotent is ours.)
 *
 * Which values: those of the round's mask, which both derive alike, and then
 * the lower id sends; or those that have changed most since they travelled
 * last, by the choice of the one that sends: the lower id in even rounds, the
 * higher one in odd ones. Where pairs remember what they have told each other,
 * both choose, and the lower id sends.
 *
 * No clock, socket or thread: each input carries the time in milliseconds and
 * may produce outputs, to be drained with exchange_next() before the next
 * input. The model is touched only inside exchange_arrive() .. DONE. */
#ifndef FL_EXCHANGE_H
#define FL_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "fl/payload.h"

struct exchange_key {
	int64_t run, epoch, t;
	int64_t from, to; /* the sender and the answerer */
};

/* A request or its answer, as it travels; values are borrowed. */
struct exchange_message {
	struct exchange_key key;
	uint64_t digest;          /* of the mask, or of how values are chosen */
	uint64_t layout;          /* of the model */
	int phase;                /* of the round; see exchange_round */
	struct payload_form form; /* of a request; its answer is alike */
	int64_t told;             /* see exchange_how */
	uint32_t crc;             /* crc32c of values */
	const void *values;
	size_t len;
};

/* How values travel. The peers must agree. */
struct exchange_how {
	enum payload_dtype dtype;
	enum payload_codec codec;
	bool topk; /* those values that have changed most, not the mask's */
	/* topk: what others know of the model. Borrowed like the model, and
	 * like it written only as exchanges are done. */
	float *shared;
	/* What is sent, and what x gains the differences of; NULL: x, as it is
	 * when the exchange begins. Borrowed. */
	const float *base;
	/* CHOCO-SGD: each pair remembers all that it has told each other, and x
	 * gains the differences of that, not only of what is told now; instead
	 * of shared. A message has the round, from 1, in which its sender told
	 * something last, 0: never; whose memories differ begin anew, from
	 * start (borrowed, the same everywhere; NULL: zeros). */
	bool tells;
	const float *start;
};

/* A round that a trainer has come to: its local steps are done. Where it meets
 * several peers in a round, it comes to it once for each, by ascending phase;
 * both have the same phase of it then. */
struct exchange_round {
	int64_t run, epoch, t;
	int phase;
	int64_t peer; /* 0: rests */
	uint64_t seed;
	uint32_t c, deadline_ms;
	uint32_t hold_ms; /* keep who is early for so long; 0: deadline_ms */
	float weight; /* x += weight (theirs - ours); the same on both sides */
};

enum exchange_outcome {
	EXCHANGE_RESTED,
	EXCHANGE_MERGED,
	EXCHANGE_MISSED,  /* no exchange took place; x as it was */
	EXCHANGE_LOST,    /* sent, never answered: the peer may have averaged */
	EXCHANGE_REFUSED, /* values not finite, or not the same mask or model */
};

enum exchange_out_kind {
	EXCHANGE_SEND,   /* POST message to peer; then reply or failed */
	EXCHANGE_ANSWER, /* answer the request `token` with message */
	EXCHANGE_REFUSE, /* answer it with code and text */
	EXCHANGE_DONE,   /* the round is over: outcome */
};

struct exchange_out {
	enum exchange_out_kind kind;
	int64_t peer;                    /* SEND, DONE: with whom (0: rested) */
	int64_t t;                       /* DONE */
	uint64_t token;                  /* ANSWER, REFUSE */
	struct exchange_message message; /* borrowed until the next input */
	enum err_code code;
	char text[128]; /* REFUSE; DONE: why, or empty */
	enum exchange_outcome outcome;
};

/* Counted since exchange_new(), but for what exchange_load() restored. */
struct exchange_counts {
	int64_t merged, missed, lost, refused, repeated;
};

struct exchange;

/* self is the trainer's id. exchange_free() frees it. */
struct exchange *exchange_new(int64_t self);
void exchange_free(struct exchange *e);

/* From now on the model is x (n parameters, borrowed) of this layout and run.
 * Held requests and kept answers of other runs go. */
void exchange_begin(struct exchange *e, int64_t run, float *x, uint32_t n,
		    uint64_t layout);

/* How values travel, not as float32 by the mask, from exchange_begin() to the
 * next. */
void exchange_by(struct exchange *e, const struct exchange_how *how);

/* We are at a round, or a phase of it, later than any before. Gives SEND, DONE,
 * ANSWER of a request that was held, or nothing: then the peer has until the
 * deadline. */
void exchange_arrive(struct exchange *e, const struct exchange_round *r,
		     int64_t now_ms);

/* A request came; token is the caller's name for it. Gives ANSWER or REFUSE at
 * once, or nothing: it is held until we arrive, at most the deadline long.
 * What is held is copied, and bounded. */
void exchange_request(struct exchange *e, const struct exchange_message *m,
		      uint64_t token, int64_t now_ms);

/* Whoever sent the held request token is gone; no output for it. */
void exchange_cancel(struct exchange *e, uint64_t token);

/* What came of the last SEND. Late ones are ignored. */
void exchange_reply(struct exchange *e, const struct exchange_message *m,
		    int64_t now_ms);
void exchange_failed(struct exchange *e, enum err_code code, int64_t now_ms);

/* The trainer set has changed, or the plans, to epoch: no exchange of an older one begins.
 * A request that is out may still be answered. */
void exchange_epoch(struct exchange *e, int64_t epoch, int64_t now_ms);

/* Give the round under way up, if one is (the peer is down, the run over). */
void exchange_abandon(struct exchange *e, const char *why);

void exchange_tick(struct exchange *e, int64_t now_ms);
int64_t exchange_deadline(const struct exchange *e); /* INT64_MAX: none */
bool exchange_next(struct exchange *e, struct exchange_out *out);

/* Whether a round is under way; whether it is for the peer to come; and the
 * last one arrived at (-1: none). */
bool exchange_busy(const struct exchange *e);
bool exchange_waits(const struct exchange *e);
int64_t exchange_round_at(const struct exchange *e);
const struct exchange_counts *exchange_counts(const struct exchange *e);

/* Kept answers, the last round and counts as bytes, for a checkpoint taken
 * together with the model; and back, after exchange_begin() of the same run.
 * INVALID_ARGUMENT, and nothing changed, for bytes that are not such. */
void exchange_dump(const struct exchange *e, struct buf *out);
int exchange_load(struct exchange *e, const void *p, size_t len,
		  struct err *err) MUST_CHECK;

#endif
