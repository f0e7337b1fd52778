/* What a client sends of the model that it has trained: all of it, or the
 * difference to what it was given, in the form that the server wants. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fl/aggregate.h"
#include "fl/floats.h"
#include "fl/mix.h"
#include "fl/payload.h"
#include "fl/spoke_impl.h"
#include "fl/topk.h"
#include "plan/mask.h"

/* The difference, and what has not travelled before. */
static float *difference(const struct spoke_work *w)
{
	const struct learner *l = w->spoke->learner;
	const float *left = w->spoke->left[w->logical];
	float *d = mem_zero(l->model->len, sizeof(*d));

	floats_unpack(d, w->base, l->model->len);
	for (size_t i = 0; i < l->model->len; i++)
		d[i] = l->params[i] - d[i] + (left ? left[i] : 0);
	return d;
}

static uint32_t choose(const struct spoke_work *w, const float *d,
		       uint32_t *index)
{
	const struct mask mask = {
		.run = w->client,
		.t = w->activation,
		.seed = w->run_seed,
		.n = (uint32_t)w->spoke->learner->model->len,
		.c = w->training.c,
	};
	uint32_t k = mask_count(mask.n, mask.c);

	if (w->training.scheme == GFL__V1__SCHEME__STRAT)
		mask_indices(&mask, index);
	else
		topk_select(d, mask.n, k, index);
	return k;
}

/* d is ours, and what is left of it kept. */
static int encode(struct spoke_work *w, float *d, struct err *err)
{
	const Gfl__V1__FlTraining *t = &w->training;
	uint32_t k = (uint32_t)w->spoke->learner->model->len;
	const bool dense = t->scheme == GFL__V1__SCHEME__DENSE;
	const struct payload_form form = {
		.dtype = (enum payload_dtype)t->dtype,
		.codec = (enum payload_codec)t->codec,
		.indexed = t->scheme == GFL__V1__SCHEME__INDEXED,
	};
	uint32_t *index = dense ? NULL : mem_zero(k, sizeof(*index));
	float *some = mem_zero(k, sizeof(*some));
	float *sent = mem_zero(k, sizeof(*sent));
	int rc;

	if (!dense)
		k = choose(w, d, index);
	mix_gather(d, index, k, some);
	rc = payload_encode(&form, index, some, k, sent, &w->values, err);
	for (uint32_t i = 0; !rc && i < k; i++)
		d[index ? index[i] : i] -= sent[i];
	free(index);
	free(some);
	free(sent);
	return rc;
}

int spoke_values(struct spoke_work *w, struct err *err)
{
	const struct learner *l = w->spoke->learner;
	float *d;
	int rc;

	if (w->training.code == GFL__V1__FL_CODE__PARAMETER_UPDATE) {
		const size_t len = l->model->len * 4;
		const size_t more = w->control ? l->model->n * 4 : 0;
		char *to = buf_room(&w->values, len + more);

		floats_pack(to, l->params, l->model->len);
		if (w->control)
			floats_pack(to + len, w->control, l->model->n);
		w->values.len = len + more;
		return 0;
	}
	d = difference(w);
	rc = aggregate_fits(d, l->model->len)
		     ? encode(w, d, err)
		     : err_set(err, ERR_ABORTED,
			       "a value is not finite, or too large");
	if (rc) {
		free(d);
		return rc;
	}
	spoke_own_left(w, d);
	return 0;
}
