/* engine.h - how a net's layers are computed; for net.c and the engines. */
#ifndef NN_ENGINE_H
#define NN_ENGINE_H

#include "base/err.h"
#include "nn/model.h"

struct engine {
	const char *name;
	int (*open)(void **state, const struct model *m, struct err *err);
	void (*close)(void *state);
	/* *logits: n rows of m->classes, the engine's until its next call. */
	int (*forward)(void *state, const float *params, const float *x, int n,
		       const float **logits, struct err *err);
	/* After forward() of the same params, x and n: from the gradient of
	 * the logits that of all parameters, overwriting grads. */
	int (*backward)(void *state, const float *params, const float *x,
			const float *dlogits, int n, float *grads,
			struct err *err);
};

extern const struct engine engine_ref;
#ifndef GFL_NO_DNNL
extern const struct engine engine_dnnl;
#endif

#endif
