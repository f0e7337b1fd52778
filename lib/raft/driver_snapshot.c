/* driver_snapshot.c - the bytes of snapshots: made of the state, stored, sent,
 * and made into a state again. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "raft/driver_impl.h"
#include "wire/rpc.h"

enum {
	GROWN = 4 << 20, /* bytes of entries after which to take one */
	KEPT = 4,        /* a quarter of that much stays in the log, for who
			  * may lead next */
	KEPT_MORE = 4,   /* up to so many times as much, for who is there
			  * and behind */
	WAIT_MORE = 16,  /* after so many times as much one is taken though a
			  * member that is being sent the last begins again: it
			  * may be one that never gets it */
};

/* A snapshot on the writer's thread. */
struct saving {
	struct driver *d; /* NULL: it was closed */
	struct raft_image image;
	int64_t first;
	driver_compact_fn *done; /* or NULL */
	void *arg;
};

static struct raft_snapshot copy_of(const struct raft_snapshot *s)
{
	struct raft_snapshot to = *s;

	to.conf = mem_dup(s->conf, s->conf_len);
	return to;
}

/* ---- into a state ---- */

static int unpack(struct driver *d, const void *p, size_t len, struct err *err)
{
	ProtobufCMessage *msg;
	Gfl__V1__RaftImage *image;
	int rc =
		rpc_unpack(&msg, &gfl__v1__raft_image__descriptor, p, len, err);

	if (rc)
		return rc;
	image = (Gfl__V1__RaftImage *)msg;
	rc = d->cfg.on_restore(image->state.data, image->state.len, d->cfg.arg,
			       err);
	if (!rc)
		applier_restore(d->applier, image);
	rpc_free(msg);
	return rc;
}

static int restore(struct driver *d, struct err *err)
{
	const void *p;
	size_t len;

	if (raft_image_open(&d->image, &p, &len, err) ||
	    unpack(d, p, len, err)) {
		err_wrap(err, "restore the snapshot at entry %lld",
			 (long long)d->image.of.index);
		err->code = ERR_DATA_LOSS; /* whatever the host calls it */
		return ERR_DATA_LOSS;
	}
	d->applied_term = d->image.of.term;
	d->grown = 0;
	return 0;
}

int driver_load_snapshots(struct driver *d, struct err *err)
{
	struct db *db = d->cfg.reader;

	if (raft_store_image(db, &d->image, err) ||
	    raft_store_parts(db, &d->coming, err))
		return (int)err->code;
	if (d->image.of.index &&
	    (raft_load_snapshot(d->raft, &d->image.of, err) || restore(d, err)))
		return (int)err->code;
	if (!d->coming.of.index)
		return 0;
	return raft_load_pieces(d->raft, &d->coming.of, d->coming.got, err);
}

void driver_restore_snapshot(struct driver *d)
{
	struct raft_snapshot s;
	struct err err;

	if (!raft_next_restore(d->raft, &s))
		return;
	raft_image_release(&d->image);
	d->image = d->coming;
	d->coming = (struct raft_image){0};
	if (restore(d, &err))
		driver_fail(d, &err);
	else
		log_info("snapshot_received", "index=%lld size_bytes=%lld",
			 (long long)s.index, (long long)s.len);
}

/* ---- pieces ---- */

int driver_check_piece(const struct raft_msg *msg, struct err *err)
{
	if (msg->type != RAFT_PIECE || msg->context <= RAFT_STORE_IMAGE_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a snapshot of %lld bytes is above %d",
		       (long long)msg->context, RAFT_STORE_IMAGE_MAX);
}

void driver_take_piece(struct driver *d, const struct raft_piece *p)
{
	struct raft_image *c = &d->coming;

	if (!p->offset) {
		raft_image_release(c);
		c->of = copy_of(&p->of);
		c->bytes = mem_zero(1, (size_t)p->of.len + 1);
	}
	if (p->len)
		memcpy(c->bytes + p->offset, p->data, p->len);
	c->got = p->offset + (int64_t)p->len;
}

void driver_fill_piece(const struct driver *d, struct raft_msg *msg)
{
	if (msg->type == RAFT_PIECE)
		msg->data = d->image.bytes + msg->hint;
}

/* ---- out of the state ---- */

static int64_t enough(const struct driver *d)
{
	int64_t bytes = d->cfg.snapshot_bytes ? d->cfg.snapshot_bytes : GROWN;

	return bytes > 2 * d->image.of.len ? bytes : 2 * d->image.of.len;
}

/* The first of the entries that stay. */
static int64_t first_kept(const struct driver *d, int64_t index)
{
	const int64_t some = enough(d) / KEPT, more = enough(d) * KEPT_MORE;
	const int64_t needed = raft_needed(d->raft);
	const struct raft_entry *e;
	int64_t bytes = 0;

	while ((e = raft_entry(d->raft, index)) &&
	       (bytes < some || (bytes < more && index >= needed))) {
		bytes += (int64_t)(sizeof(*e) + e->len + e->conf_len);
		index--;
	}
	return index + 1;
}

static void fill(struct driver *d, struct raft_image *image)
{
	Gfl__V1__RaftImage *msg = applier_save(d->applier);
	struct buf state = BUF_INIT(0);
	uint8_t *packed;
	size_t len;

	d->cfg.on_save(&state, d->cfg.arg);
	msg->state.len = state.len;
	msg->state.data = (uint8_t *)buf_take(&state);
	len = gfl__v1__raft_image__get_packed_size(msg);
	packed = mem_zero(1, len + 1);
	gfl__v1__raft_image__pack(msg, packed);
	raft_image_fill(image, packed, len);
	free(packed);
	rpc_free(&msg->base);
}

static int store(struct db *db, void *arg, struct err *err)
{
	const struct saving *s = arg;

	return raft_store_put_image(db, &s->image, s->first, err);
}

static void saving_free(struct saving *s)
{
	raft_image_release(&s->image);
	free(s);
}

/* One that came in meanwhile is newer. */
static void use(struct driver *d, struct saving *s)
{
	struct err err;

	if (raft_compact(d->raft, driver_now_ms(d), &s->image.of, s->first,
			 &err))
		return;
	raft_image_release(&d->image);
	d->image = s->image;
	s->image = (struct raft_image){0};
	log_info("snapshot", "index=%lld size_bytes=%lld first=%lld",
		 (long long)d->image.of.index, (long long)d->image.of.len,
		 (long long)s->first);
}

static void on_stored(const struct err *err, void *arg)
{
	struct saving *s = arg;
	struct driver *d = s->d;
	int64_t index = s->image.of.index;

	if (d) {
		d->saving = NULL;
		if (err)
			driver_fail(d, err);
		else
			use(d, s);
		driver_wake(d);
	}
	if (s->done)
		s->done(err, index, s->first, s->arg);
	saving_free(s);
}

/* What the snapshot is of, and what it stands for, is set. */
static int save(struct driver *d, struct saving *s, struct err *err)
{
	int rc;

	s->d = d;
	fill(d, &s->image);
	rc = writer_post(d->cfg.writer, store, on_stored, s, err);
	if (rc)
		return rc;
	d->saving = s;
	d->grown = 0;
	return 0;
}

static bool due(const struct driver *d)
{
	const int64_t size = enough(d);

	return d->grown >= size &&
	       (d->grown >= WAIT_MORE * size || !raft_sends_snapshot(d->raft));
}

void driver_save_snapshot(struct driver *d)
{
	struct raft_snapshot now;
	struct saving *s;

	if (!d->cfg.on_save || d->saving || d->failed || !due(d) ||
	    !raft_snapshot_now(d->raft, &now))
		return;
	s = mem_zero(1, sizeof(*s));
	s->image.of = copy_of(&now);
	s->first = first_kept(d, now.index);
	if (save(d, s, NULL))
		saving_free(s); /* the queue is full: in a later turn */
}

static int may_compact(const struct driver *d, struct err *err)
{
	struct raft_status s;

	raft_status(d->raft, &s);
	if (!d->cfg.on_save || !s.applied)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %lld has applied nothing yet",
			       (long long)s.id);
	if (s.failed)
		return err_set(err, ERR_UNAVAILABLE,
			       "node %lld has a disk that failed",
			       (long long)s.id);
	if (d->saving || raft_sends_snapshot(d->raft) || s.applied < s.snapshot)
		return err_set(err, ERR_UNAVAILABLE,
			       "a snapshot is being stored, taken or sent");
	return 0;
}

int driver_compact(struct driver *d, driver_compact_fn *done, void *arg,
		   struct err *err)
{
	int64_t needed = raft_needed(d->raft);
	struct raft_snapshot now;
	struct saving *s;
	int rc = may_compact(d, err);

	if (rc)
		return rc;
	if (!raft_snapshot_now(d->raft, &now))
		now = d->image.of; /* the same once more, without entries */
	s = mem_zero(1, sizeof(*s));
	s->image.of = copy_of(&now);
	s->first = needed <= now.index ? needed : now.index + 1;
	s->done = done;
	s->arg = arg;
	rc = save(d, s, err);
	if (rc)
		saving_free(s);
	return rc;
}

void driver_drop_snapshots(struct driver *d)
{
	if (d->saving)
		d->saving->d = NULL;
	raft_image_release(&d->image);
	raft_image_release(&d->coming);
}
