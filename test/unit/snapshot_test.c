/* What a server of rounds has in its file. */
#include "test.h"

#include <string.h>

#include "fl/snapshot.h"
#include "nn/tensors.h"

static void put(struct db *db, char byte, size_t size)
{
	struct buf b = BUF_INIT(0);
	char *p = malloc(size);

	memset(p, byte, size);
	buf_put(&b, p, size);
	CHECK(!snapshot_write_bytes(db, &b, NULL));
	buf_release(&b);
	free(p);
}

TEST(snapshot_of_fewer_pieces_leaves_none_of_the_longer_one_before)
{
	struct buf b = BUF_INIT(0);
	struct db *db;

	CHECK(!db_open(&db, "s.db", DB_SERVER, NULL));
	CHECK(!snapshot_schema(db, NULL));
	put(db, 'a', (16 << 20) + 5);
	put(db, 'b', 10);
	CHECK(!snapshot_read_bytes(db, &b, NULL));
	CHECK_INT(b.len, 10);
	CHECK(!memcmp(b.p, "bbbbbbbbbb", 10));
	buf_release(&b);
	db_close(db);
}

/* The state of a round, as a server gives it. */
static struct snapshot *state_of(const char *term, const char *round)
{
	struct tensors ts = {0};
	struct buf b = BUF_INIT(0);
	struct snapshot *s;

	tensors_set(&ts, "term", term);
	tensors_set(&ts, "rounds", round);
	tensors_encode(&ts, &b);
	tensors_release(&ts);
	s = snapshot_take(&b, 0, 0, "0123456789abcdef");
	buf_release(&b);
	return s;
}

static int64_t count(struct db *db, const char *sql)
{
	sqlite3_stmt *s;
	int64_t n;
	bool row;

	CHECK(!db_stmt(db, &s, sql, NULL));
	CHECK(!db_next(db, s, &row, NULL) && row);
	n = sqlite3_column_int64(s, 0);
	db_done(s);
	return n;
}

TEST(a_state_takes_the_place_of_what_was_said_of_rounds_that_are_lost)
{
	struct snapshot *s = state_of("2", "4");
	struct db *db;

	CHECK(!snapshot_check(s, "it", NULL));
	CHECK(!db_open(&db, "s.db", DB_SERVER, NULL));
	CHECK(!snapshot_schema(db, NULL));
	for (int round = 3; round <= 5; round++) {
		char sql[200];

		snprintf(sql, sizeof(sql),
			 "INSERT INTO evaluation VALUES"
			 " (%d, 1, 1, 0, '', 10, 0.5, 0.75, 1, 2)",
			 round);
		CHECK(!db_exec(db, sql, NULL));
	}
	CHECK(!snapshot_write(db, s, NULL));
	CHECK_INT(count(db, "SELECT max(round) FROM round"), 4);
	CHECK_INT(count(db, "SELECT max(round) FROM evaluation"), 3);
	snapshot_drop(s);
	db_close(db);
}

TEST(a_state_of_no_round_that_can_be_is_refused)
{
	static const char *const rounds[] = {
		"0", "-1", "1099511627777", "99999999999999999999", "many"};
	struct err err;

	for (size_t i = 0; i < sizeof(rounds) / sizeof(*rounds); i++) {
		struct snapshot *s = state_of("1", rounds[i]);

		CHECK(snapshot_check(s, "it", &err) == ERR_INVALID_ARGUMENT);
		snapshot_drop(s);
	}
}
