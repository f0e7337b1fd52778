#include "base/outcell.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"

struct out_cell out_none(void)
{
	return (struct out_cell){.none = true};
}

struct out_cell out_int(int64_t v)
{
	return (struct out_cell){.type = OUT_INT, .i = v};
}

struct out_cell out_real(double v)
{
	return (struct out_cell){
		.type = OUT_REAL, .r = v, .none = !isfinite(v)};
}

struct out_cell out_bool(bool v)
{
	return (struct out_cell){.type = OUT_BOOL, .i = v};
}

struct out_cell out_time(int64_t wall_ms)
{
	return (struct out_cell){
		.type = OUT_TIME, .i = wall_ms, .none = !wall_ms};
}

struct out_cell out_text(const char *s)
{
	return (struct out_cell){
		.type = OUT_TEXT, .p = s, .len = s ? strlen(s) : 0, .none = !s};
}

struct out_cell out_bytes(const void *p, size_t len)
{
	return (struct out_cell){.type = OUT_BYTES, .p = p, .len = len};
}

struct out_cell out_json(const char *json)
{
	struct out_cell c = out_text(json);

	c.type = OUT_JSON;
	return c;
}

struct out_cell out_spread(const char *object)
{
	struct out_cell c = out_text(object);

	c.type = OUT_SPREAD;
	return c;
}

/* Append the value as it is. */
static void put_raw(struct buf *b, const struct out_cell *c)
{
	char time[CLOCK_TEXT];

	switch (c->type) {
	case OUT_INT:
		buf_putf(b, "%" PRId64, c->i);
		break;
	case OUT_REAL:
		buf_putf(b, "%.15g", c->r);
		break;
	case OUT_BOOL:
		buf_puts(b, c->i ? "true" : "false");
		break;
	case OUT_TIME:
		buf_puts(b, clock_text(c->i, time));
		break;
	case OUT_TEXT:
	case OUT_WORDS:
	case OUT_BYTES:
	case OUT_JSON:
	case OUT_SPREAD:
		buf_put(b, c->p, c->len);
		break;
	}
}

static void put_escaped(struct buf *b, const char *p, size_t len, bool all)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\\')
			buf_puts(b, "\\\\");
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (all && (c < 0x20 || c == 0x7f))
			buf_putf(b, "\\x%02x", c);
		else
			buf_putc(b, (char)c);
	}
}

char *outcell_text(const struct out_cell *c, bool escape)
{
	struct buf raw = BUF_INIT(0), b = BUF_INIT(0);

	if (c->none)
		return mem_str("-");
	if (c->type == OUT_REAL)
		buf_putf(&raw, "%.6g", c->r);
	else
		put_raw(&raw, c);
	if (!escape)
		return buf_take(&raw);
	buf_puts(&b, "");
	put_escaped(&b, raw.p, raw.len, true);
	buf_release(&raw);
	return buf_take(&b);
}

void outcell_tsv(struct buf *b, const struct out_cell *c)
{
	struct buf raw = BUF_INIT(0);

	if (c->none)
		return;
	put_raw(&raw, c);
	put_escaped(b, raw.p, raw.len, false);
	buf_release(&raw);
}

static json_t *json_of(const struct out_cell *c)
{
	char time[CLOCK_TEXT];

	switch (c->type) {
	case OUT_INT:
		return json_integer(c->i);
	case OUT_REAL:
		return json_real(c->r);
	case OUT_BOOL:
		return json_boolean(c->i);
	case OUT_TIME:
		return json_string(clock_text(c->i, time));
	case OUT_JSON:
	case OUT_SPREAD:
		return json_loadb(c->p, c->len, JSON_DECODE_ANY, NULL);
	case OUT_TEXT:
	case OUT_WORDS:
	case OUT_BYTES:
		break;
	}
	return json_stringn(c->len ? c->p : "", c->len);
}

static json_t *base64(const struct out_cell *c)
{
	size_t len = base64_size(c->len);
	char *text = mem_zero(len + 1, 1);
	json_t *v;

	base64_encode(text, c->p, c->len);
	v = json_stringn(text, len);
	free(text);
	return v;
}

void outcell_json(json_t *row, const char *key, const struct out_cell *c)
{
	json_t *v = c->none ? json_null() : json_of(c);
	char *name;

	if (c->type == OUT_SPREAD) {
		json_object_update_missing(row, v);
		json_decref(v);
		return;
	}
	if (v) {
		json_object_set_new(row, key, v);
		return;
	}
	name = mem_fmt("%s_b64", key);
	json_object_set_new(row, name, base64(c));
	free(name);
}

char *outcell_head(const char *key)
{
	char *head = mem_str(key);

	for (char *p = head; *p; p++)
		*p = *p == '_' ? ' ' : (char)toupper((unsigned char)*p);
	return head;
}
