/* hedge.h - one question to several who could answer it: the next one is asked
 * when the one before fails or has been silent for a moment, while that may
 * still answer (Dean and Barroso, "The Tail at Scale", 2013). So one that
 * hangs costs a moment, not the time there is. */
#ifndef REGISTRY_HEDGE_H
#define REGISTRY_HEDGE_H

#include "base/opt.h"
#include "wire/client.h"

enum { HEDGE_PACE_MS = 250 };

struct hedge;

struct hedge_opts {
	const char *const *urls; /* in the order to ask; copied */
	size_t n;
	size_t together; /* the first so many are asked at once; 0 is 1 */
	size_t spare;    /* the last so many only while nobody has answered */
	enum rpc_name name;
	const ProtobufCMessage *in; /* copied */
	int64_t timeout_ms;         /* for all of it; 0 is none */
	int64_t pace_ms;  /* silence after which the next one is asked; 0 is
			   * HEDGE_PACE_MS */
	int64_t grace_ms; /* others may answer for so long after a good one */
	const struct tls_opts *tls; /* of hedge_now() */
	bool any_failure;           /* whatever one refuses another may grant */
};

/* urls[i] has answered; true if that is enough. Borrowed for the call. */
typedef bool hedge_each_fn(const ProtobufCMessage *out, size_t i, void *arg);

/* It is over: with err NULL an answer was enough, or nobody is left to be
 * waited for; else nobody gave an answer, and err is what the first in order
 * said. A refusal other than UNAVAILABLE or DEADLINE_EXCEEDED ends it unless
 * any_failure. The hedge is gone afterwards. Both callbacks run on the loop's
 * thread, never before hedge_call() has returned. */
typedef void hedge_done_fn(const struct err *err, void *arg);

struct hedge *hedge_call(struct client *c, struct loop *loop,
			 const struct hedge_opts *opts, hedge_each_fn *each,
			 hedge_done_fn *done, void *arg);

/* End it; no callback runs. NULL is nothing. */
void hedge_cancel(struct hedge *h);

/* For programs without a loop of their own: ask and wait. */
int hedge_now(const struct hedge_opts *opts, hedge_each_fn *each, void *arg,
	      struct err *err) MUST_CHECK;

/* Shuffle, so that each has its share of those who ask. */
void hedge_shuffle(const char **urls, size_t n);

#endif
