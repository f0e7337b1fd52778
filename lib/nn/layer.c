#include "nn/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/shortcut.h"

enum {
	UNITS_MAX = 1 << 20,
	CHANNELS_MAX = 1 << 16,
	WINDOW_MAX = 1024, /* kernel, stride, pad */
	VALUES_MAX = 1 << 24,
};

static int dense_shape(struct layer *l, struct err *err)
{
	if (l->arg[DENSE_UNITS] > UNITS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "dense has %d units, expected 1 to %d",
			       l->arg[DENSE_UNITS], UNITS_MAX);
	l->out = (struct shape){l->arg[DENSE_UNITS], 1, 1};
	return 0;
}

/* Bounds as torch.nn.Linear and Conv2d initialise: kaiming_uniform with
 * a = sqrt(5) is 1/sqrt(fan in), and so is the bias. */
static int weight_and_bias(struct param *p, int64_t out, double fan_in)
{
	p[0].bound = 1 / sqrt(fan_in);
	p[1] = (struct param){
		.name = "bias", .dims = 1, .dim = {out}, .bound = p[0].bound};
	return 2;
}

static int dense_params(const struct layer *l, struct param p[LAYER_PARAMS])
{
	const int64_t in = (int64_t)shape_len(&l->in);

	p[0] = (struct param){
		.name = "weight", .dims = 2, .dim = {l->out.c, in}};
	return weight_and_bias(p, l->out.c, (double)in);
}

/* One side of a picture that a window passes over; below 1 if it is too
 * small. */
static int passes(int side, int kernel, int stride, int pad)
{
	return side + 2 * pad < kernel ? 0
				       : (side + 2 * pad - kernel) / stride + 1;
}

static int window_shape(struct layer *l, int channels, int kernel, int stride,
			int pad, struct err *err)
{
	if (kernel > WINDOW_MAX || stride > WINDOW_MAX || pad >= kernel)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: kernel %d, stride %d, pad %d, expected at "
			       "most %d and a pad below the kernel",
			       l->kind->name, kernel, stride, pad, WINDOW_MAX);
	l->out = (struct shape){channels, passes(l->in.h, kernel, stride, pad),
				passes(l->in.w, kernel, stride, pad)};
	if (l->out.h < 1 || l->out.w < 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: a kernel of %d on %d x %d values",
			       l->kind->name, kernel, l->in.h, l->in.w);
	if (shape_len(&l->out) > VALUES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s gives more than %d values", l->kind->name,
			       VALUES_MAX);
	return 0;
}

static int conv_shape(struct layer *l, struct err *err)
{
	const int *a = l->arg;

	if (a[CONV_CHANNELS] > CHANNELS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "conv has %d channels, expected 1 to %d",
			       a[CONV_CHANNELS], CHANNELS_MAX);
	return window_shape(l, a[CONV_CHANNELS], a[CONV_KERNEL], a[CONV_STRIDE],
			    a[CONV_PAD], err);
}

static int conv_params(const struct layer *l, struct param p[LAYER_PARAMS])
{
	const int64_t k = l->arg[CONV_KERNEL];

	p[0] = (struct param){
		.name = "weight", .dims = 4, .dim = {l->out.c, l->in.c, k, k}};
	weight_and_bias(p, l->out.c, (double)(l->in.c * k * k));
	return l->arg[CONV_NOBIAS] ? 1 : 2;
}

int layer_pool_stride(const struct layer *l)
{
	return l->arg[POOL_STRIDE] ? l->arg[POOL_STRIDE] : l->arg[POOL_KERNEL];
}

/* PyTorch's bound of the pad. */
static int maxpool_shape(struct layer *l, struct err *err)
{
	if (l->arg[POOL_STRIDE] == l->arg[POOL_KERNEL])
		l->arg[POOL_STRIDE] = 0; /* one text for one model */
	if (l->arg[POOL_PAD] > l->arg[POOL_KERNEL] / 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "maxpool: pad %d, expected at most half of the "
			       "kernel %d",
			       l->arg[POOL_PAD], l->arg[POOL_KERNEL]);
	return window_shape(l, l->in.c, l->arg[POOL_KERNEL],
			    layer_pool_stride(l), l->arg[POOL_PAD], err);
}

static int avgpool_shape(struct layer *l, struct err *err)
{
	(void)err;
	l->out = (struct shape){l->in.c, 1, 1};
	return 0;
}

static int flatten_shape(struct layer *l, struct err *err)
{
	(void)err;
	l->out = (struct shape){(int)shape_len(&l->in), 1, 1};
	return 0;
}

static int same_shape(struct layer *l, struct err *err)
{
	(void)err;
	l->out = l->in;
	return 0;
}

static int batchnorm_params(const struct layer *l, struct param p[LAYER_PARAMS])
{
	static const char *const names[] = {"weight", "bias", "running_mean",
					    "running_var"};

	for (int i = 0; i < 4; i++) {
		p[i] = (struct param){.dims = 1,
				      .dim = {l->in.c},
				      .start = i == 0 || i == 3,
				      .buffer = i >= 2,
				      .no_decay = true};
		strcpy(p[i].name, names[i]);
	}
	return 4;
}

static int lrn_shape(struct layer *l, struct err *err)
{
	if (l->arg[LRN_SIZE] > CHANNELS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "lrn over %d channels, expected 1 to %d",
			       l->arg[LRN_SIZE], CHANNELS_MAX);
	return same_shape(l, err);
}

static int add_shape(struct layer *l, struct err *err)
{
	l->out = l->in;
	if (!shortcut_stride(&l->skip, &l->out))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "add: %d x %d x %d remembered, which no "
			       "shortcut makes %d x %d x %d",
			       l->skip.c, l->skip.h, l->skip.w, l->out.c,
			       l->out.h, l->out.w);
	return 0;
}

static const struct layer_kind kinds[LAYER_KINDS] = {
	{LAYER_DENSE,
	 "dense",
	 1,
	 "dense UNITS",
	 "fc",
	 dense_shape,
	 dense_params,
	 {{0}}},
	{LAYER_RELU, "relu", 0, "relu", NULL, same_shape, NULL, {{0}}},
	{LAYER_CONV,
	 "conv",
	 2,
	 "conv CHANNELS KERNEL [stride N] [pad N] [nobias]",
	 "conv",
	 conv_shape,
	 conv_params,
	 {{"stride", CONV_STRIDE, 1, 1, WORD_NUMBER},
	  {"pad", CONV_PAD, 0, 0, WORD_NUMBER},
	  {"nobias", CONV_NOBIAS, 1, 0, WORD_FLAG}}},
	{LAYER_MAXPOOL,
	 "maxpool",
	 1,
	 "maxpool KERNEL [stride N] [pad N]",
	 NULL,
	 maxpool_shape,
	 NULL,
	 {{"stride", POOL_STRIDE, 1, 0, WORD_NUMBER},
	  {"pad", POOL_PAD, 0, 0, WORD_NUMBER}}},
	{LAYER_AVGPOOL,
	 "avgpool",
	 0,
	 "avgpool",
	 NULL,
	 avgpool_shape,
	 NULL,
	 {{0}}},
	{LAYER_FLATTEN,
	 "flatten",
	 0,
	 "flatten",
	 NULL,
	 flatten_shape,
	 NULL,
	 {{0}}},
	{LAYER_BATCHNORM,
	 "batchnorm",
	 0,
	 "batchnorm",
	 "bn",
	 same_shape,
	 batchnorm_params,
	 {{0}}},
	{LAYER_LRN,
	 "lrn",
	 1,
	 "lrn CHANNELS [alpha A]",
	 NULL,
	 lrn_shape,
	 NULL,
	 {{"alpha", 0, 0, 0, WORD_REAL}}},
	{LAYER_ADD, "add", 0, "add", NULL, add_shape, NULL, {{0}}},
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
