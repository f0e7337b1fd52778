/* engine.h - how a net's layers are computed; for net.c and the engines. */
#ifndef NN_ENGINE_H
#define NN_ENGINE_H

#include <stdbool.h>

#include "base/err.h"
#include "nn/model.h"

struct engine {
	const char *name;
	int (*open)(void **state, const struct model *m, struct err *err);
	void (*close)(void *state);
	/* Compute on so many threads from now on. */
	void (*threads)(void *state, int threads);
	/* *logits: n rows of m->classes, the engine's until its next call.
	 * values: a flat vector, whose buffers training moves. */
	int (*forward)(void *state, float *values, const float *x, int n,
		       bool training, const float **logits, struct err *err);
	/* After forward() with training of the same values, x and n: from the
	 * gradient of the logits that of all parameters, overwriting grads
	 * (m->n). */
	int (*backward)(void *state, const float *values, const float *x,
			const float *dlogits, int n, float *grads,
			struct err *err);
};

extern const struct engine engine_ref;
#ifndef GFL_NO_DNNL
extern const struct engine engine_dnnl;
#endif

#endif
