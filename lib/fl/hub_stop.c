/* Asked to end it all, also at the servers that stand by. Beside a Raft node
 * that is for the active one, and only once it is sure to be that still: one
 * that was deposed would send home the clients that it has. */
#include <string.h>

#include "base/log.h"
#include "fl/hub_impl.h"

static void stop(struct hub *h, struct call *call)
{
	Gfl__V1__FlEndResponse out;

	gfl__v1__fl_end_response__init(&out);
	call_reply(call, &out.base);
	log_info("asked_to_end", "reason=%s", h->stop_reason);
	hub_stop(h);
}

static int check(const struct hub *h, const Gfl__V1__FlEndRequest *r,
		 struct err *err)
{
	if (strlen(r->reason) >= sizeof(h->stop_reason))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a reason of %zu bytes, expected at most %zu",
			       strlen(r->reason), sizeof(h->stop_reason) - 1);
	if (h->ender)
		return err_set(err, ERR_ABORTED,
			       "somebody else has just asked the same");
	return 0;
}

static void serve_end(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__FlEndRequest *r = (const Gfl__V1__FlEndRequest *)in;
	struct hub *h = arg;
	struct err err;

	if (check(h, r, &err)) {
		call_fail(call, &err);
		return;
	}
	if (h->state < HUB_ENDING)
		str_copy(h->stop_reason, sizeof(h->stop_reason), r->reason);
	if (!h->opts.term) {
		stop(h, call);
		return;
	}
	h->ender = call;
	h->opts.confirm(h->opts.confirm_arg);
}

void hub_stop_confirmed(struct hub *h)
{
	struct call *call = h->ender;

	h->ender = NULL;
	if (call)
		stop(h, call);
}

void hub_stop_close(struct hub *h)
{
	struct err err;

	if (!h->ender)
		return;
	err_set(&err, ERR_UNAVAILABLE, "this server is not the active one");
	call_fail(h->ender, &err);
}

void hub_serve_stop(struct hub *h)
{
	server_handle(h->server, RPC_FL_END, serve_end, h);
}
