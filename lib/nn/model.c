#include "nn/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "nn/model_impl.h"

/* FNV-1a of "name dim dim;" for every parameter, finished by a mix. */
static uint64_t layout_hash(const struct model *m)
{
	struct buf b = BUF_INIT(0);
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < m->n_params; i++) {
		buf_puts(&b, m->params[i].name);
		for (int d = 0; d < m->params[i].dims; d++)
			buf_putf(&b, " %lld", (long long)m->params[i].dim[d]);
		buf_putc(&b, ';');
	}
	for (size_t i = 0; i < b.len; i++)
		h = (h ^ (unsigned char)b.p[i]) * 0x100000001b3u;
	buf_release(&b);
	return rand_mix(h);
}

static int finish(struct model *m, struct err *err)
{
	const struct layer *last;

	if (!m->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no layer with parameters");
	last = &m->layers[m->n_layers - 1];
	m->classes = (int)shape_len(&last->out);
	m->len = m->n;
	for (int i = 0; i < m->n_buffers; i++) {
		m->buffers[i].at = m->len;
		m->len += m->buffers[i].len;
	}
	m->text = model_text(m);
	m->layout = layout_hash(m);
	return 0;
}

int model_open(struct model **out, const char *text, struct err *err)
{
	const size_t params = (size_t)MODEL_LAYERS_MAX * LAYER_PARAMS;
	struct model *m;
	int rc;

	if (strlen(text) > MODEL_TEXT_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a model's text of more than %d bytes",
			       MODEL_TEXT_MAX);
	m = mem_zero(1, sizeof(*m));
	m->layers = mem_zero(MODEL_LAYERS_MAX, sizeof(*m->layers));
	m->params = mem_zero(params, sizeof(*m->params));
	m->buffers = mem_zero(params, sizeof(*m->buffers));
	rc = model_parse(m, model_preset(text), err);
	if (!rc)
		rc = finish(m, err);
	if (rc) {
		model_free(m);
		return err_wrap(err, "model \"%.60s\"", text);
	}
	*out = m;
	return 0;
}

static int too_large(struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a model of more than %zu values", MODEL_PARAMS_MAX);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct param *)a)->name,
		      ((const struct param *)b)->name);
}

/* Where each parameter lies; no product of dimensions overflows. */
static int place(struct model *m, struct err *err)
{
	for (int i = 0; i < m->n_params; i++) {
		struct param *p = &m->params[i];

		p->at = m->n;
		p->len = 1;
		for (int d = 0; d < p->dims; d++) {
			if (p->dim[d] &&
			    p->len > MODEL_PARAMS_MAX / (size_t)p->dim[d])
				return too_large(err);
			p->len *= (size_t)p->dim[d];
		}
		m->n += p->len;
		if (m->n > MODEL_PARAMS_MAX)
			return too_large(err);
		if (i && !strcmp(p[-1].name, p->name))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "two tensors \"%s\"", p->name);
	}
	if (!m->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a model without values");
	m->len = m->n;
	return 0;
}

int model_bare(struct model **out, const struct param *params, int n,
	       struct err *err)
{
	struct model *m = mem_zero(1, sizeof(*m));

	m->text = mem_str("");
	m->params = mem_zero((size_t)n, sizeof(*m->params));
	memcpy(m->params, params, (size_t)n * sizeof(*params));
	m->n_params = n;
	qsort(m->params, (size_t)n, sizeof(*m->params), by_name);
	if (place(m, err)) {
		model_free(m);
		return (int)err->code;
	}
	m->layout = layout_hash(m);
	*out = m;
	return 0;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	free(m->text);
	free(m->layers);
	free(m->params);
	free(m->buffers);
	free(m);
}

void model_init(const struct model *m, uint64_t seed, float *values)
{
	for (int i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];
		struct rand r = {rand_mix(seed) + (uint64_t)i};

		for (size_t j = 0; j < p->len; j++)
			values[p->at + j] =
				(float)(p->start +
					(2 * rand_unit(&r) - 1) * p->bound);
	}
	for (int i = 0; i < m->n_buffers; i++)
		for (size_t j = 0; j < m->buffers[i].len; j++)
			values[m->buffers[i].at + j] =
				(float)m->buffers[i].start;
}
