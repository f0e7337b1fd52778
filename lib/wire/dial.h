/* dial.h - one connection to a server: looks up its name, connects, and
 * carries bytes both ways. What libcurl does not: streams of HTTP/2.
 *
 * All on the loop's thread. */
#ifndef WIRE_DIAL_H
#define WIRE_DIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/loop.h"
#include "wire/tls.h"

struct dial;

/* None runs within a dial_…(); each may call them, dial_close() too. */
struct dial_hooks {
	void (*up)(void *arg); /* connected, with TLS if that was asked for */
	void (*bytes)(void *arg, const char *p, size_t len);
	/* dial_later() asked for it, or all that was given is sent. */
	void (*turn)(void *arg);
	/* It could not connect, or the connection has ended; once. */
	void (*over)(void *arg, const struct err *err);
};

/* url as transfer_check_url() likes it; bind is a source address in numbers, or
 * NULL. Both are copied. tls (or NULL) is for https, borrowed until the up
 * hook; HTTP/2 is then agreed upon. Freed by dial_close() alone. */
struct dial *dial_open(struct loop *loop, const char *url, const char *bind,
		       struct tls *tls, const struct dial_hooks *hooks,
		       void *arg);
void dial_close(struct dial *d); /* no hook runs any more; NULL is nothing */

/* From the next connection on: it is lost when bytes that were sent have not
 * been acknowledged for so long. */
void dial_stall(struct dial *d, int64_t ms);

/* What is appended here goes with dial_flush(), once connected. */
struct buf *dial_out(struct dial *d);
void dial_flush(struct dial *d);
size_t dial_unsent(const struct dial *d); /* bytes the kernel has not taken */

void dial_later(struct dial *d); /* the turn hook, soon */

/* Bytes of "https://HOST:PORT/" that name host and port. */
const char *dial_authority(const char *url, size_t *len);

#endif
