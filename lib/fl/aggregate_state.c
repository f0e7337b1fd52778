/* aggregate_state.c - a rule's state as tensors, and back. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fl/aggregate_impl.h"

static const char rule_key[] = "aggregate.rule";

/* The numbers of a round that is not over; all are whole or exact in a
 * double. */
enum tally {
	COUNT,
	CLIPPED,
	WEIGHT,
	ASIDE,
	FIRST_COEF,
	FIRST_ABSOLUTE,
	REST_COEF,
	REST_ABSOLUTE,
	TALLY,
};

/* ---- saving ---- */

static void name_of(char out[64], const char *part)
{
	snprintf(out, 64, "aggregate.%s", part);
}

static void save(struct tensors *ts, const char *part, const char *type,
		 size_t size, const void *data, size_t len)
{
	char name[64];
	struct tensor t = {.name = name,
			   .dims = 1,
			   .dim = {(int64_t)len},
			   .len = len,
			   .size = len * size,
			   .data = (void *)data};

	name_of(name, part);
	snprintf(t.type, sizeof(t.type), "%s", type);
	tensors_copy(ts, &t);
}

static void save_round(const struct aggregate *a, struct tensors *ts)
{
	const double tally[TALLY] = {
		[COUNT] = (double)a->count,
		[CLIPPED] = (double)a->clipped,
		[WEIGHT] = a->weight,
		[ASIDE] = a->aside,
		[FIRST_COEF] = a->first.coef,
		[FIRST_ABSOLUTE] = a->first.absolute,
		[REST_COEF] = a->rest.coef,
		[REST_ABSOLUTE] = a->rest.absolute,
	};
	char part[32];

	save(ts, "tally", "F64", sizeof(double), tally, TALLY);
	if (a->control)
		save(ts, "changes", "F64", sizeof(double), a->control,
		     a->trained);
	if (!a->rule->centre) {
		save(ts, "sum", "F64", sizeof(double), a->sum, a->n);
		return;
	}
	save(ts, "clients", "I64", sizeof(int64_t), a->client, a->count);
	for (size_t k = 0; k < a->count; k++) {
		snprintf(part, sizeof(part), "update.%zu", k);
		save(ts, part, "F32", sizeof(float), a->row[k], a->n);
	}
}

void aggregate_save(const struct aggregate *a, struct tensors *ts)
{
	tensors_set(ts, rule_key, a->rule->name);
	for (int k = 0; k < 2 && a->moment[k]; k++)
		save(ts, a->rule->state[k], "F32", sizeof(float), a->moment[k],
		     a->trained);
	if (a->global && a->count)
		save_round(a, ts);
}

/* ---- and back ---- */

/* What was saved as part, or NULL with err set. */
static const void *find(const struct tensors *ts, const char *part,
			const char *type, size_t len, const char *what,
			struct err *err)
{
	const struct tensor *t;
	char name[64];

	name_of(name, part);
	t = tensors_find(ts, name);
	if (t && !strcmp(t->type, type) && t->len == len)
		return t->data;
	err_set(err, ERR_INVALID_ARGUMENT,
		"%s has no tensor \"%s\" of %zu values of type %s", what, name,
		len, type);
	return NULL;
}

static bool all_finite(const double *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

static const float *find_floats(const struct tensors *ts, const char *part,
				size_t len, const char *what, struct err *err)
{
	const float *x = find(ts, part, "F32", len, what, err);

	if (x && !aggregate_is_finite(x, len)) {
		err_set(err, ERR_INVALID_ARGUMENT,
			"%s, tensor \"aggregate.%s\": a value is not finite",
			what, part);
		return NULL;
	}
	return x;
}

static const double *find_sums(const struct tensors *ts, const char *part,
			       size_t len, const char *what, struct err *err)
{
	const double *x = find(ts, part, "F64", len, what, err);

	if (x && !all_finite(x, len)) {
		err_set(err, ERR_INVALID_ARGUMENT,
			"%s, tensor \"aggregate.%s\": a value is not finite",
			what, part);
		return NULL;
	}
	return x;
}

/* What a round had, found but not yet taken. */
struct saved {
	const float *moment[2];
	const double *tally, *sum, *changes;
	const int64_t *client;
	size_t count;
};

static int find_rows(const struct aggregate *a, const struct tensors *ts,
		     struct saved *s, const char *what, struct err *err)
{
	char part[32];

	s->client = find(ts, "clients", "I64", s->count, what, err);
	if (!s->client)
		return (int)err->code;
	for (size_t k = 0; k < s->count; k++) {
		snprintf(part, sizeof(part), "update.%zu", k);
		if (!find_floats(ts, part, a->n, what, err))
			return (int)err->code;
	}
	return 0;
}

static int find_round(const struct aggregate *a, const struct tensors *ts,
		      struct saved *s, const char *what, struct err *err)
{
	const double *t = find_sums(ts, "tally", TALLY, what, err);

	if (!t)
		return (int)err->code;
	if (!(t[COUNT] >= 1 && t[COUNT] < (double)aggregate_most(a) + 1))
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"%s has a round of %g updates, expected 1 to %zu", what,
			t[COUNT], aggregate_most(a));
	if (!(t[CLIPPED] >= 0 && t[CLIPPED] <= t[COUNT]))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has a round of %g updates, of which %g were "
			       "made shorter",
			       what, t[COUNT], t[CLIPPED]);
	s->tally = t;
	s->count = (size_t)t[COUNT];
	if (a->control) {
		s->changes = find_sums(ts, "changes", a->trained, what, err);
		if (!s->changes)
			return (int)err->code;
	}
	if (a->rule->centre)
		return find_rows(a, ts, s, what, err);
	s->sum = find_sums(ts, "sum", a->n, what, err);
	return s->sum ? 0 : (int)err->code;
}

static void take_rows(struct aggregate *a, const struct tensors *ts,
		      const struct saved *s)
{
	char name[64];

	aggregate_grow(a, s->count);
	memcpy(a->client, s->client, s->count * sizeof(*a->client));
	for (size_t k = 0; k < s->count; k++) {
		snprintf(name, sizeof(name), "aggregate.update.%zu", k);
		memcpy(a->row[k], tensor_f32(tensors_find(ts, name)),
		       a->n * sizeof(float));
	}
}

static void take_round(struct aggregate *a, const struct tensors *ts,
		       const struct saved *s)
{
	const double *t = s->tally;

	a->count = s->count;
	a->clipped = (size_t)t[CLIPPED];
	a->weight = t[WEIGHT];
	a->aside = t[ASIDE];
	a->first = (struct aggregate_tally){t[FIRST_COEF], t[FIRST_ABSOLUTE]};
	a->rest = (struct aggregate_tally){t[REST_COEF], t[REST_ABSOLUTE]};
	if (s->changes)
		memcpy(a->control, s->changes, a->trained * sizeof(double));
	if (s->sum)
		memcpy(a->sum, s->sum, a->n * sizeof(double));
	else
		take_rows(a, ts, s);
}

int aggregate_restore(struct aggregate *a, const struct tensors *ts,
		      const char *what, struct err *err)
{
	const char *rule = tensors_get(ts, rule_key);
	struct saved s = {0};

	if (!rule)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has the state of no aggregation", what);
	if (strcmp(rule, a->rule->name) != 0)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s has the state of aggregation by %s, not by "
			       "%s",
			       what, rule, a->rule->name);
	for (int k = 0; k < 2 && a->moment[k]; k++) {
		s.moment[k] = find_floats(ts, a->rule->state[k], a->trained,
					  what, err);
		if (!s.moment[k])
			return (int)err->code;
	}
	if (a->global && tensors_find(ts, "aggregate.tally") &&
	    find_round(a, ts, &s, what, err))
		return (int)err->code;
	for (int k = 0; k < 2 && a->moment[k]; k++)
		memcpy(a->moment[k], s.moment[k], a->trained * sizeof(float));
	if (s.tally)
		take_round(a, ts, &s);
	return 0;
}
