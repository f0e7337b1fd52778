#include "raft/journal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"

enum { UNDER_WAY_MAX = 16 };

/* One block: this, the entries, their bytes. */
struct record {
	struct journal *journal;
	struct raft_write write;
	struct raft_piece piece; /* that write has */
	TAILQ_ENTRY(record) next;
	struct raft_entry entries[];
};

struct journal {
	struct journal_config cfg;

	/* Of the writer's thread. */
	struct raft_tail tail;
	bool broken; /* a write failed: nothing may follow it */

	/* Of the loop's thread. */
	bool closed; /* nobody wants to know */
	bool failed; /* and that was told */
	int under_way;
	TAILQ_HEAD(, record) waiting; /* for room in the writer's queue */
};

struct journal *journal_new(const struct journal_config *cfg)
{
	struct journal *j = mem_zero(1, sizeof(*j));

	j->cfg = *cfg;
	j->tail = cfg->tail;
	TAILQ_INIT(&j->waiting);
	return j;
}

static void free_unused(struct journal *j)
{
	if (j->closed && !j->under_way)
		free(j);
}

void journal_free(struct journal *j)
{
	struct record *r;

	if (!j)
		return;
	j->closed = true;
	while ((r = TAILQ_FIRST(&j->waiting))) {
		TAILQ_REMOVE(&j->waiting, r, next);
		free(r);
		j->under_way--;
	}
	free_unused(j);
}

bool journal_room(const struct journal *j)
{
	return j->under_way < UNDER_WAY_MAX;
}

static const void *put(char **at, const void *p, size_t len)
{
	void *to = *at;

	if (len)
		memcpy(to, p, len);
	*at += len;
	return to;
}

static void put_piece(struct record *r, const struct raft_piece *p, char **at)
{
	r->piece = *p;
	r->piece.data = put(at, p->data, p->len);
	r->piece.of.conf = put(at, p->of.conf, p->of.conf_len);
	r->write.piece = &r->piece;
}

static struct record *copy(struct journal *j, const struct raft_write *w)
{
	size_t bytes = w->piece ? w->piece->len + w->piece->of.conf_len : 0;
	struct record *r;
	char *at;

	for (size_t i = 0; i < w->n; i++)
		bytes += w->entries[i].len + w->entries[i].conf_len;
	r = mem_zero(1, sizeof(*r) + w->n * sizeof(r->entries[0]) + bytes);
	r->journal = j;
	r->write = *w;
	r->write.entries = r->entries;
	at = (char *)&r->entries[w->n];
	for (size_t i = 0; i < w->n; i++) {
		struct raft_entry *e = &r->entries[i];

		*e = w->entries[i];
		e->data = put(&at, e->data, e->len);
		e->conf = put(&at, e->conf, e->conf_len);
	}
	if (w->piece)
		put_piece(r, w->piece, &at);
	return r;
}

static int apply(struct db *db, void *arg, struct err *err)
{
	struct record *r = arg;
	struct journal *j = r->journal;
	int rc;

	if (j->broken)
		return err_set(err, ERR_ABORTED, "an earlier write failed");
	rc = raft_store_write(db, &r->write, &j->tail, err);
	j->broken = rc != 0;
	return rc;
}

static void on_done(const struct err *err, void *arg)
{
	struct record *r = arg;
	struct journal *j = r->journal;
	int64_t seq = r->write.seq;

	free(r);
	j->under_way--;
	if (j->closed) {
		free_unused(j);
		return;
	}
	if (j->failed)
		return;
	if (err) {
		j->failed = true;
		j->cfg.on_failed(err, j->cfg.arg);
	} else {
		j->cfg.on_written(seq, j->cfg.arg);
	}
}

bool journal_retry(struct journal *j)
{
	struct record *r;

	while ((r = TAILQ_FIRST(&j->waiting))) {
		if (writer_post(j->cfg.writer, apply, on_done, r, NULL))
			return false;
		TAILQ_REMOVE(&j->waiting, r, next);
	}
	return true;
}

void journal_write(struct journal *j, const struct raft_write *w)
{
	struct record *r = copy(j, w);

	TAILQ_INSERT_TAIL(&j->waiting, r, next);
	j->under_way++;
	journal_retry(j);
}
