#include "node/logfile.h"

#include "node/node_impl.h"
#include "node/state.h"
#include "raft/store.h"
#include "store/db.h"
#include "store/schema.h"

struct reading {
	logfile_fn *fn;
	void *arg;
	int64_t last; /* index */
};

static int give(const struct raft_entry *e, void *arg, struct err *err)
{
	struct reading *r = arg;
	Gfl__V1__LogEntry item = GFL__V1__LOG_ENTRY__INIT;

	if (watch_log_entry(&item, e, err))
		return (int)err->code;
	r->fn(&item, r->arg);
	r->last = e->index;
	if (item.entry)
		gfl__v1__entry__free_unpacked(item.entry, NULL);
	return 0;
}

static int read_log(struct db *db, int64_t from, int64_t to, struct reading *r,
		    struct err *err)
{
	struct raft_config known = {0};
	struct raft_tail base;
	int rc = schema_check(db, NODE_STEPS, err);

	if (!rc)
		rc = raft_store_hard_state(db, &known, err);
	if (rc)
		return rc;
	if (!to || to > known.commit)
		to = known.commit;
	if (from < 1)
		from = 1;
	if (from > to)
		return 0;
	rc = raft_store_base(db, &base, err);
	if (rc)
		return rc;
	r->last = base.index;
	rc = raft_store_each(db, from, to, give, r, NULL, err);
	if (!rc && r->last < to)
		rc = err_set(err, ERR_DATA_LOSS,
			     "%s is damaged: log entry %lld is missing",
			     db_path(db), (long long)r->last + 1);
	return rc;
}

int logfile_each(const char *path, int64_t from, int64_t to, logfile_fn *fn,
		 void *arg, struct err *err)
{
	struct reading r = {.fn = fn, .arg = arg};
	struct db *db;
	int rc;

	if (db_open_to_read(&db, path, DB_NODE, err))
		return (int)err->code;
	rc = read_log(db, from, to, &r, err);
	db_close(db);
	return rc;
}
