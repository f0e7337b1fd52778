#include "nn/eval.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/worker.h"
#include "nn/checkpoint.h"
#include "nn/convert.h"

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

/* --- files ---------------------------------------------------------------- */

static const struct out_col cols[] = {
	{"file", OUT_TEXT}, {"model", OUT_TEXT},   {"accuracy", OUT_REAL},
	{"loss", OUT_REAL}, {"examples", OUT_INT},
};

static int score(const struct tensors *ts, const char *path,
		 const struct model *m, const struct data *d,
		 const struct index *index, struct net_score *s,
		 struct err *err)
{
	float *values = mem_zero(m->len, sizeof(*values));
	struct net *net;
	int rc = checkpoint_get_all(ts, m, path, values, err);

	if (!rc)
		rc = eval_fits(m, d, err);
	if (!rc)
		rc = net_open(&net, m, NULL, err);
	if (!rc) {
		rc = eval_run(net, values, d, index->i, index->n, s, err);
		net_close(net);
	}
	free(values);
	return rc;
}

static int eval_file(struct out *o, const char *path, const char *text,
		     const struct data *d, const struct index *index,
		     struct err *err)
{
	struct model *m = NULL;
	struct net_score s;
	struct tensors ts;
	int rc;

	if (text && model_open(&m, text, err))
		return (int)err->code;
	rc = convert_read(&ts, path, m, err);
	if (!rc) {
		rc = m ? 0 : checkpoint_model(&m, &ts, path, err);
		if (!rc)
			rc = score(&ts, path, m, d, index, &s, err);
		tensors_release(&ts);
	}
	if (!rc)
		out_row(o, out_text(path), out_text(m->text),
			out_real((double)s.correct / (double)s.n),
			out_real(s.loss / (double)s.n), out_int((int64_t)s.n));
	model_free(m);
	return rc;
}

int eval_files(const struct out_opts *opts, char **paths, int n,
	       const char *model, const struct data *d,
	       const struct index *index, struct err *err)
{
	struct out *o;
	int rc = 0;

	if (out_begin(&o, opts, cols, 5, false, err))
		return (int)err->code;
	for (int i = 0; i < n && !rc; i++)
		rc = eval_file(o, paths[i], model, d, index, err);
	if (out_end(o, rc ? NULL : err) && !rc)
		rc = (int)err->code;
	return rc;
}
