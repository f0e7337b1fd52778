/* centre.h - one model of several files, of which some may be false. */
#ifndef FL_CENTRE_H
#define FL_CENTRE_H

#include "fl/aggregate.h"
#include "nn/tensors.h"

/* Put into *out, which is empty, what a rule (aggregate.h: one that holds all
 * updates) makes of the model files at n paths, n at least 1, which have the
 * same tensors. Integers, which count something, are the first file's, as is
 * "model"; "averaged" says how many files there were, "rule" which rule it is,
 * and "chosen", where it chose some, which ones, counted from 1.
 * INVALID_ARGUMENT where a file does not fit or a value is not finite;
 * FAILED_PRECONDITION where there are too few. */
int centre_files(struct tensors *out, const char *rule,
		 const struct aggregate_opts *opts, char **paths, int n,
		 struct err *err) MUST_CHECK;

#endif
