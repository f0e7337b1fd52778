/* guard.h - a command and all that it started end together.
 *
 * It runs in a session of its own. When it ends, whatever descends from it and
 * still lives is killed, also what left its session or was given up by its
 * parents; and when who asked for it is gone, so is the command. Takes the
 * process over: signals, children, and the right to gain privileges. */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <stdint.h>

#include "base/command.h"

struct guard_opts {
	const char *path;   /* to execute */
	char *const *words; /* its argv, ended by NULL */
	int lifeline;       /* at its end, or a byte, the command goes; or -1 */
	int64_t grace_ms;   /* from TERM to KILL */
};

/* Run it with our standard streams and environment. TERM, INT and HUP end it,
 * as the lifeline does: TERM, then KILL. *status is its exit status, 128+n
 * where a signal ended it; 126 and 127, and a line on stderr, where it could
 * not be executed or is not there. */
int guard_run(const struct guard_opts *o, int *status,
	      struct err *err) MUST_CHECK;

/* Let c be run below gfl-guard, the program beside the one that runs now, by
 * whatever starts it but command_run(). It fails as access() does. */
int guard_command(struct command *c, struct err *err) MUST_CHECK;

/* command_open() and that. */
int guard_open(struct command **out, const char *text,
	       struct err *err) MUST_CHECK;

/* Its argv for a command, with the number of the lifeline's descriptor and the
 * grace as --grace has it; free() the array, whose words are borrowed. */
char **guard_words(const struct command *c, char *lifeline, char *grace);

#endif
