/* said.h - the standard error of a command, for our log: a line an event, up to
 * a bound. */
#ifndef BASE_SAID_H
#define BASE_SAID_H

#include <stddef.h>

#include "base/buf.h"

struct said {
	const char *by;  /* named in each event; NULL: nobody */
	struct buf line; /* so far */
	int lines;       /* logged */
};

void said_take(struct said *s, const char *p, size_t len);

/* What has no newline is a line too, and what comes is counted anew. */
void said_end(struct said *s);

void said_release(struct said *s);

#endif
