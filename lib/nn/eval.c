#include "nn/eval.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/worker.h"
#include "nn/checkpoint.h"

enum { BATCH = 100 };

static int label_beyond(const struct model *m, const struct data *d, size_t i,
			struct err *err)
{
	char *place = data_label_place(d, i);
	int rc;

	rc = err_set(err, ERR_INVALID_ARGUMENT,
		     "%s: label %d, expected 0 to %d as the model \"%s\" has "
		     "%d classes",
		     place, d->labels[i], m->classes - 1, m->text, m->classes);
	free(place);
	return rc;
}

int eval_fits(const struct model *m, const struct data *d, struct err *err)
{
	if (shape_len(&m->in) != shape_len(&d->shape))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has examples of %zu values, but the model "
			       "\"%s\" takes %zu",
			       d->images_path, shape_len(&d->shape), m->text,
			       shape_len(&m->in));
	for (size_t i = 0; d->classes > m->classes && i < d->count; i++)
		if (d->labels[i] >= m->classes)
			return label_beyond(m, d, i, err);
	return 0;
}

int eval_run(struct net *net, const float *params, const struct data *d,
	     const uint32_t *index, size_t n, struct net_score *score,
	     struct err *err)
{
	const size_t total = index ? n : d->count;
	float *x = mem_zero(BATCH * shape_len(&d->shape), sizeof(*x));
	uint32_t all[BATCH];
	int32_t labels[BATCH];
	int rc = 0;

	*score = (struct net_score){0};
	for (size_t at = 0; at < total && !rc; at += BATCH) {
		int len = total - at < BATCH ? (int)(total - at) : BATCH;

		worker_beat();
		for (int i = 0; i < len; i++)
			all[i] = index ? index[at + (size_t)i]
				       : (uint32_t)(at + (size_t)i);
		data_batch(d, all, len, x, labels);
		rc = net_eval(net, params, x, labels, len, score, err);
	}
	free(x);
	return rc;
}

int eval_file(const char *path, const struct model *m, const struct data *d,
	      const struct index *index, struct net_score *score,
	      struct err *err)
{
	float *values = mem_zero(m->len, sizeof(*values));
	struct net *net;
	int rc = checkpoint_load(path, m, values, err);

	if (!rc)
		rc = eval_fits(m, d, err);
	if (!rc)
		rc = net_open(&net, m, NULL, err);
	if (!rc) {
		rc = eval_run(net, values, d, index->i, index->n, score, err);
		net_close(net);
	}
	free(values);
	return rc;
}
