#include "node/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/node_impl.h"
#include "node/state.h"
#include "raft/applier.h"
#include "raft/store.h"
#include "store/lock.h"
#include "store/schema.h"
#include "wire/rpc.h"

struct check {
	struct db *db;
	check_fn *fn;
	void *arg;
	struct err *err; /* the first damage */

	/* The replay. */
	struct raft_config known;
	struct state *state;
	struct applier *applier;
	int64_t applied, decoded;
	int rc;
};

/* ---- telling ---- */

__attribute__((format(printf, 3, 4))) static void
found(struct check *c, const char *part, const char *fmt, ...)
{
	Gfl__V1__CheckItem item = GFL__V1__CHECK_ITEM__INIT;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	item.part = (char *)part;
	item.found = text;
	c->fn(&item, c->arg);
}

static int damaged(struct check *c, const char *part)
{
	Gfl__V1__CheckItem item = GFL__V1__CHECK_ITEM__INIT;

	item.part = (char *)part;
	item.damaged = true;
	item.found = c->err->msg;
	c->fn(&item, c->arg);
	return (int)c->err->code;
}

/* ---- the parts ---- */

/* The first line that SQLite has to say of its file: "ok". */
static int look_at_file(struct check *c)
{
	const char *says;
	sqlite3_stmt *s;
	bool row;

	if (db_stmt(c->db, &s, "PRAGMA integrity_check(1)", c->err) ||
	    db_next(c->db, s, &row, c->err))
		return damaged(c, "file");
	says = row ? (const char *)sqlite3_column_text(s, 0) : "nothing";
	if (says && !strcmp(says, "ok")) {
		db_done(s);
		found(c, "file", "whole");
		return 0;
	}
	err_set(c->err, ERR_DATA_LOSS, "%s is damaged: %s", db_path(c->db),
		says ? says : "nothing");
	db_done(s);
	return damaged(c, "file");
}

static int look_at_node(struct check *c)
{
	struct raft_store_meta meta;

	if (schema_check(c->db, NODE_STEPS, c->err))
		return damaged(c, "schema");
	found(c, "schema", "%d", NODE_STEPS);
	if (raft_store_meta(c->db, &meta, c->err))
		return damaged(c, "node");
	found(c, "node", "%" PRId64 " of cluster %s", meta.node_id,
	      meta.cluster_id[0] ? meta.cluster_id : "none");
	if (raft_store_hard_state(c->db, &c->known, c->err))
		return damaged(c, "hard_state");
	found(c, "hard_state",
	      "term %" PRId64 " vote %" PRId64 " commit %" PRId64,
	      c->known.term, c->known.vote, c->known.commit);
	if (c->known.floor_index)
		found(c, "recovering",
		      "until an entry of term %" PRId64 " or later, at %" PRId64
		      " or after",
		      c->known.floor_term, c->known.floor_index);
	return 0;
}

/* What the snapshot holds becomes the state. */
static int open_image(struct check *c, const struct raft_image *image)
{
	ProtobufCMessage *whole, *state = NULL;
	const Gfl__V1__RaftImage *parts;
	const void *p;
	size_t len;
	int rc = raft_image_open(image, &p, &len, c->err);

	if (!rc)
		rc = rpc_unpack(&whole, &gfl__v1__raft_image__descriptor, p,
				len, c->err);
	if (rc)
		return rc;
	parts = (const Gfl__V1__RaftImage *)whole;
	rc = rpc_unpack(&state, &gfl__v1__state__descriptor, parts->state.data,
			parts->state.len, c->err);
	if (!rc) {
		state_free(c->state);
		c->state = NULL;
		rc = state_decode(&c->state, (const Gfl__V1__State *)state,
				  c->err);
		rpc_free(state);
	}
	if (!rc)
		applier_restore(c->applier, parts);
	rpc_free(whole);
	return rc;
}

static int look_at_snapshot(struct check *c)
{
	struct raft_image image;
	int rc = raft_store_image(c->db, &image, c->err);

	if (!rc && image.of.index && open_image(c, &image)) {
		err_wrap(c->err,
			 "%s is damaged: the snapshot at entry %" PRId64,
			 db_path(c->db), image.of.index);
		rc = c->err->code = ERR_DATA_LOSS;
	}
	if (!rc && image.of.index)
		found(c, "snapshot", "entry %" PRId64 ", %" PRId64 " bytes",
		      image.of.index, image.of.len);
	else if (!rc)
		found(c, "snapshot", "none");
	raft_image_release(&image);
	return rc ? damaged(c, "snapshot") : 0;
}

static int look_at_log(struct check *c)
{
	int64_t first, last;

	if (raft_store_check(c->db, &last, c->err) ||
	    db_number(c->db, "SELECT min(idx) FROM log", 0, &first, c->err))
		return damaged(c, "log");
	if (first)
		found(c, "log", "entries %" PRId64 " to %" PRId64, first, last);
	else
		found(c, "log", "no entries");
	return 0;
}

/* ---- what the entries make ---- */

static void on_apply(const struct raft_entry *e, bool skip,
		     struct driver_result *result, void *arg)
{
	struct check *c = arg;
	Gfl__V1__Entry *entry = NULL;
	struct state_result res;

	if (!skip && e->type != RAFT_NOOP)
		c->rc = state_entry(&entry, e->data, e->len, c->err);
	if (!c->rc)
		c->rc = state_apply(c->state, e->index, e->term,
				    e->type == RAFT_CONFIG, entry, &res,
				    c->err);
	if (entry)
		gfl__v1__entry__free_unpacked(entry, NULL);
	if (c->rc)
		return;
	result->id = res.id;
	result->refused = res.refused;
}

static int replay(const struct raft_entry *e, void *arg, struct err *err)
{
	struct check *c = arg;
	Gfl__V1__Entry *entry = NULL;
	struct driver_result result;
	struct err own;

	c->decoded++;
	if (e->index <= c->state->applied || e->index > c->known.commit) {
		c->rc = e->type == RAFT_NOOP
				? 0
				: state_entry(&entry, e->data, e->len, c->err);
		if (entry)
			gfl__v1__entry__free_unpacked(entry, NULL);
	} else {
		/* What its proposer was told of its session is no damage. */
		(void)!applier_apply(c->applier, e, &result, &own);
	}
	if (c->rc)
		err_wrap(err, "%s is damaged: log entry %" PRId64,
			 db_path(c->db), e->index);
	return c->rc;
}

static int look_at_entries(struct check *c)
{
	if (raft_store_each(c->db, 1, 0, replay, c, NULL, c->err))
		return damaged(c, "entries");
	found(c, "entries", "%" PRId64 " decoded", c->decoded);
	found(c, "state",
	      "of entry %" PRId64 ": %zu members, %zu trainers, %zu runs",
	      c->state->applied, c->state->nmembers, c->state->ntrainers,
	      c->state->nruns);
	return 0;
}

int check_db(struct db *db, check_fn *fn, void *arg, struct err *err)
{
	struct check c = {.db = db, .fn = fn, .arg = arg, .err = err};
	int rc;

	c.state = state_new();
	c.applier = applier_new(on_apply, &c);
	rc = look_at_node(&c);
	if (!rc)
		rc = look_at_snapshot(&c);
	if (!rc)
		rc = look_at_log(&c);
	if (!rc)
		rc = look_at_entries(&c);
	applier_free(c.applier);
	state_free(c.state);
	return rc;
}

/* ---- a file ---- */

const struct out_col check_cols[CHECK_COLS] = {
	{"part", OUT_TEXT},
	{"damaged", OUT_BOOL},
	{"found", OUT_WORDS},
};

void check_row(const Gfl__V1__CheckItem *item, void *arg)
{
	out_row(arg, out_text(item->part), out_bool(item->damaged),
		out_text(item->found));
}

/* As of one moment, for a node that runs may write meanwhile. */
static int check_opened(struct db *db, struct out *o, struct err *err)
{
	struct check c = {.db = db, .fn = check_row, .arg = o, .err = err};
	int rc = db_exec(db, "BEGIN", err);

	if (!rc)
		rc = look_at_file(&c);
	return rc ? rc : check_db(db, check_row, o, err);
}

static int print_file(const char *path, const struct out_opts *opts,
		      struct err *err)
{
	struct out *o;
	struct db *db;
	int rc = db_open_to_read(&db, path, DB_NODE, err);

	if (rc)
		return rc;
	rc = out_begin(&o, opts, check_cols, CHECK_COLS, false, err);
	if (!rc) {
		rc = check_opened(db, o, err);
		if (out_end(o, rc ? NULL : err) && !rc)
			rc = (int)err->code;
	}
	db_close(db);
	return rc;
}

int check_file(const char *path, bool alone, const struct out_opts *opts,
	       struct err *err)
{
	struct lock *lock = NULL;
	int rc;

	if (access(path, F_OK))
		return err_sys(err, "open %s", path);
	rc = alone ? lock_open(&lock, path, err) : 0;
	if (!rc)
		rc = print_file(path, opts, err);
	lock_close(lock);
	return rc;
}
