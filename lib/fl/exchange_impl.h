/* exchange_impl.h - what the files of exchange.h share. */
#ifndef FL_EXCHANGE_IMPL_H
#define FL_EXCHANGE_IMPL_H

#include "fl/exchange.h"

enum {
	EXCHANGE_KEEP_ROUNDS = 2, /* an answer of round t serves until t+2 */
	EXCHANGE_KEPT_MAX = 8,
	EXCHANGE_TOLD_MAX = 2, /* neighbours in a ring */
	EXCHANGE_HELD_MAX = 8,
	EXCHANGE_HELD_BYTES = 64 << 20,
	EXCHANGE_BACKOFF_MS = 50, /* between sends of one request, doubling */
	EXCHANGE_BACKOFF_MAX_MS = 1000,
};

/* An answer that was given, to be given again. */
struct kept {
	struct exchange_key key;
	uint64_t digest, layout;
	int64_t told;
	char *values; /* len bytes, owned */
	size_t len;
};

struct held {
	uint64_t token;
	struct exchange_message message; /* values point to the copy */
	char *values;                    /* the copy, owned */
	int64_t until_ms;
};

/* What we and a peer have told each other: of n values each. */
struct told {
	int64_t peer, round; /* the last, from 1; 0: none */
	float *ours, *theirs;
};

struct exchange {
	int64_t self, run;
	uint64_t layout;
	float *x; /* the model, borrowed */
	struct exchange_how how;
	uint32_t n;
	int64_t at;    /* the last round arrived at, or -1 */
	int phase_at;  /* and phase of it */
	int64_t epoch; /* the newest heard of */
	int64_t hold_ms;

	/* the round under way */
	enum { IDLE, WAITING, SENT, RETRYING } state;
	struct exchange_round round;
	uint32_t k, *index;
	uint32_t *their_index; /* where both choose */
	uint64_t digest;
	float *mine, *theirs; /* as they travel; ours are on arrival */
	size_t index_cap, their_index_cap, mine_cap, theirs_cap;
	int64_t told;     /* what both go on from; 0: from the start */
	struct buf bytes; /* of ours */
	int64_t deadline_ms, retry_ms, backoff_ms;
	bool unsure; /* a request may have been averaged, unanswered */

	struct told tells[EXCHANGE_TOLD_MAX];
	struct kept kept[EXCHANGE_KEPT_MAX]; /* by ascending round */
	size_t nkept;
	struct held held[EXCHANGE_HELD_MAX];
	size_t nheld;
	struct exchange_out *outs; /* from out_at to nouts is not drained */
	size_t nouts, out_at, outs_cap;
	struct exchange_counts counts;
};

/* A new output, the last; the round under way is over, so. */
struct exchange_out *exchange_push(struct exchange *e,
				   enum exchange_out_kind kind);
void exchange_done(struct exchange *e, enum exchange_outcome outcome,
		   const char *why);

/* Whether we send first; and the form of what the one who does sends, and of
 * the answer. */
bool exchange_asks(const struct exchange *e);
struct payload_form exchange_form(const struct exchange *e, bool answer);

/* What is known of the values of a round as it begins: how many, the mask. */
void exchange_know(struct exchange *e);

/* Choose ours: those that have changed most. */
void exchange_choose(struct exchange *e);

/* Our values at the round's indices, to be sent or answered with. */
int exchange_take(struct exchange *e, bool answer, struct err *err) MUST_CHECK;

/* Mix what came into the model. */
void exchange_merge(struct exchange *e);

/* The key of the exchange of the round we are at. */
struct exchange_key exchange_key_now(const struct exchange *e);

/* Read values that came, and their indices; they must agree with ours.
 * DATA_LOSS was damaged on the way and is worth repeating; anything else is
 * not. */
int exchange_read(struct exchange *e, const struct exchange_message *m,
		  bool answer, struct err *err) MUST_CHECK;

/* What we and the peer of this round have told each other: the round; what of
 * ours; and how both go on from where the message of one says it is. */
int64_t exchange_told_round(struct exchange *e);
const float *exchange_told_ours(struct exchange *e);
void exchange_told_agree(struct exchange *e, int64_t round);
void exchange_told_merge(struct exchange *e, const uint32_t *index,
			 const uint32_t *their_index);
void exchange_told_forget(struct exchange *e); /* of all */

/* Held requests: forget number i; deal with those that are due; refuse those
 * held for too long; refuse those of runs before run, and forget what was
 * answered in others. */
void exchange_held_drop(struct exchange *e, size_t i);
void exchange_held_look(struct exchange *e);
void exchange_held_expire(struct exchange *e, int64_t now_ms);
void exchange_held_of_runs(struct exchange *e, int64_t run);

bool exchange_same_key(const struct exchange_key *a,
		       const struct exchange_key *b);

/* Keep values (copied) as the answer to key; the oldest goes when there are
 * EXCHANGE_KEPT_MAX. Owned by e. */
const struct kept *exchange_keep(struct exchange *e, const struct kept *what);
const struct kept *exchange_kept_find(const struct exchange *e,
				      const struct exchange_key *key);

/* Forget the answers of rounds before that one; all. */
void exchange_kept_drop(struct exchange *e, int64_t before);
void exchange_kept_clear(struct exchange *e);

#endif
