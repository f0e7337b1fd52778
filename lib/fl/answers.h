/* answers.h - the answers of a round, each a file, for a command to read.
 *
 * Not synced: after a crash nobody asks for them. */
#ifndef FL_ANSWERS_H
#define FL_ANSWERS_H

#include <stddef.h>

#include "base/err.h"
#include "proto/participant.pb-c.h"

struct answers {
	char *dir; /* for us alone */
	size_t n;
	size_t files; /* of this round or before */
};

/* Make dir, or empty it: what is there is of an earlier life. */
int answers_open(struct answers *a, const char *dir,
		 struct err *err) MUST_CHECK;
/* With all files; all zero is nothing. */
void answers_close(struct answers *a);

/* The next round begins: there is none. */
void answers_reset(struct answers *a);

/* Write one more, as theta_pack() has it; free(*path). */
int answers_keep(struct answers *a, const TrainResult *r, char **path,
		 struct err *err) MUST_CHECK;

/* The round has ended: what is left of the one before goes. */
void answers_trim(struct answers *a);

#endif
