/* evaluate.h - the built-in trainer on one task: train a model as the task
 * says, and tell how good it is. */
#ifndef TASK_EVALUATE_H
#define TASK_EVALUATE_H

#include "base/buf.h"
#include "base/command.h"
#include "base/opt.h"

struct evaluate_opts {
	const char *data;              /* the usual data set, or NULL */
	const struct opt_pairs *named; /* others, by name */
	int threads;
};

/* task is a JSON object: architecture or model (a text or preset of
 * nn/model.h, or layers.h), dataset (a name or a path), num_epochs or epochs
 * (1), or steps; batch_size or batch (32), learning_rate or lr (0.05), momentum
 * (0.9), weight_decay (0), seed (1), examples (as many of the first; 0: all).
 * Appends a JSON object: accuracy (on the test set, where the data set is a
 * folder that has one, else on what it was trained on), loss (of the last
 * epoch), parameters, examples, epochs, and ignored, the names of what else the
 * task has. INVALID_ARGUMENT says what is wrong. */
int evaluate_run(struct buf *out, const char *task, size_t len,
		 const struct evaluate_opts *o, struct err *err) MUST_CHECK;

/* The command that does so with a task on its standard input: this program once
 * more, as gfl-worker --evaluate. What it takes ends with it, and it is stopped
 * as any command. */
int evaluate_command(struct command **out, const struct evaluate_opts *o,
		     struct err *err) MUST_CHECK;

#endif
