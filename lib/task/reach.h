/* reach.h - how a program reaches the master. */
#ifndef TASK_REACH_H
#define TASK_REACH_H

#include "base/opt.h"
#include "wire/client.h"

struct reach {
	struct opt_list masters; /* one: each has tasks of its own */
	int64_t timeout_ms;      /* 0 waits for ever */
	struct tls_opts tls;
};

#define OPT_MASTER_URL "http://127.0.0.1:50051"
#define OPT_MASTER(T, m)                                                  \
	OPT_ROW(URLS, 'm', "master", struct opt_list, T, m, "URL",        \
		OPT_MASTER_URL, "the master of tasks and workers",        \
		.min = 1)
#define OPT_REACH(T, m)                                         \
	OPT_MASTER(T, m.masters), OPT_TIMEOUT(T, m.timeout_ms), \
		OPT_TLS(T, m.tls)

const char *reach_url(const struct reach *r);

/* INVALID_ARGUMENT if there are several. */
int reach_check(const struct reach *r, struct err *err) MUST_CHECK;

/* Call a method of the master, and wait; rpc_free() *out. Unreachable is
 * UNAVAILABLE, with a hint. */
int reach_call(const struct reach *r, enum rpc_name name,
	       const ProtobufCMessage *in, ProtobufCMessage **out,
	       struct err *err) MUST_CHECK;

/* The hint of a failure to reach it. */
void reach_hint(struct err *err);

#endif
