/* log.h - events on stderr, one a line, as key=value or JSON.
 *
 *	log_info("leader", "term=%lld node=%lld", term, node);
 *
 * The format is a literal of `key=value` words separated by spaces; each value
 * is escaped by itself, so that whatever a peer sends stays one value of one
 * line. %d %i %u %x %c %s %.*s %f %g %e with l, ll, z and j are understood; a
 * NaN is none: a dash, or null.
 * What went wrong is `error`, why something else happened `reason`. Safe from
 * any thread; a line leaves in one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

#define LOG_LEVELS "error|warn|info|debug"
#define LOG_FORMATS "text|json"

/* The format is pasted to a space, so it must be a literal and may be absent:
 * log_info("leaving"). */
#define log_error(event, ...) log_write(LEVEL_ERROR, event, " " __VA_ARGS__)
#define log_warn(event, ...) log_write(LEVEL_WARN, event, " " __VA_ARGS__)
#define log_info(event, ...) log_write(LEVEL_INFO, event, " " __VA_ARGS__)
#define log_debug(event, ...) log_write(LEVEL_DEBUG, event, " " __VA_ARGS__)

void log_write(enum log_level level, const char *event, const char *fmt, ...)
	PRINTF(3, 4);

/* An error that nobody above can be told: what failed, why, and the hint. */
void log_err(const char *event, const struct err *err);

/* Set before threads start. prog is kept, not copied. */
void log_setup(const char *prog, enum log_level level, bool json);
void log_set_level(enum log_level level); /* at any time */

/* Keep lines instead of writing them, and call wake(arg), on whatever thread
 * logs, for each: a person is typing where they would go. With NULL they are
 * written again, the kept ones first; so they are beyond 256 KiB. */
typedef void log_wake_fn(void *arg);
void log_keep(log_wake_fn *wake, void *arg);

/* Append the lines kept since the last time to out. */
void log_take(struct buf *out);

/* Is stderr a file or the journal, and nobody who reads it until its end? */
bool log_lasts(void);

/* Would an event of this level be written? For what is costly to gather. */
bool log_on(enum log_level level);

#endif
