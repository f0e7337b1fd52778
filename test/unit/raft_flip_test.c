/* One bit of a member's file is not what was written: whatever it was, either
 * that is found, or what the member goes on with is what it had. */
#include "test.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/rand.h"
#include "raft/store.h"
#include "store/rebuild.h"
#include "store/schema.h"

enum { SELF = 2, LAST = 40, IMAGE = 20, TERM = 4, VOTE = 1, PAGE = 4096 };

static const char *const steps[] = {raft_store_schema, raft_snapshot_schema,
				    raft_tail_schema, raft_conf_schema};

static const char text[] = "some text that is the entry's own";

/* Nothing ends here before it is written: to wait for the disk would be nearly
 * all that the test does. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

struct result {
	int refused, mended, whole;
};

static void must(int rc, const struct err *err)
{
	if (rc)
		test_fail(__FILE__, __LINE__, "%s", err->msg);
}

static int64_t term_of(int64_t index)
{
	return 1 + index / 15;
}

static void write_entries(struct db *d, const struct raft_snapshot *of)
{
	struct raft_entry e[LAST];
	struct raft_write w = {
		.term = TERM, .vote = VOTE, .commit = LAST, .entries = e};
	struct raft_tail tail = {0};
	struct err err;

	for (w.n = 0; w.n < LAST; w.n++)
		e[w.n] = (struct raft_entry){
			.index = (int64_t)w.n + 1,
			.term = term_of((int64_t)w.n + 1),
			.type = RAFT_NORMAL,
			.data = text,
			.len = sizeof(text),
		};
	e[2].type = RAFT_CONFIG;
	e[2].conf = of->conf;
	e[2].conf_len = of->conf_len;
	must(raft_store_write(d, &w, &tail, &err), &err);
}

/* A file as a member of three leaves it that was killed. */
static void make_file(char **bytes, size_t *len)
{
	struct raft_member m[] = {{.id = 1, .role = RAFT_VOTER},
				  {.id = SELF, .role = RAFT_VOTER},
				  {.id = 3, .role = RAFT_VOTER}};
	struct raft_store_meta meta = {.cluster_id = "c", .node_id = SELF};
	struct raft_image image = {
		.of = {.index = IMAGE, .term = term_of(IMAGE)}};
	struct raft_conf conf = {m, 3};
	struct db *d;
	struct err err;
	void *packed;

	must(db_open(&d, "a.db", DB_NODE, &err), &err);
	must(schema_apply(d, steps, 4, &err), &err);
	must(raft_store_set_meta(d, &meta, &err), &err);
	image.of.conf_len = raft_conf_encode(&conf, &packed);
	image.of.conf = packed;
	write_entries(d, &image.of);
	raft_image_fill(&image, text, sizeof(text));
	must(raft_store_put_image(d, &image, IMAGE - 5, &err), &err);
	raft_image_release(&image);
	db_close(d);
	must(file_read(bytes, len, "a.db", SIZE_MAX, &err), &err);
}

/* ---- what the member makes of it ---- */

static int open_raft(struct db *d, struct raft **r, struct raft_image *image,
		     struct err *err)
{
	struct raft_config cfg = {.id = SELF};
	struct raft_tail tail;
	int rc = raft_store_hard_state(d, &cfg, err);

	*r = NULL;
	*image = (struct raft_image){0};
	if (!rc)
		rc = raft_open(r, &cfg, err);
	if (!rc)
		rc = raft_store_image(d, image, err);
	if (!rc && image->of.index)
		rc = raft_load_snapshot(*r, &image->of, err);
	if (!rc)
		rc = raft_store_load(d, *r, &tail, err);
	return rc ? rc : raft_start(*r, 0, err);
}

static void check_entries(const struct raft *r, const struct raft_status *s)
{
	for (int64_t i = s->snapshot + 1; i <= s->last; i++) {
		const struct raft_entry *e = raft_entry(r, i);

		CHECK(e && e->type == RAFT_NORMAL && e->len == sizeof(text));
		CHECK_INT(e->term, term_of(i));
		CHECK(!memcmp(e->data, text, sizeof(text)));
	}
}

static void check_image(const struct raft_image *image)
{
	struct err err;
	const void *p;
	size_t len;

	if (!image->of.index)
		return;
	CHECK_INT(image->of.index, IMAGE);
	CHECK_INT(image->of.term, term_of(IMAGE));
	must(raft_image_open(image, &p, &len, &err), &err);
	CHECK(len == sizeof(text) && !memcmp(p, text, len));
}

/* It has its term, its vote and all entries, or guards those that it lost. */
static void check_goes_on(struct db *d)
{
	struct raft_image image;
	struct raft_status s;
	struct err err;
	struct raft *r;

	if (!open_raft(d, &r, &image, &err)) {
		raft_status(r, &s);
		CHECK_INT(s.term, TERM);
		CHECK_INT(s.vote, VOTE);
		CHECK(s.last == LAST || s.lost);
		check_entries(r, &s);
		check_image(&image);
	}
	raft_image_release(&image);
	raft_close(r);
}

static int mend(struct db **d, struct raft_mended *m, struct err *err)
{
	const struct rebuild how = {DB_NODE, steps, 4, raft_store_partly};
	int rc = raft_store_mend(*d, SELF, false, m, err);

	if (!rc || !m->unsound)
		return rc;
	db_close(*d);
	*d = NULL;
	if (db_rebuild("a.db", &how, err) || db_open(d, "a.db", DB_NODE, err))
		return (int)err->code;
	return raft_store_mend(*d, SELF, false, m, err);
}

static int start(struct db **d, struct raft_mended *m, struct err *err)
{
	struct raft_store_meta meta;

	if (schema_apply(*d, steps, 4, err) ||
	    raft_store_meta(*d, &meta, err) || mend(d, m, err))
		return (int)err->code;
	CHECK_INT(meta.node_id, SELF);
	CHECK_STR(meta.cluster_id, "c");
	return 0;
}

static void try(const char *bytes, size_t len, struct result *r)
{
	const struct file_part part = {bytes, len};
	struct raft_mended m;
	struct db *d;
	struct err err;

	remove("a.db-wal");
	remove("a.db-shm");
	remove("a.db"); /* some file systems flush what replaces it */
	must(file_put("a.db", &part, 1, &err), &err);
	if (db_open(&d, "a.db", DB_NODE, &err)) {
		r->refused++;
		return;
	}
	if (start(&d, &m, &err)) {
		r->refused++;
	} else {
		check_goes_on(d);
		r->mended += m.why.code != 0;
		r->whole += m.why.code == 0;
	}
	db_close(d);
}

/* ---- where ---- */

/* Bytes of a page that mean something, more or less; of those far from its head
 * every other one will do. */
static bool is_used(const char *page, int at, bool all)
{
	return at < 16 || (page[at] && (all || at < 128 || at % 2));
}

static void flip_page(char *bytes, size_t len, size_t page, bool all,
		      struct rand *rand, struct result *r)
{
	char *p = bytes + page * PAGE;

	for (int at = 0; at < PAGE; at++) {
		unsigned chosen = (unsigned)rand_below(rand, 8);

		for (unsigned bit = 0; bit < 8; bit++) {
			if (!is_used(p, at, all) || !(all || bit == chosen))
				continue;
			p[at] = (char)(p[at] ^ 1 << bit);
			try(bytes, len, r);
			p[at] = (char)(p[at] ^ 1 << bit);
		}
	}
}

static size_t page_of(const char *table)
{
	char sql[200];
	int64_t page;
	struct db *d;
	struct err err;

	snprintf(sql, sizeof(sql),
		 "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	must(db_open_to_read(&d, "a.db", DB_NODE, &err), &err);
	must(db_number(d, sql, 0, &page, &err), &err);
	db_close(d);
	return (size_t)page - 1;
}

/* What others can send again is no reason to refuse. */
static void flip_table(const char *table, bool all, bool may_refuse)
{
	struct rand rand = {.state = 1};
	struct result r = {0};
	char *bytes;
	size_t len;

	make_file(&bytes, &len);
	flip_page(bytes, len, page_of(table), all, &rand, &r);
	printf("# %d refused, %d mended, %d of no account\n", r.refused,
	       r.mended, r.whole);
	CHECK(r.refused == 0 || may_refuse);
	free(bytes);
}

TEST(a_bit_of_the_hard_state_is_no_other_vote)
{
	flip_table("hard_state", true, true);
}

TEST(a_bit_of_what_it_knows_of_itself_is_nobody_else)
{
	flip_table("meta", true, true);
}

TEST(a_bit_of_the_log_is_no_other_entry)
{
	flip_table("log", false, false);
}

TEST(a_bit_of_the_snapshot_is_no_other_state)
{
	flip_table("snapshot", false, false);
}

TEST(a_bit_of_the_second_copy_is_no_other_membership)
{
	flip_table("conf", true, false);
}

TEST(a_bit_of_the_schema_is_no_other_file)
{
	struct rand rand = {.state = 1};
	struct result r = {0};
	char *bytes;
	size_t len;

	make_file(&bytes, &len);
	flip_page(bytes, len, 0, false, &rand, &r);
	printf("# %d refused, %d mended, %d of no account\n", r.refused,
	       r.mended, r.whole);
	free(bytes);
}
