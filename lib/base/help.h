/* help.h - what -h prints, from the table of options. */
#ifndef BASE_HELP_H
#define BASE_HELP_H

#include <stdio.h>

#include "base/buf.h"
#include "base/opt.h"

/* Usage, options with defaults, environment, exit statuses; in 80 columns.
 * cmd is the command asked about, or NULL. */
void help_print(FILE *f, const struct prog *prog, const struct opt_cmd *cmd);

/* What an option is, and of which words its value is one. */
void help_brief(struct buf *out, const struct opt *row);

/* A row of the table of exit statuses; the table ends with a NULL. */
struct help_exit {
	int status;
	const char *meaning;
};
extern const struct help_exit help_exits[];

#endif
