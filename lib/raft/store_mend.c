/* store_mend.c - damage is found before it is served, and given up if others
 * can send what was there. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "raft/store_impl.h"

struct finding {
	bool unsound;        /* SQLite finds fault with a table */
	bool image;          /* the snapshot is damaged */
	int64_t forgotten;   /* rows up to here, which it stands for, are */
	struct store_row at; /* the last whole row before the damage */
	struct raft_tail tail;
	struct err why;
	struct store_conf newest;
	bool uncopied; /* there is no second copy of that */
	bool unsummed; /* rows that now have a checksum have none */
};

const char *const raft_store_partly[] = {"log", "snapshot", "part", "conf",
					 NULL};

/* ---- looking ---- */

/* What SQLite would stumble over sooner or later, perhaps in a write. */
static int look_at_tree(struct db *db, const char *table, struct err *err)
{
	char *sql = mem_fmt("PRAGMA quick_check(%s)", table);
	const char *says, *line;
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, sql, err);

	free(sql);
	if (!rc)
		rc = db_next(db, s, &row, err);
	if (rc)
		return rc;
	says = (const char *)sqlite3_column_text(s, 0);
	line = says ? strrchr(says, '\n') : NULL; /* the first names the file */
	if (!says)
		rc = db_fail(db, "read what it says", err);
	else if (strcmp(says, "ok") != 0)
		rc = err_set(err, ERR_DATA_LOSS, "%s is damaged: %s: %s",
			     db_path(db), table, line ? line + 1 : says);
	db_done(s);
	return rc;
}

static int look_at_trees(struct db *db, struct err *err)
{
	int rc = 0;

	for (const char *const *t = raft_store_partly; *t && !rc; t++)
		rc = look_at_tree(db, *t, err);
	return rc;
}

static int pass(const struct raft_entry *e, void *arg, struct err *err)
{
	struct store_row *good = arg;

	(void)err;
	good->index = e->index;
	good->term = e->term;
	return 0;
}

static int look_at_image(struct db *db, struct err *err)
{
	struct raft_image image;
	int rc = raft_store_image(db, &image, err);

	raft_image_release(&image);
	return rc;
}

/* The rows, as far as they are whole and needed; *end is where they end. Rows
 * that the snapshot stands for do no harm when they are damaged, nor do those
 * before them. */
static int scan(struct db *db, struct finding *f, struct store_row *end,
		struct err *err)
{
	struct raft_tail base;
	int rc = raft_store_base(db, &base, err);

	f->forgotten = 0;
	while (!rc) {
		f->at = (struct store_row){.index = base.index,
					   .term = base.term};
		rc = store_scan(db, f->forgotten + 1, 0, pass, &f->at, end,
				err);
		if (end->index >= base.index &&
		    (!rc || end->index > base.index))
			return rc;
		if (rc && (rc != ERR_DATA_LOSS || db_broken(db) ||
			   end->index <= f->forgotten))
			return rc;
		f->forgotten = end->index < base.index && !rc ? base.index
							      : end->index;
		rc = 0;
	}
	return rc;
}

static int look_at_log(struct db *db, struct finding *f, struct err *err)
{
	struct store_row end;
	bool known;
	int rc = scan(db, f, &end, err);

	if (rc)
		return rc;
	rc = store_check_end(db, &end, &f->tail, err);
	if (!rc || store_tail(db, &f->tail, &known, NULL))
		return rc;
	if (f->at.index >= f->tail.index) /* the last one is not that */
		f->at.index = f->tail.index - 1;
	return rc;
}

static int look(struct db *db, struct finding *f, struct err *err)
{
	bool known;
	int rc;

	*f = (struct finding){0};
	rc = look_at_trees(db, err);
	f->unsound = rc == ERR_DATA_LOSS;
	if (!rc)
		rc = store_tail(db, &f->tail, &known, err);
	if (rc)
		return rc;
	rc = look_at_image(db, err);
	f->image = rc == ERR_DATA_LOSS;
	return rc ? rc : look_at_log(db, f, err);
}

int raft_store_check(struct db *db, int64_t *last, struct err *err)
{
	struct finding f;
	struct err own;
	int rc = look(db, &f, err ? err : &own);

	*last = f.tail.index;
	if (rc)
		return rc;
	if (!f.forgotten)
		return store_conf_check(db, err);
	return err_set(err, ERR_DATA_LOSS,
		       "%s is damaged: log entry %lld, which the snapshot "
		       "stands for, is not whole",
		       db_path(db), (long long)f.forgotten);
}

/* ---- who else has it ---- */

static int conf_of_rows(struct db *db, struct store_conf *to, struct err *err)
{
	struct raft_entry e;
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(db, &s, STORE_ROWS " WHERE type = ?", err);

	if (rc)
		return rc;
	sqlite3_bind_int(s, 1, RAFT_CONFIG);
	while (!(rc = db_next(db, s, &row, err)) && row)
		if (store_row_whole(s, &e))
			store_conf_take(to, e.index, e.conf, e.conf_len);
	return rc;
}

/* The newest configuration that is whole, whatever is before it; and whether
 * its second copy is there. */
static int newest_conf(struct db *db, struct finding *f, struct err *err)
{
	struct store_conf copy = {0};
	int64_t damaged = 0;
	int rc = store_image_conf(db, &f->newest, err);

	if (!rc || rc == ERR_DATA_LOSS)
		rc = conf_of_rows(db, &f->newest, err);
	if (!rc)
		rc = store_conf_newest(db, &copy, &damaged, err);
	f->uncopied = damaged || copy.index < f->newest.index;
	if (copy.index > f->newest.index) {
		raft_conf_release(&f->newest.conf);
		f->newest = copy;
	} else {
		raft_conf_release(&copy.conf);
	}
	return rc;
}

/* There is no copy of any in a file that was never opened by this version. */
static int look_at_age(struct db *db, struct finding *f, struct err *err)
{
	int64_t rows = 0;
	int rc = db_number(db,
			   "SELECT count(*) FROM"
			   " (SELECT crc FROM meta UNION ALL"
			   "  SELECT crc FROM snapshot)"
			   " WHERE crc IS NULL AND NOT EXISTS"
			   " (SELECT 1 FROM conf)",
			   0, &rows, err);

	f->unsummed = rows > 0;
	return rc;
}

static int sum_up(struct db *db, struct err *err)
{
	struct raft_store_meta meta;

	if (raft_store_meta(db, &meta, err) ||
	    (meta.instance_id[0] && raft_store_set_meta(db, &meta, err)))
		return (int)err->code;
	return store_sum_image(db, err);
}

static bool has_others(const struct raft_conf *conf, int64_t node_id)
{
	for (int i = 0; i < conf->n; i++)
		if (conf->member[i].id != node_id &&
		    (conf->member[i].role == RAFT_VOTER || conf->member[i].old))
			return true;
	return false;
}

static int copy_conf(struct db *db, const struct finding *f, struct err *err)
{
	void *bytes;
	size_t len;
	int rc = store_conf_cut(db, 0, err);

	if (rc || !f->newest.index)
		return rc;
	len = raft_conf_encode(&f->newest.conf, &bytes);
	rc = store_conf_add(db, f->newest.index, bytes, len, err);
	free(bytes);
	return rc;
}

/* ---- giving up ---- */

/* The log ends with the last whole row, or nothing is left; what it had is its
 * floor, or what an earlier loss made that. */
static int lower(struct db *db, const struct finding *f, struct err *err)
{
	struct raft_config cfg = {0};
	struct raft_write w = {0};
	struct raft_tail tail = f->tail;

	if (raft_store_hard_state(db, &cfg, err) ||
	    store_run(db, "DELETE FROM log WHERE idx > ?",
		      f->image ? 0 : f->at.index, err))
		return (int)err->code;
	if (f->image &&
	    db_exec(db, "DELETE FROM snapshot; DELETE FROM part", err))
		return (int)err->code;
	if (!tail.floor_index) {
		tail.floor_index = tail.index;
		tail.floor_term = tail.term;
	}
	if (store_end_at(db, f->image ? 0 : f->at.index, &tail, err))
		return (int)err->code;
	w.term = cfg.term;
	w.vote = cfg.vote;
	w.commit = cfg.commit < tail.index ? cfg.commit : tail.index;
	return store_hard_state(db, &w, &tail, err);
}

static int change(struct db *db, const struct finding *f, struct err *err)
{
	int rc = 0;

	if (f->forgotten)
		rc = store_run(db, "DELETE FROM log WHERE idx <= ?",
			       f->forgotten, err);
	if (!rc && f->why.code)
		rc = lower(db, f, err);
	if (!rc && f->unsummed)
		rc = sum_up(db, err); /* before there is a copy */
	if (!rc && f->uncopied)
		rc = copy_conf(db, f, err);
	return rc;
}

static int give_up(struct db *db, const struct finding *f, struct err *err)
{
	bool own = sqlite3_get_autocommit(db_handle(db));
	struct err undo;
	int rc = own ? db_exec(db, "BEGIN IMMEDIATE", err) : 0;

	if (rc)
		return rc;
	rc = change(db, f, err);
	if (!rc && own)
		rc = db_exec(db, "COMMIT", err);
	if (rc && own && !sqlite3_get_autocommit(db_handle(db)))
		(void)!db_exec(db, "ROLLBACK", &undo);
	return rc;
}

static int nobody(const struct finding *f, struct raft_mended *out,
		  struct err *err)
{
	*err = f->why;
	out->alone = true;
	return err_hint(err,
			"no other voter is known that could send it again");
}

/* A file of before there was a tail: the rows that are left tell it. */
static int guess_tail(struct db *db, struct finding *f, struct err *err)
{
	int64_t index;

	if (f->tail.index)
		return 0;
	if (db_number(db, "SELECT max(idx) FROM log", 0, &index, err))
		return (int)err->code;
	return store_end_at(db, index, &f->tail, err);
}

static int mend(struct db *db, int64_t node_id, bool others, struct finding *f,
		struct raft_mended *out, struct err *err)
{
	int rc = newest_conf(db, f, err);

	if (!rc)
		rc = look_at_age(db, f, err);
	if (!rc && f->why.code)
		rc = guess_tail(db, f, err);
	if (rc)
		return rc;
	if (f->why.code && !others && !has_others(&f->newest.conf, node_id))
		return nobody(f, out, err);
	if (!f->why.code && !f->forgotten && !f->uncopied && !f->unsummed)
		return 0;
	out->why = f->why;
	out->kept = f->image ? 0 : f->at.index;
	out->last = f->tail.index;
	return give_up(db, f, err);
}

int raft_store_mend(struct db *db, int64_t node_id, bool others,
		    struct raft_mended *out, struct err *err)
{
	struct finding f;
	bool known;
	struct err own;
	int rc = look(db, &f, &own);

	*out = (struct raft_mended){.unsound = f.unsound || db_broken(db)};
	if (rc == ERR_DATA_LOSS && !out->unsound &&
	    !store_tail(db, &f.tail, &known, NULL)) {
		f.why = own;
	} else if (rc) {
		*err = own;
		return rc;
	}
	rc = mend(db, node_id, others, &f, out, err);
	raft_conf_release(&f.newest.conf);
	return rc;
}
