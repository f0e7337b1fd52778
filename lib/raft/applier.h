/* applier.h - a retried proposal is applied once: sessions around the host's
 * apply. */
#ifndef RAFT_APPLIER_H
#define RAFT_APPLIER_H

#include "proto/raft.pb-c.h"
#include "raft/driver.h"

struct applier;

struct applier *applier_new(driver_apply_fn *apply, void *arg);
void applier_free(struct applier *a);

/* Apply e, or skip it as a repetition. 0 with *result, that of the first time
 * for a repetition; or ABORTED or FAILED_PRECONDITION as driver_done_fn has
 * them. The index counts in any case. */
int applier_apply(struct applier *a, const struct raft_entry *e,
		  struct driver_result *result, struct err *err) MUST_CHECK;

/* The sessions as part of a snapshot, and back, in the place of those there
 * are. The message of applier_save() is freed by rpc_free(). */
Gfl__V1__RaftImage *applier_save(const struct applier *a);
void applier_restore(struct applier *a, const Gfl__V1__RaftImage *image);

/* Whether the proposal was applied already, or never will be: then its answer
 * is known, as above. */
bool applier_knows(const struct applier *a, int64_t client, int64_t seq,
		   struct driver_result *result, int *rc, struct err *err);

#endif
