/* members.h - the registry's rows in one SQLite file, so that a gateway that is
 * killed knows its members, its cluster, and whom it granted the bootstrap. */
#ifndef REGISTRY_MEMBERS_H
#define REGISTRY_MEMBERS_H

#include "registry/lease.h"
#include "store/writer.h"

/* Bring the file to this version's tables, and enter what it holds into l. A
 * grant not yet confirmed gets its whole time again. */
int members_load(struct db *db, struct lease *l, int64_t now_ms,
		 struct err *err) MUST_CHECK;

/* Store, in one transaction, what a decision changed: the row of member id
 * (its deletion, if l has it no longer; 0: none), the same for also, and all
 * that l knows besides rows. Copies; done(err, arg) follows the commit. */
int members_store(struct writer *w, const struct lease *l, int64_t id,
		  int64_t also, writer_done_fn *done, void *arg,
		  struct err *err) MUST_CHECK;

#endif
