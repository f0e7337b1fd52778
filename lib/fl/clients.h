/* clients.h - the trainers of one process: one, or many logical clients.
 *
 * They share its address, its connections, its threads and the mapped data.
 * Each has its id in the cluster, its part of the data, its model, and its
 * files: which client has which id is in its database, and so for ever. (The
 * id map of scale mode in FedLab, arXiv 2107.11621, section 3.2.) */
#ifndef FL_CLIENTS_H
#define FL_CLIENTS_H

#include "fl/trainer.h"

struct clients;

struct clients_opts {
	struct trainer_opts each; /* of the first. If there are more, their ids
				     follow; "t.db" becomes "t-1.db" to
				     "t-n.db"; model_out is a clients_name() */
	int n;                    /* 1 to CLIENTS_MAX */
	int threads;     /* that compute: at most one for each client of many */
	const char *bind; /* source address of calls, or NULL; borrowed */
	struct tls *tls; /* for calls of https, borrowed; or NULL */
};

enum { CLIENTS_MAX = 1000 };

/* What client i of n (from 1) has of a text that names something for each: the
 * i-th of n that commas part, or the text with i for its %d; of one client the
 * text itself. INVALID_ARGUMENT if it is neither. The caller frees *out. */
int clients_name(char **out, const char *text, int i, int n,
		 struct err *err) MUST_CHECK;

/* Which of count examples each of n clients has: all of them, or what the index
 * file of that clients_name() says. Each of *out is released by
 * index_release(), *out freed. */
int clients_indexes(struct index **out, const char *spec, int n, size_t count,
		    struct err *err) MUST_CHECK;

/* Open all, to serve on s: client i on data with indexes[i]. failed(arg) runs
 * when one cannot go on: clients_failed() says why. All is borrowed until
 * clients_close(). */
int clients_open(struct clients **out, struct loop *loop, struct server *s,
		 const struct learner_data *data, const struct index *indexes,
		 const struct clients_opts *opts, loop_fn *failed, void *arg,
		 struct err *err) MUST_CHECK;
const struct err *clients_failed(const struct clients *c); /* or NULL */

/* Stop all, as trainer_stop(), then call done(arg). */
void clients_stop(struct clients *c, loop_fn *done, void *arg);

/* NULL is nothing. Waits for the workers. */
void clients_close(struct clients *c);

#endif
