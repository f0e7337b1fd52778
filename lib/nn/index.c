#include "nn/index.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define HEAD "# gfl-index of=%zu count=%zu"

enum { INDEX_FILE_MAX = 1 << 30 };

struct reader {
	const char *path;
	size_t line, of;
	size_t count; /* that the first line promises; SIZE_MAX: none does */
	struct index *ix;
	size_t cap;
};

static int read_head(struct reader *r, const char *text, struct err *err)
{
	size_t of;

	if (sscanf(text, HEAD, &of, &r->count) != 2)
		return 0;
	if (of != r->of)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s line 1: made for %zu examples, but the data "
			       "set has %zu",
			       r->path, of, r->of);
	return 0;
}

static int read_line(struct reader *r, char *text, struct err *err)
{
	unsigned long long v;
	char *end;

	r->line++;
	if (r->line == 1 && text[0] == '#' && read_head(r, text, err))
		return (int)err->code;
	text += strspn(text, " \t\r");
	if (!*text || *text == '#')
		return 0;
	v = strtoull(text, &end, 10);
	end += strspn(end, " \t\r");
	if (!isdigit((unsigned char)*text) || (*end && *end != '#') ||
	    v >= r->of)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s line %zu: \"%.20s\", expected a number "
			       "from 0 to %zu",
			       r->path, r->line, text, r->of - 1);
	r->ix->i = mem_grow(r->ix->i, &r->cap, r->ix->n + 1, sizeof(*r->ix->i));
	r->ix->i[r->ix->n++] = (uint32_t)v;
	return 0;
}

static int read_lines(struct reader *r, char *text, struct err *err)
{
	for (char *next; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		if (read_line(r, text, err))
			return (int)err->code;
	}
	if (r->count != SIZE_MAX && r->count != r->ix->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu indices, expected %zu as its first "
			       "line says",
			       r->path, r->ix->n, r->count);
	if (!r->ix->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has no index, expected 1 or more", r->path);
	return 0;
}

int index_read(struct index *ix, const char *path, size_t of, struct err *err)
{
	struct reader r = {.path = path, .of = of, .count = SIZE_MAX, .ix = ix};
	char *text;
	size_t len;
	int rc;

	*ix = (struct index){0};
	if (file_read(&text, &len, path, INDEX_FILE_MAX, err))
		return (int)err->code;
	if (strlen(text) != len)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s at byte %zu: a NUL, expected text", path,
			     strlen(text));
	else
		rc = read_lines(&r, text, err);
	free(text);
	if (rc)
		index_release(ix);
	return rc;
}

void index_release(struct index *ix)
{
	free(ix->i);
	*ix = (struct index){0};
}

int index_write(const char *path, const uint32_t *i, size_t n, size_t of,
		struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc;

	buf_putf(&b, HEAD "\n", of, n);
	for (size_t k = 0; k < n; k++)
		buf_putf(&b, "%u\n", i[k]);
	part = (struct file_part){b.p, b.len};
	rc = file_replace(path, &part, 1, err);
	buf_release(&b);
	return rc;
}

void index_all(struct index *ix, size_t n)
{
	ix->i = mem_zero(n, sizeof(*ix->i));
	ix->n = n;
	for (size_t k = 0; k < n; k++)
		ix->i[k] = (uint32_t)k;
}
