/* conf.h - a configuration file: `long-option = value` lines under optional
 * [program] sections, read by libinih. `_` counts as `-` in names. */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/err.h"

/* One line; the strings are borrowed for the call. section is "" above the
 * first one. A failure ends the reading and is passed on with the place. */
typedef int conf_fn(const char *section, const char *key, const char *value,
		    int line, void *arg, struct err *err);

/* Call fn for each line of the file at path. NOT_FOUND when there is none;
 * INVALID_ARGUMENT names file and line of what is malformed. */
int conf_read(const char *path, conf_fn *fn, void *arg,
	      struct err *err) MUST_CHECK;

#endif
