/* json_scan.h - bounds JSON before the library that builds it in memory. */
#ifndef WIRE_JSON_SCAN_H
#define WIRE_JSON_SCAN_H

#include <jansson.h>

#include "base/buf.h"

/* The first character of a string that json_scan() made of a number. */
enum { JSON_LONG_NUMBER = '\0' };

/* Check the limits of json.h; past one RESOURCE_EXHAUSTED naming it.
 * Numbers that jansson would refuse or round (integers of 19 or more
 * characters, and -0) become strings beginning with JSON_LONG_NUMBER: if there
 * are any, *exact has the whole text anew, else it stays empty. */
int json_scan(const char *text, size_t len, struct buf *exact,
	      struct err *err) MUST_CHECK;

/* What jansson makes of text, or INVALID_ARGUMENT; flags are jansson's. */
int json_load(json_t **out, const char *text, size_t len, size_t flags,
	      struct err *err) MUST_CHECK;

#endif
