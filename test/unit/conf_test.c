#include "test.h"

#include "base/buf.h"
#include "base/conf.h"

static int collect(const char *section, const char *key, const char *value,
		   int line, void *arg, struct err *err)
{
	struct buf *b = arg;

	if (!strcmp(key, "bad"))
		return err_set(err, ERR_INVALID_ARGUMENT, "no such thing");
	buf_putf(b, "%d[%s]%s=%s;", line, section, key, value);
	return 0;
}

static int read_text(const char *text, size_t len, struct buf *b,
		     struct err *err)
{
	FILE *f = fopen("x.conf", "w");

	CHECK(f && fwrite(text, 1, len, f) == len && !fclose(f));
	return conf_read("x.conf", collect, b, err);
}

TEST(lines_come_with_section_and_number)
{
	static const char text[] = "# note\nlog_level = info ; why\n\n"
				   "[gfl-node]\n  seed = 5\ndata=/a b/c\n";
	struct buf b = BUF_INIT(0);
	struct err err;

	CHECK(!read_text(text, sizeof(text) - 1, &b, &err));
	CHECK_STR(b.p, "2[]log-level=info;5[gfl-node]seed=5;"
		       "6[gfl-node]data=/a b/c;");
	buf_release(&b);
}

TEST(what_is_malformed_is_named_with_its_line)
{
	struct buf b = BUF_INIT(0);
	struct err err;
	char text[600];

	CHECK(read_text("a = 1\nnonsense\n", 15, &b, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "x.conf:2: expected 'option = value'");
	CHECK(read_text("a = 1\nbad = 1\nb = 2\n", 20, &b, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "x.conf:2: no such thing");
	CHECK(!strstr(b.p, "b=2"));
	memset(text, 'x', sizeof(text));
	CHECK(read_text(text, sizeof(text), &b, &err) == ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "x.conf:1: the line is too long");
	CHECK(conf_read("none.conf", collect, &b, &err) == ERR_NOT_FOUND);
	buf_release(&b);
}

TEST(any_bytes_are_read_without_harm)
{
	static const char text[] = "\xff\xfe = \x01\n[\n]\n=\n\0a=b\n[x";
	struct buf b = BUF_INIT(0);
	struct err err;

	CHECK(read_text(text, sizeof(text) - 1, &b, &err) ==
	      ERR_INVALID_ARGUMENT);
	buf_release(&b);
}
