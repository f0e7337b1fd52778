/* layers.h - an architecture in JSON as the short text of nn/model.h. Pure.
 *
 * A list of layers, or an object with "layers" (or "nodes") of them; "input" is
 * a number or [channels, rows, columns]. A layer is an object: its kind is
 * "type", "layer_type" or "layer"; its numbers stand beside that, or in
 * "params". Kinds, by any of their names:
 *
 *	dense linear fc           units out_features neurons output
 *	conv conv2d               filters out_channels channels, kernel
 *	                          kernel_size, stride, padding pad (a number, or
 *	                          "same"), use_bias bias
 *	maxpool max_pooling2d     size pool_size kernel_size, stride, padding
 *	avgpool global_average_pooling2d
 *	batchnorm batch_norm, flatten, relu, residual, add, input, output
 *
 * "activation" of a layer is relu, linear, or (which the loss has anyway, at the
 * end) softmax. */
#ifndef TASK_LAYERS_H
#define TASK_LAYERS_H

#include <jansson.h>

#include "base/buf.h"

/* Append the text. What is no such thing is INVALID_ARGUMENT naming the
 * layer. */
int layers_text(struct buf *out, const json_t *architecture,
		struct err *err) MUST_CHECK;

#endif
