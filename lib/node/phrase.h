/* phrase.h - what a line at the prompt means, as a program is called. Pure. */
#ifndef NODE_PHRASE_H
#define NODE_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/words.h"

struct phrase {
	const char **at; /* n words, the first "gfl-NAME"; borrowed */
	size_t n;
	char *text; /* of one of them, ours */
};

/* Is word one of those in "a b c"? */
bool phrase_is(const char *word, const char *names);

/* The program for at least one word: list l status s send broadcast refresh are
 * translated, any other names its program. The text of a message needs no
 * quotes unless there is an option in it. id is the node's own. The words and
 * id are borrowed until phrase_release(). */
void phrase_of(struct phrase *p, const struct words *w, const char *id);

void phrase_release(struct phrase *p);

#endif
