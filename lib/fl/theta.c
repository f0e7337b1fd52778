#include "fl/theta.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/npy.h"
#include "nn/npz.h"

/* Takes the bytes. */
static void add(struct theta *t, void *bytes, size_t len)
{
	NDArray *a = mem_zero(1, sizeof(*a));

	ndarray__init(a);
	a->ndarray.data = bytes;
	a->ndarray.len = len;
	t->at = mem_grow(t->at, &t->cap, t->n + 1, sizeof(*t->at));
	t->at[t->n++] = a;
}

void theta_release(struct theta *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->at[i]->ndarray.data);
		free(t->at[i]);
	}
	free(t->at);
	*t = (struct theta){0};
}

static int too_many(size_t n, struct err *err)
{
	if (n <= NPZ_MEMBERS_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "more than %d arrays",
		       NPZ_MEMBERS_MAX);
}

static int add_member(struct theta *t, struct npz *z, size_t i, size_t *left,
		      struct err *err)
{
	struct npy a;
	char *bytes;
	size_t len;

	if (npz_read(z, i, &bytes, &len, err))
		return (int)err->code;
	if (len > *left || npy_decode(&a, bytes, len, npz_name(z, i), err)) {
		free(bytes);
		return len > *left ? err_set(err, ERR_RESOURCE_EXHAUSTED,
					     "the arrays are above max-message")
				   : (int)err->code;
	}
	*left -= len;
	add(t, bytes, len);
	return 0;
}

static int parse_archive(struct theta *t, const void *p, size_t len, size_t max,
			 const char *what, struct err *err)
{
	struct npz *z;
	int rc = 0;

	if (npz_open_bytes(&z, p, len, what, err))
		return (int)err->code;
	for (size_t i = 0; i < npz_count(z) && !rc; i++)
		if (npz_name(z, i))
			rc = add_member(t, z, i, &max, err);
	npz_close(z);
	return rc ? err_wrap(err, "%s", what) : 0;
}

static int parse_files(struct theta *t, const char *p, size_t len,
		       const char *what, struct err *err)
{
	struct npy a;
	size_t used;

	for (; len; p += used, len -= used) {
		if (too_many(t->n + 1, err))
			return err_wrap(err, "%s", what);
		if (npy_first(&a, p, len, what, &used, err))
			return t->n ? err_wrap(err, "array %zu of", t->n)
				    : (int)err->code;
		add(t, mem_dup(p, used), used);
	}
	return 0;
}

int theta_parse(struct theta *t, const void *p, size_t len, size_t max,
		const char *what, struct err *err)
{
	int rc;

	*t = (struct theta){0};
	if (len >= 2 && !memcmp(p, "PK", 2))
		rc = parse_archive(t, p, len, max, what, err);
	else
		rc = parse_files(t, p, len, what, err);
	if (rc)
		theta_release(t);
	return rc;
}

int theta_pack(struct buf *b, NDArray *const *theta, size_t n, struct err *err)
{
	struct npz_member *members;
	int rc;

	if (too_many(n, err))
		return (int)err->code;
	members = mem_zero(n + 1, sizeof(*members));
	for (size_t i = 0; i < n; i++) {
		members[i].name = mem_fmt("arr_%zu", i);
		members[i].bytes.p = (char *)theta[i]->ndarray.data;
		members[i].bytes.len = theta[i]->ndarray.len;
	}
	rc = npz_pack(b, members, n, "arrays", err);
	for (size_t i = 0; i < n; i++)
		free((char *)members[i].name);
	free(members);
	return rc;
}
