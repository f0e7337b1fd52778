/* words.h - a line cut into words as a shell would, without what a shell makes
 * of them: no variables, no patterns, no other programs. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stddef.h>

#include "base/err.h"

struct words {
	char **at; /* NULL at the end */
	size_t n;
	char *text; /* which they point into */
};

/* Blanks part words; 'text' is taken as it is, in "text" a backslash takes the
 * meaning from " and \, outside of quotes from any character. A quote that is
 * not closed, or a backslash at the end, is INVALID_ARGUMENT. words_release()
 * *out. */
int words_split(struct words *out, const char *text,
		struct err *err) MUST_CHECK;

/* A copy of n words. */
void words_copy(struct words *out, const char *const *at, size_t n);

void words_release(struct words *w);

#endif
