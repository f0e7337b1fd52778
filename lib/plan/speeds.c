#include "plan/speeds.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

/* A number above 0 with its k, M or G, up to one of the characters in ends. */
static bool rate(const char **at, const char *ends, double *out)
{
	char *end;

	*out = strtod(*at, &end);
	if (end == *at || !isfinite(*out) || *out <= 0)
		return false;
	if (*end == 'k')
		*out *= 1e3;
	else if (*end == 'M')
		*out *= 1e6;
	else if (*end == 'G')
		*out *= 1e9;
	end += *end == 'k' || *end == 'M' || *end == 'G';
	*at = end;
	return !*end || strchr(ends, *end);
}

static void fill(double *bps, size_t n, double low, double high, uint64_t seed)
{
	struct rand r = {seed};

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			bps[i * n + j] = bps[j * n + i] =
				low + (high - low) * rand_unit(&r);
}

int speeds_make(double **out, size_t n, const char *text, uint64_t seed,
		struct err *err)
{
	bool uniform = !strncmp(text, "uniform:", 8);
	const char *at = text + (uniform ? 8 : 7);
	double low, high;
	bool ok;

	if (!uniform && strncmp(text, "random:", 7))
		return err_set(err, ERR_NOT_FOUND,
			       "speeds are uniform:RATE, random:LOW:HIGH or a "
			       "file, not %s",
			       text);
	ok = rate(&at, uniform ? "" : ":", &low);
	high = low;
	if (ok && !uniform)
		ok = *at++ == ':' && rate(&at, "", &high) && high >= low;
	if (!ok || *at)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "speeds are uniform:RATE or random:LOW:HIGH, in "
			       "bytes/s with k, M or G, not %s",
			       text);
	*out = mem_zero(n * n + 1, sizeof(**out));
	fill(*out, n, low, high, seed);
	return 0;
}

/* ---- text ---- */

struct reader {
	const char *what;
	double *bps, unit;
	size_t n, row;
	long line;
};

static int wrong(const struct reader *r, struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s line %ld: %s", r->what,
		       r->line, why);
}

static int comment(struct reader *r, const char *p, struct err *err)
{
	p += strspn(p, "# \t");
	if (strncmp(p, "unit ", 5))
		return 0;
	p += 5;
	p += strspn(p, " \t");
	return rate(&p, " \t\r", &r->unit)
		       ? 0
		       : wrong(r, err, "the unit is no rate in bytes/s");
}

static int row(struct reader *r, const char *p, struct err *err)
{
	static const char apart[] = " \t,\r";
	size_t column = 0;

	for (p += strspn(p, apart); *p && *p != '#'; p += strspn(p, apart)) {
		char *end;
		double v = strtod(p, &end);

		if (end == p || (*end && !strchr(apart, *end) && *end != '#'))
			return wrong(r, err, "not a number");
		if (column < r->n && column != r->row &&
		    (!isfinite(v) || v <= 0))
			return wrong(r, err, "a speed must be above 0");
		if (column < r->n && column != r->row)
			r->bps[r->row * r->n + column] = v * r->unit;
		column++;
		p = end;
	}
	if (!column)
		return 0;
	if (column < r->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s line %ld: %zu numbers, where %zu places "
			       "need as many",
			       r->what, r->line, column, r->n);
	r->row++;
	return 0;
}

static int lines(struct reader *r, char *text, struct err *err)
{
	char *save = text, *line;
	int rc = 0;

	while (!rc && r->row < r->n && (line = strsep(&save, "\n"))) {
		r->line++;
		rc = line[strspn(line, " \t")] == '#' ? comment(r, line, err)
						      : row(r, line, err);
	}
	if (!rc && r->row < r->n)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s has speeds of %zu places, not of %zu", r->what,
			     r->row, r->n);
	return rc;
}

int speeds_parse(double **out, size_t n, const char *text, const char *what,
		 struct err *err)
{
	struct reader r = {.what = what, .n = n, .unit = 1};
	char *copy = mem_str(text);
	int rc;

	r.bps = mem_zero(n * n + 1, sizeof(*r.bps));
	rc = lines(&r, copy, err);
	free(copy);
	if (rc)
		free(r.bps);
	else
		*out = r.bps;
	return rc;
}
