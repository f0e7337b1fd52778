/* command.h - a user's command that handles one thing: input on its stdin,
 * facts in its environment, and an exit status that says whether it did. */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include <stddef.h>

#include "base/err.h"

struct command;

/* Split text into words at blanks, without a shell, and find the first of them
 * on the PATH, unless it has a '/', as it is now: the working directory and the
 * PATH may change later. No word is INVALID_ARGUMENT, a program that is not
 * there NOT_FOUND, one that may not be run RESOURCE_EXHAUSTED. command_free()
 * it. */
int command_open(struct command **out, const char *text,
		 struct err *err) MUST_CHECK;

/* Run it with len bytes at input on its stdin, with our environment, stdout and
 * stderr, and wait. A status that is not 0, or a signal, is ABORTED: "PROGRAM
 * exited with status 3". */
int command_run(const struct command *c, const void *input, size_t len,
		struct err *err) MUST_CHECK;

void command_free(struct command *c); /* NULL is nothing */

#endif
