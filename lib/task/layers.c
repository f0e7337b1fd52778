#include "task/layers.h"

#include <string.h>

#include "nn/model.h"

struct layer_json {
	const json_t *all, *params;
	size_t number; /* from 1 */
};

static const json_t *member(const struct layer_json *l, const char *names)
{
	char name[32];

	for (const char *p = names; *p; p += *p == ' ') {
		size_t len = strcspn(p, " ");
		const json_t *v;

		memcpy(name, p, len);
		name[len] = '\0';
		v = json_object_get(l->params, name);
		v = v ? v : json_object_get(l->all, name);
		if (v && !json_is_null(v))
			return v;
		p += len;
	}
	return NULL;
}

static int wrong(const struct layer_json *l, struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "layer %zu: %s", l->number,
		       what);
}

/* A number, or a list whose members are the same. */
static int number(const struct layer_json *l, const char *names, int otherwise,
		  int *out, struct err *err)
{
	const json_t *v = member(l, names);
	size_t n = json_array_size(v);

	*out = otherwise;
	if (!v && otherwise >= 0)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (!json_equal(json_array_get(v, i), json_array_get(v, 0)))
			return wrong(l, err, "only squares are known");
	v = n ? json_array_get(v, 0) : v;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > 1 << 24)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "layer %zu: %.*s is no number", l->number,
			       (int)strcspn(names, " "), names);
	*out = (int)json_integer_value(v);
	return 0;
}

static int padding(const struct layer_json *l, int kernel, int *out,
		   struct err *err)
{
	const json_t *v = member(l, "padding pad");
	const char *word = json_string_value(v);

	*out = 0;
	if (!word)
		return number(l, "padding pad", 0, out, err);
	if (!strcmp(word, "same"))
		*out = kernel / 2;
	else if (strcmp(word, "valid") != 0)
		return wrong(l, err, "padding is neither same nor valid");
	return 0;
}

static int dense(struct buf *b, const struct layer_json *l, struct err *err)
{
	int units;

	if (number(l, "units out_features neurons output size", -1, &units,
		   err))
		return (int)err->code;
	buf_putf(b, "dense %d; ", units);
	return 0;
}

static int conv(struct buf *b, const struct layer_json *l, struct err *err)
{
	const json_t *bias = member(l, "use_bias bias");
	int filters, kernel, stride, pad;

	if (number(l, "filters out_channels channels", -1, &filters, err) ||
	    number(l, "kernel kernel_size size", 3, &kernel, err) ||
	    number(l, "stride strides", 1, &stride, err) ||
	    padding(l, kernel, &pad, err))
		return (int)err->code;
	buf_putf(b, "conv %d %d", filters, kernel);
	if (stride != 1)
		buf_putf(b, " stride %d", stride);
	if (pad)
		buf_putf(b, " pad %d", pad);
	buf_puts(b, json_is_false(bias) ? " nobias; " : "; ");
	return 0;
}

static int maxpool(struct buf *b, const struct layer_json *l, struct err *err)
{
	int size, stride, pad;

	if (number(l, "size pool_size kernel_size kernel", 2, &size, err) ||
	    number(l, "stride strides", size, &stride, err) ||
	    padding(l, size, &pad, err))
		return (int)err->code;
	buf_putf(b, "maxpool %d", size);
	if (stride != size)
		buf_putf(b, " stride %d", stride);
	if (pad)
		buf_putf(b, " pad %d", pad);
	buf_puts(b, "; ");
	return 0;
}

static int avgpool(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)l, (void)err;
	buf_puts(b, "avgpool; ");
	return 0;
}

static int batchnorm(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)l, (void)err;
	buf_puts(b, "batchnorm; ");
	return 0;
}

static int relu(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)l, (void)err;
	buf_puts(b, "relu; ");
	return 0;
}

static int residual(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)l, (void)err;
	buf_puts(b, "residual; ");
	return 0;
}

static int add(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)l, (void)err;
	buf_puts(b, "add; ");
	return 0;
}

/* Where it is needed the text does it by itself. */
static int nothing(struct buf *b, const struct layer_json *l, struct err *err)
{
	(void)b, (void)l, (void)err;
	return 0;
}

static const struct kind {
	const char *names; /* lower case, without what is no letter or digit */
	int (*put)(struct buf *b, const struct layer_json *l, struct err *err);
} kinds[] = {
	{"dense linear fc fullyconnected", dense},
	{"conv conv2d convolution", conv},
	{"maxpool maxpool2d maxpooling maxpooling2d", maxpool},
	{"avgpool globalavgpool globalaveragepooling globalaveragepooling2d",
	 avgpool},
	{"batchnorm batchnorm2d batchnormalization", batchnorm},
	{"relu", relu},
	{"residual", residual},
	{"add", add},
	{"flatten input output", nothing},
};

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; len && (p = strstr(p, word)); p++)
		if ((p == words || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

static void plain(char *out, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name && n + 1 < size; name++) {
		char c = *name | 0x20;

		if ((c >= 'a' && c <= 'z') || (*name >= '0' && *name <= '9'))
			out[n++] = *name >= 'A' ? c : *name;
	}
	out[n] = '\0';
}

static int activation(struct buf *b, const struct layer_json *l, bool last,
		      struct err *err)
{
	const char *word = json_string_value(member(l, "activation"));

	if (!word || !*word || !strcmp(word, "linear") || !strcmp(word, "none"))
		return 0;
	if (!strcmp(word, "softmax") && last)
		return 0;
	if (strcmp(word, "relu") != 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "layer %zu: activation \"%.40s\" is not known: "
			       "relu, linear",
			       l->number, word);
	buf_puts(b, "relu; ");
	return 0;
}

static int put_layer(struct buf *b, const struct layer_json *l, bool last,
		     struct err *err)
{
	const char *type =
		json_string_value(member(l, "type layer_type layer"));
	char name[40];

	if (!type)
		return wrong(l, err, "it has no \"type\"");
	plain(name, sizeof(name), type);
	if (!strcmp(name, "softmax") && last)
		return 0;
	if (!strcmp(name, "activation"))
		return activation(b, l, last, err);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (has_word(kinds[i].names, name))
			return kinds[i].put(b, l, err) ||
					       activation(b, l, last, err)
				       ? (int)err->code
				       : 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "layer %zu: there is no layer \"%.40s\"", l->number,
		       type);
}

static int put_input(struct buf *b, const json_t *v, struct err *err)
{
	const size_t n = json_array_size(v);

	if (!v)
		return 0;
	buf_puts(b, "input");
	for (size_t i = 0; i < (n ? n : 1); i++) {
		const json_t *m = n ? json_array_get(v, i) : v;

		if (!json_is_integer(m) || (n && n != 3 && n != 1))
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "\"input\" is neither a number nor "
				       "[channels, rows, columns]");
		buf_putf(b, " %lld", (long long)json_integer_value(m));
	}
	buf_puts(b, "; ");
	return 0;
}

int layers_text(struct buf *out, const json_t *architecture, struct err *err)
{
	const json_t *list = architecture;
	size_t n;

	if (json_is_object(architecture)) {
		list = json_object_get(architecture, "layers");
		list = list ? list : json_object_get(architecture, "nodes");
		if (put_input(out, json_object_get(architecture, "input"), err))
			return (int)err->code;
	}
	n = json_array_size(list);
	if (!n || n > MODEL_LAYERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the architecture has no list of 1 to %d layers",
			       MODEL_LAYERS_MAX);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);
		const struct layer_json l = {v, json_object_get(v, "params"),
					     i + 1};

		if (put_layer(out, &l, i + 1 == n, err))
			return (int)err->code;
	}
	while (out->len && strchr("; ", out->p[out->len - 1]))
		out->p[--out->len] = '\0';
	return 0;
}
