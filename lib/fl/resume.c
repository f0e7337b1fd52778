#include "fl/resume.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/checkpoint.h"
#include "nn/tensors.h"
#include "wire/base64.h"

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

int resume_save(const char *path, const struct learner *l,
		const struct resume *r, struct err *err)
{
	struct tensors ts = {0};
	int rc;

	checkpoint_put(&ts, l->model, "", l->params);
	if (l->velocity)
		checkpoint_put(&ts, l->model, "momentum.", l->velocity);
#define SET(key, value) set_int(&ts, key, (int64_t)(value));
	INTS(SET, r, l)
#undef SET
#define SET(key, value) set_real(&ts, key, value);
	REALS(SET, r)
#undef SET
	set_exchange(&ts, &r->exchange);
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

static int get_all(const struct tensors *ts, const char *path, struct resume *r,
		   struct learner *l, struct err *err)
{
	int rc = checkpoint_get(ts, l->model, "", path, l->params, err);

	if (!rc && l->velocity)
		rc = checkpoint_get(ts, l->model, "momentum.", path,
				    l->velocity, err);
	if (!rc)
		rc = get_numbers(ts, r, l, err);
	if (!rc && !get_exchange(ts, &r->exchange))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no exchange state");
	if (!rc && l->sampler.n)
		sampler_seek(&l->sampler, l->sampler.epoch, l->sampler.at);
	return rc;
}

int resume_load(const char *path, int64_t run, struct learner *l,
		struct resume *r, struct err *err)
{
	struct tensors ts = {0};
	int64_t of = 0;
	int rc = tensors_read(&ts, path, err);

	if (rc)
		return rc;
	*r = (struct resume){0};
	if (get_int(&ts, "run", &of, err) || of != run)
		rc = err_set(err, ERR_NOT_FOUND, "%s is of run %lld", path,
			     (long long)of);
	else if (get_all(&ts, path, r, l, err))
		rc = err_wrap(err, "%s", path);
	if (rc)
		buf_release(&r->exchange);
	tensors_release(&ts);
	return rc;
}
