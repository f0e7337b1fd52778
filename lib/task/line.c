#include "task/line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "task/task_json.h"
#include "wire/rpc.h"

struct parser {
	Gfl__V1__TaskSpec *spec;
	size_t cap_after, cap_items;
	line_named_fn *named;
	void *arg;
};

static int wrong(const char *key, const char *want, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "gfl.%s is not %s", key,
		       want);
}

static int add_id(struct parser *p, int64_t id, struct err *err)
{
	if (id < 1)
		return wrong("after", "ids or names of tasks", err);
	p->spec->after =
		mem_grow(p->spec->after, &p->cap_after, p->spec->n_after + 1,
			 sizeof(*p->spec->after));
	p->spec->after[p->spec->n_after++] = id;
	return 0;
}

static int add_named(struct parser *p, const char *name, struct err *err)
{
	int64_t id = 0;
	int32_t item;

	if (!p->named(name, &id, &item, p->arg))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "gfl.after names \"%.80s\", which is no earlier "
			       "line",
			       name);
	if (id)
		return add_id(p, id, err);
	p->spec->after_items = mem_grow(p->spec->after_items, &p->cap_items,
					p->spec->n_after_items + 1,
					sizeof(*p->spec->after_items));
	p->spec->after_items[p->spec->n_after_items++] = item;
	return 0;
}

static int add_after(struct parser *p, const json_t *v, struct err *err)
{
	if (json_is_integer(v))
		return add_id(p, json_integer_value(v), err);
	if (json_is_string(v))
		return add_named(p, json_string_value(v), err);
	return wrong("after", "ids or names of tasks", err);
}

static int parse_after(struct parser *p, const json_t *v, struct err *err)
{
	int rc = 0;

	if (!json_is_array(v))
		return add_after(p, v, err);
	for (size_t i = 0; !rc && i < json_array_size(v); i++)
		rc = add_after(p, json_array_get(v, i), err);
	return rc;
}

static int parse_text(char **out, const char *key, const json_t *v,
		      struct err *err)
{
	if (!json_is_string(v) || !json_string_length(v) ||
	    json_string_length(v) > TASK_NAME_MAX)
		return wrong(key, "a text of 1 to 200 bytes", err);
	if (*out != protobuf_c_empty_string)
		free(*out);
	*out = mem_str(json_string_value(v));
	return 0;
}

static int parse_int(const char *key, const json_t *v, int64_t min, int64_t max,
		     int32_t *out, struct err *err)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < min || n > max)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "gfl.%s is not a number from %" PRId64
			       " to %" PRId64,
			       key, min, max);
	*out = (int32_t)n;
	return 0;
}

static int parse_timeout(const json_t *v, int64_t *ms, struct err *err)
{
	const double max = 365 * 86400, t = json_number_value(v);

	if (!json_is_number(v) || t < 0.001 || t > max)
		return wrong("timeout_s", "0.001 s to a year", err);
	*ms = (int64_t)(t * 1000);
	return 0;
}

static int parse_key(struct parser *p, const char *key, const json_t *v,
		     struct err *err)
{
	Gfl__V1__TaskSpec *s = p->spec;
	int rc;

	if (!strcmp(key, "name"))
		return parse_text(&s->name, key, v, err);
	if (!strcmp(key, "affinity"))
		return parse_text(&s->affinity, key, v, err);
	if (!strcmp(key, "after"))
		return parse_after(p, v, err);
	if (!strcmp(key, "priority"))
		return parse_int(key, v, -1000000, 1000000, &s->priority, err);
	if (!strcmp(key, "retries")) {
		rc = parse_int(key, v, 0, TASK_TRIES_MAX - 1, &s->tries, err);
		s->tries++;
		return rc;
	}
	if (!strcmp(key, "gpu")) {
		s->gpu = json_is_true(v);
		return json_is_boolean(v) ? 0
					  : wrong(key, "true or false", err);
	}
	if (!strcmp(key, "timeout_s"))
		return parse_timeout(v, &s->timeout_ms, err);
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "gfl.%.40s is unknown: there are name, after, priority, "
		       "retries, timeout_s, gpu, affinity",
		       key);
}

static int parse_gfl(struct parser *p, json_t *gfl, struct err *err)
{
	const char *key;
	json_t *v;

	if (!json_is_object(gfl))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "\"gfl\" is no object");
	json_object_foreach(gfl, key, v) if (parse_key(p, key, v, err)) return (
		int)err->code;
	return 0;
}

static Gfl__V1__TaskSpec *new_spec(const struct line_opts *o)
{
	Gfl__V1__TaskSpec *s = mem_zero(1, sizeof(*s));

	gfl__v1__task_spec__init(s);
	s->priority = o->priority;
	s->tries = o->retries + 1;
	s->timeout_ms = o->timeout_ms;
	s->gpu = o->gpu;
	if (o->affinity)
		s->affinity = mem_str(o->affinity);
	return s;
}

/* ---- what the worker is to get ---- */

/* These are of valid JSON, which ends with a brace. */
static const char *past_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *past_string(const char *p)
{
	for (p++; *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static const char *past_value(const char *p)
{
	int depth = 0;

	do {
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		p = *p == '"' ? past_string(p) : p + 1;
	} while (depth || !strchr(",}] \t\r\n", *p));
	return p;
}

/* The member "gfl" of an object, with one of the commas beside it; false: its
 * name is written otherwise. */
static bool find_gfl(const char *text, const char **from, const char **to)
{
	const char *before = strchr(text, '{') + 1, *p = past_space(before);

	while (*p == '"') {
		const char *name = p, *end = past_string(p);

		p = past_space(past_value(past_space(past_space(end) + 1)));
		if (end - name == 5 && !strncmp(name, "\"gfl\"", 5)) {
			bool last = *p != ',';

			*from = last ? before : name;
			*to = last ? p : past_space(p + 1);
			return true;
		}
		before = p;
		p = *p == ',' ? past_space(p + 1) : p;
	}
	return false;
}

/* As it was written, but for "gfl". */
static char *rest(json_t *all, const char *text, size_t len)
{
	const char *from, *to;
	char *whole, *out;

	if (!json_object_get(all, "gfl"))
		return mem_dup(text, len);
	json_object_del(all, "gfl");
	whole = mem_dup(text, len);
	out = find_gfl(whole, &from, &to)
		      ? mem_fmt("%.*s%s", (int)(from - whole), whole, to)
		      : json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(17));
	free(whole);
	return out;
}

int line_parse(Gfl__V1__TaskSpec **out, const char *text, size_t len,
	       const struct line_opts *o, line_named_fn *named, void *arg,
	       struct err *err)
{
	struct parser p = {.spec = new_spec(o), .named = named, .arg = arg};
	json_t *all = NULL, *gfl;
	int rc = task_json_object(text, len, &all, err);

	if (!rc && len > TASK_TEXT_MAX)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "a task of %zu bytes, at most %d", len,
			     TASK_TEXT_MAX);
	for (size_t i = 0; !rc && i < o->n_after; i++)
		rc = add_id(&p, o->after[i], err);
	gfl = json_object_get(all, "gfl");
	if (!rc && gfl)
		rc = parse_gfl(&p, gfl, err);
	if (rc) {
		rpc_free(&p.spec->base);
		err->code = ERR_INVALID_ARGUMENT;
	} else {
		p.spec->task = rest(all, text, len);
		*out = p.spec;
	}
	json_decref(all);
	return rc ? (int)err->code : 0;
}
