#include "base/conf.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reading {
	FILE *file;
	int line;
	bool too_long;
	conf_fn *fn;
	void *arg;
	int rc;
	struct err *err;
};

/* A line for libinih. Leading blanks go: libinih would take an indented line
 * for more of the value above it. A line longer than its room is an error,
 * where it would take the rest for another line. */
static char *read_line(char *str, int num, void *stream)
{
	struct reading *r = stream;
	size_t len;

	if (r->rc || r->too_long || !fgets(str, num, r->file))
		return NULL;
	r->line++;
	len = strlen(str);
	if (len + 1 == (size_t)num && str[len - 1] != '\n')
		r->too_long = true;
	len = strspn(str, " \t");
	memmove(str, str + len, strlen(str + len) + 1);
	return str;
}

static int on_pair(void *user, const char *section, const char *name,
		   const char *value)
{
	struct reading *r = user;
	char key[128];

	if (r->rc)
		return 1;
	snprintf(key, sizeof(key), "%s", name);
	for (char *p = key; *p; p++)
		if (*p == '_')
			*p = '-';
	r->rc = r->fn(section, key, value, r->line, r->arg, r->err);
	return 1;
}

int conf_read(const char *path, conf_fn *fn, void *arg, struct err *err)
{
	struct reading r = {.fn = fn, .arg = arg, .err = err};
	int bad;

	r.file = fopen(path, "re");
	if (!r.file)
		return err_sys(err, "read configuration %s", path);
	bad = ini_parse_stream(read_line, &r, on_pair, &r);
	fclose(r.file);
	if (r.rc)
		return err_wrap(err, "%s:%d", path, r.line);
	if (r.too_long)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s:%d: the line is too long", path, r.line);
	if (bad)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s:%d: expected 'option = value' or [section]",
			       path, bad);
	return 0;
}
