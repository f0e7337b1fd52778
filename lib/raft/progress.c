/* progress.c - the members, and how far a leader knows each one's log. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* Where id is among the peers, which are in ascending order, or would be. */
static size_t place(const struct raft *r, int64_t id)
{
	size_t low = 0, high = r->n_peers;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->peer[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct peer *raft_peer_find(const struct raft *r, int64_t id)
{
	size_t i = place(r, id);

	return i < r->n_peers && r->peer[i].id == id ? &r->peer[i] : NULL;
}

void raft_peer_probe(struct peer *p, int64_t next)
{
	p->probing = true;
	p->paused = false;
	p->poke = false;
	p->next = next;
	p->sent_head = p->n_sent = 0;
}

static void peer_add(struct raft *r, int64_t id)
{
	size_t i = place(r, id);
	struct peer *p;

	r->peer = mem_grow(r->peer, &r->peers_cap, r->n_peers + 1,
			   sizeof(*r->peer));
	p = &r->peer[i];
	memmove(p + 1, p, (r->n_peers++ - i) * sizeof(*p));
	*p = (struct peer){.id = id, .heard_ms = r->now_ms};
	p->sent = mem_zero((size_t)r->cfg.max_inflight, sizeof(*p->sent));
	raft_peer_probe(p, raft_log_last(&r->log) + 1);
}

void raft_peer_drop(struct raft *r, struct peer *p)
{
	size_t after = r->n_peers - (size_t)(p - r->peer) - 1;

	free(p->sent);
	memmove(p, p + 1, after * sizeof(*p));
	r->n_peers--;
}

/* Take the roles of conf. A leader keeps whom conf leaves out (as RAFT_NONE)
 * until that commits, so that it can be told. */
void raft_peers_follow(struct raft *r, const struct raft_conf *conf)
{
	for (size_t i = r->n_peers; i-- > 0;) {
		struct peer *p = &r->peer[i];

		p->role = RAFT_NONE;
		p->old = false;
		if (raft_conf_role(conf, p->id) == RAFT_NONE &&
		    r->role != RAFT_LEADER)
			raft_peer_drop(r, p);
	}
	for (int i = 0; i < conf->n; i++) {
		const struct raft_member *m = &conf->member[i];
		struct peer *p;

		if (!raft_peer_find(r, m->id))
			peer_add(r, m->id);
		p = raft_peer_find(r, m->id);
		p->role = m->role;
		p->old = m->old;
	}
	r->joint = raft_conf_joint(conf);
}

/* A new leader knows nothing: next just after its own last entry (Raft 5.3).
 */
void raft_peers_reset(struct raft *r, int64_t next)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		struct peer *p = &r->peer[i];

		raft_peer_probe(p, next);
		p->match = p->commit_told = p->round = p->snap = 0;
		p->heard_ms = r->now_ms;
	}
}

void raft_peers_release(struct raft *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		free(r->peer[i].sent);
	free(r->peer);
}

/* An append up to last is under way. */
void raft_peer_sent(struct raft *r, struct peer *p, int64_t last)
{
	int slot = (p->sent_head + p->n_sent) % r->cfg.max_inflight;

	p->sent[slot] = last;
	p->n_sent++;
	p->next = last + 1;
}

/* The member's log equals ours up to index, durably. */
void raft_peer_acked(struct raft *r, struct peer *p, int64_t index)
{
	if (index > p->match)
		p->match = index;
	if (p->next <= p->match)
		p->next = p->match + 1;
	if (p->snap <= p->match)
		p->snap = 0;
	while (p->n_sent && p->sent[p->sent_head] <= p->match) {
		p->sent_head = (p->sent_head + 1) % r->cfg.max_inflight;
		p->n_sent--;
	}
}

static int descending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static bool counts(const struct peer *p, bool old)
{
	if (old)
		return p->old;
	return p->role == RAFT_VOTER ||
	       (p->role && RAFT_BUG(RAFT_BUG_LEARNERS_COUNT));
}

/* The largest value that a majority of the voters has reached, of C_old or of
 * the newest configuration (C_new); 0 without voters. A server that is not a
 * voter there does not count itself (Diss. 4.2.2). */
int64_t raft_half_value(const struct raft *r, peer_value_fn *value, bool old)
{
	int64_t few[16], *v = few, got = 0;
	size_t n = 0;

	if (r->n_peers > sizeof(few) / sizeof(few[0]))
		v = mem_zero(r->n_peers, sizeof(*v));
	for (size_t i = 0; i < r->n_peers; i++)
		if (counts(&r->peer[i], old))
			v[n++] = value(r, &r->peer[i]);
	if (n) {
		qsort(v, n, sizeof(*v), descending);
		got = v[n / 2];
	}
	if (v != few)
		free(v);
	return got;
}

/* What both majorities have reached while the configuration is joint: agreement
 * needs each of them, for elections, commits and all else (Raft 6). */
int64_t raft_quorum_value(const struct raft *r, peer_value_fn *value)
{
	int64_t now = raft_half_value(r, value, false);
	int64_t old = r->joint ? raft_half_value(r, value, true) : now;

	return old < now ? old : now;
}
