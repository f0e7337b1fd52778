/* What tells one queue from another. */
#include "task/queue.h"

int queue_id(struct db *db, char id[STR_ID], struct err *err)
{
	sqlite3_stmt *s;
	bool row;

	*id = '\0';
	if (db_stmt(db, &s, "SELECT id FROM queue", err) ||
	    db_next(db, s, &row, err))
		return (int)err->code;
	if (row && str_copy(id, STR_ID, (const char *)sqlite3_column_text(s, 0)))
		db_done(s);
	return str_is_id(id) ? 0
			     : err_set(err, ERR_DATA_LOSS,
				       "the file does not say which queue it "
				       "is");
}
