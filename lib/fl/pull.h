/* pull.h - a trainer's model, as a file here.
 *
 * What has arrived of FILE is in FILE.part, and of what it is a part in
 * FILE.part.sha256, as sha256sum -c reads it; whoever pulls again goes on there
 * if the trainer still has that model, else begins anew. FILE is replaced as
 * one step, when all is there and right. */
#ifndef FL_PULL_H
#define FL_PULL_H

#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"
#include "base/out.h"
#include "wire/tensor.h"

struct pull_opts {
	const char *url;            /* of a trainer's process */
	int64_t trainer;            /* which of those there; 0: the first */
	const char *file;           /* FILE */
	int64_t timeout_ms;         /* without a byte; 0: for ever */
	const struct tls_opts *tls; /* files; or NULL */
};

struct pulled {
	int64_t trainer;
	struct tensor_info info; /* version: the model's round */
	uint64_t had;            /* bytes that were there before */
};

/* Where trainer id of the cluster is; free() it. NOT_FOUND: it has none. */
int pull_find(char **url, const struct client_opts *o, int64_t id,
	      struct err *err) MUST_CHECK;

/* Pull and wait. DATA_LOSS: what came is not what was announced, and nothing
 * of it stays. RESOURCE_EXHAUSTED: another pull is at FILE. Otherwise what has
 * come stays, with a hint. */
int pull_file(struct pulled *out, const struct pull_opts *opts,
	      struct err *err) MUST_CHECK;

/* Print a record of what was pulled to file. */
int pull_print(const struct out_opts *opts, const char *file,
	       const struct pulled *p, struct err *err) MUST_CHECK;

#endif
