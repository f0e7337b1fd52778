/* checkpoint.h - a model's flat vector as a safetensors file and back. */
#ifndef NN_CHECKPOINT_H
#define NN_CHECKPOINT_H

#include "base/err.h"
#include "nn/model.h"
#include "nn/tensors.h"

/* Add m's parameters to ts under their names, each after prefix ("" for a
 * model; "momentum." for an optimiser's state), and m's text as "model". A
 * model's buffers go with it; an optimiser's state has none. */
void checkpoint_put(struct tensors *ts, const struct model *m,
		    const char *prefix, const float *values);

/* Take m's parameters, and a model's buffers, each under prefix and its name,
 * from ts to values (m->len places; m->n without buffers). A parameter that is
 * missing, of another shape or type or not finite is INVALID_ARGUMENT, naming
 * what; then values may be partly written. */
int checkpoint_get(const struct tensors *ts, const struct model *m,
		   const char *prefix, const char *what, float *values,
		   struct err *err) MUST_CHECK;

/* A file with nothing but the model, under its tensors' plain names. */
int checkpoint_save(const char *path, const struct model *m,
		    const float *values, struct err *err) MUST_CHECK;

/* The model that a file's tensors say they are; INVALID_ARGUMENT if they say
 * none. *out is freed by model_free(). */
int checkpoint_model(struct model **out, const struct tensors *ts,
		     const char *what, struct err *err) MUST_CHECK;

/* The model that a file's tensors are, whatever computes it: all of float32,
 * passing over PyTorch's num_batches_tracked. Another type, or a longer name
 * than PARAM_NAME, is INVALID_ARGUMENT. *out is freed by model_free(). */
int checkpoint_bare(struct model **out, const struct tensors *ts,
		    const char *what, struct err *err) MUST_CHECK;

/* That a file has m's tensors, and no other but PyTorch's count, whatever their
 * values; INVALID_ARGUMENT says what differs. */
int checkpoint_fits(const struct tensors *ts, const struct model *m,
		    const char *what, struct err *err) MUST_CHECK;

/* That all its float32 values are finite; INVALID_ARGUMENT names one that is
 * not. */
int checkpoint_finite(const struct tensors *ts, const char *what,
		      struct err *err) MUST_CHECK;

/* checkpoint_get() of a file that fits. */
int checkpoint_get_all(const struct tensors *ts, const struct model *m,
		       const char *what, float *values,
		       struct err *err) MUST_CHECK;

#endif
