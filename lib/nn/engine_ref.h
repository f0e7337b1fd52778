/* engine_ref.h - one layer by plain loops; for engine_ref*.c, and for what the
 * other engine has no primitive for. */
#ifndef NN_ENGINE_REF_H
#define NN_ENGINE_REF_H

#include <stdbool.h>

#include "nn/model.h"

/* One layer of n examples: in and out are rows, dout and din the gradients
 * with respect to them. */
struct work {
	const struct layer *layer;
	int n;
	bool training;
	const float *params; /* of this layer: its first value */
	float *grads;        /* likewise */
	float *buffers;      /* likewise */
	const float *in, *skip, *dout;
	float *out, *din; /* din: NULL where nobody needs it */
};

/* out from in, and from skip for "add"; in training buffers move. */
typedef void layer_forward_fn(const struct work *w);
/* grads and din from dout, in, and what forward left in out; overwrites. */
typedef void layer_backward_fn(const struct work *w);

layer_forward_fn engine_ref_dense_forward, engine_ref_conv_forward,
	engine_ref_maxpool_forward, engine_ref_avgpool_forward,
	engine_ref_batchnorm_forward, engine_ref_lrn_forward;
layer_backward_fn engine_ref_dense_backward, engine_ref_conv_backward,
	engine_ref_maxpool_backward, engine_ref_avgpool_backward,
	engine_ref_batchnorm_backward, engine_ref_lrn_backward;

#endif
