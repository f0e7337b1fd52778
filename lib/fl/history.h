/* history.h - what a trainer remembers in its own SQLite file: who it is, the
 * nodes it knew, and each round.
 *
 * Rounds are gathered and written in batches, at least every second or so:
 * after a crash the last few are missing, which only a graph shows. */
#ifndef FL_HISTORY_H
#define FL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

struct history;

struct history_me {
	int64_t trainer_id;       /* 0: not given yet */
	char instance_id[STR_ID]; /* made at the first start, for ever */
	char cluster_id[STR_ID];  /* empty before the first attachment */
	bool served;              /* it has been the client of a server */
};

struct history_row {
	int64_t run, round;    /* round: finished so far, so from 1 */
	double loss, accuracy; /* accuracy NAN: did not evaluate */
	int64_t bytes_sent, bytes_received, misses; /* up to this round */
	double compute_s, wait_s;                   /* likewise */
	int64_t peer;                               /* 0: rested */
	int64_t at_ms;                              /* wall clock */
};

/* Open or create the file at path for this process alone (see db_open()). */
int history_open(struct history **out, struct loop *loop, const char *path,
		 struct err *err) MUST_CHECK;
void history_close(struct history *h); /* writes the rest; NULL is nothing */

const struct history_me *history_me(const struct history *h);

/* Remember id and cluster, and the URL of a node: soon durable. */
void history_attached(struct history *h, int64_t trainer_id,
		      const char *cluster_id);
void history_node(struct history *h, const char *url);
void history_served(struct history *h); /* a server has taken it: likewise */

/* Call fn with each URL known, the newest first; before any history_node(). */
typedef void history_node_fn(const char *url, void *arg);
int history_nodes(struct history *h, history_node_fn *fn, void *arg,
		  struct err *err) MUST_CHECK;

void history_flush(struct history *h); /* to disk soon, as all is in time */
void history_add(struct history *h, const struct history_row *row);

/* Write what was added, then run fn on the loop's thread: at once if all is
 * written, by history_close() at the latest. */
void history_settle(struct history *h, loop_fn *fn, void *arg);

/* Call fn with each row of a run (0: the newest) after a round, by round. fn
 * returns 0 to go on. */
typedef int history_row_fn(const struct history_row *row, void *arg);
int history_each(struct history *h, int64_t run, int64_t after,
		 history_row_fn *fn, void *arg, struct err *err) MUST_CHECK;

#endif
