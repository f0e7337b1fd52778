/* backoff.h - how long to wait before trying again: exponential, with jitter,
 * so that those whom one failure hit do not return in step. Pure. */
#ifndef WIRE_BACKOFF_H
#define WIRE_BACKOFF_H

#include <stdint.h>

#include "base/rand.h"

struct backoff {
	int64_t first_ms, max_ms; /* first_ms >= 1 */
	int64_t now_ms;           /* the present bound; 0 at the start */
};

/* The wait before the next attempt: half of the bound, and a uniform part of
 * its other half. The bound doubles from first_ms up to max_ms. */
int64_t backoff_next(struct backoff *b, struct rand *r);

#endif
