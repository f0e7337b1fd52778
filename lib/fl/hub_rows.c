/* What a server knows of its clients after its death: who they are, what was
 * taken of them, and what was refused and why. It is written with each round,
 * and where none ends now and then. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

enum { EVERY_MS = 5000 };

struct client_row {
	int64_t id, accepted, missed, round, bytes_sent, bytes_received;
	int64_t refused[HUB_REASON_COUNT];
	char instance_id[STR_ID], owner[PEER_NAME];
};

struct hub_rows {
	int64_t refused[HUB_REASON_COUNT]; /* of all, strangers too */
	struct client_row *row;            /* of those who have changed */
	size_t n;
};

void hub_rows_free(struct hub_rows *r)
{
	if (r)
		free(r->row);
	free(r);
}

static void fill(struct client_row *r, const struct hub_client *c)
{
	r->id = c->id;
	r->accepted = c->accepted;
	r->missed = c->missed;
	r->round = c->round;
	r->bytes_sent = c->bytes_sent;
	r->bytes_received = c->bytes_received;
	memcpy(r->refused, c->refused, sizeof(r->refused));
	memcpy(r->instance_id, c->instance_id, sizeof(r->instance_id));
	memcpy(r->owner, c->owner, sizeof(r->owner));
}

struct hub_rows *hub_rows_take(struct hub *h)
{
	struct hub_rows *r = mem_zero(1, sizeof(*r));
	struct hub_client *c;
	size_t room = 0;

	memcpy(r->refused, h->refused, sizeof(r->refused));
	for (c = h->clients; c; c = c->hh.next) {
		if (!c->changed || !c->known)
			continue;
		c->changed = false;
		r->row = mem_grow(r->row, &room, r->n + 1, sizeof(*r->row));
		fill(&r->row[r->n++], c);
	}
	h->changed = false;
	h->rows_ms = clock_ms();
	return r;
}

void hub_changed(struct hub *h, struct hub_client *c)
{
	h->changed = true;
	if (c)
		c->changed = true;
}

/* --- writing ---------------------------------------------------------------
 */

static int write_client(struct db *db, const struct client_row *r,
			struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO client (id, instance_id,"
			 " owner, accepted, missed, round, bytes_sent,"
			 " bytes_received) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
			 " ON CONFLICT (id) DO UPDATE SET"
			 " owner = excluded.owner,"
			 " accepted = excluded.accepted,"
			 " missed = excluded.missed, round = excluded.round,"
			 " bytes_sent = excluded.bytes_sent,"
			 " bytes_received = excluded.bytes_received",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, r->id);
	sqlite3_bind_text(s, 2, r->instance_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, r->owner, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, r->accepted);
	sqlite3_bind_int64(s, 5, r->missed);
	sqlite3_bind_int64(s, 6, r->round);
	sqlite3_bind_int64(s, 7, r->bytes_sent);
	sqlite3_bind_int64(s, 8, r->bytes_received);
	return db_run(db, s, err);
}

/* Client 0 is all of them. */
static int write_refused(struct db *db, int64_t client, const int64_t *refused,
			 struct err *err)
{
	sqlite3_stmt *s;
	int rc = 0;

	for (enum hub_reason why = 0; !rc && why < HUB_REASON_COUNT; why++) {
		if (!refused[why])
			continue;
		rc = db_stmt(db, &s,
			     "INSERT OR REPLACE INTO refused VALUES (?, ?, ?)",
			     err);
		if (rc)
			break;
		sqlite3_bind_int64(s, 1, client);
		sqlite3_bind_text(s, 2, hub_reason_name(why), -1,
				  SQLITE_STATIC);
		sqlite3_bind_int64(s, 3, refused[why]);
		rc = db_run(db, s, err);
	}
	return rc;
}

int hub_rows_write(struct db *db, const struct hub_rows *r, struct err *err)
{
	int rc = write_refused(db, 0, r->refused, err);

	for (size_t i = 0; !rc && i < r->n; i++) {
		rc = write_client(db, &r->row[i], err);
		if (!rc)
			rc = write_refused(db, r->row[i].id, r->row[i].refused,
					   err);
	}
	return rc;
}

struct rows_job {
	struct hub *hub;
	struct hub_rows *rows;
};

static int apply(struct db *db, void *arg, struct err *err)
{
	return hub_rows_write(db, ((struct rows_job *)arg)->rows, err);
}

static void applied(const struct err *err, void *arg)
{
	struct rows_job j = *(struct rows_job *)arg;

	free(arg);
	hub_rows_free(j.rows);
	if (err)
		hub_fail(j.hub, err);
}

void hub_rows_post(struct hub *h)
{
	struct rows_job *j;
	struct err err;

	if (!h->changed || h->failure.code)
		return;
	j = mem_zero(1, sizeof(*j));
	*j = (struct rows_job){h, hub_rows_take(h)};
	if (writer_post(h->writer, apply, applied, j, &err))
		applied(&err, j);
}

void hub_rows_tick(struct hub *h, int64_t now_ms)
{
	if (now_ms - h->rows_ms >= EVERY_MS)
		hub_rows_post(h);
}

/* --- reading ---------------------------------------------------------------
 */

static void take_client(struct hub *h, sqlite3_stmt *s)
{
	struct hub_client *c =
		hub_client_add(h, sqlite3_column_int64(s, 0),
			       (const char *)sqlite3_column_text(s, 1));

	c->known = true;
	str_copy(c->owner, sizeof(c->owner),
		 (const char *)sqlite3_column_text(s, 2));
	c->accepted = sqlite3_column_int64(s, 3);
	c->missed = sqlite3_column_int64(s, 4);
	c->round = sqlite3_column_int64(s, 5);
	c->bytes_sent = sqlite3_column_int64(s, 6);
	c->bytes_received = sqlite3_column_int64(s, 7);
}

static int load_clients(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row = true;
	int rc = db_stmt(h->db, &s,
			 "SELECT id, instance_id, owner, accepted, missed,"
			 " round, bytes_sent, bytes_received FROM client",
			 err);

	while (!rc && !(rc = db_next(h->db, s, &row, err)) && row)
		take_client(h, s);
	return rc;
}

static void take_refused(struct hub *h, int64_t id, const char *reason,
			 int64_t n)
{
	struct hub_client *c;

	HASH_FIND(hh, h->clients, &id, sizeof(id), c);
	for (enum hub_reason why = 0; why < HUB_REASON_COUNT; why++) {
		if (strcmp(reason, hub_reason_name(why)) != 0)
			continue;
		if (!id)
			h->refused[why] = n;
		else if (c)
			c->refused[why] = n;
	}
}

int hub_rows_load(struct hub *h, struct err *err)
{
	sqlite3_stmt *s;
	bool row = true;
	int rc = load_clients(h, err);

	if (!rc)
		rc = db_stmt(h->db, &s,
			     "SELECT client, reason, updates FROM refused",
			     err);
	while (!rc && !(rc = db_next(h->db, s, &row, err)) && row)
		take_refused(h, sqlite3_column_int64(s, 0),
			     (const char *)sqlite3_column_text(s, 1),
			     sqlite3_column_int64(s, 2));
	return rc;
}
