/* The nodes that a trainer knew: where it looks for one again. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fl/history_impl.h"

struct history_known {
	struct history_known *next;
	int64_t seen_ms;
	char url[];
};

struct job {
	struct history *h;
	struct history_known *first;
};

static int apply_node(struct db *db, const struct history_known *n,
		      struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s, "REPLACE INTO node VALUES (?, ?)", err);

	if (rc)
		return rc;
	sqlite3_bind_text(s, 1, n->url, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, n->seen_ms);
	return db_run(db, s, err);
}

static int apply_nodes(struct db *db, void *arg, struct err *err)
{
	const struct history_known *n;
	int rc = 0;

	LL_FOREACH(((struct job *)arg)->first, n)
	{
		rc = rc ? rc : apply_node(db, n, err);
	}
	return rc;
}

static void nodes_given(const struct err *err, void *arg)
{
	struct job *job = arg;
	struct history *h = job->h;
	struct history_known *n, *next;

	LL_FOREACH_SAFE(job->first, n, next)
	free(n);
	history_finished(err, job);
	h->giving = false;
	if (!err)
		history_give_nodes(h);
}

/* One job at a time: while it lasts, the next is gathered. */
void history_give_nodes(struct history *h)
{
	struct job *job;
	struct err err;

	if (!h->nodes || h->giving || h->closing)
		return;
	h->giving = true;
	job = mem_zero(1, sizeof(*job));
	*job = (struct job){h, h->nodes};
	h->nodes = NULL;
	if (writer_post(h->writer, apply_nodes, nodes_given, job, &err))
		nodes_given(&err, job);
}

void history_node(struct history *h, const char *url)
{
	size_t size = strlen(url) + 1;
	struct history_known *n;

	LL_FOREACH(h->nodes, n)
	if (!strcmp(n->url, url))
		break;
	if (!n) {
		n = mem_zero(1, sizeof(*n) + size);
		memcpy(n->url, url, size);
		LL_PREPEND(h->nodes, n);
	}
	n->seen_ms = clock_wall_ms();
	history_give_nodes(h);
}

int history_nodes(struct history *h, history_node_fn *fn, void *arg,
		  struct err *err)
{
	bool row = true;
	sqlite3_stmt *s;
	int rc = db_stmt(h->reader, &s,
			 "SELECT url FROM node ORDER BY seen_ms DESC LIMIT 64",
			 err);

	while (!rc && row) {
		rc = db_next(h->reader, s, &row, err);
		if (!rc && row)
			fn((const char *)sqlite3_column_text(s, 0), arg);
	}
	return rc;
}
