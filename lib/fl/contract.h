/* contract.h - what gfl-trainer and a trainer that people bring themselves say
 * to each other.
 *
 * A task is a set of facts: variables of the environment, or one line of JSON
 * with the same names, all values being strings. The answer is lines of JSON,
 * each an object with a "type": progress, one result, when it serves first
 * ready; what has another type is passed over. Pure, and bounded: the other
 * side may print anything. */
#ifndef FL_CONTRACT_H
#define FL_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/command.h"
#include "base/err.h"

enum {
	CONTRACT_PROTOCOL = 1,
	CONTRACT_LINE_MAX = 64 << 10, /* bytes of a line */
	CONTRACT_ALL_MAX = 16 << 20,  /* of all lines of a task */
};

/* Exit statuses with a meaning of their own, as in sysexits.h. */
enum {
	CONTRACT_AGAIN = 75,
	CONTRACT_STOP = 78,
	CONTRACT_NOT_RUN = 126,
	CONTRACT_NOT_FOUND = 127
};

/* What was said so far, since contract_begin(). */
struct contract {
	bool ready, result;
	int64_t num_examples;  /* of the result; 0: it does not say */
	double loss, accuracy; /* of its metrics; NAN: it does not say */
	/* of the reader */
	struct buf line; /* what has come of the present one */
	size_t lines, bytes;
};

/* Zero is a fresh one. */
void contract_begin(struct contract *c); /* a task: forget the last result */
void contract_release(struct contract *c);

/* Read what came from its stdout. INVALID_ARGUMENT for a line that is not as
 * above, or a second result; RESOURCE_EXHAUSTED past the bounds. */
int contract_feed(struct contract *c, const char *p, size_t len,
		  struct err *err) MUST_CHECK;

/* Its stdout has ended: a last line needs no newline. */
int contract_end(struct contract *c, struct err *err) MUST_CHECK;

/* Append the task as a line of JSON. */
void contract_task(struct buf *to, const struct facts *facts);

/* Append what it said last on its stderr as text: with ? for what is none, and
 * no blanks at its end. */
void contract_words(struct buf *to, const char *p, size_t len);

#endif
