/* draft.h - entries of the log as people write them.
 *
 * Any kind that may be proposed, as the JSON object of its message; topology
 * and bandwidth also as a matrix or a list of links (plan/links.h), of weights
 * or of bytes/s. Pure. */
#ifndef NODE_DRAFT_H
#define NODE_DRAFT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/opt.h"
#include "proto/log.pb-c.h"

/* About a matrix or a list, which cannot say so itself. */
struct draft_opts {
	bool delta;   /* a list of what changes; 0 removes an edge */
	int64_t base; /* version that it changes or replaces; 0: any */
	const struct opt_list *trainers; /* of the matrix' rows; empty: 1, 2 */
};

/* *out is freed by rpc_free(). INVALID_ARGUMENT for what is no such entry. */
int draft_entry(Gfl__V1__Entry **out, const char *kind, const char *text,
		const struct draft_opts *opts, struct err *err) MUST_CHECK;

/* Parts that do not reach each other among the trainers that a topology which
 * replaces all names; 1 for anything else. */
size_t draft_parts(const Gfl__V1__Entry *e);

#endif
