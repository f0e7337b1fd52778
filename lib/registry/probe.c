#include "registry/probe.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

const char *probe_word(enum probe_status status)
{
	return words[status];
}

void probe_release(struct probe *p)
{
	buf_release(&p->text);
	buf_release(&p->urls);
}

static enum probe_status worse(enum probe_status a, enum probe_status b)
{
	static const int rank[] = {0, 1, 3, 2};

	return rank[a] > rank[b] ? a : b;
}

/* A line with one bar in it: what others said may hold no more of either. */
static void put_plain(struct buf *to, const char *s)
{
	for (; *s; s++)
		buf_putc(to, *s == '|' || (unsigned char)*s < ' ' ? ' ' : *s);
}

void probe_say(struct probe *p, enum probe_status status, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (p->text.len)
		buf_puts(&p->text, ", ");
	put_plain(&p->text, text);
	p->status = worse(p->status, status);
}

void probe_fail(struct probe *p, enum probe_status status,
		const struct err *err)
{
	bool there = err->code != ERR_UNAVAILABLE &&
		     err->code != ERR_DEADLINE_EXCEEDED &&
		     err->code != ERR_FAILED_PRECONDITION;

	probe_say(p, there ? PROBE_UNKNOWN : status, "%s", err->msg);
}

void probe_add(struct probe *p, const struct probe_figure *f)
{
	assert(p->n < PROBE_FIGURES_MAX);
	p->figures[p->n++] = *f;
}

enum probe_status probe_least(double value, double warn, double crit)
{
	if (value < crit)
		return PROBE_CRITICAL;
	return value < warn ? PROBE_WARNING : PROBE_OK;
}

enum probe_status probe_most(double value, double warn, double crit)
{
	return probe_least(-value, -warn, -crit);
}

void probe_plugin(const struct probe *p, struct buf *out)
{
	buf_putf(out, "%s - %s", probe_word(p->status), p->text.p);
	for (size_t i = 0; i < p->n; i++) {
		const struct probe_figure *f = &p->figures[i];

		buf_putf(out, "%s%s=%.10g%s", i ? " " : " | ", f->name,
			 f->value, f->unit == PROBE_SECONDS ? "s" : "");
		if (f->bounded)
			buf_putf(out, ";%.10g;%.10g;0", f->warn, f->crit);
		else
			buf_puts(out, ";;;0");
	}
	buf_putc(out, '\n');
}

static void put_sample(struct buf *out, const struct probe *p, const char *name,
		       const char *help, double value)
{
	buf_putf(out,
		 "# HELP gfl_check_%s %s\n# TYPE gfl_check_%s gauge\n"
		 "gfl_check_%s{probe=\"%s\",%s=\"",
		 name, help, name, name, p->name,
		 p->whose);
	for (const char *s = p->urls.p; s && *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *s);
	}
	buf_putf(out, "\"} %.15g\n", value);
}

void probe_prom(const struct probe *p, int64_t wall_ms, struct buf *out)
{
	put_sample(out, p, "status", "0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
		   p->status);
	put_sample(out, p, "timestamp_seconds",
		   "When it was found, since the Unix epoch.",
		   (double)wall_ms / 1000);
	for (size_t i = 0; i < p->n; i++) {
		const struct probe_figure *f = &p->figures[i];
		char name[64];

		snprintf(name, sizeof(name), "%s%s", f->name,
			 f->unit == PROBE_SECONDS ? "_seconds" : "");
		put_sample(out, p, name, f->help, f->value);
	}
}

void probe_json(const struct probe *p, int64_t wall_ms, struct buf *out)
{
	json_t *all = json_object();
	char *text;

	json_object_set_new(all, "probe", json_string(p->name));
	json_object_set_new(all, "status", json_string(probe_word(p->status)));
	json_object_set_new(all, "text", json_string(p->text.p));
	json_object_set_new(all, "at_ms", json_integer(wall_ms));
	for (size_t i = 0; i < p->n; i++) {
		const struct probe_figure *f = &p->figures[i];
		char name[64];

		snprintf(name, sizeof(name), "%s%s", f->name,
			 f->unit == PROBE_SECONDS ? "_s" : "");
		json_object_set_new(all, name, json_real(f->value));
	}
	text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (!text)
		abort();
	buf_puts(out, text);
	buf_putc(out, '\n');
	free(text);
	json_decref(all);
}
