/* lane.h - what an outbox does next for one of its receivers. Pure.
 *
 * One batch is under way at a time, so that the order is kept: what the
 * receiver refuses for now holds up what is behind it. Expiry is by the wall
 * clock, which a restart survives; pauses are by the monotonic one. */
#ifndef NODE_LANE_H
#define NODE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/backoff.h"

struct lane {
	int64_t waiting, bytes; /* of messages that are durable here */
	int64_t done;           /* these and all before are settled */
	int64_t soonest_ms;     /* none expires before; INT64_MAX: never */
	bool busy;              /* a batch, or the file, is at work */
	struct backoff pause;
	int64_t retry_ms; /* not before this */
};

void lane_init(struct lane *l);

/* A message of len bytes has become durable. */
void lane_add(struct lane *l, int64_t len, int64_t expire_ms);

/* Settled, with all before it: delivered, or given up. */
void lane_settled(struct lane *l, int64_t seq, int64_t len);

enum lane_act {
	LANE_REST,  /* nothing to do */
	LANE_WAIT,  /* look again after *wait_ms */
	LANE_SWEEP, /* give up what has expired */
	LANE_SEND,
};
enum lane_act lane_next(const struct lane *l, int64_t now_ms, int64_t wall_ms,
			int64_t *wait_ms);

/* What a receiver's answer to one message means. */
enum lane_fate {
	LANE_DELIVERED,
	LANE_AGAIN, /* it stays, and all behind it */
	LANE_NEVER, /* the same bytes will always be refused: give it up */
};
enum lane_fate lane_fate(enum err_code code);

/* The attempt has failed so, at now_ms: pause, and only briefly if the receiver
 * is there but has no room. */
void lane_failed(struct lane *l, enum err_code code, int64_t now_ms,
		 struct rand *r);

/* How many messages, of at most max, to try: after a failure one is enough to
 * find out whether it works again. */
int lane_try(const struct lane *l, int max);

/* The receiver takes messages, or may by now: pause no longer. */
void lane_works(struct lane *l);

#endif
