#include "base/said.h"

#include "base/log.h"

enum {
	LINES_LOGGED = 100,
	LINE_LOGGED = 400,
};

static void log_line(struct said *s)
{
	if (s->line.len && s->lines++ < LINES_LOGGED) {
		if (s->by)
			log_info("said", "by=%s line=%s", s->by, s->line.p);
		else
			log_info("said", "line=%s", s->line.p);
	}
	buf_reset(&s->line);
}

void said_take(struct said *s, const char *p, size_t len)
{
	for (size_t i = 0; i < len && s->lines < LINES_LOGGED; i++) {
		if (p[i] == '\n' || s->line.len >= LINE_LOGGED)
			log_line(s);
		if (p[i] != '\n' && p[i] != '\r' && p[i])
			buf_putc(&s->line, p[i]);
	}
}

void said_end(struct said *s)
{
	log_line(s);
	s->lines = 0;
}

void said_release(struct said *s)
{
	buf_release(&s->line);
}
