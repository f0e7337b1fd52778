/* local.h - the data of one process, whose clients share them: each has its
 * examples of the training set, all the same test set. */
#ifndef FL_LOCAL_H
#define FL_LOCAL_H

#include "base/err.h"
#include "nn/data.h"
#include "nn/index.h"

struct local_opts {
	const char *data, *test; /* files or folders; test may be NULL */
	const char *label;       /* as of data_open_as() */
	const char *index;       /* as of clients_indexes() */
	int classes;
	int clients;
	bool elsewhere; /* a program of the user's opens them: none is here */
};

/* Zero bytes are nothing. */
struct local {
	struct data *train, *test;
	struct index *indexes; /* of each client */
	int clients;
};

int local_open(struct local *l, const struct local_opts *opts,
	       struct err *err) MUST_CHECK;
void local_release(struct local *l);

/* That all clients have together; 0: they are elsewhere. */
size_t local_examples(const struct local *l);

#endif
