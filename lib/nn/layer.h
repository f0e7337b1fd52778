/* layer.h - the kinds of layer a model text may name: one row per kind.
 *
 * A row says how the kind is written, what shape it yields and which
 * parameters it has. The engines (engine_ref.c, engine_dnnl.c) have a row per
 * kind that computes it. A new kind is a row here and one in each engine. */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LAYER_ARGS = 4, LAYER_PARAMS = 2, PARAM_DIMS = 4 };

/* What one example is between two layers: channels, rows, columns. */
struct shape {
	int c, h, w;
};

/* One tensor of parameters, in PyTorch's name and order. */
struct param {
	char name[32]; /* "fc1.weight" */
	int dims;
	int64_t dim[PARAM_DIMS];
	size_t at, len; /* in the flat vector, in floats */
	double bound;   /* initialised uniformly in -bound..bound */
};

enum layer_id { LAYER_DENSE, LAYER_RELU, LAYER_KINDS };

struct layer {
	const struct layer_kind *kind;
	int arg[LAYER_ARGS];
	struct shape in, out;
	int param; /* index of its first parameter; of no meaning without any */
};

struct layer_kind {
	enum layer_id id;
	const char *name;
	int args;
	const char *usage;  /* "dense UNITS" */
	const char *prefix; /* of its parameters' names; NULL: has none */
	/* Set l->out from l->in and l->arg; INVALID_ARGUMENT where they do not
	 * fit. */
	int (*shape)(struct layer *l, struct err *err);
	/* Fill in dims, dim and bound, and the name's last part ("weight");
	 * returns how many. NULL: none. */
	int (*params)(const struct layer *l, struct param p[LAYER_PARAMS]);
};

/* The kind that is written so, or NULL. */
const struct layer_kind *layer_kind(const char *name);

/* All names, for a message: "dense, relu". */
const char *layer_names(char *text, size_t size);

size_t shape_len(const struct shape *s); /* values in one example */

#endif
