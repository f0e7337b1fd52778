/* Rot in a member's file: found, named, given up or refused. */
#include "test.h"

#include "base/buf.h"
#include "base/crc.h"
#include "raft/store.h"
#include "store/schema.h"

enum { SELF = 2 };

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

static int64_t number(struct db *d, const char *text)
{
	struct err err;
	int64_t n;

	if (db_number(d, text, 0, &n, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return n;
}

/* Six entries, the first of which has SELF and others more as its voters; of
 * these 1 to 5 are committed. */
static struct db *open_six(int others, struct raft_tail *tail)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = 2, .role = RAFT_VOTER},
				  {.id = 3, .role = RAFT_VOTER}};
	struct raft_conf conf = {others ? m : m + 1, others ? others + 1 : 1};
	struct raft_entry e[6];
	struct raft_write w = {
		.term = 4, .vote = 1, .commit = 5, .entries = e, .n = 6};
	struct db *d = open_store();
	struct err err;
	void *bytes;

	for (int i = 0; i < 6; i++)
		e[i] = (struct raft_entry){.index = i + 1,
					   .term = 1 + i / 2,
					   .type = RAFT_NORMAL,
					   .data = &"abcdef"[i],
					   .len = 1};
	e[0].type = RAFT_CONFIG;
	e[0].conf_len = raft_conf_encode(&conf, &bytes);
	e[0].conf = bytes;
	*tail = (struct raft_tail){0};
	if (raft_store_write(d, &w, tail, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	free(bytes);
	return d;
}

static void put_image(struct db *d, int64_t index, int64_t first)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = 2, .role = RAFT_VOTER}};
	struct raft_conf conf = {m, 2};
	struct raft_image image = {.of = {.index = index, .term = 2}};
	struct err err;
	void *bytes;

	image.of.conf_len = raft_conf_encode(&conf, &bytes);
	image.of.conf = bytes;
	raft_image_fill(&image, "state", 5);
	if (raft_store_put_image(d, &image, first, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	raft_image_release(&image);
}

static struct raft_mended mend(struct db *d)
{
	struct raft_mended m;
	struct err err;

	if (raft_store_mend(d, SELF, false, &m, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return m;
}

static struct raft_config hard_state(struct db *d)
{
	struct raft_config cfg = {.id = SELF};
	struct err err;

	if (raft_store_hard_state(d, &cfg, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return cfg;
}

/* Load what is left, as a member does. */
static struct raft_status start(struct db *d, struct raft_tail *tail)
{
	struct raft_config cfg = hard_state(d);
	struct raft_image image;
	struct raft_status s;
	struct raft *r;
	struct err err;

	if (raft_open(&r, &cfg, &err) || raft_store_image(d, &image, &err) ||
	    (image.of.index && raft_load_snapshot(r, &image.of, &err)) ||
	    raft_store_load(d, r, tail, &err) || raft_start(r, 0, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	raft_status(r, &s);
	raft_image_release(&image);
	raft_close(r);
	return s;
}

/* text damages six entries: what is said, kept and guarded. */
static void check_mended(const char *text, const char *says, int64_t kept)
{
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct raft_mended m;
	struct raft_config cfg;
	int64_t last;
	struct err err;

	sql(d, text);
	CHECK_INT(raft_store_check(d, &last, &err), ERR_DATA_LOSS);
	CHECK_STR(err.msg, says);
	m = mend(d);
	CHECK_STR(m.why.msg, says);
	CHECK_INT(m.kept, kept);
	CHECK_INT(m.last, 6);
	cfg = hard_state(d);
	CHECK_INT(cfg.term, 4);
	CHECK_INT(cfg.vote, 1);
	CHECK_INT(cfg.commit, kept < 5 ? kept : 5);
	CHECK_INT(cfg.floor_index, kept < 6 ? 6 : 0);
	CHECK_INT(cfg.floor_term, kept < 6 ? 3 : 0);
	CHECK_INT(start(d, &tail).last, kept);
	CHECK_INT(start(d, &tail).lost, kept < 6);
	CHECK_INT(raft_store_check(d, &last, &err), 0);
	CHECK_INT(last, kept);
	CHECK_INT(mend(d).why.code, 0);
	db_close(d);
	CHECK(!system("rm a.db*"));
}

TEST(a_damaged_row_and_all_after_it_are_given_up)
{
	check_mended("UPDATE log SET data = x'00' WHERE idx = 4",
		     "a.db is damaged: log entry 4 does not have its checksum",
		     3);
	check_mended("UPDATE log SET term = 9 WHERE idx = 6",
		     "a.db is damaged: log entry 6 does not have its checksum",
		     5);
	check_mended("UPDATE log SET crc = crc + 1 WHERE idx = 2",
		     "a.db is damaged: log entry 2 does not have its checksum",
		     1);
	check_mended("DELETE FROM log WHERE idx = 3",
		     "a.db is damaged: log entry 3 is missing", 2);
	check_mended("UPDATE log SET idx = 9 WHERE idx = 3",
		     "a.db is damaged: log entry 3 is missing", 2);
}

/* Nothing in the rows themselves tells that there was one more. */
TEST(rows_that_are_lost_at_the_end_are_missed)
{
	check_mended("DELETE FROM log WHERE idx > 4",
		     "a.db is damaged: log entry 5 is missing", 4);
	check_mended("DELETE FROM log WHERE idx = 6",
		     "a.db is damaged: log entry 6 is missing", 5);
}

TEST(a_row_that_was_never_written_is_dropped)
{
	check_mended("INSERT INTO log SELECT 7, term, type, client, seq, data,"
		     " config, crc, prev_hash FROM log WHERE idx = 6",
		     "a.db is damaged: log entry 7 does not have its checksum",
		     6);
}

/* As if the hard state, which is of the same transaction, were an older one. */
TEST(a_whole_row_that_the_hard_state_does_not_have_is_given_up)
{
	const struct raft_entry more = {
		.index = 7, .term = 4, .type = RAFT_NORMAL};
	const struct raft_write w = {
		.term = 4, .vote = 1, .commit = 5, .entries = &more, .n = 1};
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct raft_mended m;
	struct err err;

	sql(d, "CREATE TABLE was AS SELECT * FROM hard_state");
	CHECK(!raft_store_write(d, &w, &tail, &err));
	sql(d, "DELETE FROM hard_state;"
	       "INSERT INTO hard_state SELECT * FROM was; DROP TABLE was");
	m = mend(d);
	CHECK_STR(m.why.msg, "a.db is damaged: log entry 7 is not the last one "
			     "that the hard state has, 6");
	CHECK_INT(m.kept, 5);
	CHECK_INT(m.last, 6);
	CHECK_INT(hard_state(d).floor_index, 6);
	CHECK_INT(start(d, &tail).last, 5);
	db_close(d);
}

/* A file of before there were an end in the hard state and checksums of the
 * other rows: it starts, and what is lost within its rows is found too. */
TEST(an_older_file_is_read_and_mended)
{
	const int64_t three[] = {4, 1, 5}; /* term, vote, commit */
	struct raft_store_meta meta = {
		.node_id = SELF, .cluster_id = "c", .instance_id = "i"};
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct raft_mended m;
	struct err err;
	char set[256];

	put_image(d, 2, 1);
	CHECK(!raft_store_set_meta(d, &meta, &err));
	snprintf(set, sizeof(set),
		 "UPDATE meta SET crc = NULL; UPDATE snapshot SET crc = NULL;"
		 "DELETE FROM conf;"
		 "UPDATE hard_state SET last_index = NULL, last_term = NULL,"
		 " last_hash = NULL, floor_index = NULL, floor_term = NULL,"
		 " crc = %u",
		 crc32c_of(0, three, sizeof(three)));
	sql(d, set);
	CHECK(!raft_store_meta(d, &meta, &err));
	CHECK_INT(meta.node_id, SELF);
	CHECK_INT(mend(d).why.code, 0);
	CHECK_INT(number(d, "SELECT (SELECT crc FROM meta) IS NULL OR"
			    " (SELECT crc FROM snapshot) IS NULL"),
		  0);
	CHECK(!raft_store_meta(d, &meta, &err));
	CHECK_INT(start(d, &tail).last, 6);
	CHECK_INT(tail.index, 6);
	sql(d, "UPDATE log SET data = x'00' WHERE idx = 5");
	m = mend(d);
	CHECK_HAS(m.why.msg, "log entry 5 does not have its checksum");
	CHECK_INT(m.kept, 4);
	CHECK_INT(m.last, 6);
	CHECK_INT(hard_state(d).floor_index, 6);
	CHECK_INT(hard_state(d).commit, 4);
	CHECK_INT(start(d, &tail).last, 4);
	db_close(d);
}

TEST(what_was_lost_guards_until_it_is_there_again)
{
	const struct raft_entry again = {
		.index = 4, .term = 2, .type = RAFT_NORMAL};
	const struct raft_entry later = {
		.index = 5, .term = 4, .type = RAFT_NOOP};
	struct raft_write w = {.term = 4, .entries = &again, .n = 1};
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct err err;

	sql(d, "UPDATE log SET data = x'00' WHERE idx = 4");
	mend(d);
	start(d, &tail);
	CHECK(!raft_store_write(d, &w, &tail, &err));
	CHECK_INT(hard_state(d).floor_index, 6);
	/* A second loss does not lower it. */
	sql(d, "DELETE FROM log WHERE idx = 3");
	CHECK_INT(mend(d).kept, 2);
	CHECK_INT(hard_state(d).floor_index, 6);
	CHECK_INT(hard_state(d).floor_term, 3);
	start(d, &tail);
	w.entries = &later;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	CHECK_INT(hard_state(d).floor_index, 0);
	db_close(d);
}

TEST(a_damaged_snapshot_takes_all_with_it)
{
	static const char *const damage[] = {
		("UPDATE snapshot SET data = CAST(substr(data, 1, 33) || 'X' ||"
		 " substr(data, 35) AS BLOB)"),
		"UPDATE snapshot SET idx = 2",
		"UPDATE snapshot SET term = 1",
		"UPDATE snapshot SET last_hash = last_hash + 1",
		"UPDATE snapshot SET data = x'00'",
	};

	for (size_t i = 0; i < 5; i++) {
		struct raft_tail tail;
		struct db *d = open_six(2, &tail);
		struct raft_mended m;

		put_image(d, 4, 1); /* the configuration stays */
		sql(d, damage[i]);
		m = mend(d);
		CHECK_INT(m.why.code, ERR_DATA_LOSS);
		CHECK_HAS(m.why.msg, "a.db is damaged: the ");
		CHECK_HAS(m.why.msg, "snapshot");
		CHECK_INT(m.kept, 0);
		CHECK_INT(start(d, &tail).last, 0);
		CHECK_INT(hard_state(d).floor_index, 6);
		CHECK_INT(hard_state(d).term, 4);
		db_close(d);
		CHECK(!system("rm a.db*"));
	}
}

TEST(rows_that_a_snapshot_stands_for_are_dropped_without_loss)
{
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct err err;
	int64_t n;

	put_image(d, 4, 2);
	sql(d, "UPDATE log SET data = x'00' WHERE idx = 3");
	CHECK_INT(raft_store_check(d, &n, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "log entry 3, which the snapshot stands for");
	CHECK_INT(mend(d).why.code, 0);
	CHECK(!db_number(d, "SELECT min(idx) FROM log", 0, &n, &err));
	CHECK_INT(n, 4);
	CHECK_INT(raft_store_check(d, &n, &err), 0);
	CHECK(!start(d, &tail).lost);
	CHECK_INT(tail.index, 6);
	db_close(d);
}

/* Where the bytes of the members are damaged in the log or in the snapshot, the
 * copy has them; and the other way round. */
TEST(the_members_are_known_from_a_second_copy)
{
	static const char *const damage[] = {
		"UPDATE log SET config = x'00' WHERE idx = 1",
		"DELETE FROM log WHERE idx = 1",
	};
	struct raft_tail tail;
	struct db *d;

	for (size_t i = 0; i < 2; i++) {
		d = open_six(2, &tail);
		sql(d, damage[i]);
		CHECK_INT(mend(d).kept, 0);
		CHECK_INT(start(d, &tail).last, 0);
		CHECK_INT(hard_state(d).floor_index, 6);
		db_close(d);
		CHECK(!system("rm a.db*"));
	}
	d = open_six(0, &tail); /* alone at first, then with another */
	put_image(d, 4, 1);
	sql(d, "UPDATE snapshot SET config = x'00'");
	CHECK_INT(mend(d).kept, 0);
	CHECK_INT(hard_state(d).floor_index, 6);
	db_close(d);
}

/* The log still has entries from before the snapshot. */
TEST(an_older_configuration_is_not_taken_for_the_newest)
{
	struct raft_tail tail;
	struct db *d = open_six(0, &tail);

	put_image(d, 4, 1);
	sql(d, "DELETE FROM conf;"
	       "UPDATE log SET data = x'00' WHERE idx = 6");
	CHECK_INT(mend(d).kept, 5);
	db_close(d);
}

TEST(a_damaged_second_copy_is_found_and_written_anew)
{
	static const char *const damage[] = {
		"UPDATE conf SET config = x'00'",
		"UPDATE conf SET idx = 7",
		"UPDATE conf SET crc = crc + 1",
	};

	for (size_t i = 0; i < 3; i++) {
		struct raft_tail tail;
		struct db *d = open_six(2, &tail);
		int64_t last;
		struct err err;

		sql(d, damage[i]);
		CHECK_INT(raft_store_check(d, &last, &err), ERR_DATA_LOSS);
		CHECK_HAS(err.msg, "the second copy of the members");
		CHECK_INT(mend(d).why.code, 0);
		CHECK_INT(raft_store_check(d, &last, &err), 0);
		sql(d, "UPDATE log SET config = x'00' WHERE idx = 1");
		CHECK_INT(mend(d).kept, 0);
		db_close(d);
		CHECK(!system("rm a.db*"));
	}
}

/* One that was cut off, or replaced, is none. */
TEST(the_second_copy_ends_where_the_log_ends)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = SELF, .role = RAFT_VOTER}};
	struct raft_conf both = {m, 2};
	struct raft_entry e = {.index = 7, .term = 4, .type = RAFT_CONFIG};
	struct raft_write w = {.term = 4, .commit = 5, .entries = &e, .n = 1};
	struct raft_tail tail;
	struct db *d = open_six(0, &tail);
	struct raft_mended out;
	struct err err;
	void *bytes;

	e.conf_len = raft_conf_encode(&both, &bytes);
	e.conf = bytes;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	free(bytes);
	w.truncate_from = 7;
	w.n = 0;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	sql(d, "DELETE FROM log WHERE idx = 6");
	CHECK_INT(raft_store_mend(d, SELF, false, &out, &err), ERR_DATA_LOSS);
	CHECK(out.alone);
	/* Unless somebody else says that there is one. */
	CHECK(!raft_store_mend(d, SELF, true, &out, &err));
	CHECK_INT(out.kept, 5);
	CHECK_INT(hard_state(d).floor_index, 6);
	db_close(d);
}

static void check_refused(int others, const char *text, const char *says)
{
	struct raft_tail tail;
	struct db *d = open_six(others, &tail);
	struct raft_mended m;
	struct err err;
	int64_t rows;

	sql(d, text);
	CHECK_INT(raft_store_mend(d, SELF, false, &m, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, says);
	CHECK(!db_number(d, "SELECT count(*) FROM log", 0, &rows, &err));
	CHECK_INT(rows, 6);
	db_close(d);
	CHECK(!system("rm a.db*"));
}

TEST(a_member_alone_gives_nothing_up)
{
	check_refused(0, "UPDATE log SET data = x'00' WHERE idx = 4",
		      "log entry 4 does not have its checksum");
	/* Nor one whose configuration is not to be read, twice. */
	check_refused(2,
		      "UPDATE log SET config = x'00' WHERE idx = 1;"
		      "UPDATE conf SET config = x'00'",
		      "log entry 1 does not have its checksum");
}

TEST(a_vote_that_is_lost_is_not_replaced)
{
	check_refused(2, "UPDATE hard_state SET vote = 3",
		      "the hard state does not have its checksum");
	check_refused(2, "UPDATE hard_state SET last_index = 5",
		      "the hard state does not have its checksum");
	check_refused(2, "UPDATE hard_state SET floor_term = 5",
		      "the hard state does not have its checksum");
}

/* The other is a learner: it has no vote, and leads nobody. */
TEST(a_member_among_learners_gives_nothing_up)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_LEARNER},
				  {.id = SELF, .role = RAFT_VOTER}};
	struct raft_conf conf = {m, 2};
	struct raft_entry e[2] = {{.index = 1, .term = 1, .type = RAFT_CONFIG},
				  {.index = 2, .term = 1, .type = RAFT_NORMAL}};
	struct raft_write w = {.term = 1, .entries = e, .n = 2};
	struct raft_tail tail = {0};
	struct db *d = open_store();
	struct raft_mended out;
	struct err err;
	void *bytes;

	e[0].conf_len = raft_conf_encode(&conf, &bytes);
	e[0].conf = bytes;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	sql(d, "DELETE FROM log WHERE idx = 2");
	CHECK_INT(raft_store_mend(d, SELF, false, &out, &err), ERR_DATA_LOSS);
	CHECK_STR(err.msg, "a.db is damaged: log entry 2 is missing");
	CHECK_HAS(err.hint, "no other voter");
	/* One that was a voter until the change that is under way is. */
	m[0].old = true;
	free(bytes);
	e[0].conf_len = raft_conf_encode(&conf, &bytes);
	e[0].conf = bytes;
	w.truncate_from = 1;
	CHECK(!raft_store_write(d, &w, &tail, &err));
	sql(d, "DELETE FROM log WHERE idx = 2");
	CHECK_INT(mend(d).kept, 1);
	free(bytes);
	db_close(d);
}

/* No row can be told from another then, nor how many there are. */
TEST(a_table_whose_tree_is_damaged_is_refused_and_not_searched_for_ever)
{
	static const char *const at =
		"SELECT (rootpage - 1) * (SELECT page_size FROM"
		" pragma_page_size) FROM sqlite_schema WHERE name = 'log'";
	struct raft_mended m;
	struct raft_tail tail;
	struct db *d = open_six(2, &tail);
	struct err err;
	int64_t offset;
	FILE *f;

	put_image(d, 3, 1);
	offset = number(d, at);
	db_close(d);
	f = fopen("a.db", "r+b");
	CHECK(f && !fseek(f, offset, SEEK_SET) && fputc(0xee, f) == 0xee &&
	      !fclose(f));
	d = open_store();
	CHECK_INT(raft_store_mend(d, SELF, false, &m, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "a.db");
	CHECK(m.unsound);
	db_close(d);
}
