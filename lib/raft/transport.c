#include "raft/transport_impl.h"

#include <stdlib.h>
#include <string.h>

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
	NEWS_MS = 2,
	URL_MAX_LEN = 512,
	STRANGERS_MAX = 64,
	/* So many bytes may take long enough for an election; heartbeats do
	 * not wait for them. */
	LARGE_BYTES = 256 << 10,
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
	l->urgent = false;
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

static void close_stream(struct lane *l)
{
	timer_stop(&l->patience);
	duplex_cancel(l->stream);
	l->stream = NULL;
	l->up = false;
	drop_queue(l);
}

static void close_streams(struct peer *p)
{
	close_stream(&p->main);
	close_stream(&p->beside);
}

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
	close_streams(p);
	cfg->on_lost(p->id, cfg->arg);
}

static void on_up(const ProtobufCMessage *out, void *arg)
{
	struct lane *l = arg;
	struct peer *p = l->peer;

	(void)out;
	l->up = true;
	timer_stop(&l->patience);
	if (p->failures)
		log_info("peer_back", "peer=%lld", (long long)p->id);
	p->failures = 0;
}

/* A peer closes a stream on which nothing came for a minute: no failure. */
static void on_over(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct lane *l = arg;
	bool idle = l->up && (!err || err->code == ERR_DEADLINE_EXCEEDED);

	(void)out;
	l->stream = NULL;
	if (idle)
		close_stream(l);
	else
		failed(l->peer, err);
}

static void on_silence(void *arg)
{
	struct lane *l = arg;
	struct err err;

	err_set(&err, ERR_UNAVAILABLE, "%s has not answered within %g s",
		url_of(l->peer), (double)l->peer->t->cfg.timeout_ms / 1000);
	failed(l->peer, &err);
}

static void open_stream(struct lane *l)
{
	const struct transport_config *cfg = &l->peer->t->cfg;
	const struct rpc_opts opts = {
		.bind = client_bound(cfg->client),
		.tls = client_tls(cfg->client),
		.stall_ms = cfg->timeout_ms,
	};
	const char *url = url_of(l->peer);

	if (!url)
		return;
	l->stream = duplex_open(cfg->loop, url, &rpc_methods[RPC_RAFT_STEP],
				&opts, on_up, on_over, l);
	timer_set(&l->patience, cfg->loop, cfg->timeout_ms, on_silence, l);
}

static void flush(struct lane *l)
{
	const struct transport_config *cfg = &l->peer->t->cfg;
	Gfl__V1__RaftStepRequest req = GFL__V1__RAFT_STEP_REQUEST__INIT;

	if (!l->n)
		return;
	if (!l->stream)
		open_stream(l);
	req.cluster_id = l->peer->t->cluster_id;
	req.from = cfg->node_id;
	req.from_url = (char *)server_url(cfg->server);
	req.messages = l->queue;
	req.n_messages = l->n;
	if (l->stream && !duplex_send_now(l->stream, &req.base))
		log_debug("messages_dropped", "peer=%lld n=%zu",
			  (long long)l->peer->id, l->n);
	drop_queue(l);
}

static size_t unsent(const struct lane *l)
{
	return l->bytes + (l->stream ? duplex_queued(l->stream) : 0);
}

/* Appends stay in order among themselves; the rest may overtake them. */
static struct lane *lane_for(struct peer *p, const struct raft_msg *msg)
{
	bool large = unsent(&p->main) >= LARGE_BYTES;

	return large && msg->type != RAFT_APPEND && msg->type != RAFT_PIECE
		       ? &p->beside
		       : &p->main;
}

/* A heartbeat that asks for no answer. */
static bool is_news(const struct raft_msg *msg)
{
	return msg->type == RAFT_HEARTBEAT && !msg->context;
}

void transport_send(struct transport *t, const struct raft_msg *msg)
{
	struct peer *p = peer_of(t, msg->to);
	struct lane *l;
	size_t size;

	if (!p || (p->failures && clock_ms() < p->silent_until_ms))
		return;
	l = lane_for(p, msg);
	if (l->n >= QUEUE_MESSAGES || unsent(l) >= QUEUE_BYTES)
		return;
	l->queue = mem_grow(l->queue, &l->cap, l->n + 1, sizeof(*l->queue));
	l->queue[l->n++] = raft_encode(msg, &size);
	l->bytes += size;
	l->urgent = l->urgent || !is_news(msg);
}

static void on_news(void *arg)
{
	transport_flush(arg, true);
}

void transport_flush(struct transport *t, bool hurry)
{
	struct peer *p, *next;
	bool waits = false;

	HASH_ITER (hh, t->peers, p, next) {
		if (hurry || p->main.urgent)
			flush(&p->main);
		if (hurry || p->beside.urgent)
			flush(&p->beside);
		waits = waits || p->main.n || p->beside.n;
	}
	if (waits && !t->news_due)
		timer_set(&t->news, t->cfg.loop, NEWS_MS, on_news, t);
	t->news_due = waits;
}

void transport_url_changed(struct transport *t, int64_t id)
{
	struct peer *p;

	HASH_FIND(hh, t->peers, &id, sizeof(id), p);
	if (!p)
		return;
	close_streams(p);
	free(p->heard_url);
	p->heard_url = NULL;
	p->distrust = false;
	p->silent_until_ms = 0;
}

/* ---- who speaks to us ---- */

static bool is_stranger(struct transport *t, int64_t id)
{
	struct peer *p;

	HASH_FIND(hh, t->peers, &id, sizeof(id), p);
	return !p && !t->cfg.url_of(id, t->cfg.arg);
}

/* Who is not known yet may be a member of whom the log has not told us, but of
 * such there are few: members must find room. */
void transport_heard(struct transport *t, int64_t id, const char *url)
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
	if (p->heard_url)
		close_streams(p); /* they lead to where it was */
	free(p->heard_url);
	p->heard_url = mem_str(url);
	p->distrust = false;
}

/* ---- life ---- */

void transport_open(struct transport **out, const struct transport_config *cfg)
{
	struct transport *t = mem_zero(1, sizeof(*t));

	t->cfg = *cfg;
	t->cluster_id = mem_str(cfg->cluster_id);
	transport_serve(t);
	*out = t;
}

static void release_lane(struct lane *l)
{
	close_stream(l);
	free(l->queue);
}

void transport_close(struct transport *t)
{
	struct peer *p, *next;

	if (!t)
		return;
	timer_stop(&t->news);
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
