#include "task/task_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/json_scan.h"

typedef Morphml__Distributed__EvaluateRequest request;
typedef Morphml__Distributed__EvaluationConfig config;
typedef Morphml__Distributed__EvaluationConfig__ExtraEntry extra;

int task_json_object(const char *text, size_t len, json_t **out,
		     struct err *err)
{
	struct buf exact = BUF_INIT(0);
	json_error_t why;
	json_t *v = NULL;
	int rc = json_scan(text, len, &exact, err);

	buf_release(&exact);
	/* jansson takes a NUL behind a word for a space */
	if (!rc && len && memchr(text, '\0', len))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no JSON: a NUL");
	if (!rc && !(v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why)))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "no JSON: column %d: %s", why.column, why.text);
	if (!rc && !json_is_object(v))
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no JSON object");
	if (rc || !out)
		json_decref(v);
	else
		*out = v;
	return rc;
}

/* ---- to a worker ---- */

/* The fields of a configuration, by the names that people give them. */
static const struct field {
	const char *keys[3];
	size_t at;
	enum { WHOLE, REAL, TEXT } kind;
} fields[] = {
	{{"num_epochs", "epochs"}, offsetof(config, num_epochs), WHOLE},
	{{"batch_size", "batch"}, offsetof(config, batch_size), WHOLE},
	{{"learning_rate", "lr"}, offsetof(config, learning_rate), REAL},
	{{"dataset"}, offsetof(config, dataset), TEXT},
};

static const struct field *field_of(const char *key)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		for (int k = 0; fields[i].keys[k]; k++)
			if (!strcmp(fields[i].keys[k], key))
				return &fields[i];
	return NULL;
}

static bool set_field(config *c, const struct field *f, const json_t *v)
{
	void *at = (char *)c + f->at;

	if (f->kind == TEXT ? !json_is_string(v) : !json_is_number(v))
		return false;
	if (f->kind == WHOLE && fabs(json_number_value(v)) > INT32_MAX)
		return false;
	if (f->kind == WHOLE)
		*(int32_t *)at = (int32_t)json_number_value(v);
	else if (f->kind == REAL)
		*(double *)at = json_number_value(v);
	else
		*(char **)at = mem_str(json_string_value(v));
	return true;
}

static void add_extra(config *c, const char *key, const json_t *v)
{
	extra *e = mem_zero(1, sizeof(*e));
	char *text = json_is_string(v)
			     ? mem_str(json_string_value(v))
			     : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	size_t cap = c->n_extra;

	morphml__distributed__evaluation_config__extra_entry__init(e);
	e->key = mem_str(key);
	e->value = text;
	c->extra = mem_grow(c->extra, &cap, c->n_extra + 1, sizeof(*c->extra));
	c->extra[c->n_extra++] = e;
}

static void describe(request *out, const char *text)
{
	json_t *all = json_loads(text, 0, NULL), *v;
	const json_t *a = json_object_get(all, "architecture");
	const char *key;

	if (json_is_string(a))
		out->architecture = mem_str(json_string_value(a));
	else
		out->architecture =
			a ? json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT)
			  : mem_str(text);
	json_object_foreach(all, key, v)
	{
		const struct field *f = field_of(key);

		if (v == a || (f && set_field(out->config, f, v)))
			continue;
		if (!json_is_object(v) && !json_is_array(v))
			add_extra(out->config, key, v);
	}
	json_decref(all);
}

request *task_json_request(const struct task *t)
{
	request *out = mem_zero(1, sizeof(*out));

	morphml__distributed__evaluate_request__init(out);
	out->task_id = mem_fmt("%" PRId64, t->id);
	out->config = mem_zero(1, sizeof(*out->config));
	morphml__distributed__evaluation_config__init(out->config);
	if (t->on && t->on->gfl) {
		out->task = mem_str(t->text);
		out->attempt = t->tries;
		out->timeout_ms = t->timeout_ms;
	} else {
		describe(out, t->text);
	}
	if (t->gpu_index >= 0) {
		out->config->gpu_id = t->on->gpus[t->gpu_index];
		out->has_gpu = true;
	}
	return out;
}

/* ---- from a master ---- */

static json_t *number_of(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	if (json_is_number(v) || json_is_boolean(v))
		return v;
	json_decref(v);
	return json_string(text);
}

static void unset(json_t *all, const char *key, json_t *v)
{
	if (v && !json_object_get(all, key))
		json_object_set(all, key, v);
	json_decref(v);
}

static void add_config(json_t *all, const config *c)
{
	unset(all, "num_epochs",
	      c->num_epochs ? json_integer(c->num_epochs) : NULL);
	unset(all, "batch_size",
	      c->batch_size ? json_integer(c->batch_size) : NULL);
	unset(all, "learning_rate",
	      isfinite(c->learning_rate) && c->learning_rate != 0
		      ? json_real(c->learning_rate)
		      : NULL);
	unset(all, "dataset", *c->dataset ? json_string(c->dataset) : NULL);
	for (size_t i = 0; i < c->n_extra; i++)
		unset(all, c->extra[i]->key, number_of(c->extra[i]->value));
}

/* An architecture that is no JSON is the short text of a model. */
static json_t *architecture(const char *text)
{
	struct err none;
	json_t *all = NULL, *v = NULL;
	struct buf exact = BUF_INIT(0);

	if (json_scan(text, strlen(text), &exact, &none) ||
	    json_load(&v, text, strlen(text), JSON_REJECT_DUPLICATES, &none))
		v = *text ? json_string(text) : json_object();
	buf_release(&exact);
	if (json_is_object(v) && !json_object_get(v, "layers") &&
	    !json_object_get(v, "nodes"))
		return v;
	all = json_object();
	json_object_set_new(all, "architecture", v);
	return all;
}

int task_json_text(const request *in, char **out, struct err *err)
{
	json_t *all;

	if (*in->task) {
		if (task_json_object(in->task, strlen(in->task), NULL, err))
			return (int)err->code;
		*out = mem_str(in->task);
		return 0;
	}
	all = architecture(in->architecture);
	if (in->config)
		add_config(all, in->config);
	*out = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(all);
	if (!*out)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "task %.80s is no text", in->task_id);
	return 0;
}

/* ---- what came of it ---- */

char *task_json_metrics(task_json_metric *const *all, size_t n)
{
	json_t *o = json_object();
	char *out;

	for (size_t i = 0; i < n; i++) {
		double v = all[i]->value;

		json_object_set_new(o, all[i]->key,
				    isfinite(v) ? json_real(v)
				    : isnan(v)  ? json_string("nan")
				    : v > 0     ? json_string("inf")
						: json_string("-inf"));
	}
	out = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(o);
	return out;
}

int task_json_printed(const char *text, size_t len, char **out, struct err *err)
{
	const char *line;

	*out = NULL;
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (!len)
		return 0;
	line = memrchr(text, '\n', len);
	line = line ? line + 1 : text;
	len -= (size_t)(line - text);
	if (task_json_object(line, len, NULL, err)) {
		err_wrap(err, "its last line \"%.*s\"",
			 len < 60 ? (int)len : 60, line);
		return err->code = ERR_INVALID_ARGUMENT;
	}
	*out = mem_dup(line, len);
	return 0;
}

void task_json_numbers(const char *json, task_json_metric ***all, size_t *n)
{
	json_t *o = json_loads(json, 0, NULL), *v;
	json_t *in = json_object_get(o, "metrics");
	const char *key;

	in = json_is_object(in) ? in : o;
	*n = 0;
	*all = mem_zero(json_object_size(in) + 1, sizeof(**all));
	json_object_foreach(in, key, v)
	{
		task_json_metric *m;

		if (!json_is_number(v))
			continue;
		m = mem_zero(1, sizeof(*m));
		morphml__distributed__result_request__metrics_entry__init(m);
		m->key = mem_str(key);
		m->value = json_number_value(v);
		(*all)[(*n)++] = m;
	}
	json_decref(o);
}

void task_json_free_numbers(task_json_metric **all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(all[i]->key);
		free(all[i]);
	}
	free(all);
}
