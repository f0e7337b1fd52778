#include "test.h"

#include <unistd.h>

#include "store/rebuild.h"
#include "store/schema.h"

static const char *const steps[] = {
	"CREATE TABLE kept (n INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT)"
	" STRICT; CREATE INDEX by_text ON kept (t);"
	"INSERT INTO kept VALUES (1, 'of the schema');",
	"CREATE TABLE rows (n INTEGER PRIMARY KEY, b BLOB NOT NULL) STRICT;"
	"ALTER TABLE kept ADD COLUMN more INTEGER;"
	"CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b))"
	" STRICT, WITHOUT ROWID;"};
static const char *const partly[] = {"rows", NULL};
static const struct rebuild how = {DB_NODE, steps, 2, partly};

static struct db *open_db(void)
{
	struct db *d;
	struct err err;

	if (db_open(&d, "a.db", DB_NODE, &err) ||
	    schema_apply(d, steps, 2, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return d;
}

static void must(int rc, const struct err *err)
{
	if (rc)
		test_fail(__FILE__, __LINE__, "%s", err->msg);
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

/* Rows of a quarter of a page each, many of them. */
static void make_file(void)
{
	struct db *d = open_db();

	sql(d, "DELETE FROM kept;"
	       "INSERT INTO kept VALUES (7, 'one', 5), (9, 'two', NULL);"
	       "DELETE FROM kept WHERE n = 9;"
	       "INSERT INTO pairs VALUES (3, 4), (1, 2);"
	       "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL"
	       " SELECT i + 1 FROM c WHERE i < 200)"
	       " INSERT INTO rows SELECT i, zeroblob(1000) FROM c");
	db_close(d);
}

static int64_t page_of(const char *name, const char *which)
{
	char text[300];
	struct db *d = open_db();
	int64_t page;

	snprintf(text, sizeof(text),
		 "SELECT %s FROM sqlite_schema WHERE"
		 " name = '%s'",
		 which, name);
	page = number(d, text);
	db_close(d);
	return page;
}

static void break_page(int64_t page)
{
	FILE *f = fopen("a.db", "r+b");

	CHECK(f && !fseek(f, (page - 1) * 4096, SEEK_SET) &&
	      fputc(0xee, f) == 0xee && !fclose(f));
}

static void check_left_over(void)
{
	CHECK(access("a.db.new", F_OK));
	CHECK(access("a.db.new-wal", F_OK));
	CHECK(access("a.db.new.lock", F_OK));
}

static void check_kept(struct db *d)
{
	CHECK_INT(number(d, "SELECT count(*) FROM kept"), 1);
	CHECK_INT(number(d, "SELECT more FROM kept WHERE t = 'one'"), 5);
	CHECK_INT(number(d, "SELECT sum(10 * a + b) FROM pairs"), 46);
	sql(d, "INSERT INTO kept (t) VALUES ('new')");
	CHECK_INT(number(d, "SELECT n FROM kept WHERE t = 'new'"), 10);
}

TEST(rows_before_the_damage_and_all_other_tables_are_kept)
{
	struct db *d;
	struct err err;
	int64_t n;

	make_file();
	/* A leaf in the middle: the pages of rows came one after another. */
	break_page(page_of("rows", "rootpage") + 20);
	d = open_db();
	CHECK_INT(db_number(d, "SELECT sum(length(b)) FROM rows", 0, &n, &err),
		  ERR_DATA_LOSS);
	db_close(d);
	must(db_rebuild("a.db", &how, &err), &err);
	check_left_over();
	CHECK(!access("a.db.damaged", F_OK));
	d = open_db();
	CHECK_INT(number(d, "SELECT (SELECT count(*) FROM"
			    " pragma_integrity_check) = 1 AND"
			    " (SELECT * FROM pragma_integrity_check) = 'ok'"),
		  1);
	n = number(d, "SELECT count(*) FROM rows");
	CHECK(n > 20 && n < 200);
	CHECK_INT(number(d, "SELECT max(n) FROM rows"), n);
	check_kept(d);
	db_close(d);
}

TEST(a_table_that_cannot_be_read_at_all_is_empty)
{
	struct db *d;
	struct err err;

	make_file();
	break_page(page_of("rows", "rootpage"));
	must(db_rebuild("a.db", &how, &err), &err);
	d = open_db();
	CHECK_INT(number(d, "SELECT count(*) FROM rows"), 0);
	check_kept(d);
	db_close(d);
}

/* It is in the rows, and made anew of them. */
TEST(a_damaged_index_costs_nothing)
{
	struct db *d;
	struct err err;

	make_file();
	break_page(page_of("by_text", "rootpage"));
	must(db_rebuild("a.db", &how, &err), &err);
	d = open_db();
	CHECK_INT(number(d, "SELECT count(*) FROM rows"), 200);
	check_kept(d);
	db_close(d);
}

TEST(a_file_of_which_something_else_is_damaged_stays_as_it_is)
{
	struct err err;

	make_file();
	break_page(page_of("kept", "rootpage"));
	CHECK(!system("cp a.db b.db"));
	CHECK_INT(db_rebuild("a.db", &how, &err), ERR_DATA_LOSS);
	CHECK_HAS(err.msg, "make a.db anew: ");
	CHECK(!system("cmp a.db b.db"));
	CHECK(access("a.db.damaged", F_OK));
	check_left_over();
}

TEST(what_an_earlier_one_left_over_is_in_nobodys_way)
{
	struct err err;

	make_file();
	CHECK_INT(db_rebuild("missing.db", &how, &err), ERR_NOT_FOUND);
	CHECK(!system("cp a.db b.db; touch a.db.new a.db.damaged"));
	must(db_rebuild("a.db", &how, &err), &err);
	check_left_over();
	CHECK(!system("cmp a.db.damaged b.db"));
}
