/* raft_client.h - clients that write and read, and retry until they know. */
#ifndef RAFT_CLIENT_H
#define RAFT_CLIENT_H

#include "raft_check.h"

static void client_done(struct world *w, struct client *c, int64_t index)
{
	if (index <= c->floor && !c->reading)
		broken(w,
		       "linearizability: client %" PRId64
		       " wrote entry %" PRId64 " before entry %" PRId64,
		       c->id, index, c->floor);
	if (index < c->floor)
		broken(w,
		       "linearizability: client %" PRId64 " read entry %" PRId64
		       ", not %" PRId64,
		       c->id, index, c->floor);
	c->busy = c->sent = false;
	c->done++;
	w->reads += c->reading;
	if (w->floor < index)
		w->floor = index;
}

/* Who waits for this entry at this server hears of it. Another term at the
 * index means that the proposal is lost, or will be retried anyhow. */
static void client_hear(struct world *w, const struct server *s,
			const struct raft_entry *e, int64_t index)
{
	for (int i = 1; i <= CLIENTS; i++) {
		struct client *c = &w->client[i];

		if (!c->sent || c->reading || c->server != s->id ||
		    c->life != s->life || c->index != e->index)
			continue;
		if (c->term != e->term)
			c->sent = false;
		else
			client_done(w, c, index);
	}
}

static void apply_normal(struct world *w, struct server *s,
			 const struct raft_entry *e)
{
	struct session last = {.client = e->client,
			       .seq = e->seq,
			       .index = e->index,
			       .reply = &e->index,
			       .len = sizeof(e->index)};
	int64_t index = e->index;

	switch (session_begin(s->machine.sessions, e->client, e->seq, &last)) {
	case SESSION_NEW:
		if (++s->machine.effects[e->client] != e->seq)
			broken(w,
			       "sessions: proposal %" PRId64
			       " of client %" PRId64
			       " is applied as number %" PRId64,
			       e->seq, e->client,
			       s->machine.effects[e->client]);
		session_end(s->machine.sessions, &last);
		break;
	case SESSION_REPLAY:
		memcpy(&index, last.reply, sizeof(index));
		break;
	case SESSION_STALE:
		return;
	case SESSION_EXPIRED:
		broken(w, "sessions: client %" PRId64 " is unknown", e->client);
		return;
	}
	client_hear(w, s, e, index);
}

static void apply(struct world *w, struct server *s, const struct raft_entry *e)
{
	const struct raft_entry *stored = disk_entry(&s->disk, e->index);
	uint32_t crc = entry_crc(e);

	if (e->index != s->machine.index + 1)
		broken(w, "server %" PRId64 " skips entry %" PRId64, s->id,
		       s->machine.index + 1);
	if (e->index > s->disk.snap.index &&
	    (!stored || stored->term != e->term))
		broken(w,
		       "server %" PRId64 " applies entry %" PRId64
		       " that its disk does not have",
		       s->id, e->index);
	s->machine.index = e->index;
	s->machine.chain = crc32c_of(s->machine.chain, &crc, sizeof(crc));
	if (e->type == RAFT_NORMAL && e->client)
		apply_normal(w, s, e);
}

static void client_read_done(struct world *w, const struct server *s,
			     const struct raft_read *rd)
{
	struct client *c = &w->client[rd->ctx % (CLIENTS + 1)];

	if (!c->sent || !c->reading || c->ctx != rd->ctx)
		return;
	c->sent = false;
	if (rd->refused)
		return;
	if (s->machine.index < rd->index)
		broken(w, "a read is answered before its entry");
	client_done(w, c, rd->index);
	if (w->floor < s->machine.index)
		w->floor = s->machine.index;
}

static int client_propose(struct world *w, struct client *c, struct server *s)
{
	char data[64] = {0};
	struct raft_entry e = {.type = RAFT_NORMAL,
			       .client = c->id,
			       .seq = c->seq,
			       .data = data};
	struct err err;

	e.len = chance(w, sizeof(data));
	return raft_propose(s->r, local_ms(w, s), &e, 1, &c->index, &c->term,
			    &err);
}

static struct server *client_choose(struct world *w)
{
	struct server *s = &w->server[1 + chance(w, SERVERS)];
	struct raft_status st = {0};

	if (s->r)
		raft_status(s->r, &st);
	if (st.leader && chance(w, 4))
		s = &w->server[st.leader];
	return s->r ? s : NULL;
}

/* One step of a client; the server it spoke to, or NULL. */
static struct server *client_step(struct world *w, struct client *c)
{
	struct server *s;
	struct err err;

	if (c->sent && w->now < c->retry)
		return NULL;
	if (!c->busy) {
		if (w->calm && w->now > w->end - 1500 * MS)
			return NULL;
		c->busy = true;
		c->floor = w->floor;
		c->reading = chance(w, 3) == 0;
		c->seq += !c->reading;
	}
	c->sent = false;
	s = client_choose(w);
	if (!s)
		return NULL;
	c->server = s->id;
	c->life = s->life;
	c->retry = w->now + (50 + (int64_t)chance(w, 500)) * MS;
	c->ctx += CLIENTS + 1;
	if (c->reading)
		c->sent = !raft_read(s->r, local_ms(w, s), c->ctx, &err);
	else
		c->sent = !client_propose(w, c, s);
	return s;
}

#endif
