/* Snapshots between real members: made, stored, sent, restored. */
#define TEST_SECONDS 20
#include "raft_cluster.h"

static struct raft_status status_of(const struct member *m)
{
	struct raft_status s;

	raft_status(driver_raft(m->driver), &s);
	return s;
}

static bool has_snapshot(struct cluster *c)
{
	struct member *l = cluster_leader(c);

	return l && status_of(l).snapshot > 0;
}

/* A hundred entries are several snapshots of this size. */
static void open_small(struct cluster *c)
{
	cluster_open(c);
	c->snapshot_bytes = 2000;
	found(c);
}

static void write_some(struct cluster *c, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_INT(propose(c, 0, 0, "abcdefgh").err.code, 0);
}

static bool same_text(struct cluster *c)
{
	struct member *l = cluster_leader(c);

	for (int i = 1; l && i <= MEMBERS; i++)
		if (c->m[i].driver &&
		    (c->m[i].applied.len != l->applied.len ||
		     memcmp(c->m[i].applied.p, l->applied.p, l->applied.len)))
			return false;
	return l != NULL;
}

TEST(driver_starts_from_its_snapshot)
{
	struct cluster c;
	struct err err;
	int64_t first;
	size_t len;

	open_small(&c);
	CHECK_INT(propose(&c, 7, 1, "s").result.id, 1);
	write_some(&c, 100);
	cluster_run(&c, has_snapshot);
	first = status_of(&c.m[1]).first;
	CHECK(first > 40);
	len = c.m[1].applied.len;
	CHECK_INT(len, 801);
	member_stop(&c.m[1]);
	must(member_start(&c, 1, &err), &err);
	cluster_run(&c, has_leader);
	CHECK_INT(c.m[1].restored, 1);
	CHECK(c.m[1].entries < 70);
	CHECK_INT(c.m[1].applied.len, len);
	/* The session is in it too. */
	CHECK_INT(propose(&c, 7, 1, "s").result.id, 1);
	CHECK_INT(c.m[1].applied.len, len);
	cluster_close(&c);
}

TEST(driver_keeps_its_file_small)
{
	struct cluster c;
	struct db *d;
	int64_t rows;

	open_small(&c);
	write_some(&c, 500);
	cluster_run(&c, has_snapshot);
	member_stop(&c.m[1]);
	CHECK(!db_open_to_read(&d, "1.db", DB_NODE, NULL));
	CHECK(!db_number(d, "SELECT count(*) FROM log", -1, &rows, NULL));
	db_close(d);
	CHECK(rows > 0 && rows < 200);
	cluster_close(&c);
}

TEST(driver_sends_a_snapshot_to_who_was_away_for_long)
{
	struct cluster c;
	struct err err;

	open_small(&c);
	grow_to_three(&c);
	member_stop(&c.m[3]);
	write_some(&c, 200);
	cluster_run(&c, has_snapshot);
	must(member_start(&c, 3, &err), &err);
	cluster_run(&c, same_text);
	CHECK(c.m[3].restored > 0);
	CHECK(status_of(&c.m[3]).first > 100);
	write_some(&c, 3);
	cluster_run(&c, same_text);
	member_stop(&c.m[3]);
	must(member_start(&c, 3, &err), &err);
	cluster_run(&c, same_text);
	cluster_close(&c);
}

TEST(driver_sends_a_snapshot_of_many_pieces)
{
	char text[100001];
	struct cluster c;
	struct err err;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	open_small(&c);
	for (int i = 0; i < 30; i++)
		CHECK_INT(propose(&c, 0, 0, text).err.code, 0);
	cluster_run(&c, has_snapshot);
	must(member_start(&c, 2, &err), &err);
	CHECK_INT(change(&c, 2, RAFT_LEARNER).err.code, 0);
	cluster_run(&c, same_text);
	CHECK(c.m[2].restored > 0);
	CHECK(c.m[2].applied.len == 3000000);
	cluster_close(&c);
}

static void damage(const char *sql)
{
	struct db *d;
	struct err err;

	must(db_open(&d, "1.db", DB_NODE, &err), &err);
	must(db_exec(d, sql, &err), &err);
	db_close(d);
}

TEST(driver_of_a_damaged_snapshot_does_not_start)
{
	struct cluster c;
	struct err err;

	open_small(&c);
	write_some(&c, 100);
	cluster_run(&c, has_snapshot);
	member_stop(&c.m[1]);
	damage("UPDATE snapshot SET data = CAST(substr(data, 1, 40) ||"
	       " x'00' || substr(data, 42) AS BLOB)");
	CHECK_INT(member_start(&c, 1, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "does not have its checksum");
	cluster_close(&c);
}

/* The host knows what its state is; that its checksum is right is not enough.
 */
TEST(driver_whose_host_refuses_its_state_does_not_start)
{
	struct cluster c;
	struct err err;

	open_small(&c);
	write_some(&c, 100);
	cluster_run(&c, has_snapshot);
	member_stop(&c.m[1]);
	c.picky = true;
	CHECK_INT(member_start(&c, 1, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "1.db: restore the snapshot at entry ");
	CHECK_HAS(err.msg, "not to our taste");
	cluster_close(&c);
}

static bool second_failed(struct cluster *c)
{
	return c->m[2].failed.code != 0;
}

TEST(driver_whose_host_refuses_a_state_that_came_fails)
{
	struct cluster c;
	struct err err;

	open_small(&c);
	write_some(&c, 100);
	cluster_run(&c, has_snapshot);
	c.picky = true;
	must(member_start(&c, 2, &err), &err);
	CHECK_INT(change(&c, 2, RAFT_LEARNER).err.code, 0);
	cluster_run(&c, second_failed);
	CHECK_INT(c.m[2].failed.code, ERR_DATA_LOSS);
	CHECK_HAS(c.m[2].failed.msg, "not to our taste");
	CHECK(status_of(&c.m[2]).failed && !c.m[1].failed.code);
	cluster_close(&c);
}
