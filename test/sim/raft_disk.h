/* raft_disk.h - what a server's disk has, the snapshots in it, and the writes
 * that are under way. */
#ifndef RAFT_DISK_H
#define RAFT_DISK_H

#include "raft_world.h"

/* In times of what makes a snapshot due, as in the driver: what stays of the
 * log for members that are behind, and how long one that is being sent holds up
 * the next. */
enum { KEPT_MORE = 4, WAIT_MORE = 16 };

/* ---- snapshots ---- */

/* The first bytes of a snapshot; one struct session_row per session follows. */
struct image {
	int64_t index;
	int64_t effects[CLIENTS + 1];
	struct cell cell[KEYS];
	int64_t rows;
	uint32_t chain;
};

struct session_row {
	int64_t client, seq, index, reply;
};

static struct raft_snapshot snapshot_copy(const struct raft_snapshot *s)
{
	struct raft_snapshot to = *s;

	to.conf = mem_dup(s->conf, s->conf_len);
	return to;
}

static void snapshot_free(struct raft_snapshot *s)
{
	free((void *)s->conf);
	*s = (struct raft_snapshot){0};
}

static void add_row(const struct session *now, void *arg)
{
	struct session_row **row = arg;

	**row = (struct session_row){now->client, now->seq, now->index, 0};
	memcpy(&(*row)->reply, now->reply, sizeof((*row)->reply));
	(*row)++;
}

/* The bytes that stand for the machine; *len of them. */
static char *image_make(const struct machine *m, int64_t *len)
{
	size_t rows = sessions_count(m->sessions);
	struct image *i =
		mem_zero(1, sizeof(*i) + rows * sizeof(struct session_row));
	struct session_row *row = (struct session_row *)(i + 1);

	i->index = m->index;
	i->chain = m->chain;
	i->rows = (int64_t)rows;
	memcpy(i->effects, m->effects, sizeof(i->effects));
	memcpy(i->cell, m->cell, sizeof(i->cell));
	sessions_each(m->sessions, add_row, &row);
	*len = (int64_t)(sizeof(*i) + rows * sizeof(*row));
	return (char *)i;
}

/* The configuration that is committed at this index, or NULL. */
static const struct conf_fact *conf_at(const struct world *w, int64_t index)
{
	size_t n = w->n_confs;

	while (n && w->conf_fact[n - 1].index > index)
		n--;
	return n ? &w->conf_fact[n - 1] : NULL;
}

/* A snapshot is of what was committed. */
static bool image_fits(const struct world *w, const struct raft_snapshot *of,
		       const struct image *i)
{
	const struct conf_fact *f = conf_at(w, of->index);

	return i->index == of->index && (size_t)i->index <= w->n_facts &&
	       w->fact[i->index - 1].term == of->term &&
	       w->fact[i->index - 1].chain == i->chain && f &&
	       f->len == of->conf_len && !memcmp(f->bytes, of->conf, f->len);
}

/* The machine becomes what the bytes say, which must be what the entries that
 * were committed make. */
static void image_restore(struct world *w, struct server *s,
			  const struct raft_snapshot *of, const char *bytes)
{
	struct image i;
	struct session_row row;

	if (s->disk.snap.index != of->index) {
		broken(w,
		       "snapshots: server %" PRId64
		       " takes one that its disk does not have",
		       s->id);
		return;
	}
	memcpy(&i, bytes, sizeof(i));
	if (!image_fits(w, of, &i)) {
		broken(w,
		       "snapshots: server %" PRId64
		       " takes one of entry %" PRId64 " that is not the state",
		       s->id, of->index);
		return;
	}
	sessions_free(s->machine.sessions);
	s->machine.sessions = sessions_new(64, 64);
	s->machine.index = i.index;
	s->machine.chain = i.chain;
	memcpy(s->machine.effects, i.effects, sizeof(i.effects));
	memcpy(s->machine.cell, i.cell, sizeof(i.cell));
	for (int64_t n = 0; n < i.rows; n++) {
		memcpy(&row, bytes + sizeof(i) + (size_t)n * sizeof(row),
		       sizeof(row));
		(void)session_end(s->machine.sessions,
				  &(struct session){
					  .client = row.client,
					  .seq = row.seq,
					  .index = row.index,
					  .reply = &row.reply,
					  .len = sizeof(row.reply),
				  });
	}
}

/* ---- disk ---- */

static int64_t disk_last(const struct disk *d)
{
	return d->base + (int64_t)d->n;
}

static const struct raft_entry *disk_entry(const struct disk *d, int64_t index)
{
	return index > d->base && index <= disk_last(d)
		       ? &d->e[index - d->base - 1]
		       : NULL;
}

static void disk_cut(struct disk *d, int64_t from)
{
	while (d->n && disk_last(d) >= from)
		entry_free(&d->e[--d->n]);
}

static void disk_forget(struct disk *d, int64_t upto)
{
	size_t n = upto > d->base ? (size_t)(upto - d->base) : 0;

	for (size_t i = 0; i < n; i++)
		entry_free(&d->e[i]);
	d->n -= n;
	if (n) {
		memmove(d->e, d->e + n, d->n * sizeof(*d->e));
		d->base = upto;
	}
}

static int64_t disk_last_term(const struct disk *d)
{
	return d->n ? d->e[d->n - 1].term : d->snap.term;
}

/* Entries after kept are lost; 0: the snapshot as well, and all. What is left
 * is as raft_store_mend() leaves it. */
static inline void disk_rot(struct disk *d, int64_t kept)
{
	if (!d->floor_index) {
		d->floor_index = disk_last(d);
		d->floor_term = disk_last_term(d);
	}
	disk_cut(d, kept + 1);
	if (!kept) {
		snapshot_free(&d->snap);
		snapshot_free(&d->next);
		free(d->bytes);
		free(d->next_bytes);
		d->bytes = d->next_bytes = NULL;
		d->base = d->got = 0;
	}
	if (d->commit > disk_last(d))
		d->commit = disk_last(d);
}

/* As the core forgets it, with the same write. */
static void disk_floor(struct disk *d)
{
	int64_t term = disk_last_term(d);

	if (term > d->floor_term ||
	    (term == d->floor_term && disk_last(d) >= d->floor_index))
		d->floor_index = d->floor_term = 0;
}

static void disk_free(struct disk *d)
{
	disk_cut(d, 1);
	free(d->e);
	snapshot_free(&d->snap);
	snapshot_free(&d->next);
	free(d->bytes);
	free(d->next_bytes);
}

static void disk_snapshot(struct disk *d, const struct raft_snapshot *s,
			  char *bytes)
{
	snapshot_free(&d->snap);
	free(d->bytes);
	d->snap = snapshot_copy(s);
	d->bytes = bytes;
}

static void disk_piece(struct world *w, struct server *s,
		       const struct raft_piece *p)
{
	struct disk *d = &s->disk;

	if (!p->offset) {
		snapshot_free(&d->next);
		free(d->next_bytes);
		d->next = snapshot_copy(&p->of);
		d->next_bytes = mem_zero((size_t)p->of.len + 1, 1);
		d->got = 0;
	}
	if (p->offset != d->got || d->next.index != p->of.index ||
	    d->got + (int64_t)p->len > d->next.len) {
		broken(w, "snapshots: server %" PRId64 " leaves a gap", s->id);
		return;
	}
	if (p->len)
		memcpy(d->next_bytes + d->got, p->data, p->len);
	d->got += (int64_t)p->len;
	if (!p->complete)
		return;
	disk_cut(d, 1);
	d->base = p->of.index;
	disk_snapshot(d, &d->next, d->next_bytes);
	snapshot_free(&d->next);
	d->next_bytes = NULL;
	d->got = 0;
	w->t.installs++;
}

static void disk_store(struct world *w, struct server *s,
		       const struct raft_write *wr)
{
	struct disk *d = &s->disk;

	if (wr->term < d->term ||
	    (wr->term == d->term && d->vote && wr->vote != d->vote))
		broken(w, "server %" PRId64 " forgets term %" PRId64, s->id,
		       d->term);
	d->term = wr->term;
	d->vote = wr->vote;
	d->commit = wr->commit;
	if (wr->piece)
		disk_piece(w, s, wr->piece);
	if (wr->truncate_from)
		disk_cut(d, wr->truncate_from);
	for (size_t i = 0; i < wr->n; i++) {
		if (wr->entries[i].index != disk_last(d) + 1)
			broken(w, "server %" PRId64 " leaves a gap", s->id);
		d->e = mem_grow(d->e, &d->cap, d->n + 1, sizeof(*d->e));
		d->e[d->n++] = entry_copy(&wr->entries[i]);
	}
	disk_floor(d);
}

/* ---- writes under way ---- */

/* The first one leaves the queue. */
static struct job job_take(struct server *s)
{
	struct job first = s->job[0];

	memmove(s->job, s->job + 1, --s->n_jobs * sizeof(*s->job));
	return first;
}

static void job_store(struct world *w, struct server *s, struct job *j)
{
	if (!j->own.index) {
		disk_store(w, s, &j->w);
		return;
	}
	disk_snapshot(&s->disk, &j->own, j->bytes);
	j->bytes = NULL;
	disk_forget(&s->disk, j->first - 1);
	w->t.snapshots++;
}

static void job_free(struct job *j)
{
	entries_free(j->w.entries, j->w.n);
	if (j->w.piece) {
		free((void *)j->w.piece->data);
		free((void *)j->w.piece->of.conf);
		free((void *)j->w.piece);
	}
	snapshot_free(&j->own);
	free(j->bytes);
}

/* Those under way come to nothing, but the first few. */
static void jobs_end(struct world *w, struct server *s, size_t lucky)
{
	for (; s->n_jobs; lucky -= lucky > 0) {
		struct job j = job_take(s);

		if (lucky)
			job_store(w, s, &j);
		job_free(&j);
	}
	s->jobs_due = 0;
}

static void job_add(struct world *w, struct server *s, struct job j)
{
	j.due = w->now;
	if (s->jobs_due > j.due)
		j.due = s->jobs_due;
	j.due += 100 + (int64_t)chance(w, (uint64_t)s->write_us);
	s->jobs_due = j.due;
	s->job = mem_grow(s->job, &s->jobs_cap, s->n_jobs + 1, sizeof(*s->job));
	s->job[s->n_jobs++] = j;
}

static void job_write(struct world *w, struct server *s,
		      const struct raft_write *wr)
{
	struct job j = {.w = *wr};
	struct raft_piece *p;

	j.w.entries = entries_copy(wr->entries, wr->n);
	if (wr->piece) {
		p = mem_dup(wr->piece, sizeof(*p));
		p->data = mem_dup(p->data, p->len);
		p->of = snapshot_copy(&p->of);
		j.w.piece = p;
	}
	job_add(w, s, j);
}

/* Take a snapshot, if there is anything new; the entries before first go with
 * it. */
static bool job_snapshot(struct world *w, struct server *s, int64_t first)
{
	struct job j = {.first = first < 1 ? 1 : first};
	struct raft_snapshot now;

	if (!raft_snapshot_now(s->r, &now) || s->machine.index != now.index)
		return false;
	j.bytes = image_make(&s->machine, &now.len);
	j.own = snapshot_copy(&now);
	job_add(w, s, j);
	return true;
}

/* The first of the entries that stay: some for who is a little behind, more if
 * a member is there that needs them. */
static int64_t first_kept(struct world *w, const struct server *s)
{
	int64_t last = s->machine.index, needed = raft_needed(s->r);
	int64_t some = last + 1 - (int64_t)chance(w, 30);
	int64_t more = last - KEPT_MORE * w->snapshot_every;

	if (needed >= some || chance(w, 3) == 0)
		return some;
	return needed > more ? needed : more;
}

/* If the log has grown enough. */
static bool job_snapshot_due(struct world *w, struct server *s)
{
	int64_t grown = s->machine.index - s->disk.snap.index;

	if (!w->snapshot_every || grown < w->snapshot_every ||
	    (raft_sends_snapshot(s->r) &&
	     grown < WAIT_MORE * w->snapshot_every))
		return false;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (s->job[i].own.index)
			return false;
	return job_snapshot(w, s, first_kept(w, s));
}

#endif
