/* theta.h - the arrays that a coordinator and its participants exchange, as
 * commands read and write them: an archive of numpy's (.npz, the arrays named
 * arr_0, arr_1 ... as numpy.savez does), or .npy files one after the other. */
#ifndef FL_THETA_H
#define FL_THETA_H

#include <stddef.h>

#include "base/buf.h"
#include "proto/participant.pb-c.h"

struct theta {
	NDArray **at;
	size_t n, cap;
};

/* Understand what a command printed, called what in messages; of no bytes it is
 * no arrays. An archive's are in its order, and together at most max bytes
 * (RESOURCE_EXHAUSTED). Malformed, or more than NPZ_MEMBERS_MAX, is
 * INVALID_ARGUMENT. On success theta_release() it. */
int theta_parse(struct theta *t, const void *p, size_t len, size_t max,
		const char *what, struct err *err) MUST_CHECK;
void theta_release(struct theta *t);

/* Append them to b as an archive; more than NPZ_MEMBERS_MAX: INVALID_ARGUMENT. */
int theta_pack(struct buf *b, NDArray *const *theta, size_t n,
	       struct err *err) MUST_CHECK;

#endif
