#include "nn/model_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const struct shape default_input = {1, 28, 28};

/* A block of ResNet for CIFAR (He et al. 2016, section 4.2). */
#define BLOCK(channels, stride)                          \
	"residual; conv " channels " 3" stride           \
	" pad 1 nobias; batchnorm; relu; conv " channels \
	" 3 pad 1 nobias; batchnorm; add; relu; "

static const struct preset {
	const char *name, *text;
} presets[] = {
	{"softmax", "dense 10"},
	{"mlp", "dense 128; relu; dense 10"},
	/* McMahan et al. 2017, section 3: 1,663,370 parameters */
	{"cnn", "conv 32 5 pad 2; relu; maxpool 2; conv 64 5 pad 2; relu; "
		"maxpool 2; dense 512; relu; dense 10"},
	/* GossipFL's CIFAR10-CNN: 1,756,426 parameters, which are the 7 MB of
	 * its paper's tables */
	{"cifar10flnet",
	 "input 3 32 32; conv 64 5 pad 2; relu; maxpool 3 stride 2 pad 1; "
	 "lrn 4 alpha 0.000111111111; conv 64 5 pad 2; relu; "
	 "lrn 4 alpha 0.000111111111; maxpool 3 stride 2 pad 1; dense 384; "
	 "relu; dense 192; relu; dense 10"},
	/* 269,722 parameters */
	{"resnet20",
	 "input 3 32 32; conv 16 3 pad 1 nobias; batchnorm; relu; " BLOCK(
		 "16", "") BLOCK("16", "") BLOCK("16", "")
		 BLOCK("32", " stride 2") BLOCK("32", "") BLOCK("32", "")
			 BLOCK("64", " stride 2") BLOCK("64", "")
				 BLOCK("64", "") "avgpool; dense 10"},
};

enum {
	PRESETS = sizeof(presets) / sizeof(presets[0]),
	WORDS_MAX = 8,
	REMEMBERED_MAX = 16,
};

struct parser {
	struct model *m;
	char *word[WORDS_MAX]; /* of the statement */
	int words;
	int from[REMEMBERED_MAX]; /* layers whose input is remembered */
	int remembered;
};

const char *model_preset(const char *name)
{
	for (int i = 0; i < PRESETS; i++)
		if (!strcmp(presets[i].name, name))
			return presets[i].text;
	return name;
}

char *model_presets(void)
{
	struct buf b = BUF_INIT(0);

	for (int i = 0; i < PRESETS; i++)
		buf_putf(&b, "%s%s", i ? ", " : "", presets[i].name);
	return buf_take(&b);
}

static int number(const char *word, const char *of, int least, int *out,
		  struct err *err)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(word, &end, 10);
	if (errno || *end || end == word || v < least || v > INT_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"%s\" in \"%s\" is not a number from %d", word,
			       of, least);
	*out = (int)v;
	return 0;
}

/* Kept as a float, so that its text gives it back. */
static int real(const char *word, const char *of, float *out, struct err *err)
{
	char *end;
	double v = strtod(word, &end);

	if (*end || end == word || !(v >= 1e-9 && v <= 1e6))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"%s\" in \"%s\" is not a number from 1e-9 to "
			       "1e6",
			       word, of);
	*out = (float)v;
	return 0;
}

/* "input N" or "input C H W", before any layer. */
static int add_input(struct parser *p, struct err *err)
{
	const int64_t most = 1 << 24;
	struct model *m = p->m;
	int arg[3] = {1, 1, 1};

	if (m->n_layers || p->remembered)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"input\" must come before every layer");
	if (p->words != 2 && p->words != 4)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "expected \"input N\" or \"input CHANNELS ROWS "
			       "COLUMNS\"");
	for (int i = 1; i < p->words; i++)
		if (number(p->word[i], "input", 1, &arg[i - 1], err))
			return (int)err->code;
	m->in = (struct shape){arg[0], arg[1], arg[2]};
	if (m->in.c > most || m->in.h > most / m->in.c ||
	    m->in.w > most / m->in.c / m->in.h)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an input of more than %lld values",
			       (long long)most);
	return 0;
}

/* "residual": remember what goes into the layer that comes next. */
static int remember(struct parser *p, struct err *err)
{
	if (p->words != 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "expected \"residual\"");
	if (p->remembered == REMEMBERED_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "more than %d \"residual\" without \"add\"",
			       REMEMBERED_MAX);
	p->from[p->remembered++] = p->m->n_layers;
	return 0;
}

/* For "add": what was remembered last. */
static int recall(struct parser *p, struct layer *l, struct err *err)
{
	const struct model *m = p->m;

	if (!p->remembered || p->from[p->remembered - 1] == m->n_layers)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"add\" without \"residual\" and a layer "
			       "between them");
	l->from = p->from[--p->remembered];
	l->skip = m->layers[l->from].in;
	return 0;
}

/* Give l's parameters their names ("fc2.bias") and places. */
static int add_params(struct model *m, struct layer *l, int nth,
		      struct err *err)
{
	struct param p[LAYER_PARAMS];
	const int n = l->kind->params ? l->kind->params(l, p) : 0;

	l->param = m->n_params;
	l->buffer = m->n_buffers;
	for (int i = 0; i < n; i++) {
		char last[sizeof(p[i].name)];

		memcpy(last, p[i].name, sizeof(last));
		snprintf(p[i].name, sizeof(p[i].name), "%s%d.%.16s",
			 l->kind->prefix, nth, last);
		p[i].at = m->n;
		p[i].len = 1;
		for (int d = 0; d < p[i].dims; d++)
			p[i].len *= (size_t)p[i].dim[d];
		if (p[i].len > MODEL_PARAMS_MAX - m->n)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "more than %zu parameters",
				       MODEL_PARAMS_MAX);
		if (p[i].buffer) {
			m->buffers[m->n_buffers++] = p[i];
			continue;
		}
		m->n += p[i].len;
		m->params[m->n_params++] = p[i];
	}
	return 0;
}

static int count_prefix(const struct model *m, const char *prefix)
{
	int n = 0;

	for (int i = 0; i < m->n_layers; i++)
		n += prefix && m->layers[i].kind->prefix == prefix;
	return n;
}

static int unknown(const char *name, struct err *err)
{
	char *names = model_presets();
	char layers[256];
	int rc;

	rc = err_set(err, ERR_INVALID_ARGUMENT,
		     "no preset and no layer is called \"%.40s\" (presets: "
		     "%s; layers: %s, residual)",
		     name, names, layer_names(layers, sizeof(layers)));
	free(names);
	return rc;
}

static int usage(const struct layer_kind *kind, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "expected \"%s\"",
		       kind->usage);
}

static const struct layer_word *find_word(const struct layer_kind *kind,
					  const char *name)
{
	for (int i = 0; i < LAYER_WORDS; i++)
		if (kind->words[i].name && !strcmp(kind->words[i].name, name))
			return &kind->words[i];
	return NULL;
}

/* "stride 2 pad 1 nobias", from word i on. */
static int add_words(const struct parser *p, int i, struct layer *l,
		     struct err *err)
{
	while (i < p->words) {
		const struct layer_word *w = find_word(l->kind, p->word[i]);
		const char *name = p->word[i++];

		if (!w || (w->type != WORD_FLAG && i == p->words))
			return usage(l->kind, err);
		if (w->type == WORD_FLAG)
			l->arg[w->arg] = 1;
		else if (w->type == WORD_REAL) {
			if (real(p->word[i++], name, &l->real, err))
				return (int)err->code;
		} else if (number(p->word[i++], name, w->least, &l->arg[w->arg],
				  err))
			return (int)err->code;
	}
	return 0;
}

static int add_args(const struct parser *p, struct layer *l, struct err *err)
{
	const struct layer_kind *kind = l->kind;

	if (p->words <= kind->args)
		return usage(kind, err);
	for (int i = 0; i < LAYER_WORDS; i++)
		l->arg[kind->words[i].arg] = kind->words[i].usual;
	l->real = LAYER_LRN_ALPHA;
	for (int i = 1; i <= kind->args; i++)
		if (number(p->word[i], kind->name, 1, &l->arg[i - 1], err))
			return (int)err->code;
	return add_words(p, kind->args + 1, l, err);
}

static int add_layer(struct parser *p, struct err *err)
{
	const struct layer_kind *kind = layer_kind(p->word[0]);
	struct model *m = p->m;
	struct layer *l = &m->layers[m->n_layers];

	if (!kind)
		return unknown(p->word[0], err);
	if (m->n_layers == MODEL_LAYERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "more than %d layers",
			       MODEL_LAYERS_MAX);
	*l = (struct layer){.kind = kind};
	l->in = m->n_layers ? l[-1].out : m->in;
	if (add_args(p, l, err) ||
	    (kind->id == LAYER_ADD && recall(p, l, err)) ||
	    kind->shape(l, err) ||
	    add_params(m, l, count_prefix(m, kind->prefix) + 1, err))
		return (int)err->code;
	m->n_layers++;
	return 0;
}

static int add_statement(struct parser *p, char *statement, struct err *err)
{
	char *save;

	p->words = 0;
	for (char *w = strtok_r(statement, " \t\r", &save); w;
	     w = strtok_r(NULL, " \t\r", &save)) {
		if (p->words == WORDS_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "too many words after \"%.40s\"",
				       p->word[0]);
		p->word[p->words++] = w;
	}
	if (!p->words)
		return 0;
	if (!strcmp(p->word[0], "input"))
		return add_input(p, err);
	if (!strcmp(p->word[0], "residual"))
		return remember(p, err);
	return add_layer(p, err);
}

int model_parse(struct model *m, const char *text, struct err *err)
{
	struct parser p = {.m = m};
	char *copy = mem_str(text), *save;
	int rc = 0;

	m->in = default_input;
	for (char *s = strtok_r(copy, ";\n", &save); s && !rc;
	     s = strtok_r(NULL, ";\n", &save))
		rc = add_statement(&p, s, err);
	free(copy);
	if (!rc && p.remembered)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "\"residual\" without \"add\"");
	return rc;
}

/* As short as gives the same float back. */
static void put_real(struct buf *b, float v)
{
	char text[32];

	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	buf_puts(b, text);
}

static void put_layer(struct buf *b, const struct layer *l)
{
	buf_puts(b, l->kind->name);
	for (int a = 0; a < l->kind->args; a++)
		buf_putf(b, " %d", l->arg[a]);
	for (int i = 0; i < LAYER_WORDS && l->kind->words[i].name; i++) {
		const struct layer_word *w = &l->kind->words[i];
		const bool usual = l->arg[w->arg] == w->usual;

		if (w->type == WORD_REAL && l->real != LAYER_LRN_ALPHA) {
			buf_putf(b, " %s ", w->name);
			put_real(b, l->real);
		} else if (w->type == WORD_NUMBER && !usual)
			buf_putf(b, " %s %d", w->name, l->arg[w->arg]);
		else if (w->type == WORD_FLAG && !usual)
			buf_putf(b, " %s", w->name);
	}
}

char *model_text(const struct model *m)
{
	struct buf b = BUF_INIT(0);

	if (memcmp(&m->in, &default_input, sizeof(m->in)))
		buf_putf(&b, "input %d %d %d; ", m->in.c, m->in.h, m->in.w);
	for (int i = 0; i < m->n_layers; i++) {
		buf_puts(&b, i ? "; " : "");
		for (int k = i + 1; k < m->n_layers; k++)
			if (m->layers[k].kind->id == LAYER_ADD &&
			    m->layers[k].from == i)
				buf_puts(&b, "residual; ");
		put_layer(&b, &m->layers[i]);
	}
	return buf_take(&b);
}
