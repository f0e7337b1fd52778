/* What leaves the outbox: delivered, expired, or refused for good. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"
#include "node/outbox_impl.h"

enum { LOST_MAX = 10000 }; /* ids remembered of what was given up */

/* What leaves the outbox for one receiver, and what that was. */
struct removal {
	struct line *line;
	enum removal_of of;
	int64_t value; /* seq or wall time */
	char *why;     /* it is given up; NULL: delivered */
	int64_t n, bytes;
	int64_t soonest_ms; /* of what stays */
	char *id;           /* of the first given up */
};

#define SQL(what)                                                             \
	{                                                                     \
		"SELECT count(*), sum(length(payload)), min(id) FROM outbox"  \
		" WHERE receiver = ?1 AND " what,                             \
			"REPLACE INTO outbox_lost (id, receiver, at_ms, why)" \
			" SELECT id, ?1, ?3, ?4 FROM outbox"                  \
			" WHERE receiver = ?1 AND " what,                     \
			"DELETE FROM box_name WHERE receiver = ?1 AND id IN"  \
			" (SELECT id FROM outbox WHERE receiver = ?1 AND"     \
			" named AND " what ")",                               \
			"DELETE FROM outbox WHERE receiver = ?1 AND " what,   \
	}
static const struct {
	const char *count, *lose, *forget, *drop;
} sql[] = {
	[REMOVAL_UPTO] = SQL("seq <= ?2"),
	[REMOVAL_ONE] = SQL("seq = ?2"),
	[REMOVAL_EXPIRED] = SQL("expire_ms <= ?2"),
};

static int prepare(struct db *db, sqlite3_stmt **s, const char *text,
		   const struct removal *r, struct err *err)
{
	if (db_stmt(db, s, text, err))
		return (int)err->code;
	sqlite3_bind_int64(*s, 1, r->line->to);
	sqlite3_bind_int64(*s, 2, r->value);
	return 0;
}

/* An id of theirs that comes again is not a repetition any more. */
static int forget(struct db *db, const struct removal *r, struct err *err)
{
	sqlite3_stmt *s;

	if (prepare(db, &s, sql[r->of].forget, r, err))
		return (int)err->code;
	return db_run(db, s, err);
}

static int lose(struct db *db, struct removal *r, struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (prepare(db, &s, sql[r->of].count, r, err) ||
	    db_next(db, s, &row, err))
		return (int)err->code;
	r->n = sqlite3_column_int64(s, 0);
	r->bytes = sqlite3_column_int64(s, 1);
	free(r->id);
	r->id = mem_str((const char *)sqlite3_column_text(s, 2));
	db_done(s);
	if (prepare(db, &s, sql[r->of].lose, r, err))
		return (int)err->code;
	sqlite3_bind_int64(s, 3, clock_wall_ms());
	sqlite3_bind_text(s, 4, r->why, -1, SQLITE_STATIC);
	if (db_run(db, s, err) || forget(db, r, err) ||
	    db_stmt(db, &s,
		    "DELETE FROM outbox_lost WHERE n <="
		    " (SELECT max(n) FROM outbox_lost) - ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, LOST_MAX);
	return db_run(db, s, err);
}

static int soonest(struct db *db, struct removal *r, struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s,
		    "SELECT min(expire_ms) FROM outbox WHERE receiver = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, r->line->to);
	if (db_next(db, s, &row, err))
		return (int)err->code;
	r->soonest_ms = sqlite3_column_type(s, 0) == SQLITE_NULL
				? INT64_MAX
				: sqlite3_column_int64(s, 0);
	db_done(s);
	return 0;
}

static int apply_removal(struct db *db, void *arg, struct err *err)
{
	struct removal *r = arg;
	sqlite3_stmt *s;

	if (r->why && lose(db, r, err))
		return (int)err->code;
	if (prepare(db, &s, sql[r->of].drop, r, err) || db_run(db, s, err))
		return (int)err->code;
	return r->of == REMOVAL_EXPIRED ? soonest(db, r, err) : 0;
}

static void note_lost(const struct removal *r)
{
	struct line *l = r->line;
	struct outbox *o = l->n->outbox;

	o->expired += r->n;
	o->waiting -= r->n;
	o->bytes -= r->bytes;
	l->lane.waiting -= r->n;
	l->lane.bytes -= r->bytes;
	if (r->n)
		log_warn("given_up",
			 "to=%" PRId64 " messages=%" PRId64
			 " first=%s reason=%s",
			 l->to, r->n, r->id, r->why);
}

/* A writer that fails ends the node, which its next life sorts out. */
static void removed(const struct err *err, void *arg)
{
	struct removal *r = arg;
	struct line *l = r->line;
	struct node *n = l->n;

	if (!err && r->why) {
		note_lost(r);
		l->lane.busy = false;
	}
	if (!err && r->of == REMOVAL_EXPIRED)
		l->lane.soonest_ms = r->soonest_ms;
	free(r->why);
	free(r->id);
	free(r);
	if (err || n->ended)
		return;
	taken_left(n, l->to);
	outbox_go(l);
}

void removal_begin(struct line *l, enum removal_of of, int64_t value,
		   const char *why)
{
	struct removal *r = mem_zero(1, sizeof(*r));
	struct err err;

	r->line = l;
	r->of = of;
	r->value = value;
	r->why = mem_str(why);
	if (writer_post(l->n->writer, apply_removal, removed, r, &err))
		removed(&err, r);
}

/* ---- who waits for its messages ---- */

static int count(struct node *n, const char *text,
		 const Gfl__V1__WaitTakenRequest *in, int64_t *out,
		 struct err *err)
{
	char *ids = inbox_ids((const char *const *)in->ids, in->n_ids);
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(n->reader, &s, text, err);

	if (!rc) {
		sqlite3_bind_int64(s, 1, in->to);
		sqlite3_bind_text(s, 2, in->prefix, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 3, ids, -1, SQLITE_STATIC);
		rc = db_next(n->reader, s, &row, err);
	}
	if (!rc) {
		*out = row ? sqlite3_column_int64(s, 0) : 0;
		db_done(s);
	}
	free(ids);
	return rc;
}

int outbox_find(struct node *n, const Gfl__V1__WaitTakenRequest *in,
		int64_t *waiting, int64_t *lost, struct err *err)
{
	if (count(n,
		  "SELECT count(*) FROM outbox WHERE receiver = ?1"
		  " AND " INBOX_BY_ID,
		  in, waiting, err))
		return (int)err->code;
	return count(n,
		     "SELECT count(*) FROM outbox_lost WHERE receiver = ?1"
		     " AND " INBOX_BY_ID,
		     in, lost, err);
}
