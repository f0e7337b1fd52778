/* model_impl.h - a model's text; for model.c and model_text.c. */
#ifndef NN_MODEL_IMPL_H
#define NN_MODEL_IMPL_H

#include "nn/model.h"

/* Add the layers of a text to m, which has room for MODEL_LAYERS_MAX. */
int model_parse(struct model *m, const char *text, struct err *err);

/* The canonical text of m, which the caller frees. */
char *model_text(const struct model *m);

/* A preset's text, or name itself where it is none. */
const char *model_preset(const char *name);

#endif
