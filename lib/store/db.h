/* db.h - a SQLite file as we use it: WAL, synced at every commit, ours alone.
 *
 * One connection is used by one thread at a time. A daemon has one that writes
 * (given to store/writer.h) and may have others that only read. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct db;

/* What the file is, as SQLite's application_id: a gateway does not open a
 * node's file. */
enum db_kind {
	DB_GATEWAY = 0x67666c47, /* "gflG" */
	DB_NODE = 0x67666c4e,    /* "gflN" */
	DB_TRAINER = 0x67666c54, /* "gflT" */
	DB_SERVER = 0x67666c53,  /* "gflS" */
	DB_MASTER = 0x67666c4d,  /* "gflM" */
};

/* Open or create the file at path (mode 0600) for writing, and lock it for this
 * process.
 *   RESOURCE_EXHAUSTED   in use by another process (its pid is named), disk
 *                        full, directory or file cannot be written
 *   NOT_FOUND            its directory does not exist
 *   DATA_LOSS            damaged: "FILE is damaged: ...", or not ours at all:
 *                        then no lock is left beside it
 *   FAILED_PRECONDITION  of another kind
 * *out is freed by db_close(). */
int db_open(struct db **out, const char *path, enum db_kind kind,
	    struct err *err) MUST_CHECK;

/* Open the file at path to read it, while another process or connection may
 * write: every statement outside of a transaction sees what was committed
 * last. NOT_FOUND if it does not exist, the rest like db_open(). */
int db_open_to_read(struct db **out, const char *path, enum db_kind kind,
		    struct err *err) MUST_CHECK;

void db_close(struct db *d); /* statements too; NULL is nothing */

sqlite3 *db_handle(struct db *d); /* for sqlite3_changes() and its like */
const char *db_path(const struct db *d);

/* Run statements that return no rows. */
int db_exec(struct db *d, const char *sql, struct err *err) MUST_CHECK;

/* The statement of this text: prepared at first, then kept by d; without
 * bindings, at its start. Not to be used twice at a time. */
int db_stmt(struct db *d, sqlite3_stmt **out, const char *sql,
	    struct err *err) MUST_CHECK;

/* Step to the next row: *row says whether there is one. Without a row, or on
 * failure, the statement is back at its start. */
int db_next(struct db *d, sqlite3_stmt *s, bool *row,
	    struct err *err) MUST_CHECK;

/* Run a statement whose rows nobody wants, and put it back to its start. */
int db_run(struct db *d, sqlite3_stmt *s, struct err *err) MUST_CHECK;

/* Stop reading rows before the end: a statement that is not finished keeps old
 * pages alive. */
void db_done(sqlite3_stmt *s);

/* The first column of the first row of sql, or none if there is no row. */
int db_number(struct db *d, const char *sql, int64_t none, int64_t *out,
	      struct err *err) MUST_CHECK;

/* Record what SQLite says of the last failure: FULL, READONLY, CANTOPEN and
 * BUSY are RESOURCE_EXHAUSTED; CORRUPT and NOTADB are DATA_LOSS; CONSTRAINT is
 * ALREADY_EXISTS; the rest is INTERNAL. */
int db_fail(struct db *d, const char *doing, struct err *err);

/* A write failed in a way that leaves open what the disk has (I/O, full,
 * damaged): nothing may be written any more, and nothing acknowledged. */
bool db_broken(const struct db *d);

/* Make the write-ahead log's file as long as it may become (4 MiB). To sync
 * what is written over takes half the time that a file takes which grows. For
 * when nobody waits; of the writer, not in a transaction. */
void db_lengthen_wal(struct db *d);

#endif
