/* await.h - that a task has ended, as a condition to wait for. */
#ifndef TASK_AWAIT_H
#define TASK_AWAIT_H

#include "registry/condition.h"

/* Task n of the look's master is done; ABORTED if it ended otherwise, with its
 * error. */
extern const struct condition await_task;

#endif
