/* exec.h - learners whose steps a trainer takes that people bring themselves.
 *
 * The model goes there and comes back as safetensors files in a folder of ours;
 * what comes back has the same tensors, with finite values, or the old model
 * stands. contract.h has what is said, child.h the process. */
#ifndef FL_EXEC_H
#define FL_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "fl/learner.h"

/* The model of runs that the trainers' own programs make. */
#define EXEC_MODEL "exec"

struct exec;

struct exec_opts {
	const char *command;
	bool serves;
	const char *data, *index, *test; /* told, not opened; or NULL */
	int threads;
	int64_t task_ms, ready_ms, grace_ms;
};

/* Beside the file db a folder is made, for us alone, that goes with
 * exec_close(): of node.db node.exec. Errors as of command_open(), named by the
 * option. All is copied. */
int exec_open(struct exec **out, const struct exec_opts *opts, const char *db,
	      struct err *err) MUST_CHECK;
void exec_close(struct exec *x); /* NULL is nothing */

/* A run as its learner has to tell it. */
struct exec_run {
	int64_t node, run;
	uint64_t run_seed, own_seed; /* of the first model; of the rest */
	const char *model;           /* built in, or EXEC_MODEL */
	char **hyper;                /* "NAME=VALUE", hyper.h; of which … */
	size_t nhyper;
	double momentum, weight_decay, prox; /* … these are, if not 0 */
};

/* A learner, whose calls x serves: one at a time has one. A built-in model is
 * made from run_seed; EXEC_MODEL is not known before exec_begin() or
 * learner_adopt(). Its calls fail as child_call() does, and with
 * FAILED_PRECONDITION for a model with other tensors. */
int exec_learner(struct learner **out, struct exec *x, const struct exec_run *r,
		 struct err *err) MUST_CHECK;

/* Have a first model made: a task without a model and with no steps to take. */
int exec_begin(struct learner *l, const struct learner_steps *how,
	       struct err *err) MUST_CHECK;

/* What it said last on its stderr, at most 4 KiB; until the next call. */
const char *exec_words(const struct exec *x);

/* Why it failed while it did what, with the end of those words, as one line of
 * at most max bytes; the caller frees it. */
char *exec_reason(const struct exec *x, const char *what, const struct err *why,
		  size_t max);

bool exec_tests(const struct exec *x); /* there is something to evaluate on */

/* A serving one starts; otherwise nothing happens. */
void exec_warm(struct exec *x);

/* Nothing runs any more, until the next call; may take the grace. */
void exec_rest(struct exec *x);

#endif
