#include "fl/centre.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "nn/average.h"
#include "nn/convert.h"

/* The first file, whose floats are one vector. */
struct centre {
	struct tensors first;
	const char *path;
	size_t len;
	float *x, *next; /* the model that comes of it; a file's values */
	struct aggregate *rule;
};

static int check_alike(const struct centre *c, const struct tensors *ts,
		       const char *path, struct err *err)
{
	for (size_t i = 0; i < c->first.n; i++) {
		const struct tensor *want = &c->first.t[i];
		const struct tensor *t = tensors_find(ts, want->name);

		if (!t || !tensor_alike(t, want))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s has no tensor \"%s\" of the shape "
				       "that %s has",
				       path, want->name, c->path);
	}
	if (ts->n != c->first.n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected %zu as %s has",
			       path, ts->n, c->first.n, c->path);
	return 0;
}

static void flatten(const struct centre *c, const struct tensors *ts)
{
	float *to = c->next;

	for (size_t i = 0; i < c->first.n; i++) {
		const struct tensor *t = tensors_find(ts, c->first.t[i].name);
		const float *values = tensor_f32(t);

		if (!values)
			continue;
		memcpy(to, values, t->len * sizeof(*to));
		to += t->len;
	}
}

static int admit(struct centre *c, const struct tensors *ts, const char *path,
		 int number, struct err *err)
{
	const struct aggregate_update u = {
		.client = number, .values = c->next, .n = c->len, .weight = 1};

	if (check_alike(c, ts, path, err))
		return (int)err->code;
	flatten(c, ts);
	if (aggregate_admit(c->rule, &u, err))
		return err_wrap(err, "%s", path);
	return 0;
}

static int add_file(struct centre *c, const char *path, int number,
		    struct err *err)
{
	struct tensors ts;
	int rc;

	if (convert_read(&ts, path, NULL, err))
		return (int)err->code;
	rc = admit(c, &ts, path, number, err);
	tensors_release(&ts);
	return rc;
}

static void tell(struct tensors *out, const char *rule, int n,
		 const struct aggregate_facts *facts)
{
	char *count = mem_fmt("%d", n);
	struct buf chosen = {0};

	tensors_set(out, "averaged", count);
	tensors_set(out, "rule", rule);
	for (size_t k = 0; k < facts->n_chosen; k++)
		buf_putf(&chosen, "%s%lld", k ? "," : "",
			 (long long)facts->chosen[k]);
	if (chosen.len)
		tensors_set(out, "chosen", chosen.p);
	buf_release(&chosen);
	free(count);
}

static void unflatten(const struct centre *c, struct tensors *out)
{
	const char *model = tensors_get(&c->first, "model");
	const float *from = c->x;

	if (model)
		tensors_set(out, "model", model);
	for (size_t i = 0; i < c->first.n; i++) {
		const struct tensor *t = &c->first.t[i];

		if (!tensor_f32(t)) {
			tensors_copy(out, t);
			continue;
		}
		tensors_add(out, t->name, t->dims, t->dim, from);
		from += t->len;
	}
}

static int run(struct centre *c, const char *rule,
	       const struct aggregate_opts *opts, char **paths, int n,
	       struct tensors *out, struct err *err)
{
	struct aggregate_facts facts;
	int rc = 0;

	for (size_t i = 0; i < c->first.n; i++)
		c->len += tensor_f32(&c->first.t[i]) ? c->first.t[i].len : 0;
	c->x = mem_zero(c->len + 1, sizeof(*c->x));
	c->next = mem_zero(c->len + 1, sizeof(*c->next));
	if (aggregate_open(&c->rule, rule, opts, c->len, c->len, err))
		return (int)err->code;
	aggregate_begin(c->rule, c->x);
	for (int i = 0; i < n && !rc; i++)
		rc = add_file(c, paths[i], i + 1, err);
	if (rc || aggregate_finish(c->rule, c->x, &facts, err))
		return (int)err->code;
	unflatten(c, out);
	tell(out, rule, n, &facts);
	return 0;
}

/* That needs no more than one file at a time. */
static int mean_of(struct tensors *out, char **paths, int n, struct err *err)
{
	struct average *mean = NULL;
	int rc = 0;

	for (int i = 0; i < n && !rc; i++)
		rc = average_add_file(&mean, paths[i], err);
	if (!rc)
		average_get(mean, out);
	average_free(mean);
	return rc;
}

int centre_files(struct tensors *out, const char *rule,
		 const struct aggregate_opts *opts, char **paths, int n,
		 struct err *err)
{
	struct centre c = {.path = paths[0]};
	int rc;

	if (!strcmp(rule, "mean"))
		return mean_of(out, paths, n, err);
	if (convert_read(&c.first, paths[0], NULL, err))
		return (int)err->code;
	rc = run(&c, rule, opts, paths, n, out, err);
	aggregate_free(c.rule);
	tensors_release(&c.first);
	free(c.x);
	free(c.next);
	return rc;
}
