/* The boxes in the file: what came, from whom up to where, and what waits for
 * others. All but box_open() and the schema is the writer's thread's.
 *
 * Twice the same message is told by its origin's seq: origins number what they
 * send to one receiver, and send it in order, so the last number says it all.
 * An id that a sender chose is told by the table of such ids. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"

enum {
	ORIGINS_MAX = 100000,
	ORIGINS_SLACK = 1000, /* and so many new ones until the next look */
	NAMES_MAX = 20000,
};

const char box_schema[] =
	"CREATE TABLE box ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" origin INTEGER NOT NULL, cluster TEXT NOT NULL,"
	" cursor INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;"
	"INSERT INTO box SELECT 1, random() & 0x7fffffffffffffff | 1, '',"
	" coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'inbox'), 0),"
	" 0;"
	"CREATE TABLE box_origin ("
	" origin INTEGER NOT NULL, receiver INTEGER NOT NULL,"
	" seq INTEGER NOT NULL, used_ms INTEGER NOT NULL,"
	" PRIMARY KEY (origin, receiver)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE box_name ("
	" n INTEGER PRIMARY KEY, id TEXT NOT NULL, receiver INTEGER NOT NULL,"
	" place INTEGER NOT NULL, UNIQUE (id, receiver)) STRICT;"
	"INSERT INTO box_name (id, receiver, place)"
	" SELECT id, receiver, cursor FROM inbox ORDER BY cursor;"
	"ALTER TABLE inbox RENAME TO inbox_before;"
	"DROP INDEX inbox_waiting;"
	"CREATE TABLE inbox ("
	" cursor INTEGER PRIMARY KEY, id TEXT NOT NULL,"
	" sender INTEGER NOT NULL, receiver INTEGER NOT NULL,"
	" type INTEGER NOT NULL, payload BLOB NOT NULL,"
	" sent_ms INTEGER NOT NULL) STRICT;"
	"INSERT INTO inbox SELECT cursor, id, sender, receiver, type, payload,"
	" sent_ms FROM inbox_before WHERE taken = 0;"
	"DROP TABLE inbox_before;"
	"CREATE TABLE outbox ("
	" receiver INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL,"
	" named INTEGER NOT NULL, sender INTEGER NOT NULL,"
	" type INTEGER NOT NULL, payload BLOB NOT NULL,"
	" sent_ms INTEGER NOT NULL, expire_ms INTEGER NOT NULL,"
	" PRIMARY KEY (receiver, seq)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE outbox_lost ("
	" n INTEGER PRIMARY KEY, id TEXT NOT NULL, receiver INTEGER NOT NULL,"
	" at_ms INTEGER NOT NULL, why TEXT NOT NULL,"
	" UNIQUE (id, receiver)) STRICT;";

static int number(struct node *n, const char *sql, int64_t *out,
		  struct err *err)
{
	return db_number(n->reader, sql, 0, out, err);
}

/* Rows that somebody put in by hand have numbers too. */
int box_open(struct node *n, struct err *err)
{
	struct mail_numbers *last = &n->numbers;

	if (number(n,
		   "SELECT max(cursor, (SELECT coalesce(max(cursor), 0)"
		   " FROM inbox)) FROM box",
		   &last->cursor, err) ||
	    number(n,
		   "SELECT max(seq, (SELECT coalesce(max(seq), 0)"
		   " FROM outbox)) FROM box",
		   &last->seq, err) ||
	    number(n, "SELECT origin FROM box", &n->origin, err))
		return (int)err->code;
	return 0;
}

const char *box_id(const struct node *n, char out[BOX_ID])
{
	snprintf(out, BOX_ID, "%016" PRIx64, (uint64_t)n->origin);
	return out;
}

static int save_cluster(struct db *db, void *arg, struct err *err)
{
	const struct node *n = arg;
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "UPDATE box SET cluster = ?", err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, n->meta.cluster_id, -1, SQLITE_STATIC);
	return db_run(db, s, err);
}

int box_cluster(struct node *n, bool *other, struct err *err)
{
	const char *was;
	sqlite3_stmt *s;
	bool row, same;

	if (db_stmt(n->reader, &s, "SELECT cluster FROM box", err) ||
	    db_next(n->reader, s, &row, err))
		return (int)err->code;
	was = (const char *)sqlite3_column_text(s, 0);
	same = !strcmp(was, n->meta.cluster_id);
	*other = *was && !same;
	db_done(s);
	return same ? 0 : writer_post(n->writer, save_cluster, NULL, n, err);
}

/* ---- who sent what before ---- */

/* One origin's numbering for one receiver, while a batch is stored. */
struct origin {
	int64_t origin, receiver, seq;
	bool known; /* has a row */
	bool moved; /* seq is newer than the row */
};

static int origin_load(struct db *db, struct origin *o, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "SELECT seq FROM box_origin"
		    " WHERE origin = ? AND receiver = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, o->origin);
	sqlite3_bind_int64(s, 2, o->receiver);
	if (db_next(db, s, &o->known, err))
		return (int)err->code;
	o->seq = o->known ? sqlite3_column_int64(s, 0) : 0;
	db_done(s);
	return 0;
}

/* Who has sent nothing for longest goes when there are too many. */
static int origins_bound(struct db *db, struct mail_numbers *last,
			 struct err *err)
{
	sqlite3_stmt *s;
	int64_t count;

	if (last->strangers++ % ORIGINS_SLACK)
		return 0;
	if (db_number(db, "SELECT count(*) FROM box_origin", 0, &count, err))
		return (int)err->code;
	if (count <= ORIGINS_MAX)
		return 0;
	if (db_stmt(db, &s,
		    "DELETE FROM box_origin WHERE used_ms < (SELECT used_ms"
		    " FROM box_origin ORDER BY used_ms LIMIT 1 OFFSET ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, count - ORIGINS_MAX);
	return db_run(db, s, err);
}

static int origin_save(struct db *db, struct origin *o,
		       struct mail_numbers *last, struct err *err)
{
	sqlite3_stmt *s;

	if (!o->moved)
		return 0;
	o->moved = false;
	if (db_stmt(db, &s, "REPLACE INTO box_origin VALUES (?, ?, ?, ?)", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, o->origin);
	sqlite3_bind_int64(s, 2, o->receiver);
	sqlite3_bind_int64(s, 3, o->seq);
	sqlite3_bind_int64(s, 4, clock_wall_ms());
	if (db_run(db, s, err))
		return (int)err->code;
	return o->known ? 0 : origins_bound(db, last, err);
}

static int by_seq(struct db *db, struct origin *o, const struct mail *mail,
		  struct mail_item *item, struct err *err)
{
	int64_t origin = (int64_t)mail->in->origin;

	if (o->origin != origin || o->receiver != item->m->to) {
		if (origin_save(db, o, &mail->n->numbers, err))
			return (int)err->code;
		*o = (struct origin){.origin = origin, .receiver = item->m->to};
		if (origin_load(db, o, err))
			return (int)err->code;
	}
	item->fresh = item->m->seq > o->seq;
	if (item->fresh) {
		o->seq = item->m->seq;
		o->moved = true;
	}
	return 0;
}

/* The place that it was given when it came first. */
static int place_of(struct db *db, struct mail_item *item, struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s,
		    "SELECT place FROM box_name WHERE id = ? AND receiver = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, item->m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, item->m->to);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	item->place = row ? sqlite3_column_int64(s, 0) : 0;
	db_done(s);
	return 0;
}

static int by_name(struct db *db, struct mail_item *item, int64_t place,
		   struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "INSERT OR IGNORE INTO box_name (id, receiver, place)"
		    " VALUES (?, ?, ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, item->m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, item->m->to);
	sqlite3_bind_int64(s, 3, place);
	if (db_run(db, s, err))
		return (int)err->code;
	item->fresh = sqlite3_changes(db_handle(db)) > 0;
	if (!item->fresh)
		return place_of(db, item, err);
	if (db_stmt(db, &s, "DELETE FROM box_name WHERE n <= ?", err))
		return (int)err->code;
	sqlite3_bind_int64(
		s, 1, sqlite3_last_insert_rowid(db_handle(db)) - NAMES_MAX);
	return db_run(db, s, err);
}

/* ---- storing ---- */

static void bind_payload(sqlite3_stmt *s, int at, const Gfl__V1__MessageItem *m)
{
	sqlite3_bind_blob(s, at, m->payload.len ? (void *)m->payload.data : "",
			  (int)m->payload.len, SQLITE_STATIC);
}

static int into_inbox(struct db *db, const struct mail_item *item,
		      struct err *err)
{
	const Gfl__V1__MessageItem *m = item->m;
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, item->place);
	sqlite3_bind_text(s, 2, m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, m->from);
	sqlite3_bind_int64(s, 4, m->to);
	sqlite3_bind_int(s, 5, m->type);
	bind_payload(s, 6, m);
	sqlite3_bind_int64(s, 7, m->sent_ms);
	return db_run(db, s, err);
}

/* It may have been given up before, and is not any more. */
static int unlose(struct db *db, const Gfl__V1__MessageItem *m, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "DELETE FROM outbox_lost WHERE id = ? AND receiver = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, m->to);
	return db_run(db, s, err);
}

static int into_outbox(struct db *db, const struct mail_item *item,
		       struct err *err)
{
	const Gfl__V1__MessageItem *m = item->m;
	sqlite3_stmt *s;

	if (item->named && unlose(db, m, err))
		return (int)err->code;
	if (db_stmt(db, &s,
		    "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, m->to);
	sqlite3_bind_int64(s, 2, item->place);
	sqlite3_bind_text(s, 3, m->id, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 4, item->named);
	sqlite3_bind_int64(s, 5, m->from);
	sqlite3_bind_int(s, 6, m->type);
	bind_payload(s, 7, m);
	sqlite3_bind_int64(s, 8, m->sent_ms);
	sqlite3_bind_int64(s, 9, m->expire_ms);
	return db_run(db, s, err);
}

static int store_one(struct db *db, const struct mail *mail,
		     struct mail_item *item, struct origin *o, struct err *err)
{
	struct mail_numbers *last = &mail->n->numbers;
	bool ours = item->box == MAIL_INBOX;
	int64_t *place = ours ? &last->cursor : &last->seq;
	int rc = 0;

	item->fresh = true;
	item->place = ours ? 0 : last->seq;
	if (mail->in->origin && item->m->seq)
		rc = by_seq(db, o, mail, item, err);
	if (!rc && item->fresh && item->named)
		rc = by_name(db, item, *place + 1, err);
	if (rc || !item->fresh)
		return rc;
	item->place = ++*place;
	return ours ? into_inbox(db, item, err) : into_outbox(db, item, err);
}

static int save_numbers(struct db *db, const struct mail_numbers *last,
			struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "UPDATE box SET cursor = ?, seq = ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, last->cursor);
	sqlite3_bind_int64(s, 2, last->seq);
	return db_run(db, s, err);
}

int box_store(struct db *db, void *arg, struct err *err)
{
	struct mail *mail = arg;
	struct mail_numbers *last = &mail->n->numbers;
	struct origin o = {0};

	for (size_t i = 0; i < mail->nitems; i++) {
		struct mail_item *item = &mail->items[i];

		if ((item->box == MAIL_INBOX || item->box == MAIL_OUTBOX) &&
		    store_one(db, mail, item, &o, err))
			return (int)err->code;
	}
	if (origin_save(db, &o, last, err))
		return (int)err->code;
	return save_numbers(db, last, err);
}
