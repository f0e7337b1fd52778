/* A snapshot that comes in while the disk goes: as if the member were killed at
 * each of its steps. And a file under endless load. */
#define TEST_SECONDS 120
#include "raft_cluster.h"

#include <sys/stat.h>

#include "base/log.h"
#include "faulty.h"

enum {
	BYTES = 100000, /* of an entry; a piece has ten of them */
	ENTRIES = 25,
	LOAD = 30000,
	AHEAD = 64, /* proposals under way */
};

static bool over(struct cluster *c)
{
	const struct member *l = cluster_leader(c), *m = &c->m[2];

	return m->failed.code || (l && m->applied.len == l->applied.len);
}

static bool is_compacted;

static bool compacted(struct cluster *c)
{
	(void)c;
	return is_compacted;
}

static void on_compacted(const struct err *err, int64_t index, int64_t first,
			 void *arg)
{
	CHECK(!err && first <= index + 1);
	is_compacted = true;
	cluster_check(arg);
}

/* Member 1 has a snapshot of several pieces; 2 is to get it, and is away. */
static void prepare(struct cluster *c)
{
	char *text = mem_zero(1, BYTES + 1);
	struct err err;

	log_setup("install", LEVEL_ERROR, false);
	faulty_install();
	faulty_only("2.db");
	cluster_open(c);
	c->snapshot_bytes = 2000;
	found(c);
	memset(text, 'x', BYTES);
	for (int i = 0; i < ENTRIES; i++)
		CHECK_INT(propose(c, 0, 0, text).err.code, 0);
	free(text);
	must(driver_compact(c->m[1].driver, on_compacted, c, &err), &err);
	cluster_run(c, compacted);
}

/* Member 2 is another one, and lives until it has all, or its disk fails. */
static bool install(struct cluster *c, int64_t n)
{
	struct err err = {0};
	bool hit;

	CHECK(!system("rm -f 2.db*"));
	CHECK_INT(change(c, 2, RAFT_LEARNER).err.code, 0);
	must(member_start(c, 2, &err), &err);
	driver_url_changed(c->m[1].driver, 2);
	faulty_set(FAULTY_IO, n, true, false);
	cluster_run(c, over);
	hit = faulty_hit();
	faulty_set(FAULTY_IO, 0, false, false);
	if (c->m[2].failed.code) {
		CHECK(hit);
		CHECK_HAS(c->m[2].failed.msg, "2.db");
	}
	member_stop(&c->m[2]);
	return hit;
}

/* Another life: what is there of it is whole, and the rest comes. True if it
 * began with some pieces. */
static bool go_on(struct cluster *c)
{
	struct raft_image some;
	struct raft_mended m;
	bool begun;
	struct db *d;
	struct err err;

	must(db_open(&d, "2.db", DB_NODE, &err), &err);
	must(raft_store_mend(d, 2, false, &m, &err), &err);
	CHECK_INT(m.why.code, 0);
	must(raft_store_parts(d, &some, &err), &err);
	begun = some.got > 0;
	raft_image_release(&some);
	db_close(d);
	must(member_start(c, 2, &err), &err);
	driver_url_changed(c->m[1].driver, 2);
	cluster_run(c, over);
	CHECK_INT(c->m[2].failed.code, 0);
	CHECK_INT(c->m[2].applied.len, (int64_t)BYTES * ENTRIES);
	member_stop(&c->m[2]);
	return begun;
}

TEST(a_snapshot_that_is_cut_off_at_any_point_comes_in_the_next_life)
{
	struct cluster c;
	int64_t n = 1, runs = 0, begun = 0;

	prepare(&c);
	while (install(&c, n)) {
		begun += go_on(&c);
		CHECK_INT(change(&c, 2, RAFT_NONE).err.code, 0);
		n += 1 + n / 6;
		runs++;
	}
	printf("# %lld points of %lld, %lld of them between pieces\n",
	       (long long)runs, (long long)n, (long long)begun);
	CHECK(runs > 15);
	CHECK(begun > 2);
	cluster_close(&c);
}

/* ---- endless load ---- */

static int64_t done, asked;

static void more(struct cluster *c);

static void on_done(const struct err *err, const struct driver_result *result,
		    void *arg)
{
	(void)result;
	CHECK(!err);
	done++;
	more(arg);
	cluster_check(arg);
}

static void more(struct cluster *c)
{
	char text[200];
	const struct driver_proposal p = {.data = text, .len = sizeof(text)};
	struct err err;

	memset(text, 'x', sizeof(text));
	while (asked < LOAD && asked - done < AHEAD) {
		asked++;
		must(driver_propose(c->m[1].driver, &p, on_done, c, &err),
		     &err);
	}
}

static bool some_done(struct cluster *c)
{
	(void)c;
	return done >= LOAD / 4;
}

static bool all_done(struct cluster *c)
{
	(void)c;
	return done == LOAD;
}

/* The file, and what its log in front of it has. */
static int64_t size_now(void)
{
	struct stat file, wal;

	CHECK(!stat("1.db", &file) && !stat("1.db-wal", &wal));
	return file.st_size + wal.st_size;
}

TEST(a_file_stops_growing_under_endless_load)
{
	struct cluster c;
	int64_t early, late;

	log_setup("growth", LEVEL_ERROR, false);
	faulty_install();
	cluster_open(&c);
	c.quiet = true;
	c.snapshot_bytes = 50000;
	found(&c);
	more(&c);
	cluster_run(&c, some_done);
	early = size_now();
	cluster_run(&c, all_done);
	late = size_now();
	printf("# %lld KiB after a quarter of %d entries, %lld KiB after all\n",
	       (long long)early / 1024, LOAD, (long long)late / 1024);
	CHECK(late <= early + early / 4 + (1 << 20));
	CHECK(late < (int64_t)LOAD * 200 * 4);
	cluster_close(&c);
}
