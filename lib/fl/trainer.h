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
#include "fl/exec.h"
#include "fl/learner.h"
#include "wire/server.h"

struct trainer;

/* What trainers of one process share; borrowed until trainer_free(). */
struct trainer_host {
	struct loop *loop;
	struct client *client;
	struct worker *worker;
	const char *url; /* where peers find us */
	loop_fn *attached;
	loop_fn *failed; /* it cannot go on: trainer_failed() says why */
	void *arg;
};

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
	const char *db;        /* file of history and identity */
	struct tls *tls;       /* for calls of https, borrowed; or NULL */
	struct exec_opts exec; /* without a command steps are taken here */
	int64_t stuck_ms;      /* a batch that takes longer is a bug */
};

/* Open the file and begin to attach. Strings and data are borrowed until
 * trainer_free(). */
int trainer_open(struct trainer **out, const struct trainer_host *host,
		 const struct learner_data *data,
		 const struct trainer_opts *opts, struct err *err) MUST_CHECK;
const struct err *trainer_failed(const struct trainer *t); /* or NULL */
int64_t trainer_id(const struct trainer *t); /* 0: never attached so far */

/* Finish the step under way, save, leave the cluster, then call done(arg). */
void trainer_stop(struct trainer *t, loop_fn *done, void *arg);

/* The end, in two steps. From trainer_quiet() on it calls nobody and answers
 * nobody; once the worker has finished its jobs as well, trainer_free(). NULL
 * is nothing. */
void trainer_quiet(struct trainer *t);
void trainer_free(struct trainer *t);

/* Handlers of TrainerService, for a server; arg is the trainer. */
server_fn trainer_on_exchange, trainer_on_pull, trainer_on_probe,
	trainer_on_status, trainer_on_history;

/* Whether a request is for t that names a cluster which is not t's own: then t
 * exchanges for it with others of that one. */
bool trainer_bridges(const struct trainer *t, const char *cluster_id);
const char *trainer_cluster(const struct trainer *t);

/* The metrics of all of them, one after the other. */
void trainer_metrics(struct trainer *const *all, int n, struct buf *text);

#endif
