#include "nn/diff.h"

#include "nn/convert.h"
#include "nn/stat.h"

static const struct out_col diff_cols[] = {
	{"tensor", OUT_TEXT}, {"differs", OUT_BOOL}, {"max_abs", OUT_REAL},
	{"l2", OUT_REAL},     {"why", OUT_WORDS},
};

/* Compare a tensor of one name; a or b may be NULL. Returns whether they
 * differ. */
static bool diff_row(struct out *o, const struct tensor *a,
		     const struct tensor *b)
{
	struct stat_distance d;
	const char *why = NULL;
	bool differs;

	if (!a || !b)
		why = a ? "only in the first" : "only in the second";
	else if (!tensor_alike(a, b))
		why = "another type or shape";
	if (why) {
		out_row(o, out_text(a ? a->name : b->name), out_bool(true),
			out_none(), out_none(), out_text(why));
		return true;
	}
	differs = stat_differ(a, b, &d);
	out_row(o, out_text(a->name), out_bool(differs),
		tensor_f32(a) ? out_real(d.max_abs) : out_none(),
		tensor_f32(a) ? out_real(d.l2) : out_none(), out_none());
	return differs;
}

static int print(const struct out_opts *opts, const struct tensors *a,
		 const struct tensors *b, bool *differ, struct err *err)
{
	struct out *o;

	if (out_begin(&o, opts, diff_cols, 5, false, err))
		return (int)err->code;
	for (size_t i = 0; i < a->n; i++)
		*differ |= diff_row(o, &a->t[i], tensors_find(b, a->t[i].name));
	for (size_t i = 0; i < b->n; i++)
		if (!tensors_find(a, b->t[i].name))
			*differ |= diff_row(o, NULL, &b->t[i]);
	return out_end(o, err);
}

int diff_files(const struct out_opts *opts, const char *path, const char *other,
	       bool *differ, struct err *err)
{
	struct tensors a, b;
	int rc;

	if (convert_read(&a, path, NULL, err))
		return (int)err->code;
	rc = convert_read(&b, other, NULL, err);
	if (!rc) {
		rc = print(opts, &a, &b, differ, err);
		tensors_release(&b);
	}
	tensors_release(&a);
	return rc;
}
