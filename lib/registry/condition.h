/* condition.h - what may be waited for in a cluster; one look tells whether it
 * is so. */
#ifndef REGISTRY_CONDITION_H
#define REGISTRY_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/opt.h"

struct look {
	struct client_opts client;
	int64_t n;          /* how many, or which */
	int64_t not_id;     /* of a leader: any but this one; 0: any */
	const struct opt_list *masters; /* the one of tasks */
	const struct opt_list *servers; /* whose participants, or clients, are
					   meant; of several the active one */
	struct buf note; /* out: how far it is, "4 nodes: 3 joined (1,2,5)" */
};

/* Fails with what keeps it from being known, or from ever being so. */
typedef int condition_fn(struct look *l, bool *holds, struct err *err);

struct condition {
	const char *name;
	condition_fn *look; /* appends to note */
	bool number;        /* needs n */
};

/* NULL: there is none of this name. */
const struct condition *condition_find(const char *name);

#endif
