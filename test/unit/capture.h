/* capture.h - run a function as a program would be run, and see what it does.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

struct capture {
	int status; /* exit status, or 128 + the signal that ended it */
	char out[16384], err[8192];
};

/* Fork, call fn(arg) with stdout and stderr into files of the current (the
 * test's own) directory, and exit with what it returns. */
struct capture capture_run(int (*fn)(void *arg), void *arg);

#endif
