#include "nn/model.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

static const struct shape default_input = {1, 28, 28};

static const struct preset {
	const char *name, *text;
} presets[] = {
	{"softmax", "dense 10"},
	{"mlp", "dense 128; relu; dense 10"},
};

enum { PRESETS = sizeof(presets) / sizeof(presets[0]), WORDS_MAX = 8 };

static const char *preset_text(const char *name)
{
	for (int i = 0; i < PRESETS; i++)
		if (!strcmp(presets[i].name, name))
			return presets[i].text;
	return name;
}

/* Parse words[1..] as whole numbers from 1; returns how many, -1 on failure. */
static int numbers(char **words, int n_words, int arg[LAYER_ARGS],
		   struct err *err)
{
	for (int i = 1; i < n_words; i++) {
		char *end;
		long v;

		errno = 0;
		v = strtol(words[i], &end, 10);
		if (errno || *end || v < 1 || v > INT_MAX || i > LAYER_ARGS) {
			err_set(err, ERR_INVALID_ARGUMENT,
				"\"%s\" in \"%s\" is not a number from 1",
				words[i], words[0]);
			return -1;
		}
		arg[i - 1] = (int)v;
	}
	return n_words - 1;
}

/* "input N" or "input C H W", before any layer. */
static int add_input(struct model *m, const int *arg, int n, struct err *err)
{
	const int64_t most = 1 << 24;

	if (m->n_layers)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"input\" must come before every layer");
	if (n != 1 && n != 3)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "expected \"input N\" or \"input CHANNELS ROWS "
			       "COLUMNS\"");
	m->in = n == 1 ? (struct shape){arg[0], 1, 1}
		       : (struct shape){arg[0], arg[1], arg[2]};
	if (m->in.c > most || m->in.h > most / m->in.c ||
	    m->in.w > most / m->in.c / m->in.h)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an input of more than %lld values",
			       (long long)most);
	return 0;
}

/* Give l's parameters their names ("fc2.bias") and places. */
static int add_params(struct model *m, struct layer *l, int nth,
		      struct err *err)
{
	struct param p[LAYER_PARAMS];
	int n = l->kind->params ? l->kind->params(l, p) : 0;

	l->param = m->n_params;
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
	struct buf b = BUF_INIT(0);
	char layers[256];
	int rc;

	for (int i = 0; i < PRESETS; i++)
		buf_putf(&b, "%s%s", i ? ", " : "", presets[i].name);
	rc = err_set(err, ERR_INVALID_ARGUMENT,
		     "no preset and no layer is called \"%.40s\" (presets: "
		     "%s; layers: %s)",
		     name, b.p, layer_names(layers, sizeof(layers)));
	buf_release(&b);
	return rc;
}

static int add_layer(struct model *m, const char *name, const int *arg, int n,
		     struct err *err)
{
	const struct layer_kind *kind = layer_kind(name);
	struct layer *l = &m->layers[m->n_layers];

	if (!kind)
		return unknown(name, err);
	if (n != kind->args)
		return err_set(err, ERR_INVALID_ARGUMENT, "expected \"%s\"",
			       kind->usage);
	if (m->n_layers == MODEL_LAYERS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "more than %d layers",
			       MODEL_LAYERS_MAX);
	l->kind = kind;
	memcpy(l->arg, arg, sizeof(l->arg));
	l->in = m->n_layers ? l[-1].out : m->in;
	if (kind->shape(l, err) ||
	    add_params(m, l, count_prefix(m, kind->prefix) + 1, err))
		return (int)err->code;
	m->n_layers++;
	return 0;
}

static int add_statement(struct model *m, char *statement, struct err *err)
{
	char *words[WORDS_MAX], *save;
	int arg[LAYER_ARGS] = {0};
	int n = 0;

	for (char *w = strtok_r(statement, " \t\r", &save); w;
	     w = strtok_r(NULL, " \t\r", &save)) {
		if (n == WORDS_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "too many words after \"%.40s\"",
				       words[0]);
		words[n++] = w;
	}
	if (!n)
		return 0;
	n = numbers(words, n, arg, err);
	if (n < 0)
		return (int)err->code;
	if (!strcmp(words[0], "input"))
		return add_input(m, arg, n, err);
	return add_layer(m, words[0], arg, n, err);
}

static char *canonical(const struct model *m)
{
	struct buf b = BUF_INIT(0);

	if (memcmp(&m->in, &default_input, sizeof(m->in)))
		buf_putf(&b, "input %d %d %d; ", m->in.c, m->in.h, m->in.w);
	for (int i = 0; i < m->n_layers; i++) {
		const struct layer *l = &m->layers[i];

		buf_putf(&b, "%s%s", i ? "; " : "", l->kind->name);
		for (int a = 0; a < l->kind->args; a++)
			buf_putf(&b, " %d", l->arg[a]);
	}
	return buf_take(&b);
}

/* FNV-1a of "name dim dim;" for every parameter, finished by a mix. */
static uint64_t layout_hash(const struct model *m)
{
	struct buf b = BUF_INIT(0);
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < m->n_params; i++) {
		buf_puts(&b, m->params[i].name);
		for (int d = 0; d < m->params[i].dims; d++)
			buf_putf(&b, " %lld", (long long)m->params[i].dim[d]);
		buf_putc(&b, ';');
	}
	for (size_t i = 0; i < b.len; i++)
		h = (h ^ (unsigned char)b.p[i]) * 0x100000001b3u;
	buf_release(&b);
	return rand_mix(h);
}

static int finish(struct model *m, struct err *err)
{
	const struct layer *last;

	if (!m->n)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no layer with parameters");
	last = &m->layers[m->n_layers - 1];
	m->classes = (int)shape_len(&last->out);
	m->text = canonical(m);
	m->layout = layout_hash(m);
	return 0;
}

int model_open(struct model **out, const char *text, struct err *err)
{
	struct model *m;
	char *copy, *save;
	int rc = 0;

	if (strlen(text) > MODEL_TEXT_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a model's text of more than %d bytes",
			       MODEL_TEXT_MAX);
	m = mem_zero(1, sizeof(*m));
	m->in = default_input;
	m->layers = mem_zero(MODEL_LAYERS_MAX + 1, sizeof(*m->layers));
	m->params = mem_zero(MODEL_LAYERS_MAX * LAYER_PARAMS + LAYER_PARAMS,
			     sizeof(*m->params));
	copy = mem_str(preset_text(text));
	for (char *s = strtok_r(copy, ";\n", &save); s && !rc;
	     s = strtok_r(NULL, ";\n", &save))
		rc = add_statement(m, s, err);
	free(copy);
	if (!rc)
		rc = finish(m, err);
	if (rc) {
		model_free(m);
		return err_wrap(err, "model \"%.60s\"", text);
	}
	*out = m;
	return 0;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	free(m->text);
	free(m->layers);
	free(m->params);
	free(m);
}

void model_init(const struct model *m, uint64_t seed, float *values)
{
	for (int i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];
		struct rand r = {rand_mix(seed) + (uint64_t)i};

		for (size_t j = 0; j < p->len; j++)
			values[p->at + j] =
				(float)((2 * rand_unit(&r) - 1) * p->bound);
	}
}
