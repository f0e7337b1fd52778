/* net.h - computes a model: loss, gradient and score of a batch.
 *
 * Parameters and gradients are the caller's flat vectors (model.h); a net
 * holds only what lies between: activations and prepared kernels, cached per
 * batch size. Called by one thread at a time. Loss is softmax cross-entropy. */
#ifndef NN_NET_H
#define NN_NET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/model.h"

enum { NET_BATCH_MAX = 65536 };
/* Values between the layers of one batch, and as many gradients: 4 GiB each. */
#define NET_VALUES_MAX ((size_t)1 << 30)

struct net;

/* What a batch, or many, came to. */
struct net_score {
	double loss;    /* sum over the examples: divide by n */
	size_t correct; /* examples whose highest logit is their label's */
	size_t n;
};

/* A net for m, which is borrowed until net_close(). engine is "dnnl" or "ref"
 * (plain loops), NULL the best that was built in; INVALID_ARGUMENT for one
 * that was not. Computes on the calling thread, unless told otherwise. */
int net_open(struct net **out, const struct model *m, const char *engine,
	     struct err *err) MUST_CHECK;
void net_close(struct net *net);

/* The engine's name: "dnnl" or "ref". */
const char *net_engine(const struct net *net);

/* Compute on so many threads; "ref" has one. See threads.h. */
void net_threads(struct net *net, int threads);

/* Forward and backward: n examples x (n times the model's input, row by row),
 * their labels, below the model's classes (else INVALID_ARGUMENT); what lies
 * between the layers must be within NET_VALUES_MAX. values is a
 * flat vector, whose buffers move; grads, as many as there are parameters, is
 * overwritten by the gradient of the batch's mean loss. */
int net_grad(struct net *net, float *values, const float *x,
	     const int32_t *labels, int n, float *grads,
	     struct net_score *score, struct err *err) MUST_CHECK;

/* Forward only, as for use: adds the batch's score to *score. */
int net_eval(struct net *net, const float *values, const float *x,
	     const int32_t *labels, int n, struct net_score *score,
	     struct err *err) MUST_CHECK;

#endif
