/* silence.h - why nothing comes of tasks, for who waits in front of a terminal:
 * the master is away, or nobody does them. */
#ifndef TASK_SILENCE_H
#define TASK_SILENCE_H

#include <stdbool.h>

#include "base/loop.h"
#include "wire/client.h"

typedef void silence_fn(const char *why, void *arg);

struct silence {
	struct loop *loop; /* these are borrowed */
	struct client *client;
	const char *url; /* of the master */
	silence_fn *say;
	void *arg;
	struct timer timer;
	bool waits, asking;
	char *put_off, *said; /* NULL: nothing, since something came */
};

/* Whether something is awaited; while it is, and 2 s have passed, the master is
 * asked now and then, and say() is told of each reason once. */
void silence_wait(struct silence *s, bool waits);

/* The master has no room just now, and says so. */
void silence_put_off(struct silence *s, const char *why);

/* Something came. */
void silence_end(struct silence *s);

void silence_release(struct silence *s);

#endif
