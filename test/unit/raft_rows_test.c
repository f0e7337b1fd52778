/* What is stored beside the log: who the member is, and pieces of a snapshot
 * that comes in. */
#include "test.h"

#include "raft/store.h"
#include "store/schema.h"

static struct db *open_store(void)
{
	static const char *const steps[] = {raft_store_schema,
					    raft_snapshot_schema,
					    raft_tail_schema, raft_conf_schema};
	struct db *d;
	struct err err;

	if (db_open(&d, "a.db", DB_NODE, &err) ||
	    schema_apply(d, steps, 4, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return d;
}

static void sql(struct db *d, const char *text)
{
	struct err err;

	if (db_exec(d, text, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
}

TEST(a_member_that_forgot_who_it_is_does_not_start)
{
	struct raft_store_meta meta = {.node_id = 7};
	struct db *d = open_store();
	struct err err;

	CHECK(!raft_store_set_meta(d, &meta, &err));
	CHECK(!raft_store_meta(d, &meta, &err));
	sql(d, "UPDATE meta SET node_id = 8");
	CHECK_INT(raft_store_meta(d, &meta, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "a.db is damaged: what the node knows of itself");
	db_close(d);
}

/* Pieces of a snapshot are small change: what is damaged comes again. */
TEST(a_damaged_piece_comes_again)
{
	struct raft_image sent = {.of = {.index = 9, .term = 4}}, got;
	struct raft_write w = {.term = 4};
	struct raft_piece p = {.of = sent.of};
	struct raft_tail tail = {0};
	struct db *d = open_store();
	struct err err;

	raft_image_fill(&sent, "a state of some length", 22);
	p.of = sent.of;
	w.piece = &p;
	for (p.offset = 0; p.offset < 40; p.offset += 10) {
		p.data = sent.bytes + p.offset;
		p.len = 10;
		CHECK(!raft_store_write(d, &w, &tail, &err));
	}
	sql(d, "UPDATE part SET data = x'00010203040506070809' WHERE at = 20");
	CHECK(!raft_store_parts(d, &got, &err));
	CHECK_INT(got.got, 20);
	raft_image_release(&got);
	p.offset = 20;
	p.data = sent.bytes + 20;
	p.len = (size_t)sent.of.len - 20;
	p.complete = true;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	CHECK(!raft_store_image(d, &got, &err));
	CHECK_INT(got.of.index, 9);
	CHECK_INT(tail.index, 9);
	raft_image_release(&got);
	raft_image_release(&sent);
	db_close(d);
}

/* Ten bytes each, of which the second or the first is of something else. */
TEST(pieces_that_are_not_of_one_snapshot_are_not_put_together)
{
	static const struct {
		const char *change;
		int64_t got;
	} odd[] = {
		{"UPDATE part SET crc = NULL", 40}, /* of an older file */
		{"UPDATE part SET crc = NULL, idx = 8 WHERE at = 10", 10},
		{"UPDATE part SET crc = NULL, term = 3 WHERE at = 10", 10},
		{"UPDATE part SET len = 54 WHERE at = 10", 10},
		{"UPDATE part SET len = 35", 30},
		{"UPDATE part SET len = -1 WHERE at = 0", 0},
		{"UPDATE part SET len = 1 << 31 WHERE at = 0", 0},
		{"DELETE FROM part WHERE at = 10", 10},
		{"DELETE FROM part WHERE at = 0", 0},
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct raft_piece p = {.of = {.index = 9, .term = 4, .len = 55},
				       .data = "0123456789",
				       .len = 10};
		const struct raft_write w = {.term = 4, .piece = &p};
		struct raft_tail tail = {0};
		struct db *d = open_store();
		struct raft_image got;
		struct err err;

		for (; p.offset < 40; p.offset += 10)
			CHECK(!raft_store_write(d, &w, &tail, &err));
		sql(d, odd[i].change);
		CHECK(!raft_store_parts(d, &got, &err));
		CHECK_INT(got.got, odd[i].got);
		raft_image_release(&got);
		db_close(d);
		CHECK(!system("rm a.db*"));
	}
}
