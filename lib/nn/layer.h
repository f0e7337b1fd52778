/* layer.h - the kinds of layer a model text may name: one row per kind.
 *
 * A row says how the kind is written, what shape it yields and which
 * parameters and buffers it has. The engines (engine_ref.c, engine_dnnl.c)
 * have a row per kind that computes it. A new kind is a row here and one in
 * each engine. */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	LAYER_ARGS = 5,
	LAYER_WORDS = 3,
	LAYER_PARAMS = 4, /* buffers included */
	PARAM_DIMS = 8,
	PARAM_NAME = 120, /* bytes, the NUL included */
};

/* Batch normalisation's constants, and those of local response normalisation,
 * as PyTorch's modules have them by default. */
#define LAYER_BATCHNORM_EPSILON 1e-5
#define LAYER_BATCHNORM_MOMENTUM 0.1
#define LAYER_LRN_BETA 0.75
#define LAYER_LRN_ALPHA 1e-4F

/* What one example is between two layers: channels, rows, columns. */
struct shape {
	int c, h, w;
};

/* One tensor of parameters, or a buffer: what training moves but no gradient
 * does. In PyTorch's name and order. */
struct param {
	char name[PARAM_NAME]; /* "fc1.weight" */
	int dims;
	int64_t dim[PARAM_DIMS];
	size_t at, len; /* in the flat vector, in floats */
	double start;   /* first value, and */
	double bound;   /* about it uniformly in -bound..bound */
	bool buffer;
	bool no_decay; /* weight decay leaves it alone */
};

enum layer_id {
	LAYER_DENSE,
	LAYER_RELU,
	LAYER_CONV,
	LAYER_MAXPOOL,
	LAYER_AVGPOOL,
	LAYER_FLATTEN,
	LAYER_BATCHNORM,
	LAYER_LRN,
	LAYER_ADD,
	LAYER_KINDS
};

/* Places of arg. */
enum { DENSE_UNITS };
enum { CONV_CHANNELS, CONV_KERNEL, CONV_STRIDE, CONV_PAD, CONV_NOBIAS };
enum { POOL_KERNEL, POOL_STRIDE, POOL_PAD }; /* stride 0: the kernel */
enum { LRN_SIZE };

struct layer {
	const struct layer_kind *kind;
	int arg[LAYER_ARGS];
	float real; /* lrn's alpha */
	struct shape in, out;
	int param; /* index of its first parameter; of no meaning without any */
	int buffer;        /* of its first buffer, likewise */
	int from;          /* add: the layer whose input is added */
	struct shape skip; /* add: of that input */
};

/* An optional word of a statement: "stride 2", "nobias". */
struct layer_word {
	const char *name;
	int arg; /* its place */
	int least, usual;
	enum { WORD_NUMBER, WORD_FLAG, WORD_REAL } type;
};

struct layer_kind {
	enum layer_id id;
	const char *name;
	int args;           /* numbers that must follow the name */
	const char *usage;  /* "dense UNITS" */
	const char *prefix; /* of its parameters' names; NULL: has none */
	/* Set l->out from l->in and l->arg; INVALID_ARGUMENT where they do not
	 * fit. */
	int (*shape)(struct layer *l, struct err *err);
	/* Fill in dims, dim, start, bound and flags, and the name's last part
	 * ("weight"), parameters before buffers; returns how many. NULL: none.
	 */
	int (*params)(const struct layer *l, struct param p[LAYER_PARAMS]);
	struct layer_word words[LAYER_WORDS];
};

/* The kind that is written so, or NULL. */
const struct layer_kind *layer_kind(const char *name);

/* All names, for a message: "dense, relu". */
const char *layer_names(char *text, size_t size);

int layer_pool_stride(const struct layer *l);

size_t shape_len(const struct shape *s); /* values in one example */

#endif
