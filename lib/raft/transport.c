#include "raft/transport.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/codec.h"

enum {
	QUEUE_MESSAGES = 1024,
	QUEUE_BYTES = 8 << 20,
	BACKOFF_MIN_MS = 20,
	BACKOFF_MAX_MS = 200, /* about an election: a peer that is back is
			       * heard from soon */
	URL_MAX_LEN = 512,
	STRANGERS_MAX = 64,
	/* A request of so many bytes may take long enough for an election;
	 * heartbeats do not wait for it. */
	LARGE_BYTES = 256 << 10,
	/* Slower than 1 MB/s is as good as away. */
	BYTES_PER_MS = 1000,
};

/* Requests to a peer, one after the other. */
struct lane {
	struct peer *peer;
	struct rpc *rpc; /* under way, or NULL */
	size_t bytes_under_way;
	Gfl__V1__RaftMessage **queue;
	size_t n, cap, bytes;
};

struct peer {
	int64_t id;
	struct transport *t;
	char *heard_url;          /* from which it last spoke to us, or NULL */
	bool distrust;            /* that one failed: ask url_of() */
	struct lane main, beside; /* beside: while main is at a large one */
	int failures;             /* in a row */
	int64_t silent_until_ms;
	UT_hash_handle hh;
};

struct transport {
	struct transport_config cfg;
	char *cluster_id;
	struct peer *peers;
};

static struct peer *peer_of(struct transport *t, int64_t id)
{
	struct peer *p;

	HASH_FIND(hh, t->peers, &id, sizeof(id), p);
	if (p || HASH_COUNT(t->peers) >= RAFT_MEMBERS_MAX)
		return p;
	p = mem_zero(1, sizeof(*p));
	p->id = id;
	p->t = t;
	p->main.peer = p;
	p->beside.peer = p;
	HASH_ADD(hh, t->peers, id, sizeof(p->id), p);
	return p;
}

static void drop_queue(struct lane *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->queue[i]);
	l->n = 0;
	l->bytes = 0;
}

/* ---- out ---- */

static const char *url_of(struct peer *p)
{
	const struct transport_config *cfg = &p->t->cfg;
	const char *known;

	if (p->heard_url && !p->distrust)
		return p->heard_url;
	known = cfg->url_of(p->id, cfg->arg);
	return known ? known : p->heard_url;
}

static void flush(struct lane *l);

/* The error is the event of a peer that went away, so said once. */
static void failed(struct peer *p, const struct err *err)
{
	const struct transport_config *cfg = &p->t->cfg;
	int64_t wait_ms = BACKOFF_MIN_MS << (p->failures < 4 ? p->failures : 4);

	if (!p->failures++)
		log_warn("peer_lost", "peer=%lld error=%s", (long long)p->id,
			 err->msg);
	if (wait_ms > BACKOFF_MAX_MS)
		wait_ms = BACKOFF_MAX_MS;
	p->silent_until_ms = clock_ms() + wait_ms;
	p->distrust = !p->distrust;
	drop_queue(&p->main);
	drop_queue(&p->beside);
	cfg->on_lost(p->id, cfg->arg);
}

static void on_answer(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct lane *l = arg;
	struct peer *p = l->peer;

	(void)out;
	l->rpc = NULL;
	l->bytes_under_way = 0;
	if (err) {
		failed(p, err);
		return;
	}
	if (p->failures)
		log_info("peer_back", "peer=%lld", (long long)p->id);
	p->failures = 0;
	flush(l);
}

static void flush(struct lane *l)
{
	const struct transport_config *cfg = &l->peer->t->cfg;
	Gfl__V1__RaftStepRequest req = GFL__V1__RAFT_STEP_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = cfg->timeout_ms};
	const char *url;

	if (l->rpc || !l->n)
		return;
	url = url_of(l->peer);
	if (url) {
		opts.timeout_ms += (int64_t)(l->bytes / BYTES_PER_MS);
		req.cluster_id = l->peer->t->cluster_id;
		req.from = cfg->node_id;
		req.from_url = (char *)server_url(cfg->server);
		req.messages = l->queue;
		req.n_messages = l->n;
		l->bytes_under_way = l->bytes;
		l->rpc = client_call(cfg->client, url, RPC_RAFT_STEP, &req.base,
				     &opts, on_answer, l);
	}
	drop_queue(l);
}

/* Appends stay in order among themselves; the rest may overtake them. */
static struct lane *lane_for(struct peer *p, const struct raft_msg *msg)
{
	bool large = p->main.bytes_under_way + p->main.bytes >= LARGE_BYTES;

	return large && msg->type != RAFT_APPEND && msg->type != RAFT_PIECE
		       ? &p->beside
		       : &p->main;
}

void transport_send(struct transport *t, const struct raft_msg *msg)
{
	struct peer *p = peer_of(t, msg->to);
	struct lane *l;
	size_t size;

	if (!p || (p->failures && clock_ms() < p->silent_until_ms))
		return;
	l = lane_for(p, msg);
	if (l->n >= QUEUE_MESSAGES || l->bytes >= QUEUE_BYTES)
		return;
	l->queue = mem_grow(l->queue, &l->cap, l->n + 1, sizeof(*l->queue));
	l->queue[l->n++] = raft_encode(msg, &size);
	l->bytes += size;
}

void transport_flush(struct transport *t)
{
	struct peer *p, *next;

	HASH_ITER (hh, t->peers, p, next) {
		flush(&p->main);
		flush(&p->beside);
	}
}

void transport_url_changed(struct transport *t, int64_t id)
{
	struct peer *p;

	HASH_FIND(hh, t->peers, &id, sizeof(id), p);
	if (!p)
		return;
	free(p->heard_url);
	p->heard_url = NULL;
	p->distrust = false;
	p->silent_until_ms = 0;
}

/* ---- in ---- */

static bool is_stranger(struct transport *t, int64_t id)
{
	struct peer *p;

	HASH_FIND(hh, t->peers, &id, sizeof(id), p);
	return !p && !t->cfg.url_of(id, t->cfg.arg);
}

/* Who is not known yet may be a member of whom the log has not told us, but of
 * such there are few: members must find room. */
static void heard(struct transport *t, int64_t id, const char *url)
{
	struct peer *p;

	if (is_stranger(t, id) && HASH_COUNT(t->peers) >= STRANGERS_MAX)
		return;
	p = peer_of(t, id);
	if (!p)
		return;
	p->silent_until_ms = 0;
	if (strncmp(url, "http", 4) || strlen(url) > URL_MAX_LEN)
		return;
	if (p->heard_url && !strcmp(p->heard_url, url))
		return;
	free(p->heard_url);
	p->heard_url = mem_str(url);
	p->distrust = false;
}

static int take(struct transport *t, const Gfl__V1__RaftStepRequest *req,
		const Gfl__V1__RaftMessage *in, struct err *err)
{
	struct raft_msg msg;
	int rc = raft_decode(&msg, in, err);

	if (rc)
		return rc;
	if (msg.from != req->from)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "node %lld sent a message of node %lld",
			     (long long)req->from, (long long)msg.from);
	else
		rc = t->cfg.on_msg(&msg, t->cfg.arg, err);
	free((void *)msg.entries);
	return rc;
}

static int check(struct transport *t, const Gfl__V1__RaftStepRequest *req,
		 struct err *err)
{
	if (strcmp(req->cluster_id, t->cluster_id))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %lld is of cluster %s, not of %.64s",
			       (long long)t->cfg.node_id, t->cluster_id,
			       req->cluster_id);
	if (req->from < 1 || req->from == t->cfg.node_id)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "node id %lld is not that of a peer",
			       (long long)req->from);
	return 0;
}

static void on_step(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__RaftStepRequest *req = (const void *)in;
	Gfl__V1__RaftStepResponse none = GFL__V1__RAFT_STEP_RESPONSE__INIT;
	struct transport *t = arg;
	struct err err;
	int rc = check(t, req, &err);

	if (!rc)
		heard(t, req->from, req->from_url);
	for (size_t i = 0; !rc && i < req->n_messages; i++)
		rc = take(t, req, req->messages[i], &err);
	if (rc)
		call_fail(call, &err);
	else
		call_reply(call, &none.base);
}

/* ---- life ---- */

void transport_open(struct transport **out, const struct transport_config *cfg)
{
	struct transport *t = mem_zero(1, sizeof(*t));

	t->cfg = *cfg;
	t->cluster_id = mem_str(cfg->cluster_id);
	server_handle(cfg->server, RPC_RAFT_STEP, on_step, t);
	*out = t;
}

static void release_lane(struct lane *l)
{
	client_cancel(l->rpc);
	drop_queue(l);
	free(l->queue);
}

void transport_close(struct transport *t)
{
	struct peer *p, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->peers, p, next) {
		HASH_DEL(t->peers, p);
		release_lane(&p->main);
		release_lane(&p->beside);
		free(p->heard_url);
		free(p);
	}
	free(t->cluster_id);
	free(t);
}
