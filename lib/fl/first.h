/* first.h - the first model of a program that trains models of its own. */
#ifndef FL_FIRST_H
#define FL_FIRST_H

#include <stdint.h>

#include "base/opt.h"
#include "nn/tensors.h"

/* Have it made by command (exec.h), which is told of data, or NULL, and has
 * task_ms; its files are in a folder beside the file that is to be written. The
 * caller releases *ts. Errors as of exec_open() and exec_begin(), with the end
 * of what the program said. */
struct first_opts {
	const char *command, *data, *beside;
	const struct opt_pairs *hyper; /* --hp */
	uint64_t seed;
	int64_t task_ms;
};
int first_model(struct tensors *ts, const struct first_opts *opts,
		struct err *err) MUST_CHECK;

#endif
