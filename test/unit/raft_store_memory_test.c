/* SQLite that gets no memory at its n-th request within one of the store's
 * functions, for every n: it says so and names the file, what the transaction
 * changed is undone, and in the next life the same call does the same as if
 * nothing had been. */
#define TEST_SECONDS 60
#include "test.h"

#include "base/log.h"
#include "faulty.h"
#include "raft/store.h"
#include "store/schema.h"

enum { SELF = 2, LAST = 6 };

/* ---- a file ---- */

/* Each request of SQLite's is one that may fail: none is from its own pool. */
static struct db *open_store(void)
{
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct db *d;
	struct err err;

	if (db_open(&d, "a.db", DB_NODE, &err) ||
	    schema_apply(d, steps, 4, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK(!sqlite3_db_config(db_handle(d), SQLITE_DBCONFIG_LOOKASIDE, NULL,
				 0, 0));
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

	if (db_number(d, text, -1, &n, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return n;
}

static void *voters(size_t *len)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = SELF, .role = RAFT_VOTER}};
	struct raft_conf conf = {m, 2};
	void *bytes;

	*len = raft_conf_encode(&conf, &bytes);
	return bytes;
}

static void fill_image(struct raft_image *image, int64_t index)
{
	*image = (struct raft_image){.of = {.index = index, .term = 2}};
	image->of.conf = voters(&image->of.conf_len);
	raft_image_fill(image, "state", 5);
}

/* Six entries, a snapshot at the fourth, the first piece of one at 9. */
static struct db *make(struct raft_tail *tail)
{
	struct raft_entry e[LAST] = {{0}};
	struct raft_piece p = {.of = {.index = 9, .term = 4, .len = 40},
			       .data = "0123456789",
			       .len = 10};
	struct raft_write w = {
		.term = 4, .vote = 1, .commit = 5, .entries = e, .n = LAST};
	struct raft_store_meta meta = {.node_id = SELF, .cluster_id = "c"};
	struct db *d = open_store();
	struct raft_image image;
	struct err err;

	for (int i = 0; i < LAST; i++)
		e[i] = (struct raft_entry){.index = i + 1,
					   .term = 1 + i / 2,
					   .type = RAFT_NORMAL,
					   .data = &"abcdef"[i],
					   .len = 1};
	*tail = (struct raft_tail){0};
	fill_image(&image, 4);
	CHECK(!raft_store_write(d, &w, tail, &err));
	CHECK(!raft_store_put_image(d, &image, 2, &err));
	w = (struct raft_write){.term = 4, .vote = 1, .commit = 5, .piece = &p};
	CHECK(!raft_store_write(d, &w, tail, &err));
	CHECK(!raft_store_set_meta(d, &meta, &err));
	raft_image_release(&image);
	return d;
}

/* ---- what is done with it ---- */

static struct raft_tail tail;

static int get_meta(struct db *d, struct err *err)
{
	struct raft_store_meta meta;
	int rc = raft_store_meta(d, &meta, err);

	CHECK(rc || meta.node_id == SELF);
	return rc;
}

static int set_meta(struct db *d, struct err *err)
{
	struct raft_store_meta meta = {.node_id = 7};

	return raft_store_set_meta(d, &meta, err);
}

static int get_image(struct db *d, struct err *err)
{
	struct raft_image image;
	int rc = raft_store_image(d, &image, err);

	CHECK(rc || image.of.index == 4);
	raft_image_release(&image);
	return rc;
}

static int get_parts(struct db *d, struct err *err)
{
	struct raft_image image;
	int rc = raft_store_parts(d, &image, err);

	CHECK(rc || image.got == 10);
	raft_image_release(&image);
	return rc;
}

static int put_image(struct db *d, struct err *err)
{
	struct raft_image image;
	int rc;

	fill_image(&image, 5);
	rc = raft_store_put_image(d, &image, 6, err);
	raft_image_release(&image);
	return rc;
}

static int overwrite(struct db *d, struct err *err)
{
	const struct raft_entry e = {
		.index = 6, .term = 4, .type = RAFT_NORMAL};
	const struct raft_write w = {.term = 4,
				     .vote = 1,
				     .commit = 5,
				     .truncate_from = 6,
				     .entries = &e,
				     .n = 1};
	struct raft_tail own = tail;
	int rc = raft_store_write(d, &w, &own, err);

	CHECK(rc || (own.index == 6 && own.term == 4));
	return rc;
}

static int complete(struct db *d, struct err *err)
{
	struct raft_image image;
	struct raft_piece p = {.complete = true};
	const struct raft_write w = {
		.term = 4, .vote = 1, .commit = 9, .piece = &p};
	struct raft_tail own = tail;
	int rc;

	fill_image(&image, 9);
	p.of = image.of;
	p.data = image.bytes;
	p.len = (size_t)image.got;
	rc = raft_store_write(d, &w, &own, err);
	CHECK(rc || (own.index == 9 && own.term == 2));
	raft_image_release(&image);
	return rc;
}

static int load(struct db *d, struct err *err)
{
	struct raft_config cfg = {.id = SELF};
	struct raft_image image = {0};
	struct raft_tail own;
	struct raft *r;
	int rc = raft_store_hard_state(d, &cfg, err);

	if (rc)
		return rc;
	CHECK(!raft_open(&r, &cfg, err));
	rc = raft_store_image(d, &image, err);
	if (!rc)
		rc = raft_load_snapshot(r, &image.of, err);
	if (!rc)
		rc = raft_store_load(d, r, &own, err);
	CHECK(rc || own.index == LAST);
	raft_image_release(&image);
	raft_close(r);
	return rc;
}

static int check(struct db *d, struct err *err)
{
	int64_t last;
	int rc = raft_store_check(d, &last, err);

	CHECK(rc || last == LAST);
	return rc;
}

static int mend(struct db *d, struct err *err)
{
	struct raft_mended m;

	return raft_store_mend(d, SELF, false, &m, err);
}

/* ---- with too little memory ---- */

struct work {
	int (*fn)(struct db *d, struct err *err);
	const char *damage; /* before it, or NULL */
	bool alone;         /* it makes a transaction itself */
	const char *proof;  /* a number that it alone makes so, or NULL */
	int64_t is;
};

static const struct work works[] = {
	{get_meta, NULL, false, NULL, 0},
	{get_image, NULL, false, NULL, 0},
	{get_parts, NULL, false, NULL, 0},
	{load, NULL, false, NULL, 0},
	{check, NULL, true, NULL, 0},
	{set_meta, NULL, false, "SELECT node_id FROM meta", 7},
	{put_image, NULL, false, "SELECT min(idx) FROM log", 6},
	{overwrite, NULL, false, "SELECT last_term FROM hard_state", 4},
	{complete, NULL, false, "SELECT idx FROM snapshot", 9},
	{mend, "UPDATE log SET data = x'00' WHERE idx = 6", true,
	 "SELECT floor_index FROM hard_state", 6},
	{mend, "UPDATE log SET data = x'00' WHERE idx = 3", true,
	 "SELECT min(idx) FROM log", 4},
	{mend, "UPDATE snapshot SET data = x'00'", true,
	 "SELECT last_index FROM hard_state", 0},
};

static int run(struct db *d, const struct work *w, struct err *err)
{
	int rc = w->alone ? 0 : db_exec(d, "BEGIN", err);

	if (!rc)
		rc = w->fn(d, err);
	if (!rc && !w->alone)
		rc = db_exec(d, "COMMIT", err);
	return rc;
}

/* What is damaged may be told of though the memory ended after that. */
static void check_named(const struct work *w, const struct err *err)
{
	if (w->damage && err->code == ERR_DATA_LOSS) {
		CHECK_HAS(err->msg, "a.db is damaged: ");
		return;
	}
	CHECK_INT(err->code, ERR_INTERNAL);
	CHECK_HAS(err->msg, "a.db: ");
	CHECK_HAS(err->msg, "out of memory");
}

/* False: it makes no n-th request. */
static bool strike(const struct work *w, int64_t n, int64_t *failed)
{
	struct db *d = make(&tail);
	struct err err = {0};
	bool hit;
	int rc;

	if (w->damage)
		sql(d, w->damage);
	db_close(d);
	d = open_store();
	faulty_set(FAULTY_MALLOC, n, false, false);
	rc = run(d, w, &err);
	hit = faulty_hit();
	faulty_set(FAULTY_MALLOC, 0, false, false);
	if (rc) {
		CHECK(hit);
		check_named(w, &err);
		++*failed;
	}
	db_close(d);
	d = open_store();
	if (rc && w->proof)
		CHECK(number(d, w->proof) != w->is);
	if (rc && run(d, w, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	if (w->proof)
		CHECK_INT(number(d, w->proof), w->is);
	db_close(d);
	CHECK(!system("rm -f a.db*"));
	return hit;
}

TEST(memory_that_is_short_in_any_step_of_the_store_changes_nothing)
{
	log_setup("memory", LEVEL_ERROR, false);
	faulty_install();
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		int64_t n = 1, failed = 0;

		while (strike(&works[i], n, &failed))
			n += 1 + n / 24;
		printf("# %zu: %lld requests, %lld failures\n", i, (long long)n,
		       (long long)failed);
		CHECK(failed > 5);
	}
}
