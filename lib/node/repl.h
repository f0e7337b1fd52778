/* repl.h - a node's prompt: words that do what the programs of their names do,
 * to this node; from a terminal or from a script. */
#ifndef NODE_REPL_H
#define NODE_REPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/command.h"
#include "base/loop.h"

struct repl;

struct repl_config {
	struct loop *loop;
	const struct facts *facts; /* for the programs, borrowed */
	bool stop_on_error;        /* a word that fails is the last */
	/* Once: there was the last word, or one that says to leave. */
	loop_fn *on_end;
	void *arg;
};

/* Before there are threads. */
int repl_open(struct repl **out, const struct repl_config *cfg,
	      struct err *err) MUST_CHECK;

/* The node is there: read, or go on under another name. url is copied. */
void repl_start(struct repl *r, int64_t node_id, const char *url);

/* INT, which on a terminal drops the line that is being typed. */
bool repl_is_person(const struct repl *r);
void repl_interrupt(struct repl *r);

/* Read no more, and TERM the program that runs; on_end does not run. */
void repl_stop(struct repl *r);

/* Has a word failed? */
bool repl_failed(const struct repl *r);

void repl_close(struct repl *r); /* NULL is nothing */

#endif
