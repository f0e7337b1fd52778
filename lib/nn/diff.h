/* diff.h - how two models differ, as records. */
#ifndef NN_DIFF_H
#define NN_DIFF_H

#include <stdbool.h>

#include "base/out.h"
#include "nn/tensors.h"

/* Print a record for each tensor of either file (convert.h), and set *differ if
 * one differs. */
int diff_files(const struct out_opts *opts, const char *path, const char *other,
	       bool *differ, struct err *err) MUST_CHECK;

#endif
