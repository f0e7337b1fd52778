#include "fl/contract.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json_scan.h"
#include "wire/utf8.h"

void contract_begin(struct contract *c)
{
	c->result = false;
	c->num_examples = 0;
	c->loss = c->accuracy = NAN;
	c->bytes = 0;
}

void contract_release(struct contract *c)
{
	buf_release(&c->line);
}

/* ---- a message ---- */

static int wrong(const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s", what);
}

static int take_ready(struct contract *c, const json_t *o, struct err *err)
{
	const json_t *protocol = json_object_get(o, "protocol");

	if (!json_is_integer(protocol) ||
	    json_integer_value(protocol) != CONTRACT_PROTOCOL)
		return wrong("ready, but not with \"protocol\":1", err);
	c->ready = true;
	return 0;
}

/* JSON has no number that is not finite. */
static int take_metric(const json_t *metrics, const char *name, double low,
		       double high, double *to, struct err *err)
{
	const json_t *v = json_object_get(metrics, name);
	double value = json_number_value(v);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v) || value < low || value > high)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "its %s is no number from %g to %g", name, low,
			       high);
	*to = value;
	return 0;
}

static int take_result(struct contract *c, const json_t *o, struct err *err)
{
	const json_t *n = json_object_get(o, "num_examples");
	const json_t *metrics = json_object_get(o, "metrics");

	if (c->result)
		return wrong("a second result", err);
	if (n && (!json_is_integer(n) || json_integer_value(n) < 0))
		return wrong("num_examples is no whole number from 0", err);
	if (metrics && !json_is_object(metrics))
		return wrong("metrics is no object", err);
	if (take_metric(metrics, "loss", -1e300, 1e300, &c->loss, err) ||
	    take_metric(metrics, "accuracy", 0, 1, &c->accuracy, err))
		return (int)err->code;
	c->num_examples = n ? json_integer_value(n) : 0;
	c->result = true;
	return 0;
}

static int take_message(struct contract *c, const json_t *o, struct err *err)
{
	const char *type = json_string_value(json_object_get(o, "type"));

	if (!type)
		return wrong("no object with a \"type\"", err);
	if (!strcmp(type, "ready"))
		return take_ready(c, o, err);
	return strcmp(type, "result") ? 0 : take_result(c, o, err);
}

/* ---- lines ---- */

static bool is_blank(const struct buf *b)
{
	return strspn(b->p, " \t\r") == b->len;
}

static int read_line(struct contract *c, struct err *err)
{
	struct buf exact = BUF_INIT(0);
	json_t *o = NULL;
	int rc = json_scan(c->line.p, c->line.len, &exact, err);

	if (!rc && exact.len)
		rc = json_load(&o, exact.p, exact.len, JSON_ALLOW_NUL, err);
	else if (!rc)
		rc = json_load(&o, c->line.p, c->line.len, 0, err);
	if (!rc)
		rc = take_message(c, o, err);
	json_decref(o);
	buf_release(&exact);
	return rc;
}

static int end_line(struct contract *c, struct err *err)
{
	int rc;

	c->lines++;
	rc = !c->line.len || is_blank(&c->line) ? 0 : read_line(c, err);
	if (rc) {
		char *text = mem_dup(c->line.p, c->line.len);

		err_wrap(err, "line %zu of its stdout, \"%.80s\"", c->lines,
			 text);
		free(text);
	}
	buf_reset(&c->line);
	return rc;
}

int contract_feed(struct contract *c, const char *p, size_t len,
		  struct err *err)
{
	c->line.max = CONTRACT_LINE_MAX;
	while (len) {
		const char *end = memchr(p, '\n', len);
		size_t n = end ? (size_t)(end - p) : len;

		c->bytes += n;
		if (c->bytes > CONTRACT_ALL_MAX ||
		    buf_add(&c->line, p, n, NULL))
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				       "it printed more than %d bytes%s",
				       c->bytes > CONTRACT_ALL_MAX
					       ? CONTRACT_ALL_MAX
					       : CONTRACT_LINE_MAX,
				       c->bytes > CONTRACT_ALL_MAX
					       ? ""
					       : " without a newline");
		if (end && end_line(c, err))
			return (int)err->code;
		p += n + (end != NULL);
		len -= n + (end != NULL);
	}
	return 0;
}

int contract_end(struct contract *c, struct err *err)
{
	return c->line.len ? end_line(c, err) : 0;
}

/* ---- what goes there, and what comes from its stderr ---- */

void contract_task(struct buf *to, const struct facts *facts)
{
	json_t *o = json_object();
	char *text;

	for (size_t i = 0; i < facts->n; i++) {
		const char *value = strchr(facts->at[i], '=');
		char *name =
			mem_dup(facts->at[i], (size_t)(value - facts->at[i]));
		struct buf clean = BUF_INIT(0);

		utf8_put(&clean, value + 1, strlen(value + 1));
		json_object_set_new(o, name,
				    json_string(clean.p ? clean.p : ""));
		buf_release(&clean);
		free(name);
	}
	text = json_dumps(o, JSON_COMPACT);
	buf_puts(to, text);
	buf_putc(to, '\n');
	free(text);
	json_decref(o);
}

void contract_words(struct buf *to, const char *p, size_t len)
{
	while (len && strchr(" \t\r\n", p[len - 1]))
		len--;
	utf8_put(to, p, len);
}
