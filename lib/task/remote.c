#include "task/remote.h"

#include <stdlib.h>

#include "base/mem.h"
#include "wire/duplex.h"

struct remote {
	struct rpc *rpc;       /* gRPC-web, or */
	struct duplex *stream; /* native */
	rpc_done_fn *done;
	void *arg;
	LIST_ENTRY(remote) next;
};

static void over(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct remote r = *(struct remote *)arg;

	LIST_REMOVE((struct remote *)arg, next);
	free(arg);
	r.done(err, out, r.arg);
}

struct remote *remote_call(struct remotes *all, bool native, const char *url,
			   enum rpc_name name, const ProtobufCMessage *in,
			   int64_t timeout_ms, rpc_done_fn *done, void *arg)
{
	const struct rpc_opts opts = {.timeout_ms = timeout_ms,
				      .bind = client_bound(all->client),
				      .tls = client_tls(all->client)};
	struct remote *r = mem_zero(1, sizeof(*r));

	r->done = done;
	r->arg = arg;
	LIST_INSERT_HEAD(&all->live, r, next);
	if (!native) {
		r->rpc =
			client_call(all->client, url, name, in, &opts, over, r);
		return r;
	}
	r->stream = duplex_open(client_loop(all->client), url,
				&rpc_methods[name], &opts, NULL, over, r);
	if (duplex_send(r->stream, in)) /* the first always fits */
		duplex_finish(r->stream);
	return r;
}

void remote_cancel(struct remote *r)
{
	if (!r)
		return;
	client_cancel(r->rpc);
	duplex_cancel(r->stream);
	LIST_REMOVE(r, next);
	free(r);
}

void remotes_close(struct remotes *all)
{
	while (!LIST_EMPTY(&all->live))
		remote_cancel(LIST_FIRST(&all->live));
}
