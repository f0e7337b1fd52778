/* Each round: gathered, written in batches, read for whoever draws it. */
#include <math.h>

#include "base/mem.h"
#include "fl/history_impl.h"

enum { FLUSH_MS = 500, FLUSH_ROWS = 256 };

struct history_rows {
	size_t n;
	struct history_row row[FLUSH_ROWS];
};

static int apply_row(struct db *db, const struct history_row *r,
		     struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "REPLACE INTO round VALUES"
			 " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, r->run);
	sqlite3_bind_int64(s, 2, r->round);
	sqlite3_bind_double(s, 3, isfinite(r->loss) ? r->loss : -1);
	if (!isnan(r->accuracy))
		sqlite3_bind_double(s, 4, r->accuracy);
	sqlite3_bind_int64(s, 5, r->bytes_sent);
	sqlite3_bind_int64(s, 6, r->bytes_received);
	sqlite3_bind_int64(s, 7, r->misses);
	sqlite3_bind_double(s, 8, r->compute_s);
	sqlite3_bind_double(s, 9, r->wait_s);
	sqlite3_bind_int64(s, 10, r->peer);
	sqlite3_bind_int64(s, 11, r->at_ms);
	return db_run(db, s, err);
}

static int apply_rows(struct db *db, void *arg, struct err *err)
{
	struct history_rows *rows = arg;
	int rc = 0;

	for (size_t i = 0; !rc && i < rows->n; i++)
		rc = apply_row(db, &rows->row[i], err);
	return rc;
}

void history_flush(struct history *h)
{
	struct history_rows *rows = h->rows;

	h->rows = NULL;
	timer_stop(&h->timer);
	if (rows)
		history_post(h, apply_rows, rows);
}

static void flush(void *arg)
{
	history_flush(arg);
}

void history_add(struct history *h, const struct history_row *row)
{
	if (!h->rows) {
		h->rows = mem_zero(1, sizeof(*h->rows));
		timer_set(&h->timer, h->loop, FLUSH_MS, flush, h);
	}
	h->rows->row[h->rows->n++] = *row;
	if (h->rows->n == FLUSH_ROWS)
		history_flush(h);
}

static struct history_row row_of(sqlite3_stmt *s)
{
	return (struct history_row){
		.run = sqlite3_column_int64(s, 0),
		.round = sqlite3_column_int64(s, 1),
		.loss = sqlite3_column_double(s, 2),
		.accuracy = sqlite3_column_type(s, 3) == SQLITE_NULL
				    ? (double)NAN
				    : sqlite3_column_double(s, 3),
		.bytes_sent = sqlite3_column_int64(s, 4),
		.bytes_received = sqlite3_column_int64(s, 5),
		.misses = sqlite3_column_int64(s, 6),
		.compute_s = sqlite3_column_double(s, 7),
		.wait_s = sqlite3_column_double(s, 8),
		.peer = sqlite3_column_int64(s, 9),
		.at_ms = sqlite3_column_int64(s, 10),
	};
}

int history_each(struct history *h, int64_t run, int64_t after,
		 history_row_fn *fn, void *arg, struct err *err)
{
	bool row = true;
	sqlite3_stmt *s;
	int rc = db_stmt(h->reader, &s,
			 "SELECT * FROM round WHERE round > ?2 AND run ="
			 " CASE ?1 WHEN 0 THEN (SELECT max(run) FROM round)"
			 " ELSE ?1 END ORDER BY round",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, run);
	sqlite3_bind_int64(s, 2, after);
	while (row) {
		struct history_row r;

		rc = db_next(h->reader, s, &row, err);
		if (rc || !row)
			break;
		r = row_of(s);
		if (fn(&r, arg)) {
			db_done(s);
			break;
		}
	}
	return rc;
}
