/* runs.h - training runs as a client prints them: list, table, history, and
 * the progress of one until its end. */
#ifndef REGISTRY_RUNS_H
#define REGISTRY_RUNS_H

#include "base/buf.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/node.pb-c.h"

/* Run id, or the newest for 0, as the leader knows it; rpc_free() it. None is
 * NOT_FOUND. */
int runs_get(const struct client_opts *c, int64_t id, Gfl__V1__Run **out,
	     struct err *err) MUST_CHECK;

/* All runs, one a row. */
int runs_list(const struct client_opts *c, bool linearizable,
	      const struct out_opts *o,
	      struct err *err) MUST_CHECK;

/* One row per trainer of the run. */
int runs_table(const struct out_opts *o, const Gfl__V1__Run *run,
	       struct err *err) MUST_CHECK;

/* All trainers, one a row, with the reason of the last failure of each in the
 * newest run. */
int runs_trainers(const struct client_opts *c, bool linearizable,
		  const struct out_opts *o, struct err *err) MUST_CHECK;

/* Every round of every trainer that can be reached, asked from the trainers
 * themselves, by trainer and round. lost(err, arg) runs for each that cannot;
 * fails if none of them answers. */
typedef void runs_lost_fn(const struct err *err, void *arg);
int runs_history(const struct client_opts *c, const struct out_opts *o,
		 int64_t run, runs_lost_fn *lost, void *arg,
		 struct err *err) MUST_CHECK;

/* What a run's trainers have reached together. */
struct runs_progress {
	int64_t round;      /* the least of the live ones */
	double accuracy;    /* mean of those that have one; NaN: none */
	int64_t bytes_sent; /* sum */
	int64_t trainers;   /* that are live */
};
struct runs_progress runs_progress_of(const Gfl__V1__Run *run);

/* Why a trainer's last failure in the run came about; borrowed, "" if it had
 * none. run may be NULL. */
const char *runs_reason(const Gfl__V1__Run *run, int64_t trainer);

/* Has it ended? Then *rc is 0, or ABORTED with the reason in err. */
bool runs_ended(const Gfl__V1__Run *run, int *rc, struct err *err);

/* What is to be told after before (NULL: nothing yet) of a run's failures: its
 * trainers' newest reasons, and its own. Appends to b, which has no limit. */
void runs_news(struct buf *b, const Gfl__V1__Run *before,
	       const Gfl__V1__Run *now);

struct runs_follow {
	struct client_opts client;
	struct out_opts out;
	int64_t id; /* 0: the newest */
	int64_t every_ms;
	bool silent;
};

/* A record of progress, and of failures, every every_ms until the end of the run, whose outcome
 * is returned. A cluster that does not answer is asked again for ten times the
 * client's timeout; 0 for ever. */
int runs_follow(const struct runs_follow *f, struct err *err) MUST_CHECK;

#endif
