/* What people do with a node's log: have it looked through, have it shortened.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/check.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

/* A call that waits for the disk. */
struct upkeep {
	struct call *call; /* NULL: the client has gone */
	Gfl__V1__VerifyLogResponse *out;
};

static void gone(struct call *call, void *arg)
{
	(void)call;
	((struct upkeep *)arg)->call = NULL;
}

static struct upkeep *begin(struct call *call)
{
	struct upkeep *u = mem_zero(1, sizeof(*u));

	u->call = call;
	call_on_cancel(call, gone, u);
	return u;
}

static void end(struct upkeep *u, const struct err *err,
		const ProtobufCMessage *out)
{
	if (u->call && err)
		call_fail(u->call, err);
	else if (u->call)
		call_reply(u->call, out);
	if (u->out)
		rpc_free(&u->out->base);
	free(u);
}

/* ---- verify ---- */

static void add_item(const Gfl__V1__CheckItem *item, void *arg)
{
	Gfl__V1__VerifyLogResponse *out = arg;
	size_t n = out->n_items + 1;
	Gfl__V1__CheckItem **items = mem_zero(n, sizeof(*items));

	for (size_t i = 0; i < out->n_items; i++)
		items[i] = out->items[i];
	items[n - 1] = (Gfl__V1__CheckItem *)rpc_copy(&item->base);
	free(out->items);
	out->items = items;
	out->n_items = n;
}

/* On the writer's thread, so that it is what the last commit has. Damage is an
 * answer; SQLite's own fails the node as any other does. */
static int look(struct db *db, void *arg, struct err *err)
{
	struct upkeep *u = arg;
	int rc = check_db(db, add_item, u->out, err);

	return rc == ERR_DATA_LOSS && !db_broken(db) ? 0 : rc;
}

static void looked(const struct err *err, void *arg)
{
	struct upkeep *u = arg;

	for (size_t i = 0; i < u->out->n_items; i++)
		if (u->out->items[i]->damaged)
			log_warn("log_damaged", "error=%s",
				 u->out->items[i]->found);
	end(u, err, &u->out->base);
}

static void on_verify(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct node *n = arg;
	struct upkeep *u = begin(call);
	struct err err;

	(void)in;
	u->out = mem_zero(1, sizeof(*u->out));
	gfl__v1__verify_log_response__init(u->out);
	if (writer_post(n->writer, look, looked, u, &err))
		end(u, &err, NULL);
}

/* ---- compact ---- */

static void compacted(const struct err *err, int64_t index, int64_t first,
		      void *arg)
{
	Gfl__V1__CompactLogResponse out = GFL__V1__COMPACT_LOG_RESPONSE__INIT;

	out.snapshot = index;
	out.first = first;
	end(arg, err, &out.base);
}

static void on_compact(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct node *n = arg;
	struct upkeep *u;
	struct err err;

	(void)in;
	if (!n->driver) {
		err_set(&err, ERR_UNAVAILABLE,
			"not a member yet: waiting for %s",
			membership_waits(n));
		call_fail(call, &err);
		return;
	}
	u = begin(call);
	if (driver_compact(n->driver, compacted, u, &err))
		end(u, &err, NULL);
}

void upkeep_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_VERIFY_LOG, on_verify, n);
	server_handle(n->server, RPC_NODE_COMPACT_LOG, on_compact, n);
}
