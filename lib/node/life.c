/* What the file knows of this node's life: who it is, in which cluster, and
 * whether it founded or left it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node/node_impl.h"
#include "store/schema.h"

/* life.parted: may have been removed at its own wish, or was; the next life has
 * begun, and is no member yet. */
enum { ASKED = 2, PARTED = 1, REBORN = 3 };

const char life_schema[] = "CREATE TABLE life ("
			   " one INTEGER PRIMARY KEY CHECK (one = 1),"
			   " founding INTEGER NOT NULL,"
			   " parted INTEGER NOT NULL) STRICT;"
			   "INSERT INTO life VALUES (1, 0, 0);";

const char joined_schema[] =
	"ALTER TABLE life ADD COLUMN joined INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE life ADD COLUMN joined_term INTEGER NOT NULL DEFAULT 0;";

/* A copy for the writer's thread. */
struct job {
	struct node *n;
	struct raft_store_meta meta;
	int64_t joined, joined_term;
	bool founding;
	writer_done_fn *done;
};

/* Another life begins: of the old one only the node's number is kept. */
static int forget(struct node *n, struct err *err)
{
	int rc = db_exec(n->db,
			 "BEGIN;"
			 "DELETE FROM log;"
			 "DELETE FROM snapshot;"
			 "DELETE FROM part;"
			 "DELETE FROM conf;"
			 "DELETE FROM meta;"
			 "DELETE FROM hard_state;"
			 "UPDATE life SET founding = 0, parted = 3, joined = 0,"
			 " joined_term = 0;"
			 "COMMIT;",
			 err);

	n->founding = false;
	n->meta.cluster_id[0] = 0;
	n->meta.instance_id[0] = 0;
	n->joined = n->joined_term = 0;
	return rc;
}

static int load(struct node *n, struct err *err)
{
	int64_t founding = 0, parted = 0;

	if (raft_store_meta(n->db, &n->meta, err) ||
	    db_number(n->db, "SELECT founding FROM life", 0, &founding, err) ||
	    db_number(n->db, "SELECT parted FROM life", 0, &parted, err) ||
	    db_number(n->db, "SELECT joined FROM life", 0, &n->joined, err) ||
	    db_number(n->db, "SELECT joined_term FROM life", 0, &n->joined_term,
		      err))
		return (int)err->code;
	n->founding = founding;
	n->asked = parted == ASKED;
	n->reborn = parted == PARTED || parted == REBORN;
	return parted == PARTED ? forget(n, err) : 0;
}

int life_load(struct node *n, struct err *err)
{
	int64_t want = n->cfg.node_id;

	if (load(n, err))
		return err_wrap(err, "open %s", db_path(n->db));
	if (want && n->meta.cluster_id[0] && n->meta.node_id != want) {
		err_set(err, ERR_FAILED_PRECONDITION,
			"%s is the database of node %lld, not of node %lld",
			db_path(n->db), (long long)n->meta.node_id,
			(long long)want);
		return err_hint(err, "name another file with --db");
	}
	if (want)
		n->meta.node_id = want;
	if (n->meta.instance_id[0])
		return 0;
	node_draw_id(n->meta.instance_id);
	return raft_store_set_meta(n->db, &n->meta, err);
}

static int is_member(struct db *db, bool *member, struct err *err)
{
	struct raft_store_meta meta;
	int64_t parted = 0;

	if (raft_store_meta(db, &meta, err) ||
	    db_number(db, "SELECT parted FROM life", 0, &parted, err))
		return (int)err->code;
	*member = meta.cluster_id[0] && parted != PARTED;
	return 0;
}

bool life_is_member(const char *path)
{
	bool member = false;
	struct err err;
	struct db *db;

	if (db_open_to_read(&db, path, DB_NODE, &err))
		return false;
	if (is_member(db, &member, &err))
		member = false;
	db_close(db);
	return member;
}

static int store(struct db *db, void *arg, struct err *err)
{
	struct job *j = arg;
	sqlite3_stmt *s;

	if (raft_store_set_meta(db, &j->meta, err) ||
	    db_stmt(db, &s,
		    "UPDATE life SET founding = ?, parted = 0, joined = ?,"
		    " joined_term = ?",
		    err))
		return (int)err->code;
	sqlite3_bind_int(s, 1, j->founding);
	sqlite3_bind_int64(s, 2, j->joined);
	sqlite3_bind_int64(s, 3, j->joined_term);
	return db_run(db, s, err);
}

static int part(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "UPDATE life SET parted = 1", err);
}

static void stored(const struct err *err, void *arg)
{
	struct job j = *(struct job *)arg;

	free(arg);
	if (j.done)
		j.done(err, j.n);
}

static void post(struct node *n, writer_fn *fn, writer_done_fn *done)
{
	struct job *j = mem_zero(1, sizeof(*j));
	struct err err;

	*j = (struct job){n,           n->meta, n->joined, n->joined_term,
			  n->founding, done};
	if (writer_post(n->writer, fn, stored, j, &err))
		stored(&err, j);
}

void life_store(struct node *n, writer_done_fn *done)
{
	post(n, store, done);
}

static int ask(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_exec(db, "UPDATE life SET parted = 2", err);
}

void life_ask(struct node *n)
{
	post(n, ask, NULL);
}

void life_part(struct node *n, writer_done_fn *done)
{
	post(n, part, done);
}
