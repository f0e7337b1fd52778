/* Who this trainer is. */
#include <string.h>

#include "base/mem.h"
#include "fl/history_impl.h"

static int read_me(struct history *h, bool *known, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(h->db, &s,
			 "SELECT trainer_id, instance_id, cluster_id, served"
			 " FROM me",
			 err);

	if (!rc)
		rc = db_next(h->db, s, known, err);
	if (rc || !*known)
		return rc;
	h->me.trainer_id = sqlite3_column_int64(s, 0);
	str_copy(h->me.instance_id, STR_ID,
		 (const char *)sqlite3_column_text(s, 1));
	str_copy(h->me.cluster_id, STR_ID,
		 (const char *)sqlite3_column_text(s, 2));
	h->me.served = sqlite3_column_int(s, 3);
	db_done(s);
	return 0;
}

static int write_me(struct db *db, const struct history_me *me, struct err *err)
{
	sqlite3_stmt *s;
	int rc = db_stmt(db, &s,
			 "INSERT INTO me VALUES (1, ?, ?, ?, ?)"
			 " ON CONFLICT DO UPDATE SET"
			 " trainer_id = excluded.trainer_id,"
			 " cluster_id = excluded.cluster_id,"
			 " served = excluded.served",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int64(s, 1, me->trainer_id);
	sqlite3_bind_text(s, 2, me->instance_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, me->cluster_id, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 4, me->served);
	return db_run(db, s, err);
}

int history_load_me(struct history *h, struct err *err)
{
	bool known = false;
	int rc = read_me(h, &known, err);

	if (rc || known)
		return rc;
	str_new_id(h->me.instance_id);
	return write_me(h->db, &h->me, err);
}

static int apply_me(struct db *db, void *arg, struct err *err)
{
	return write_me(db, arg, err);
}

void history_attached(struct history *h, int64_t trainer_id,
		      const char *cluster_id)
{
	if (h->me.trainer_id == trainer_id &&
	    !strcmp(h->me.cluster_id, cluster_id))
		return;
	h->me.trainer_id = trainer_id;
	str_copy(h->me.cluster_id, STR_ID, cluster_id);
	history_post(h, apply_me, mem_dup(&h->me, sizeof(h->me)));
}

void history_served(struct history *h)
{
	if (h->me.served)
		return;
	h->me.served = true;
	history_post(h, apply_me, mem_dup(&h->me, sizeof(h->me)));
}
