#include "store/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/schema.h"

struct copying {
	struct db *from, *to;
	const struct rebuild *how;
};

/* ---- rows ---- */

static int insert_row(struct copying *c, sqlite3_stmt *row, const char *table,
		      struct err *err)
{
	int n = sqlite3_column_count(row);
	char *marks = mem_zero(1, 2 * (size_t)n + 1), *sql;
	sqlite3_stmt *s;
	int rc;

	for (int i = 0; i < n; i++)
		strcat(marks, i ? ",?" : "?");
	sql = mem_fmt("INSERT INTO \"%s\" VALUES (%s)", table, marks);
	rc = db_stmt(c->to, &s, sql, err);
	for (int i = 0; !rc && i < n; i++)
		if (sqlite3_bind_value(s, i + 1, sqlite3_column_value(row, i)))
			rc = db_fail(c->to, "copy a row", err);
	if (!rc)
		rc = db_run(c->to, s, err);
	free(sql);
	free(marks);
	return rc;
}

/* By their order in the table itself: an index may be damaged as well. */
static int copy_rows(struct copying *c, const char *table, struct err *err)
{
	char *sql = mem_fmt("SELECT * FROM \"%s\" NOT INDEXED", table);
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(c->from, &s, sql, err);

	free(sql);
	if (rc)
		return rc;
	while (!(rc = db_next(c->from, s, &row, err)) && row)
		if ((rc = insert_row(c, s, table, err)))
			break;
	db_done(s);
	return rc;
}

static bool is_named(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* What the schema begins with is in the old file too. A row that cannot be, as
 * one that is there twice, is damage. */
static int copy_table(struct copying *c, const char *table, struct err *err)
{
	char *sql = mem_fmt("DELETE FROM \"%s\"", table);
	int rc = db_exec(c->to, sql, err);

	free(sql);
	if (!rc)
		rc = copy_rows(c, table, err);
	if (rc == ERR_ALREADY_EXISTS)
		rc = err->code = ERR_DATA_LOSS;
	if (rc == ERR_DATA_LOSS && is_named(c->how->partly, table))
		return 0;
	return rc;
}

/* The numbers that AUTOINCREMENT goes on from are set by what is inserted, so
 * they come last. */
static int copy_tables(struct copying *c, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(c->to, &s,
			 "SELECT name FROM sqlite_schema"
			 " WHERE type = 'table' AND"
			 " (name = 'sqlite_sequence' OR"
			 "  name NOT LIKE 'sqlite\\_%' ESCAPE '\\')"
			 " ORDER BY name = 'sqlite_sequence'",
			 err);

	if (rc)
		return rc;
	while (!(rc = db_next(c->to, s, &row, err)) && row) {
		rc = copy_table(c, (const char *)sqlite3_column_text(s, 0),
				err);
		if (rc)
			break;
	}
	db_done(s);
	return rc;
}

static int copy(struct copying *c, struct err *err)
{
	const struct rebuild *how = c->how;

	if (schema_check(c->from, how->nsteps, err) ||
	    schema_apply(c->to, how->steps, how->nsteps, err) ||
	    db_exec(c->to, "PRAGMA foreign_keys = OFF; BEGIN", err) ||
	    copy_tables(c, err) || db_exec(c->to, "COMMIT", err))
		return (int)err->code;
	return 0;
}

/* ---- files ---- */

static void remove_beside(const char *path, const char *end)
{
	char *name = mem_fmt("%s%s", path, end);

	unlink(name);
	free(name);
}

static void remove_all(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

	for (size_t i = 0; i < 4; i++)
		remove_beside(path, ends[i]);
}

/* What the old file's log has would be taken for the new one's. */
static int empty_wal(struct db *d, const char *path, struct err *err)
{
	char *name = mem_fmt("%s-wal", path);
	struct stat st;
	int rc = db_exec(d, "PRAGMA wal_checkpoint(TRUNCATE)", err);

	if (!rc && !stat(name, &st) && st.st_size)
		rc = err_set(err, ERR_INTERNAL, "%s cannot be emptied", name);
	free(name);
	return rc;
}

/* At no moment is there no file. */
static int replace(const char *path, const char *made, struct err *err)
{
	char *kept = mem_fmt("%s.damaged", path);
	int fd = open(made, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		rc = err_sys(err, "open %s", made);
	else if (unlink(kept) && errno != ENOENT)
		rc = err_sys(err, "remove %s", kept);
	else if (link(path, kept))
		rc = err_sys(err, "keep %s", kept);
	else
		rc = file_become(fd, made, path, err);
	if (fd >= 0)
		close(fd);
	free(kept);
	return rc;
}

static int make(struct db *from, const char *made, const struct rebuild *how,
		struct err *err)
{
	struct copying c = {.from = from, .how = how};
	int rc = db_open(&c.to, made, how->kind, err);

	if (rc)
		return rc;
	rc = copy(&c, err);
	if (!rc)
		rc = empty_wal(c.to, made, err);
	db_close(c.to);
	return rc;
}

int db_rebuild(const char *path, const struct rebuild *how, struct err *err)
{
	char *real = realpath(path, NULL), *made;
	struct db *from;
	int rc;

	if (!real)
		return err_sys(err, "open %s", path);
	made = mem_fmt("%s.new", real);
	rc = db_open(&from, path, how->kind, err);
	if (!rc) {
		remove_all(made); /* of one that was killed */
		rc = make(from, made, how, err);
		if (!rc)
			rc = empty_wal(from, real, err);
		if (!rc)
			rc = replace(real, made, err);
		remove_all(made);
		db_close(from);
	}
	free(made);
	free(real);
	return rc ? err_wrap(err, "make %s anew", path) : 0;
}
