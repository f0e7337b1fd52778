/* rebuild.h - a database whose trees are damaged, made anew of what can be read.
 *
 * SQLite does not write to a file in which a page is not what it should be, nor
 * can a table be thrown away there without harm to others. */
#ifndef STORE_REBUILD_H
#define STORE_REBUILD_H

#include <stddef.h>

#include "store/db.h"

struct rebuild {
	enum db_kind kind;
	const char *const *steps; /* that make its schema */
	size_t nsteps;
	const char *const *partly; /* tables, up to a NULL */
};

/* Make the file at path, which nobody has open, anew. The tables in partly have
 * their rows up to the damage, in order, and all others all of theirs; where
 * they cannot have that it is DATA_LOSS, and the file stays. It is replaced in
 * one step, and then kept as "PATH.damaged", in the place of an earlier one.
 * Fails as db_open() and schema_check() do. */
int db_rebuild(const char *path, const struct rebuild *how,
	       struct err *err) MUST_CHECK;

#endif
