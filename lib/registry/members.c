#include "registry/members.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/schema.h"

static const char *const steps[] = {
	"CREATE TABLE member (id INTEGER PRIMARY KEY, url TEXT NOT NULL,"
	" ip TEXT NOT NULL, port INTEGER NOT NULL, capabilities TEXT NOT NULL,"
	" metadata TEXT NOT NULL, instance TEXT NOT NULL,"
	" cluster TEXT NOT NULL, role TEXT NOT NULL, joined_ms INTEGER NOT NULL,"
	" seen_ms INTEGER NOT NULL, alive INTEGER NOT NULL) STRICT;"
	"CREATE TABLE registry (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" cluster TEXT NOT NULL, leader INTEGER NOT NULL,"
	" term INTEGER NOT NULL, version INTEGER NOT NULL,"
	" grantee INTEGER NOT NULL, grant_instance TEXT NOT NULL) STRICT;",
};

static const char *text(sqlite3_stmt *s, int column)
{
	const unsigned char *p = sqlite3_column_text(s, column);

	return p ? (const char *)p : "";
}

static void load_row(sqlite3_stmt *s, struct lease *l, int64_t now_ms)
{
	struct member m = {
		.id = sqlite3_column_int64(s, 0),
		.url = mem_str(text(s, 1)),
		.ip = mem_str(text(s, 2)),
		.port = sqlite3_column_int(s, 3),
		.capabilities = mem_str(text(s, 4)),
		.metadata = mem_str(text(s, 5)),
		.joined_wall_ms = sqlite3_column_int64(s, 9),
		.seen_wall_ms = sqlite3_column_int64(s, 10),
		.alive = sqlite3_column_int(s, 11),
	};

	str_copy(m.instance, sizeof(m.instance), text(s, 6));
	str_copy(m.cluster, sizeof(m.cluster), text(s, 7));
	str_copy(m.role, sizeof(m.role), text(s, 8));
	lease_restore(l, &m, now_ms);
}

static int load_registry(struct db *db, struct lease *l, int64_t now_ms,
			 struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(db, &s,
		    "SELECT cluster, leader, term, version, grantee,"
		    " grant_instance FROM registry",
		    err) ||
	    db_next(db, s, &row, err))
		return (int)err->code;
	if (!row)
		return 0;
	str_copy(l->cluster, sizeof(l->cluster), text(s, 0));
	l->leader = sqlite3_column_int64(s, 1);
	l->term = sqlite3_column_int64(s, 2);
	l->version = sqlite3_column_int64(s, 3);
	l->grantee = sqlite3_column_int64(s, 4);
	str_copy(l->grant_instance, sizeof(l->grant_instance), text(s, 5));
	l->grant_until_ms = now_ms + l->config.grant_ms;
	db_done(s);
	return 0;
}

int members_load(struct db *db, struct lease *l, int64_t now_ms,
		 struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	if (schema_apply(db, steps, sizeof(steps) / sizeof(steps[0]), err) ||
	    load_registry(db, l, now_ms, err) ||
	    db_stmt(db, &s,
		    "SELECT id, url, ip, port, capabilities, metadata,"
		    " instance, cluster, role, joined_ms, seen_ms, alive"
		    " FROM member",
		    err))
		return (int)err->code;
	for (;;) {
		if (db_next(db, s, &row, err))
			return (int)err->code;
		if (!row)
			return 0;
		load_row(s, l, now_ms);
	}
}

/* What a job carries to the writer's thread: copies only. */
struct row {
	int64_t id; /* 0: no row */
	bool keep;  /* store it; else delete it */
	struct member m;
};

struct job {
	struct row rows[2];
	char cluster[LEASE_ID_TEXT], grant_instance[LEASE_ID_TEXT];
	int64_t leader, term, version, grantee;
	writer_done_fn *done;
	void *arg;
};

static void copy_row(struct row *r, const struct lease *l, int64_t id)
{
	const struct member *m = id ? lease_find(l, id) : NULL;

	r->id = id;
	if (!m)
		return;
	r->keep = true;
	r->m = *m;
	r->m.url = mem_str(m->url);
	r->m.ip = mem_str(m->ip);
	r->m.capabilities = mem_str(m->capabilities);
	r->m.metadata = mem_str(m->metadata);
}

static void free_job(struct job *j)
{
	for (int i = 0; i < 2; i++) {
		free(j->rows[i].m.url);
		free(j->rows[i].m.ip);
		free(j->rows[i].m.capabilities);
		free(j->rows[i].m.metadata);
	}
	free(j);
}

static int delete_row(struct db *db, int64_t id, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "DELETE FROM member WHERE id = ?", err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, id);
	return db_run(db, s, err);
}

static int put_row(struct db *db, const struct member *m, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s,
		    "REPLACE INTO member VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
		    err))
		return (int)err->code;
	sqlite3_bind_int64(s, 1, m->id);
	sqlite3_bind_text(s, 2, m->url, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, m->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 4, m->port);
	sqlite3_bind_text(s, 5, m->capabilities, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 6, m->metadata, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 7, m->instance, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 8, m->cluster, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 9, m->role, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 10, m->joined_wall_ms);
	sqlite3_bind_int64(s, 11, m->seen_wall_ms);
	sqlite3_bind_int(s, 12, m->alive);
	return db_run(db, s, err);
}

static int put_registry(struct db *db, const struct job *j, struct err *err)
{
	sqlite3_stmt *s;

	if (db_stmt(db, &s, "REPLACE INTO registry VALUES (1,?,?,?,?,?,?)",
		    err))
		return (int)err->code;
	sqlite3_bind_text(s, 1, j->cluster, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, j->leader);
	sqlite3_bind_int64(s, 3, j->term);
	sqlite3_bind_int64(s, 4, j->version);
	sqlite3_bind_int64(s, 5, j->grantee);
	sqlite3_bind_text(s, 6, j->grant_instance, -1, SQLITE_STATIC);
	return db_run(db, s, err);
}

static int apply(struct db *db, void *arg, struct err *err)
{
	const struct job *j = arg;

	for (int i = 0; i < 2; i++) {
		const struct row *r = &j->rows[i];

		if (r->id && (r->keep ? put_row(db, &r->m, err)
				      : delete_row(db, r->id, err)))
			return (int)err->code;
	}
	return put_registry(db, j, err);
}

static void stored(const struct err *err, void *arg)
{
	struct job *j = arg;

	if (j->done)
		j->done(err, j->arg);
	free_job(j);
}

int members_store(struct writer *w, const struct lease *l, int64_t id,
		  int64_t also, writer_done_fn *done, void *arg,
		  struct err *err)
{
	struct job *j = mem_zero(1, sizeof(*j));

	copy_row(&j->rows[0], l, id);
	copy_row(&j->rows[1], l, also);
	str_copy(j->cluster, sizeof(j->cluster), l->cluster);
	str_copy(j->grant_instance, sizeof(j->grant_instance),
		 l->grant_instance);
	j->leader = l->leader;
	j->term = l->term;
	j->version = l->version;
	j->grantee = l->grantee;
	j->done = done;
	j->arg = arg;
	if (!writer_post(w, apply, stored, j, err))
		return 0;
	free_job(j);
	return (int)err->code;
}
