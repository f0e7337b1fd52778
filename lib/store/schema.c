#include "store/schema.h"

#include <stdio.h>

static int version_of(struct db *d, size_t n, int64_t *version, struct err *err)
{
	int rc = db_number(d, "PRAGMA user_version", 0, version, err);

	if (!rc && *version > (int64_t)n)
		rc = err_set(err, ERR_FAILED_PRECONDITION,
			     "%s was made by a newer gfl (its schema is %lld, "
			     "this program knows %zu)",
			     db_path(d), (long long)*version, n);
	return rc;
}

static int apply_one(struct db *d, const char *sql, size_t number,
		     struct err *err)
{
	char set[64];
	int rc = db_exec(d, "BEGIN IMMEDIATE", err);

	if (rc)
		return rc;
	snprintf(set, sizeof(set), "PRAGMA user_version = %zu", number);
	rc = db_exec(d, sql, err);
	if (!rc)
		rc = db_exec(d, set, err);
	if (!rc)
		rc = db_exec(d, "COMMIT", err);
	if (!rc)
		return 0;
	if (db_exec(d, "ROLLBACK", NULL))
		return rc; /* SQLite had rolled back by itself */
	return rc;
}

int schema_apply(struct db *d, const char *const *steps, size_t n,
		 struct err *err)
{
	int64_t version;
	int rc = version_of(d, n, &version, err);

	for (size_t i = (size_t)version; !rc && i < n; i++)
		rc = apply_one(d, steps[i], i + 1, err);
	return rc;
}

int schema_check(struct db *d, size_t n, struct err *err)
{
	int64_t version;
	int rc = version_of(d, n, &version, err);

	if (!rc && version < (int64_t)n)
		rc = err_set(err, ERR_FAILED_PRECONDITION,
			     "%s was made by an older gfl (its schema is %lld, "
			     "not %zu): start its daemon once",
			     db_path(d), (long long)version, n);
	return rc;
}
