/* trainer.h - a trainer as its daemon runs it: attached to a node, it takes
 * part in each run, round after round, and serves its peers.
 *
 * The loop's thread owns everything; local steps, evaluation and files are the
 * worker thread's, to which the model belongs meanwhile. */
#ifndef FL_TRAINER_H
#define FL_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "fl/learner.h"
#include "wire/server.h"

struct trainer;

struct trainer_opts {
	const char *const *nodes; /* URLs to attach to */
	size_t nnodes;
	const struct opt_list *gateways; /* to ask where no node answers */
	int64_t trainer_id; /* asked for; 0: given by the cluster */
	bool no_runs;
	int64_t eval_every;        /* rounds; a run's own setting wins */
	int64_t checkpoint_rounds; /* at most so many are lost by a crash; 0:
				      any number, in checkpoint_ms */
	int64_t checkpoint_ms;
	const char *model_out; /* NULL: beside db */
	const char *url;       /* where peers find us */
	const char *db;        /* file of history and identity */
	struct tls *tls;       /* for calls of https, borrowed; or NULL */
};

/* Open the file and begin to attach; serves on s. failed(arg) runs when it
 * cannot go on: trainer_failed() says why. Strings, s and data are borrowed
 * until trainer_close(). */
int trainer_open(struct trainer **out, struct loop *loop, struct server *s,
		 const struct learner_data *data,
		 const struct trainer_opts *opts, loop_fn *failed, void *arg,
		 struct err *err) MUST_CHECK;
const struct err *trainer_failed(const struct trainer *t); /* or NULL */

/* Finish the step under way, save, leave the cluster, then call done(arg). */
void trainer_stop(struct trainer *t, loop_fn *done, void *arg);

/* NULL is nothing. Waits for the worker. */
void trainer_close(struct trainer *t);

#endif
