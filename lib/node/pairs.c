/* Which peers reach us, and we them. Each node tells every other member that is
 * up, by a message of type 999 with an id of its own start as payload; when it
 * has told and has been told, the pair is ready. A peer that was started anew
 * says another id and is told again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum { CALL_MS = 2000, RETRY_MS = 1000, AT_ONCE = 16 };

struct pair {
	struct node *n;
	int64_t id;
	bool told, heard;
	char start[STR_ID]; /* the peer's, once it was heard */
	struct rpc *rpc;
	int64_t next_ms; /* not to be told before */
};

struct pairs {
	char start[STR_ID]; /* ours */
	size_t under_way;
	bool all; /* was ready when last looked at */
	struct pair **at; /* by ascending id */
	size_t n, cap;
};

void pairs_open(struct node *n)
{
	n->pairs = mem_zero(1, sizeof(*n->pairs));
	str_new_id(n->pairs->start);
}

static void pair_free(struct pair *p)
{
	if (p->rpc)
		p->n->pairs->under_way--;
	client_cancel(p->rpc);
	free(p);
}

void pairs_close(struct node *n)
{
	if (!n->pairs)
		return;
	for (size_t i = 0; i < n->pairs->n; i++)
		pair_free(n->pairs->at[i]);
	free(n->pairs->at);
	free(n->pairs);
	n->pairs = NULL;
}

/* Index of the first pair whose id is not below this one. */
static size_t place(const struct pairs *all, int64_t id)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (all->at[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct pair *find(const struct node *n, int64_t id)
{
	const struct pairs *all = n->pairs;
	size_t i = place(all, id);

	return i < all->n && all->at[i]->id == id ? all->at[i] : NULL;
}

static struct pair *find_or_add(struct node *n, int64_t id)
{
	struct pairs *all = n->pairs;
	size_t i = place(all, id);
	struct pair *p;

	if (i < all->n && all->at[i]->id == id)
		return all->at[i];
	p = mem_zero(1, sizeof(*p));
	p->n = n;
	p->id = id;
	all->at = mem_grow(all->at, &all->cap, all->n + 1, sizeof(*all->at));
	memmove(all->at + i + 1, all->at + i,
		(all->n - i) * sizeof(*all->at));
	all->at[i] = p;
	all->n++;
	return p;
}

/* ---- telling ---- */

static void told(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct pair *p = arg;

	(void)out;
	p->rpc = NULL;
	p->n->pairs->under_way--;
	p->told = !err;
	p->next_ms = clock_ms() + RETRY_MS;
	if (err)
		log_debug("pair", "node=%" PRId64 " error=%s", p->id, err->msg);
}

static void tell(struct pair *p, const char *url)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem item = GFL__V1__MESSAGE_ITEM__INIT;
	struct node *n = p->n;
	const struct rpc_opts opts = {
		.timeout_ms = CALL_MS,
		.forwarded = true, /* for this peer and nobody else */
	};
	char id[STR_ID];

	str_new_id(id);
	item.id = id;
	item.from = n->meta.node_id;
	item.to = p->id;
	item.type = MESSAGE_READY;
	item.payload.data = (uint8_t *)n->pairs->start;
	item.payload.len = STR_ID - 1;
	in.message = &item;
	n->pairs->under_way++;
	p->rpc = client_call(n->client, url, RPC_NODE_SEND_MESSAGE, &in.base,
			     &opts, told, p);
}

int pairs_heard(struct node *n, const Gfl__V1__MessageItem *m, struct err *err)
{
	struct pair *p;

	if (m->from == n->meta.node_id || !state_member(n->state, m->from))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "ready is said by a member to another: %" PRId64
			       " is none to node %" PRId64,
			       m->from, n->meta.node_id);
	if (m->payload.len != STR_ID - 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a message of type %d has the id of its "
			       "sender's start, 32 hex digits",
			       MESSAGE_READY);
	p = find_or_add(n, m->from);
	if (memcmp(p->start, m->payload.data, m->payload.len) != 0) {
		memcpy(p->start, m->payload.data, m->payload.len);
		p->told = false;
		p->next_ms = 0;
	}
	p->heard = true;
	return 0;
}

/* ---- looking ---- */

static bool is_peer(const struct node *n, const Gfl__V1__Member *m)
{
	return m && m->id != n->meta.node_id &&
	       m->liveness == GFL__V1__LIVENESS__LIVE;
}

static void drop_gone(struct node *n)
{
	struct pairs *all = n->pairs;
	size_t kept = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (is_peer(n, state_member(n->state, all->at[i]->id)))
			all->at[kept++] = all->at[i];
		else
			pair_free(all->at[i]);
	}
	all->n = kept;
}

static void look_at(struct node *n, const Gfl__V1__Member *m)
{
	struct pair *p = find_or_add(n, m->id);
	const char *url = node_url_of(n, m->id);

	if (!p->told && !p->rpc && url && clock_ms() >= p->next_ms &&
	    n->pairs->under_way < AT_ONCE)
		tell(p, url);
}

void pairs_look(struct node *n)
{
	bool all;

	if (!n->ready || n->leaving)
		return;
	drop_gone(n);
	for (size_t i = 0; i < n->state->nmembers; i++)
		if (is_peer(n, n->state->members[i]))
			look_at(n, n->state->members[i]);
	all = pairs_all_ready(n);
	if (all && !n->pairs->all)
		log_info("cluster_ready", "members=%zu",
			 1 + pairs_ready(n, NULL, 0));
	n->pairs->all = all;
}

static bool is_ready(const struct node *n, const Gfl__V1__Member *m)
{
	const struct pair *p = is_peer(n, m) ? find(n, m->id) : NULL;

	return p && p->told && p->heard;
}

size_t pairs_ready(const struct node *n, int64_t *ids, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < n->state->nmembers; i++) {
		const Gfl__V1__Member *m = n->state->members[i];

		if (!is_ready(n, m))
			continue;
		if (count < max)
			ids[count] = m->id;
		count++;
	}
	return count;
}

bool pairs_all_ready(const struct node *n)
{
	size_t up = 1, ready = 1 + pairs_ready(n, NULL, 0);

	for (size_t i = 0; i < n->state->nmembers; i++)
		up += is_peer(n, n->state->members[i]);
	return n->ready && ready >= up && ready >= (size_t)n->cfg.client_num;
}
