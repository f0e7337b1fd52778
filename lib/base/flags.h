/* flags.h - the flags of argv, by getopt_long with tables made from ours. */
#ifndef BASE_FLAGS_H
#define BASE_FLAGS_H

#include "base/parse.h"

/* Take every flag into p->values; argv is permuted, operands last. Returns the
 * index of the first of them. Exits with 2 at a mistake. */
int flags_read(struct parse *p, int argc, char **argv);

/* Set p->cmd to the command that argv names, if it names one; an unknown one
 * exits with 2. Only for a program that has commands. */
void flags_command(struct parse *p, int argc, char **argv);

#endif
