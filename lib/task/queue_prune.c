/* What is forgotten. */
#include "store/db.h"
#include "task/queue.h"

/* Lines that were submitted at once are forgotten at once, when all of them are
 * old: then a token knows all of them or none. The last id and the last place
 * stay, so that neither is given twice. ?1 is how old, ?2 the place to go on
 * from. */
static const char *const find[] = {
	("CREATE TEMP TABLE IF NOT EXISTS old (id INTEGER PRIMARY KEY,"
	 " ended INTEGER, submission INTEGER, first INTEGER)"),
	("CREATE TEMP TABLE IF NOT EXISTS run (submission INTEGER,"
	 " first INTEGER, n INTEGER, id INTEGER,"
	 " PRIMARY KEY (submission, first)) WITHOUT ROWID"),
	"CREATE TEMP TABLE IF NOT EXISTS gone (id INTEGER PRIMARY KEY)",
	("INSERT INTO old SELECT id, ended, submission,"
	 " (SELECT max(first) FROM line WHERE"
	 "  line.submission = task.submission AND first <= task.line)"
	 " FROM state JOIN task USING (id) WHERE ended > ?2 AND ended_ms < ?1"
	 " ORDER BY ended LIMIT 500"),
	("INSERT OR IGNORE INTO run SELECT submission, first, n, line.id"
	 " FROM old JOIN line USING (submission, first)"),
	("INSERT INTO gone SELECT id FROM old WHERE first IS NULL"
	 " UNION SELECT state.id FROM run JOIN state"
	 " ON state.id BETWEEN run.id AND run.id + n - 1"
	 " WHERE NOT EXISTS (SELECT 1 FROM state AS s"
	 "  WHERE s.id BETWEEN run.id AND run.id + n - 1"
	 "  AND (s.ended IS NULL OR s.ended_ms >= ?1))"),
};

static const char *const forget[] = {
	("DELETE FROM gone WHERE id = (SELECT max(id) FROM task)"
	 " OR id = (SELECT id FROM state WHERE ended > 0"
	 "  ORDER BY ended DESC LIMIT 1)"),
	"DELETE FROM lost WHERE task IN gone",
	"DELETE FROM dep WHERE task IN gone",
	"DELETE FROM task WHERE id IN gone",
	"DELETE FROM state WHERE id IN gone",
	("DELETE FROM line WHERE (submission, first) IN"
	 " (SELECT submission, first FROM run WHERE NOT EXISTS"
	 "  (SELECT 1 FROM state"
	 "   WHERE state.id BETWEEN run.id AND run.id + n - 1))"),
	("DELETE FROM submission WHERE id IN (SELECT submission FROM run)"
	 " AND NOT EXISTS (SELECT 1 FROM line"
	 "  WHERE line.submission = submission.id)"),
	("DELETE FROM metric WHERE worker IN (SELECT id FROM worker)"
	 " AND at_ms < ?1"),
	"DELETE FROM worker WHERE gone AND seen_ms < ?1",
	"DELETE FROM old",
	"DELETE FROM run",
	"DELETE FROM gone",
};

static int run_all(struct db *db, const char *const *steps, size_t n,
		   const struct queue_prune *p, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		sqlite3_stmt *s;
		int given;

		if (db_stmt(db, &s, steps[i], err))
			return (int)err->code;
		given = sqlite3_bind_parameter_count(s);
		if (given >= 1)
			sqlite3_bind_int64(s, 1, p->before_wall_ms);
		if (given >= 2)
			sqlite3_bind_int64(s, 2, p->after);
		if (db_run(db, s, err))
			return (int)err->code;
	}
	return 0;
}

int queue_prune(struct db *db, void *arg, struct err *err)
{
	struct queue_prune *p = arg;

	if (run_all(db, find, sizeof(find) / sizeof(*find), p, err) ||
	    db_number(db, "SELECT max(ended) FROM old", 0, &p->next, err))
		return (int)err->code;
	return run_all(db, forget, sizeof(forget) / sizeof(*forget), p, err);
}
