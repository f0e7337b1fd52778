/* What the leader does about a request: it proposes, reads, or changes who the
 * members are; and its own proposals, which nobody has asked for. */
#include <stdlib.h>

#include "base/mem.h"
#include "node/node_impl.h"
#include "node/roles.h"

static void *pack(const Gfl__V1__Entry *e, struct driver_proposal *p)
{
	uint8_t *bytes = mem_zero(1, gfl__v1__entry__get_packed_size(e) + 1);

	p->len = gfl__v1__entry__pack(e, bytes);
	p->data = bytes;
	return bytes;
}

int ask_propose(struct ask *a, const Gfl__V1__Entry *e, ask_reply_fn *reply,
		struct err *err)
{
	struct driver_proposal p = {
		.client = a->client,
		.seq = a->seq,
		.patient = a->name == RPC_NODE_PROPOSE && !a->forwarded,
	};
	void *bytes = pack(e, &p);
	int rc = driver_propose(a->n->driver, &p, ask_proposed, a, err);

	free(bytes);
	a->reply = reply;
	a->proposing = !rc;
	return rc;
}

static void may_read(const struct err *err, void *arg)
{
	const struct driver_result none = {0};

	ask_proposed(err, &none, arg);
}

int ask_read(struct ask *a, ask_reply_fn *reply, struct err *err)
{
	int rc = driver_read(a->n->driver, may_read, a, err);

	a->reply = reply;
	a->proposing = !rc;
	return rc;
}

int ask_change(struct ask *a, int64_t id, enum raft_member_role role,
	       const Gfl__V1__Entry *e, ask_reply_fn *reply, struct err *err)
{
	struct driver_proposal p = {0};
	void *bytes = pack(e, &p);
	int rc =
		driver_change(a->n->driver, id, role, &p, ask_proposed, a, err);

	free(bytes);
	a->reply = reply;
	a->proposing = !rc;
	return rc;
}

int ask_change_many(struct ask *a, const struct raft_member *to, size_t n,
		    ask_reply_fn *reply, struct err *err)
{
	struct driver_proposal p = {.client = a->client, .seq = a->seq};
	void *bytes = roles_pack(to, n, &p.len);
	int rc;

	p.data = bytes;
	rc = driver_change_many(a->n->driver, to, n, &p, ask_proposed, a, err);
	free(bytes);
	a->reply = reply;
	a->proposing = !rc;
	return rc;
}

int node_propose(struct node *n, const Gfl__V1__Entry *e, driver_done_fn *done,
		 void *arg, struct err *err)
{
	struct driver_proposal p = {0};
	void *bytes = pack(e, &p);
	int rc = driver_propose(n->driver, &p, done, arg, err);

	free(bytes);
	return rc;
}

int node_change(struct node *n, int64_t id, enum raft_member_role role,
		const Gfl__V1__Entry *e, driver_done_fn *done, void *arg,
		struct err *err)
{
	struct driver_proposal p = {0};
	void *bytes = pack(e, &p);
	int rc = driver_change(n->driver, id, role, &p, done, arg, err);

	free(bytes);
	return rc;
}

int node_change_many(struct node *n, const struct raft_member *to, size_t count,
		     driver_done_fn *done, void *arg, struct err *err)
{
	struct driver_proposal p = {0};
	void *bytes = roles_pack(to, count, &p.len);
	int rc;

	p.data = bytes;
	rc = driver_change_many(n->driver, to, count, &p, done, arg, err);
	free(bytes);
	return rc;
}
