/* threads.h - what OpenMP must be told before a program computes on more than
 * one thread. */
#ifndef NN_THREADS_H
#define NN_THREADS_H

#include "base/err.h"

enum { THREADS_MAX = 256 };

/* At the start of a program, before it has opened anything: where threads are
 * more than one, waiting threads shall sleep and not spin, which would halve
 * everything when cores are shared. OpenMP reads OMP_WAIT_POLICY when it is
 * loaded, so where that is unset the program sets it and starts itself once
 * more, with the same arguments. On failure it has not. */
int threads_begin(int threads, char **argv, struct err *err) MUST_CHECK;

#endif
