#include "fl/counted.h"

#include <string.h>

static const char name[] = "server.counted";

static size_t held(const struct counted *c)
{
	return c->n < COUNTED_MAX ? c->n : COUNTED_MAX;
}

bool counted_has(const struct counted *c, uint64_t id)
{
	for (size_t i = 0; i < held(c); i++)
		if (c->id[i] == id)
			return true;
	return false;
}

void counted_add(struct counted *c, uint64_t id)
{
	c->id[c->n++ % COUNTED_MAX] = id;
}

/* Oldest first. */
void counted_save(const struct counted *c, struct tensors *ts)
{
	uint64_t ids[COUNTED_MAX];
	size_t n = held(c);
	const struct tensor t = {.name = (char *)(uintptr_t)name,
				 .type = "I64",
				 .dims = 1,
				 .dim = {(int64_t)n},
				 .len = n,
				 .size = n * sizeof(*ids),
				 .data = ids};

	for (size_t i = 0; i < n; i++)
		ids[i] = c->id[(c->n - n + i) % COUNTED_MAX];
	tensors_copy(ts, &t);
}

int counted_restore(struct counted *c, const struct tensors *ts,
		    const char *what, struct err *err)
{
	const struct tensor *t = tensors_find(ts, name);

	c->n = 0;
	if (!t)
		return 0;
	if (strcmp(t->type, "I64") != 0 || t->len > COUNTED_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: %s is not a list of at most %d numbers",
			       what, name, COUNTED_MAX);
	if (t->len)
		memcpy(c->id, t->data, t->len * sizeof(*c->id));
	c->n = t->len;
	return 0;
}
