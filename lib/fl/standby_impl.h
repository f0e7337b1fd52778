/* standby_impl.h - what the files of standby.h share. */
#ifndef FL_STANDBY_IMPL_H
#define FL_STANDBY_IMPL_H

#include "base/str.h"
#include "base/timer.h"
#include "fl/snapshot.h"
#include "fl/standby.h"
#include "fl/succession.h"
#include "proto/server.pb-c.h"
#include "store/writer.h"

struct standby_peer {
	struct standby *standby;
	const char *url;
	struct rpc *asking;
	struct timer again;
};

struct standby {
	struct client *client;
	struct server *server;
	struct standby_opts opts;
	char id[STR_ID];
	struct db *db;
	struct writer *writer;
	struct snapshot *newest; /* ours, durable; NULL: none */
	struct succession
		next; /* what is to be done, of peers by their place */
	struct standby_peer peers[OPT_LIST_MAX];
	int64_t lead;          /* that was told in the log */
	struct timer patience; /* while nobody leads */
	loop_fn *surveyed;     /* while it surveys */
	void *surveyed_arg;
	struct timer soon;

	/* a state that comes */
	const char *from; /* whose */
	struct tensor_pull *pull;
	Gfl__V1__FlStateRequest pull_ask;
	struct tensor_info info;
	char *bytes;
	struct snapshot *coming; /* all of it, being written */

	struct err failure; /* code 0: none */
};

/* standby.c */
void standby_fail(struct standby *s, const struct err *err);
void standby_act(
	struct standby *s); /* do what is next, until there is nothing */

/* standby_take.c: pull the state of that server and write it, then tell
 * s->next of it. */
void standby_take(struct standby *s, const char *url);
void standby_take_close(struct standby *s);

#endif
