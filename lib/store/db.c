#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/lock.h"

/* The first pages of the log before the file (WAL) are used again after a
 * checkpoint; what a long reader made it grow to is given back down to
 * WAL_KEPT. In the file itself free pages are used again too, and not given
 * back: to move others into their place (auto_vacuum) would cost a write for
 * each. */
enum {
	BUSY_MS = 5000,
	CHECKPOINT_PAGES = 1024,
	WAL_BYTES = 32 + CHECKPOINT_PAGES * (24 + 4096), /* of that many */
	WAL_KEPT = 4 * WAL_BYTES,
};

struct kept {
	sqlite3_stmt *stmt;
	const char *sql; /* of stmt */
	UT_hash_handle hh;
};

struct db {
	sqlite3 *sqlite;
	char *path;
	struct lock *lock; /* NULL of a reader */
	struct kept *kept;
	bool broken;
};

sqlite3 *db_handle(struct db *d)
{
	return d->sqlite;
}

const char *db_path(const struct db *d)
{
	return d->path;
}

bool db_broken(const struct db *d)
{
	return d->broken;
}

/* Primary codes after which the state of the file is not known. */
static bool breaks(int code)
{
	switch (code) {
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_NOMEM:
	case SQLITE_PROTOCOL:
		return true;
	default:
		return false;
	}
}

int db_fail(struct db *d, const char *doing, struct err *err)
{
	int extended = sqlite3_extended_errcode(d->sqlite);
	const char *says = sqlite3_errmsg(d->sqlite);

	if (breaks(extended & 0xff))
		d->broken = true;
	switch (extended & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, ERR_DATA_LOSS, "%s is damaged: %s", d->path,
			       says);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%s: %s: another program holds its lock",
			       d->path, doing);
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "%s: %s: %s",
			       d->path, doing, says);
	case SQLITE_CONSTRAINT:
		return err_set(err, ERR_ALREADY_EXISTS, "%s: %s: %s", d->path,
			       doing, says);
	case SQLITE_NOMEM: /* which statements put in other words */
		says = sqlite3_errstr(SQLITE_NOMEM);
		/* fall through */
	default:
		return err_set(err, ERR_INTERNAL, "%s: %s: %s (%d)", d->path,
			       doing, says, extended);
	}
}

/* SQLite reads up to the first frame that is none, so zeros after the last one
 * are nothing to it; an error is left to the commit that meets it again. */
void db_lengthen_wal(struct db *d)
{
	static const char zeros[64 << 10];
	sqlite3_file *f = NULL;
	sqlite3_int64 len;

	sqlite3_file_control(d->sqlite, "main", SQLITE_FCNTL_JOURNAL_POINTER,
			     &f);
	if (!f || !f->pMethods || f->pMethods->xFileSize(f, &len) ||
	    len >= WAL_BYTES)
		return;
	while (len < WAL_BYTES &&
	       !f->pMethods->xWrite(f, zeros, sizeof(zeros), len))
		len += (sqlite3_int64)sizeof(zeros);
	f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
}

int db_exec(struct db *d, const char *sql, struct err *err)
{
	if (sqlite3_exec(d->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(d, sql, err);
	return 0;
}

int db_stmt(struct db *d, sqlite3_stmt **out, const char *sql, struct err *err)
{
	struct kept *k;

	HASH_FIND_STR(d->kept, sql, k);
	if (!k) {
		sqlite3_stmt *s;

		if (sqlite3_prepare_v3(d->sqlite, sql, -1,
				       SQLITE_PREPARE_PERSISTENT, &s, NULL))
			return db_fail(d, sql, err);
		k = mem_zero(1, sizeof(*k));
		k->stmt = s;
		k->sql = sqlite3_sql(s);
		HASH_ADD_KEYPTR(hh, d->kept, k->sql, strlen(k->sql), k);
	}
	sqlite3_reset(k->stmt);
	sqlite3_clear_bindings(k->stmt);
	*out = k->stmt;
	return 0;
}

int db_next(struct db *d, sqlite3_stmt *s, bool *row, struct err *err)
{
	int rc = sqlite3_step(s);

	*row = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW)
		return 0;
	rc = rc == SQLITE_DONE ? 0 : db_fail(d, sqlite3_sql(s), err);
	sqlite3_reset(s);
	return rc;
}

int db_run(struct db *d, sqlite3_stmt *s, struct err *err)
{
	bool row;
	int rc;

	do
		rc = db_next(d, s, &row, err);
	while (!rc && row);
	return rc;
}

void db_done(sqlite3_stmt *s)
{
	sqlite3_reset(s);
}

int db_number(struct db *d, const char *sql, int64_t none, int64_t *out,
	      struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(d, &s, sql, err);

	if (rc)
		return rc;
	rc = db_next(d, s, &row, err);
	if (rc)
		return rc;
	*out = row ? sqlite3_column_int64(s, 0) : none;
	db_done(s);
	return 0;
}

/* A file without tables and without a kind is new, and gets ours. */
static int check_kind(struct db *d, enum db_kind kind, bool write,
		      struct err *err)
{
	int64_t id, tables;
	char set[64];
	int rc = db_number(d, "PRAGMA application_id", 0, &id, err);

	if (!rc)
		rc = db_number(d, "SELECT count(*) FROM sqlite_schema", 0,
			       &tables, err);
	if (rc || id == (int64_t)kind)
		return rc;
	if (id || tables || !write)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s is not the database of a gfl %s", d->path,
			       kind == DB_GATEWAY   ? "gateway"
			       : kind == DB_NODE    ? "node"
			       : kind == DB_TRAINER ? "trainer"
			       : kind == DB_SERVER  ? "server"
						    : "master");
	snprintf(set, sizeof(set), "PRAGMA application_id = %d", (int)kind);
	return db_exec(d, set, err);
}

static int open_sqlite(struct db *d, const char *name, int flags,
		       struct err *err)
{
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (sqlite3_open_v2(name, &d->sqlite, flags, NULL))
		return db_fail(d, "open", err);
	sqlite3_busy_timeout(d->sqlite, BUSY_MS);
	return 0;
}

static int set_up_writer(struct db *d, enum db_kind kind, struct err *err)
{
	char checkpoint[128];
	int rc = check_kind(d, kind, true, err); /* before any change to it */

	if (!rc)
		rc = db_exec(d,
			     "PRAGMA journal_mode = WAL;"
			     "PRAGMA synchronous = FULL;"
			     "PRAGMA foreign_keys = ON",
			     err);
	snprintf(checkpoint, sizeof(checkpoint),
		 "PRAGMA wal_autocheckpoint = %d;"
		 "PRAGMA journal_size_limit = %d",
		 CHECKPOINT_PAGES, WAL_KEPT);
	if (!rc)
		rc = db_exec(d, checkpoint, err);
	return rc;
}

static struct db *new_db(const char *path)
{
	struct db *d = mem_zero(1, sizeof(*d));

	d->path = mem_str(path);
	return d;
}

/* A new file is ours to read alone; SQLite would follow the umask, and gives
 * what lies beside the file the file's mode. */
static int make_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(err, "make %s", path);
	close(fd);
	return 0;
}

/* A file that was never locked and is none of SQLite's is not ours: nothing is
 * put beside it. */
static int check_whose(const char *path, struct err *err)
{
	static const char magic[] = "SQLite format 3";
	char head[sizeof(magic)] = "", *lock = mem_fmt("%s.lock", path);
	int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
	int fd = access(lock, F_OK) ? open(path, flags) : -1;
	ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head));

	free(lock);
	if (fd >= 0)
		close(fd);
	if (n <= 0 || !memcmp(head, magic, sizeof(magic)))
		return 0;
	err_set(err, ERR_DATA_LOSS, "%s is no database", path);
	return err_hint(err, "name another file with --db");
}

int db_open(struct db **out, const char *path, enum db_kind kind,
	    struct err *err)
{
	struct db *d = new_db(path);
	int rc = check_whose(path, err);

	if (!rc)
		rc = lock_open(&d->lock, path, err);
	if (!rc)
		rc = make_file(path, err);
	if (!rc)
		rc = open_sqlite(d, path, SQLITE_OPEN_READWRITE, err);
	if (!rc)
		rc = set_up_writer(d, kind, err);
	if (rc) {
		db_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

/* path as a file: URI; only these three mean something there. */
static char *uri_of(const char *path)
{
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "file:");
	for (const char *p = path; *p; p++)
		if (strchr("%?#", *p))
			buf_putf(&b, "%%%02X", *p);
		else
			buf_putc(&b, *p);
	buf_puts(&b, "?immutable=1");
	return buf_take(&b);
}

/* A WAL file needs its -shm beside it, which a reader of a directory that it
 * may not write cannot make. Without a -wal the file alone is all there is. */
static int open_immutable(struct db *d, enum db_kind kind, struct err *err)
{
	char *wal = mem_fmt("%s-wal", d->path);
	bool alone = access(wal, F_OK) && errno == ENOENT;
	char *uri;
	int rc;

	free(wal);
	if (!alone)
		return (int)err->code;
	sqlite3_close(d->sqlite);
	d->sqlite = NULL;
	d->broken = false;
	uri = uri_of(d->path);
	rc = open_sqlite(d, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
	free(uri);
	return rc ? rc : check_kind(d, kind, false, err);
}

static void drop_statements(struct db *d)
{
	struct kept *k, *next;

	HASH_ITER (hh, d->kept, k, next) {
		HASH_DEL(d->kept, k);
		sqlite3_finalize(k->stmt);
		free(k);
	}
}

int db_open_to_read(struct db **out, const char *path, enum db_kind kind,
		    struct err *err)
{
	struct db *d;
	struct err own;
	int rc;

	if (access(path, F_OK))
		return err_sys(err, "open %s", path);
	if (!err)
		err = &own;
	d = new_db(path);
	rc = open_sqlite(d, path, SQLITE_OPEN_READONLY, err);
	if (!rc)
		rc = check_kind(d, kind, false, err);
	if (rc == ERR_RESOURCE_EXHAUSTED) {
		drop_statements(d);
		rc = open_immutable(d, kind, err);
	}
	if (rc) {
		db_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

void db_close(struct db *d)
{
	if (!d)
		return;
	drop_statements(d);
	sqlite3_close(d->sqlite);
	lock_close(d->lock);
	free(d->path);
	free(d);
}
