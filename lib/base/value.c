#include "base/value.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Keeps strings reachable that have no other owner (a leak checker asks). */
static struct kept {
	struct kept *next;
	char *text;
} * kept;

const char *value_keep(char *text)
{
	struct kept *k = mem_zero(1, sizeof(*k));

	k->text = text;
	k->next = kept;
	kept = k;
	return text;
}

int value_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0; *choices; i++) {
		size_t n = strcspn(choices, "|");

		if (n == len && !strncasecmp(choices, text, n))
			return i;
		choices += n + (choices[n] == '|');
	}
	return -1;
}

static int set_bool(bool *out, const char *text, struct err *err)
{
	if (!strcmp(text, "1") || !strcasecmp(text, "yes") ||
	    !strcasecmp(text, "true") || !strcasecmp(text, "on"))
		*out = true;
	else if (!*text || !strcmp(text, "0") || !strcasecmp(text, "no") ||
		 !strcasecmp(text, "false") || !strcasecmp(text, "off"))
		*out = false;
	else
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is neither yes nor no", text);
	return 0;
}

static int parse_int(const char *text, int64_t min, int64_t max, int64_t *out,
		     struct err *err)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is not a whole number", text);
	if (errno || v < min || v > max)
		return err_set(err, ERR_OUT_OF_RANGE,
			       "%s is outside of %lld to %lld", text,
			       (long long)min, (long long)max);
	*out = v;
	return 0;
}

static int set_integer(const struct opt *row, void *at, const char *text,
		       struct err *err)
{
	bool bounded = row->min < row->max, wide = row->kind == OPT_KIND_INT64;
	int64_t low = wide ? INT64_MIN : INT32_MIN;
	int64_t high = wide ? INT64_MAX : INT32_MAX, v = 0;
	int rc = parse_int(text, bounded ? row->min : low,
			   bounded ? row->max : high, &v, err);

	if (rc)
		return rc;
	if (wide)
		*(int64_t *)at = v;
	else
		*(int *)at = (int)v;
	return 0;
}

static int set_real(const struct opt *row, double *out, const char *text,
		    struct err *err)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !isfinite(v))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is not a number", text);
	if (row->rmin < row->rmax && (v < row->rmin || v > row->rmax))
		return err_set(err, ERR_OUT_OF_RANGE,
			       "%s is outside of %g to %g", text, row->rmin,
			       row->rmax);
	*out = v;
	return 0;
}

/* Factor of the suffix in a table that ends with a NULL; 0 for none of it. */
struct unit {
	const char *suffix;
	double factor;
};

static double unit_factor(const struct unit *u, const char *suffix)
{
	for (; u->suffix; u++)
		if (!strcasecmp(u->suffix, suffix))
			return u->factor;
	return 0;
}

/* A non-negative number with a unit; what it names itself in errors. */
static int parse_quantity(const char *text, const struct unit *units,
			  const char *what, int64_t *out, struct err *err)
{
	char *end;
	double v = strtod(text, &end), factor = unit_factor(units, end);

	if (end == text || factor == 0 || !(v >= 0))
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is not %s",
			       text, what);
	if (v * factor > 9e15)
		return err_set(err, ERR_OUT_OF_RANGE, "%s is too much", text);
	*out = llround(v * factor);
	return 0;
}

int value_duration(const char *text, int64_t unit_ms, int64_t *ms,
		   struct err *err)
{
	const struct unit units[] = {
		{"", (double)unit_ms}, {"ms", 1},     {"s", 1e3},
		{"m", 60e3},           {"min", 60e3}, {"h", 3600e3},
		{"d", 86400e3},        {NULL, 0},
	};

	return parse_quantity(text, units,
			      "a duration such as 10s, 300ms, 2m or 1h", ms,
			      err);
}

int value_size(const char *text, int64_t *bytes, struct err *err)
{
	enum { K = 1 << 10, M = 1 << 20, G = 1 << 30 };
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"K", K},
		{"KB", K},
		{"KiB", K},
		{"M", M},
		{"MB", M},
		{"MiB", M},
		{"G", G},
		{"GB", G},
		{"GiB", G},
		{"T", 1024.0 * G},
		{"TB", 1024.0 * G},
		{"TiB", 1024.0 * G},
		{NULL, 0},
	};

	return parse_quantity(text, units, "a size such as 512, 64K or 1M",
			      bytes, err);
}

static int set_size(const struct opt *row, int64_t *out, const char *text,
		    struct err *err)
{
	int64_t v = 0;
	int rc = value_size(text, &v, err);

	if (rc)
		return rc;
	if (row->min < row->max && (v < row->min || v > row->max))
		return err_set(err, ERR_OUT_OF_RANGE,
			       "%s is outside of %lld to %lld bytes", text,
			       (long long)row->min, (long long)row->max);
	*out = v;
	return 0;
}

static int set_duration(const struct opt *row, int64_t *out, const char *text,
			struct err *err)
{
	int64_t unit = row->kind == OPT_KIND_SECONDS ? 1000 : 1, v = 0;
	int rc = value_duration(text, unit, &v, err);

	if (rc)
		return rc;
	if (row->min < row->max && (v < row->min || v > row->max))
		return err_set(err, ERR_OUT_OF_RANGE,
			       "%s is outside of %lld to %lld ms", text,
			       (long long)row->min, (long long)row->max);
	*out = v;
	return 0;
}

/* The choice as the table spells it; the caller frees it. */
static char *choice_text(const char *choices, int i)
{
	while (i--)
		choices += strcspn(choices, "|") + 1;
	return mem_dup(choices, strcspn(choices, "|"));
}

static int set_choice(const struct opt *row, void *at, const char *text,
		      struct err *err)
{
	int i = value_choice(row->choices, text);

	if (i < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is none of %s",
			       text, row->choices);
	if (row->kind == OPT_KIND_CHOICE)
		*(int *)at = i;
	else
		*(const char **)at = value_keep(choice_text(row->choices, i));
	return 0;
}

static int set_host(struct opt_addr *addr, const char *p, size_t len,
		    struct err *err)
{
	size_t good = strcspn(p, "/[] \t");

	if (!len || len >= sizeof(addr->host) || good < len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%.*s' is not a host",
			       (int)(len < 60 ? len : 60), p);
	memcpy(addr->host, p, len);
	addr->host[len] = '\0';
	return 0;
}

static int set_port(struct opt_addr *addr, const char *text, struct err *err)
{
	int64_t port = 0;
	int rc = parse_int(text, 0, 65535, &port, err);

	addr->port = rc ? addr->port : (int)port;
	return rc ? err_wrap(err, "port") : 0;
}

int value_addr(const char *text, struct opt_addr *addr, struct err *err)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct opt_addr a = {.host = "127.0.0.1"};

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (!colon || memchr(text, ':', len)) {
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is not HOST:PORT", text);
	}
	if (len && set_host(&a, host, len, err))
		return (int)err->code;
	if (set_port(&a, colon + 1, err))
		return err_wrap(err, "'%s'", text);
	*addr = a;
	return 0;
}

/* Bare HOST:PORT becomes http://HOST:PORT; a trailing slash goes. */
static int make_url(const char *text, const char **out, struct err *err)
{
	const char *rest = strstr(text, "://");
	struct opt_addr addr;
	char *url;
	size_t len;

	if (rest && strncmp(text, "http://", 7) && strncmp(text, "https://", 8))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is not an http or https URL", text);
	if (!rest && value_addr(text, &addr, err))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is neither a URL nor HOST:PORT", text);
	if (rest && (!rest[3] || strpbrk(rest, " \t\"<>")))
		return err_set(err, ERR_INVALID_ARGUMENT, "'%s' is not a URL",
			       text);
	url = mem_fmt("%s%s", rest ? "" : "http://", text);
	len = strlen(url);
	if (url[len - 1] == '/')
		url[len - 1] = '\0';
	*out = value_keep(url);
	return 0;
}

static int set_list(const struct opt *row, struct opt_list *out,
		    const char *text, struct err *err)
{
	struct opt_list list = {0};
	char *copy = mem_str(text), *word, *rest = copy;
	int rc = 0;

	value_keep(copy);
	while (!rc && (word = strsep(&rest, ","))) {
		if (!*word)
			continue;
		if (list.n == OPT_LIST_MAX)
			return err_set(err, ERR_OUT_OF_RANGE,
				       "more than %d values", OPT_LIST_MAX);
		list.at[list.n] = word;
		if (row->kind == OPT_KIND_URLS)
			rc = make_url(word, &list.at[list.n], err);
		list.n++;
	}
	if (!rc && (int64_t)list.n < row->min)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "'%s' names none",
			     text);
	if (!rc)
		*out = list;
	return rc;
}

/* Replace host or port of the first URL, which becomes the only one. */
static int set_url_part(const struct opt *row, struct opt_list *list,
			const char *text, struct err *err)
{
	const char *url = list->n ? list->at[0] : "http://127.0.0.1:8090";
	const char *rest = strstr(url, "://") + 3;
	struct opt_addr addr = {.host = "127.0.0.1", .port = 8090};
	bool v6;
	int rc;

	if (value_addr(rest, &addr, NULL) && !strpbrk(rest, ":/"))
		snprintf(addr.host, sizeof(addr.host), "%s", rest);
	rc = row->kind == OPT_KIND_URL_HOST
		     ? set_host(&addr, text, strlen(text), err)
		     : set_port(&addr, text, err);
	if (rc)
		return rc;
	v6 = strchr(addr.host, ':');
	list->n = 1;
	list->at[0] = value_keep(mem_fmt("%.*s%s%s%s:%d", (int)(rest - url),
					 url, v6 ? "[" : "", addr.host,
					 v6 ? "]" : "", addr.port));
	return 0;
}

int value_set(const struct opt *row, void *base, const char *text,
	      struct err *err)
{
	void *at = (char *)base + row->at;

	switch (row->kind) {
	case OPT_KIND_BOOL:
		return set_bool(at, text, err);
	case OPT_KIND_FILE:
		if (!*text)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "'' is no path");
		*(const char **)at = text;
		return 0;
	case OPT_KIND_STRING:
		*(const char **)at = text;
		return 0;
	case OPT_KIND_COUNT:
	case OPT_KIND_INT:
	case OPT_KIND_INT64:
		return set_integer(row, at, text, err);
	case OPT_KIND_REAL:
		return set_real(row, at, text, err);
	case OPT_KIND_SECONDS:
	case OPT_KIND_MILLIS:
		return set_duration(row, at, text, err);
	case OPT_KIND_SIZE:
		return set_size(row, at, text, err);
	case OPT_KIND_CHOICE:
	case OPT_KIND_WORD:
		return set_choice(row, at, text, err);
	case OPT_KIND_ADDR:
		return value_addr(text, at, err);
	case OPT_KIND_ADDR_HOST:
		return set_host(at, text, strlen(text), err);
	case OPT_KIND_ADDR_PORT:
		return set_port(at, text, err);
	case OPT_KIND_URLS:
	case OPT_KIND_LIST:
		return set_list(row, at, text, err);
	case OPT_KIND_URL_HOST:
	case OPT_KIND_URL_PORT:
		return set_url_part(row, at, text, err);
	case OPT_KIND_PAIRS: /* parse_pairs() sets these */
		break;
	}
	abort();
}
