/* remote.h - calls of masters and workers that may be of others: those speak
 * native gRPC over HTTP/2 alone, while ours take the lighter gRPC-web, whose
 * connections are kept. */
#ifndef TASK_REMOTE_H
#define TASK_REMOTE_H

#include <sys/queue.h>

#include "wire/client.h"

struct remote; /* one call under way */

/* Where calls belong to; client is borrowed. All zero but for that. */
struct remotes {
	struct client *client;
	LIST_HEAD(, remote) live;
};

/* As client_call(), of a unary method. */
struct remote *remote_call(struct remotes *all, bool native, const char *url,
			   enum rpc_name name, const ProtobufCMessage *in,
			   int64_t timeout_ms, rpc_done_fn *done, void *arg);

/* End it; its callback does not run. NULL is nothing. */
void remote_cancel(struct remote *r);

/* End all that are under way, before the client is closed. */
void remotes_close(struct remotes *all);

#endif
