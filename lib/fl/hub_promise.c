/* Without rounds: who is told that an update is in the model may forget it, so
 * that is told only when it is durable; beside a Raft node, with whoever follows
 * too. */
#include <stdlib.h>
#include <utlist.h>

#include "base/mem.h"
#include "fl/hub_impl.h"

struct hub_promise {
	struct call *call;
	int64_t version;
	struct hub_promise *prev, *next;
};

static void keep(struct hub *h, struct hub_promise *p)
{
	struct call *call = p->call;

	DL_DELETE(h->promises, p);
	free(p);
	hub_update_reply(h, call);
}

void hub_promise(struct hub *h, struct call *call, int64_t version)
{
	struct hub_promise *p = mem_zero(1, sizeof(*p));

	p->call = call;
	p->version = version;
	DL_APPEND(h->promises, p);
	hub_promises_look(h);
}

void hub_promises_look(struct hub *h)
{
	int64_t safe = h->promises ? hub_safe_version(h) : 0;
	struct hub_promise *p, *next;

	DL_FOREACH_SAFE(h->promises, p, next)
	if (p->version <= safe)
		keep(h, p);
}

/* Whether they are in the next server's model is not known here. */
void hub_promises_close(struct hub *h)
{
	struct hub_promise *p, *next;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "this server %s",
		h->opts.term ? "is not the active one" : "ends");
	DL_FOREACH_SAFE(h->promises, p, next)
	{
		DL_DELETE(h->promises, p);
		call_fail(p->call, &err);
		free(p);
	}
}
