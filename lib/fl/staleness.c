#include "fl/staleness.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct row {
	const char *name;
	enum staleness_kind kind;
	double a, b; /* the defaults */
	int numbers;
} rows[] = {
	{"constant", STALENESS_CONSTANT, 0, 0, 0},
	{"hinge", STALENESS_HINGE, 10, 4, 2},
	{"polynomial", STALENESS_POLYNOMIAL, 0.5, 0, 1},
};

static const struct row *row_of(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == len &&
		    !strncmp(rows[i].name, text, len))
			return &rows[i];
	return NULL;
}

/* Take ":NUMBER" from *p; false if something else is there. */
static bool take_number(const char **p, double *out)
{
	char *end;

	if (**p != ':')
		return false;
	*out = strtod(*p + 1, &end);
	if (end == *p + 1 || !isfinite(*out))
		return false;
	*p = end;
	return true;
}

int staleness_parse(struct staleness *out, const char *text, struct err *err)
{
	const char *p = text + strcspn(text, ":");
	const struct row *row = row_of(text, (size_t)(p - text));
	struct staleness s;

	if (!row)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "staleness \"%s\": expected constant, "
			       "hinge[:A[:B]] or polynomial[:A]",
			       text);
	s = (struct staleness){row->kind, row->a, row->b};
	if ((row->numbers > 0 && *p && !take_number(&p, &s.a)) ||
	    (row->numbers > 1 && *p && !take_number(&p, &s.b)) || *p ||
	    (row->numbers > 0 && s.a <= 0) || s.b < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "staleness \"%s\": %s takes %s", text, row->name,
			       row->numbers == 2   ? "A above 0, then B from 0"
			       : row->numbers == 1 ? "A above 0"
						   : "no number");
	*out = s;
	return 0;
}

double staleness_weight(const struct staleness *how, int64_t s)
{
	const double x = (double)s;

	switch (how->kind) {
	case STALENESS_HINGE:
		if (x <= how->b)
			return 1;
		return fmin(1, 1 / (how->a * (x - how->b + 1)));
	case STALENESS_POLYNOMIAL:
		return pow(x + 1, -how->a);
	default:
		return 1;
	}
}
