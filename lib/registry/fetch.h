/* fetch.h - messages out of a node's inbox, each acknowledged once it has been
 * dealt with. */
#ifndef REGISTRY_FETCH_H
#define REGISTRY_FETCH_H

#include "base/opt.h"
#include "proto/node.pb-c.h"

struct fetch {
	const struct client_opts *client; /* whose node is an id or a URL */
	int64_t count; /* exactly so many; 0: all, waiting for the first */
	bool follow;   /* go on for ever; without a count, without a timeout */
	int64_t after; /* forget what is up to this cursor first */
	bool keep;     /* acknowledge nothing else */
	bool single;   /* acknowledge each before the next is asked for */
	size_t ntypes, nsenders; /* 0: of all types, from all senders */
	int32_t types[OPT_LIST_MAX];
	int64_t senders[OPT_LIST_MAX];
};

/* Deal with messages that have come, borrowed for the call; on failure they
 * stay in the inbox and the fetching ends. */
typedef int fetch_fn(const Gfl__V1__ReceiveMessagesResponse *some, void *arg,
		     struct err *err);

/* Give fn messages until it is enough. Too few within the client's timeout is
 * DEADLINE_EXCEEDED. One who follows waits for a node that was there and is
 * not, and looks up where it is. */
int fetch_run(const struct fetch *f, fetch_fn *fn, void *arg,
	      struct err *err) MUST_CHECK;

#endif
