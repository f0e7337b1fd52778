/* schema.h - numbered steps that bring a file to the tables of this program.
 *
 * The file's PRAGMA user_version counts the steps that it has seen. Each step
 * and its number commit together, so a crash in between repeats nothing. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stddef.h>

#include "store/db.h"

/* Run the steps (SQL text) from the file's version up to n. Steps are never
 * changed once released, only added to the end. A file of a later version is
 * FAILED_PRECONDITION ("made by a newer gfl") and stays as it is. */
int schema_apply(struct db *d, const char *const *steps, size_t n,
		 struct err *err) MUST_CHECK;

/* For readers, which change nothing: FAILED_PRECONDITION if the file is not of
 * exactly the version n. */
int schema_check(struct db *d, size_t n, struct err *err) MUST_CHECK;

#endif
