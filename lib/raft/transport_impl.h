/* transport_impl.h - the transport's parts, for the files of transport.h alone.
 */
#ifndef RAFT_TRANSPORT_IMPL_H
#define RAFT_TRANSPORT_IMPL_H

#include <uthash.h>

#include "base/timer.h"
#include "proto/raft.pb-c.h"
#include "raft/transport.h"
#include "wire/duplex.h"

/* One stream to a peer, and what goes out on it at the end of this turn. */
struct lane {
	struct peer *peer;
	struct duplex *stream; /* NULL: to be opened */
	bool up;               /* the peer has taken something on it */
	struct timer patience; /* until it is up */
	Gfl__V1__RaftMessage **queue;
	size_t n, cap, bytes;
	bool urgent; /* there is more in it than news of a commit */
};

struct peer {
	int64_t id;
	struct transport *t;
	char *heard_url;          /* from which it last spoke to us, or NULL */
	bool distrust;            /* that one failed: ask url_of() */
	struct lane main, beside; /* beside: while main is at something large */
	int failures;             /* in a row */
	int64_t silent_until_ms;
	UT_hash_handle hh;
};

struct transport {
	struct transport_config cfg;
	char *cluster_id;
	struct peer *peers;
	bool news_due;     /* news is set; when it fires nothing may wait */
	struct timer news; /* what tells of a commit waits no longer */
};

/* A message of that member came, which says that it is at url. */
void transport_heard(struct transport *t, int64_t id, const char *url);

/* transport_in.c: take what others send. */
void transport_serve(struct transport *t);

#endif
