#include "nn/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { UNITS_MAX = 1 << 20 };

static int dense_shape(struct layer *l, struct err *err)
{
	if (l->arg[0] < 1 || l->arg[0] > UNITS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "dense has %d units, expected 1 to %d",
			       l->arg[0], UNITS_MAX);
	l->out = (struct shape){l->arg[0], 1, 1};
	return 0;
}

/* Bounds as torch.nn.Linear initialises: kaiming_uniform with a = sqrt(5) is
 * 1/sqrt(fan in), and so is the bias. */
static int dense_params(const struct layer *l, struct param p[LAYER_PARAMS])
{
	int64_t in = (int64_t)shape_len(&l->in);
	double bound = 1 / sqrt((double)in);

	p[0] = (struct param){.name = "weight",
			      .dims = 2,
			      .dim = {l->out.c, in},
			      .bound = bound};
	p[1] = (struct param){
		.name = "bias", .dims = 1, .dim = {l->out.c}, .bound = bound};
	return 2;
}

static int same_shape(struct layer *l, struct err *err)
{
	(void)err;
	l->out = l->in;
	return 0;
}

static const struct layer_kind kinds[LAYER_KINDS] = {
	{LAYER_DENSE, "dense", 1, "dense UNITS", "fc", dense_shape,
	 dense_params},
	{LAYER_RELU, "relu", 0, "relu", NULL, same_shape, NULL},
};

const struct layer_kind *layer_kind(const char *name)
{
	for (int i = 0; i < LAYER_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

const char *layer_names(char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < LAYER_KINDS && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? ", " : "", kinds[i].name);
	return text;
}

size_t shape_len(const struct shape *s)
{
	return (size_t)s->c * (size_t)s->h * (size_t)s->w;
}
