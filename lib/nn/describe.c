#include "nn/describe.h"

#include "nn/convert.h"
#include "nn/stat.h"

static const struct out_col tensor_cols[] = {
	{"file", OUT_TEXT},  {"tensor", OUT_TEXT}, {"type", OUT_TEXT},
	{"shape", OUT_TEXT}, {"values", OUT_INT},  {"min", OUT_REAL},
	{"max", OUT_REAL},   {"mean", OUT_REAL},   {"l2", OUT_REAL},
};
static const struct out_col meta_cols[] = {
	{"file", OUT_TEXT}, {"key", OUT_TEXT}, {"value", OUT_TEXT}};

static void tensor_row(struct out *o, const char *path, const struct tensor *t)
{
	char shape[TENSOR_SHAPE_TEXT];
	struct stat_values v;
	bool real = stat_of(t, &v);

	out_row(o, out_text(path), out_text(t->name), out_text(t->type),
		out_text(tensor_shape_text(t, shape)), out_int((int64_t)t->len),
		real ? out_real(v.min) : out_none(),
		real ? out_real(v.max) : out_none(),
		real ? out_real(v.mean) : out_none(),
		real ? out_real(v.l2) : out_none());
}

static int describe_file(struct out *o, const char *path, bool meta,
			 struct err *err)
{
	struct tensors ts;

	if (convert_read(&ts, path, NULL, err))
		return (int)err->code;
	for (size_t i = 0; meta && i < ts.n_meta; i++)
		out_row(o, out_text(path), out_text(ts.meta[i].key),
			out_text(ts.meta[i].value));
	for (size_t i = 0; !meta && i < ts.n; i++)
		tensor_row(o, path, &ts.t[i]);
	tensors_release(&ts);
	return 0;
}

int describe_files(const struct out_opts *opts, char **paths, int n, bool meta,
		   struct err *err)
{
	struct out *o;
	int rc;

	rc = meta ? out_begin(&o, opts, meta_cols, 3, false, err)
		  : out_begin(&o, opts, tensor_cols, 9, false, err);
	if (rc)
		return rc;
	for (int i = 0; i < n && !rc; i++)
		rc = describe_file(o, paths[i], meta, err);
	if (out_end(o, rc ? NULL : err) && !rc)
		rc = (int)err->code;
	return rc;
}
