/* resume.h - all that a trainer needs to go on after its death, in one file.
 *
 * A safetensors file: the parameters under their plain names, so that it is a
 * model like any other, the momentum under "momentum.", and the rest as texts.
 * It is replaced as one step. */
#ifndef FL_RESUME_H
#define FL_RESUME_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "fl/learner.h"

/* What a trainer has done in a run so far. */
struct tally {
	int64_t bytes_sent, bytes_received; /* bodies of exchanges */
	int64_t exchanges, misses, lost;
	double compute_s, wait_s;
	double loss, accuracy, accuracy_alone; /* NAN: not known */
};

struct resume {
	int64_t run, round; /* the last round done, or -1 */
	struct tally tally;
	struct buf exchange; /* of exchange_dump() */
	float *shared; /* what others know of the model; NULL: not noted */
};

/* Write the learner's model and place, and r. Errors name path. */
int resume_save(const char *path, const struct learner *l,
		const struct resume *r, struct err *err) MUST_CHECK;

/* Read them back into l and *r, whose exchange and shared are the caller's to
 * release.
 * NOT_FOUND when there is no file, or it is of another run; DATA_LOSS or
 * INVALID_ARGUMENT for one that is damaged or of another model. On failure l's
 * parameters are as they were. */
int resume_load(const char *path, int64_t run, struct learner *l,
		struct resume *r, struct err *err) MUST_CHECK;

#endif
