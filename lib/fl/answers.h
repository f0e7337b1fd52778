/* answers.h - what came of the instructions of a round, for a command to read: a
 * line of JSON each, as director.h has it, and a file with what was answered.
 *
 * Files are not synced: after a crash nobody asks for them. */
#ifndef FL_ANSWERS_H
#define FL_ANSWERS_H

#include <stddef.h>

#include "base/buf.h"
#include "fl/participants.h"

struct answers {
	char *dir; /* for us alone */
	size_t n, failed;
	size_t files; /* of this round or before */
	struct buf lines;
};

/* Make dir, or empty it: what is there is of an earlier life. */
int answers_open(struct answers *a, const char *dir,
		 struct err *err) MUST_CHECK;
/* With all files; all zero is nothing. */
void answers_close(struct answers *a);

/* The next round begins: there is none. */
void answers_reset(struct answers *a);

/* Add one more; why and what are as run_done_fn has them. A file that cannot be
 * written fails. */
int answers_add(struct answers *a, const struct err *why,
		const struct run_answer *what, struct err *err) MUST_CHECK;

/* The round has ended: what is left of the one before goes. */
void answers_trim(struct answers *a);

#endif
