/* command.h - a user's command that handles one thing: input on its stdin,
 * facts in its environment, and an exit status that says whether it did. */
#ifndef BASE_COMMAND_H
#define BASE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct command;

/* Split text as words.h does, without a shell, and find the first word on the
 * PATH, unless it has a '/', as it is now: the working directory and the
 * PATH may change later. No word is INVALID_ARGUMENT, a program that is not
 * there NOT_FOUND, one that may not be run RESOURCE_EXHAUSTED. command_free()
 * it. */
int command_open(struct command **out, const char *text,
		 struct err *err) MUST_CHECK;
/* The same with n words that are there already. */
int command_of(struct command **out, const char *const *words, size_t n,
	       struct err *err) MUST_CHECK;
void command_free(struct command *c); /* NULL is nothing */

/* To be run below the program of this path, which is taken: see guard.h. */
void command_guard_take(struct command *c, char *guard);

/* Variables that a command gets on top of others. All zero is none. */
enum { FACTS_MAX = 64 };
struct facts {
	char *at[FACTS_MAX]; /* "NAME=VALUE" */
	size_t n;
};
void facts_add(struct facts *f, const char *name, const char *fmt, ...)
	PRINTF(3, 4);
void facts_join(struct facts *to, const struct facts *from);
void facts_release(struct facts *f);

/* The facts, and of our environment what they do not name and, unless it is
 * NULL, allow() takes. free() the array; what it points to is borrowed. */
typedef bool command_allow_fn(const char *variable);
char **facts_env(const struct facts *f, command_allow_fn *allow);

/* All but what configures us: what trains needs the variables of its libraries
 * and its devices. */
bool command_allow_work(const char *variable);

/* Run it with len bytes at input on its stdin, with our environment and the
 * facts, our stdout and stderr, and wait. A status that is not 0, or a signal,
 * is ABORTED: "PROGRAM exited with status 3". It is in our session and group, so
 * that a terminal's signals reach both, and is left alone by whoever kills us
 * alone. process.h does not wait. */
int command_run(const struct command *c, const struct facts *facts,
		const void *input, size_t len, struct err *err) MUST_CHECK;

/* For those who run it otherwise. The words are ended by NULL. */
const char *command_path(const struct command *c);
const char *command_guard(const struct command *c); /* NULL: none */
char *const *command_words(const struct command *c);
int command_verdict(const struct command *c, int status, int signal,
		    struct err *err) MUST_CHECK;

/* A file in memory, read from its start: no pipe to be blocked or broken by a
 * command that does not read. The caller closes it; below 0: it failed. */
int command_input(const void *p, size_t len, struct err *err) MUST_CHECK;

#endif
