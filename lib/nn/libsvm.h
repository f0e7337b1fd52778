/* libsvm.h - labelled examples from LIBSVM's sparse text, plain or gzipped:
 * "LABEL INDEX:VALUE INDEX:VALUE ...", indices from 1 and ascending, what is
 * not named is zero; "#" begins a comment. */
#ifndef NN_LIBSVM_H
#define NN_LIBSVM_H

#include "base/err.h"
#include "nn/examples.h"

/* Each example gets as many values as the highest index. Labels are whole
 * numbers from 0 to 255; -1 and 1, where there are no others, become 0 and 1.
 * What is malformed is INVALID_ARGUMENT with path and line. */
int libsvm_read(struct examples *e, const char *path,
		struct err *err) MUST_CHECK;

#endif
