/* What a server of rounds has in its file. */
#include "test.h"

#include <string.h>

#include "fl/snapshot.h"

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
