#include "fl/resume.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/crc.h"
#include "base/mem.h"
#include "nn/checkpoint.h"
#include "nn/tensors.h"

static const char SHARED[] = "shared."; /* before a tensor's name */

/* The texts: one row per number. */
#define INTS(X, r, l)                                  \
	X("run", (r)->run)                             \
	X("round", (r)->round)                         \
	X("sampler_epoch", (l)->sampler.epoch)         \
	X("sampler_at", (l)->sampler.at)               \
	X("bytes_sent", (r)->tally.bytes_sent)         \
	X("bytes_received", (r)->tally.bytes_received) \
	X("exchanges", (r)->tally.exchanges)           \
	X("misses", (r)->tally.misses)                 \
	X("lost", (r)->tally.lost)
#define REALS(X, r)                          \
	X("compute_s", (r)->tally.compute_s) \
	X("wait_s", (r)->tally.wait_s)       \
	X("loss", (r)->tally.loss)           \
	X("accuracy", (r)->tally.accuracy)   \
	X("accuracy_alone", (r)->tally.accuracy_alone)

static void set_int(struct tensors *ts, const char *key, int64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, v);
	tensors_set(ts, key, text);
}

static void set_real(struct tensors *ts, const char *key, double v)
{
	char text[40];

	snprintf(text, sizeof(text), "%.17g", v);
	tensors_set(ts, key, text);
}

static void set_exchange(struct tensors *ts, const struct buf *b)
{
	size_t n = base64_size(b->len);
	char *text = mem_zero(n + 1, 1);

	base64_encode(text, b->p, b->len);
	tensors_set(ts, "exchange", text);
	free(text);
}

static bool get_exchange(const struct tensors *ts, struct buf *b)
{
	const char *text = tensors_get(ts, "exchange");
	size_t n = text ? strlen(text) : 0, len = 0;
	char *to = buf_room(b, n / 4 * 3 + 2);
	bool ok = text && base64_decode(to, &len, text, n);

	b->len += ok ? len : 0;
	return ok;
}

/* Of all that a file says but "crc32c", in whatever order its texts come. */
static uint32_t sum_of(const struct tensors *ts)
{
	uint32_t sum = 0, texts = 0;

	for (size_t i = 0; i < ts->n; i++)
		sum = crc32c_of(sum, ts->t[i].data, ts->t[i].size);
	for (size_t i = 0; i < ts->n_meta; i++) {
		const char *key = ts->meta[i].key, *value = ts->meta[i].value;

		if (strcmp(key, "crc32c") != 0)
			texts += crc32c_of(crc32c_of(0, key, strlen(key) + 1),
					   value, strlen(value));
	}
	return crc32c_of(sum, &texts, sizeof(texts));
}

int resume_save(const char *path, const struct learner *l,
		const struct resume *r, struct err *err)
{
	struct tensors ts = {0};
	int rc;

	checkpoint_put(&ts, l->model, "", l->params);
	if (l->velocity)
		checkpoint_put(&ts, l->model, "momentum.", l->velocity);
	if (r->shared)
		checkpoint_put(&ts, l->model, SHARED, r->shared);
#define SET(key, value) set_int(&ts, key, (int64_t)(value));
	INTS(SET, r, l)
	SET("shared", r->shared != NULL)
#undef SET
#define SET(key, value) set_real(&ts, key, value);
	REALS(SET, r)
#undef SET
	set_exchange(&ts, &r->exchange);
	set_int(&ts, "crc32c", sum_of(&ts));
	rc = tensors_write(&ts, path, err);
	tensors_release(&ts);
	return rc;
}

static int get_int(const struct tensors *ts, const char *key, int64_t *v,
		   struct err *err)
{
	const char *text = tensors_get(ts, key);
	char *end;

	if (text)
		*v = strtoll(text, &end, 10);
	if (!text || end == text || *end)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is missing", key);
	return 0;
}

static int get_real(const struct tensors *ts, const char *key, double *v,
		    struct err *err)
{
	const char *text = tensors_get(ts, key);
	char *end;

	if (text)
		*v = strtod(text, &end);
	if (!text || end == text || *end)
		return err_set(err, ERR_INVALID_ARGUMENT, "%s is missing", key);
	return 0;
}

static int get_numbers(const struct tensors *ts, struct resume *r,
		       struct learner *l, struct err *err)
{
	int64_t v = 0;

#define GET(key, value)                \
	if (get_int(ts, key, &v, err)) \
		return (int)err->code; \
	(value) = (__typeof__(value))v;
	INTS(GET, r, l)
#undef GET
#define GET(key, value)                       \
	if (get_real(ts, key, &(value), err)) \
		return (int)err->code;
	REALS(GET, r)
#undef GET
	return 0;
}

static int get_texts(const struct tensors *ts, struct resume *r,
		     struct learner *l, struct err *err)
{
	if (get_numbers(ts, r, l, err))
		return (int)err->code;
	if (!get_exchange(ts, &r->exchange))
		return err_set(err, ERR_INVALID_ARGUMENT, "no exchange state");
	if (l->sampler.n)
		sampler_seek(&l->sampler, l->sampler.epoch, l->sampler.at);
	return 0;
}

/* The texts last: by then all the rest is there and right. */
/* What a file before the first that noted it says is nothing. */
static int get_shared(const struct tensors *ts, const char *path,
		      const struct model *m, struct resume *r, struct err *err)
{
	const char *has = tensors_get(ts, "shared");
	int rc;

	if (!has || strcmp(has, "1") != 0)
		return 0;
	r->shared = mem_zero(m->n, sizeof(*r->shared));
	rc = checkpoint_get(ts, m, SHARED, path, r->shared, err);
	if (!rc)
		return 0;
	free(r->shared);
	r->shared = NULL;
	return rc;
}

static int get_all(const struct tensors *ts, const char *path, struct resume *r,
		   struct learner *l, struct err *err)
{
	size_t nx, nv;
	float *x;
	int rc = l->model ? 0 : learner_adopt(l, ts, path, err);

	if (rc)
		return rc;
	nx = l->model->len;
	nv = l->velocity ? l->model->n : 0;
	x = mem_zero(nx + nv + 1, sizeof(*x));
	rc = checkpoint_get(ts, l->model, "", path, x, err);
	if (!rc && nv)
		rc = checkpoint_get(ts, l->model, "momentum.", path, x + nx,
				    err);
	if (!rc && get_texts(ts, r, l, err))
		rc = err_wrap(err, "%s", path);
	if (!rc)
		rc = get_shared(ts, path, l->model, r, err);
	if (!rc)
		memcpy(l->params, x, nx * sizeof(*x));
	if (!rc && nv)
		memcpy(l->velocity, x + nx, nv * sizeof(*x));
	free(x);
	return rc;
}

/* Whatever a file that is not as it was written says, even of which run it is,
 * is not believed. */
static int check(const struct tensors *ts, const char *path, int64_t run,
		 struct err *err)
{
	int64_t of = 0, sum = 0;

	if (get_int(ts, "crc32c", &sum, err) || get_int(ts, "run", &of, err))
		return err_wrap(err, "%s", path);
	if (sum != sum_of(ts))
		return err_set(err, ERR_DATA_LOSS,
			       "%s is damaged: crc32c is %" PRIu32
			       " instead of %" PRId64,
			       path, sum_of(ts), sum);
	if (of != run)
		return err_set(err, ERR_NOT_FOUND, "%s is of run %" PRId64,
			       path, of);
	return 0;
}

int resume_load(const char *path, int64_t run, struct learner *l,
		struct resume *r, struct err *err)
{
	struct tensors ts = {0};
	int rc = tensors_read(&ts, path, err);

	if (rc)
		return rc;
	*r = (struct resume){0};
	rc = check(&ts, path, run, err);
	if (!rc)
		rc = get_all(&ts, path, r, l, err);
	if (rc)
		buf_release(&r->exchange);
	tensors_release(&ts);
	return rc;
}
