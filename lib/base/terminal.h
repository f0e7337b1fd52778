/* terminal.h - lines that a person types, or that a script holds, from standard
 * input: edited and remembered by libedit on a terminal, plain otherwise.
 *
 * One thread reads (a worker, since it waits), another may wake it. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include <stdbool.h>

#include "base/buf.h"

struct terminal;

enum terminal_input {
	TERMINAL_LINE,
	TERMINAL_END,         /* of the input, or terminal_stop() */
	TERMINAL_INTERRUPTED, /* terminal_interrupt(): the line is dropped */
	TERMINAL_TOO_LONG,    /* the line is past line's limit, and skipped */
};

/* Before there are threads: it sets the locale of characters. */
int terminal_open(struct terminal **out, struct err *err) MUST_CHECK;

/* Is there somebody who types? */
bool terminal_is_person(const struct terminal *t);

/* Put the next line, without its end, in place of what line held. Waits. While
 * a person types, what is logged appears above the line. The prompt, which is
 * borrowed for the call, is for persons. */
enum terminal_input terminal_read(struct terminal *t, const char *prompt,
				  struct buf *line);

/* From the other thread: end the read that is under way, or the next. */
void terminal_interrupt(struct terminal *t);
void terminal_stop(struct terminal *t);

/* Nobody reads any more. NULL is nothing. */
void terminal_close(struct terminal *t);

#endif
