/* The values of an update, in whichever form they travelled. */
#include <math.h>
#include <string.h>

#include "fl/floats.h"
#include "fl/hub_impl.h"
#include "fl/mix.h"
#include "fl/payload.h"
#include "plan/mask.h"

static struct payload_form form_of(const Gfl__V1__FlTraining *t)
{
	return (struct payload_form){
		.dtype = (enum payload_dtype)t->dtype,
		.codec = (enum payload_codec)t->codec,
		.indexed = t->scheme == GFL__V1__SCHEME__INDEXED,
	};
}

static uint32_t count_of(const struct hub *h)
{
	const Gfl__V1__FlTraining *t = &h->opts.training;
	uint32_t n = (uint32_t)h->model->len;

	return t->scheme == GFL__V1__SCHEME__DENSE ? n : mask_count(n, t->c);
}

static bool is_plain(const Gfl__V1__FlTraining *t)
{
	return t->scheme == GFL__V1__SCHEME__DENSE &&
	       t->dtype == GFL__V1__DTYPE__F32 &&
	       t->codec == GFL__V1__CODEC__PLAIN;
}

/* What did not travel has not changed. */
static int spread(const struct hub_job *j, struct err *err)
{
	const Gfl__V1__FlUpdateRequest *u = j->update;
	const Gfl__V1__FlTraining *t = &j->hub->opts.training;
	const struct payload_form form = form_of(t);
	struct hub *h = j->hub;
	const struct mask mask = {
		.run = u->client_id,
		.t = u->activation,
		.seed = h->opts.seed,
		.n = (uint32_t)h->model->len,
		.c = t->c,
	};
	uint32_t k = count_of(h);

	if (payload_decode(&form, u->values.data, u->values.len, mask.n, k,
			   h->index, h->some, err))
		return (int)err->code;
	if (t->scheme == GFL__V1__SCHEME__STRAT)
		mask_indices(&mask, h->index);
	memset(h->values, 0, h->model->len * sizeof(*h->values));
	mix_scatter(h->values,
		    t->scheme == GFL__V1__SCHEME__DENSE ? NULL : h->index, k,
		    h->some);
	return 0;
}

int hub_values(const struct hub_job *j, struct aggregate_update *u,
	       struct err *err)
{
	const Gfl__V1__FlTraining *t = &j->hub->opts.training;
	struct hub *h = j->hub;
	const size_t len = h->model->len + (t->control ? h->model->n : 0);

	*u = (struct aggregate_update){
		.client = j->client->id,
		.values = h->values,
		.n = h->model->len,
		.delta = t->code == GFL__V1__FL_CODE__GRADIENT_UPDATE,
		.weight = j->weight,
		.steps = j->update->steps,
		.loss = j->update->_loss_case ? j->update->loss : (double)NAN,
		.staleness = j->staleness,
	};
	if (!is_plain(t))
		return spread(j, err);
	if (j->update->values.len != len * 4)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu bytes of values, expected %zu",
			       j->update->values.len, len * 4);
	u->values = floats_view(j->update->values.data, len, h->values);
	u->control = t->control ? u->values + h->model->len : NULL;
	return 0;
}
