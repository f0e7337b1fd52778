/* model.h - what a model is: its layers, and its parameters as names, shapes
 * and places in one flat vector of float32.
 *
 * A model is written as a short text, "dense 128; relu; dense 10", or as a
 * preset's name. The input is 1 28 28 unless the text begins with "input N" or
 * "input CHANNELS ROWS COLUMNS". "residual" remembers what goes into the next
 * layer, and "add" adds it, the last remembered first (shortcut.h says how
 * where the shapes differ). The last layer's outputs are the classes' logits.
 *
 * The flat vector has the parameters in PyTorch's order: exchange and
 * optimiser index it, and a file of it loads into PyTorch. Behind them lie the
 * buffers, batch normalisation's running means and variances, which each
 * trainer keeps of its own data. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/layer.h"

enum { MODEL_TEXT_MAX = 4096, MODEL_LAYERS_MAX = 256 };
#define MODEL_PARAMS_MAX ((size_t)1 << 28) /* values: 1 GiB */

struct model {
	char *text; /* canonical: two texts of one model are equal; or empty */
	struct shape in; /* this, and layers, not where the text is empty */
	int classes;
	struct layer *layers;
	int n_layers;
	struct param *params, *buffers;
	int n_params, n_buffers;
	size_t n;        /* parameters: values that are trained and exchanged */
	size_t len;      /* values in the flat vector: these, then buffers */
	uint64_t layout; /* hash of names and shapes: equal vectors mean the
			    same */
};

/* Understand a text or a preset's name. *out is freed by model_free().
 * INVALID_ARGUMENT says which statement is wrong, and how. */
int model_open(struct model **out, const char *text,
	       struct err *err) MUST_CHECK;
void model_free(struct model *m);

/* A model of which only names and shapes are known, as of somebody else's file:
 * without layers or text, it is exchanged and saved but not computed. Of the n
 * params, 1 at least, name and dim are set, and are copied; they are sorted by
 * name, so that files that differ in order only have one layout. A name that
 * comes twice, or more than MODEL_PARAMS_MAX values, is INVALID_ARGUMENT. */
int model_bare(struct model **out, const struct param *params, int n,
	       struct err *err) MUST_CHECK;

/* The presets' names, for a message: "softmax, mlp". The caller frees it. */
char *model_presets(void);

/* Set m->len values from seed, within PyTorch's default bounds. The same seed
 * gives the same values everywhere, so trainers of one run begin alike. */
void model_init(const struct model *m, uint64_t seed, float *values);

#endif
