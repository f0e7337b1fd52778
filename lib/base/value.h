/* value.h - text to value, for every kind of option. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include <stdint.h>

#include "base/opt.h"

/* Parse text as the row's kind says and store it at base + row->at. Pointers
 * into text are kept. INVALID_ARGUMENT or OUT_OF_RANGE say what was expected,
 * without naming the option. */
int value_set(const struct opt *row, void *base, const char *text,
	      struct err *err) MUST_CHECK;

/* "300ms", "10s", "2m", "1h", "1d", "0.5"; a bare number counts unit_ms. */
int value_duration(const char *text, int64_t unit_ms, int64_t *ms,
		   struct err *err) MUST_CHECK;

/* Bytes: "512", "64K", "1M", "2GiB", powers of 1024. */
int value_size(const char *text, int64_t *bytes, struct err *err) MUST_CHECK;

/* HOST:PORT, [V6]:PORT, :PORT (host 127.0.0.1). Port 0 is allowed. */
int value_addr(const char *text, struct opt_addr *addr,
	       struct err *err) MUST_CHECK;

/* Index of text among "a|b|c", in any case of letters, or -1. */
int value_choice(const char *choices, const char *text);

/* A string that is kept until the process ends; takes ownership. */
const char *value_keep(char *text);

#endif
