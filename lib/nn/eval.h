/* eval.h - how well parameters do on a data set. */
#ifndef NN_EVAL_H
#define NN_EVAL_H

#include "base/err.h"
#include "base/out.h"
#include "nn/data.h"
#include "nn/index.h"
#include "nn/model.h"
#include "nn/net.h"

/* That the data's examples and labels are what m takes; INVALID_ARGUMENT says
 * what differs. */
int eval_fits(const struct model *m, const struct data *d,
	      struct err *err) MUST_CHECK;

/* Score examples index[0..n-1], or all where index is NULL; *score starts from
 * zero. The data must fit the net's model. */
int eval_run(struct net *net, const float *params, const struct data *d,
	     const uint32_t *index, size_t n, struct net_score *score,
	     struct err *err) MUST_CHECK;

/* Score each of the model files (convert.h) on the examples of index, or on all
 * where that is empty, and print a record of it. model is what they are, NULL:
 * what they say. Errors as of eval_fits() and checkpoint_get_all(). */
int eval_files(const struct out_opts *opts, char **paths, int n,
	       const char *model, const struct data *d,
	       const struct index *index, struct err *err) MUST_CHECK;

#endif
