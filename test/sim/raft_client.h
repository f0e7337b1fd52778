/* raft_client.h - clients that write and read registers, and retry until they
 * know. */
#ifndef RAFT_CLIENT_H
#define RAFT_CLIENT_H

#include "raft_check.h"

/* Some keys at a time, and not too much on each for a checker. */
enum { KEYS_AT_ONCE = 3, OPS_BY_KEY = 100 };

/* What a read gives whose key was replaced meanwhile. */
enum { UNKNOWN = -1 };

/* What an entry's data begins with. */
struct order {
	int64_t key, value;
};

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
	if (c->value != UNKNOWN)
		linear_end(&w->history, c->op, c->value, ++w->moment);
	c->busy = c->sent = false;
	c->done++;
	w->t.reads += c->reading;
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

static void machine_put(struct machine *m, const struct raft_entry *e)
{
	struct order o;
	struct cell *c;

	memcpy(&o, e->data, sizeof(o));
	c = &m->cell[o.key % KEYS];
	if (c->key <= o.key)
		*c = (struct cell){o.key, o.value};
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
		machine_put(&s->machine, e);
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

/* What is applied is on this disk, follows what was applied before, and is
 * what was committed. */
static void check_apply(struct world *w, const struct server *s,
			const struct raft_entry *e)
{
	const struct raft_entry *stored = disk_entry(&s->disk, e->index);

	if (e->index != s->machine.index + 1)
		broken(w, "server %" PRId64 " skips entry %" PRId64, s->id,
		       s->machine.index + 1);
	if (e->index > s->disk.snap.index &&
	    (!stored || stored->term != e->term))
		broken(w,
		       "server %" PRId64 " applies entry %" PRId64
		       " that its disk does not have",
		       s->id, e->index);
	if ((size_t)e->index > w->n_facts ||
	    w->fact[e->index - 1].term != e->term)
		broken(w,
		       "state machine safety: server %" PRId64
		       " applies entry %" PRId64 " that is not committed",
		       s->id, e->index);
}

static void apply(struct world *w, struct server *s, const struct raft_entry *e)
{
	uint32_t crc = entry_crc(e);

	check_apply(w, s, e);
	s->machine.index = e->index;
	s->machine.chain = crc32c_of(s->machine.chain, &crc, sizeof(crc));
	if ((size_t)e->index <= w->n_facts &&
	    w->fact[e->index - 1].chain != s->machine.chain)
		broken(w,
		       "state machine safety: entries up to %" PRId64
		       " on server %" PRId64,
		       e->index, s->id);
	if (e->type == RAFT_NORMAL && e->client)
		apply_normal(w, s, e);
}

static void client_read_done(struct world *w, const struct server *s,
			     const struct raft_read *rd)
{
	struct client *c = &w->client[rd->ctx % (CLIENTS + 1)];
	const struct cell *cell = &s->machine.cell[c->key % KEYS];

	if (!c->sent || !c->reading || c->ctx != rd->ctx)
		return;
	c->sent = false;
	if (rd->refused)
		return;
	if (s->machine.index < rd->index)
		broken(w, "a read is answered before its entry");
	if (cell->key == c->key)
		c->value = cell->value;
	else
		c->value = cell->key < c->key ? 0 : UNKNOWN;
	client_done(w, c, rd->index);
	if (w->floor < s->machine.index)
		w->floor = s->machine.index;
}

static int client_propose(struct world *w, struct client *c, struct server *s)
{
	char data[2048] = {0};
	struct order o = {c->key, c->value};
	struct raft_entry e = {.type = RAFT_NORMAL,
			       .client = c->id,
			       .seq = c->seq,
			       .data = data};
	struct err err;

	memcpy(data, &o, sizeof(o));
	e.len = sizeof(o) + chance(w, w->max_data + 1);
	return raft_propose(s->r, local_ms(w, s), &e, 1, &c->index, &c->term,
			    &err);
}

/* Begin to write or to read. A value tells which write it is of. */
static void client_begin(struct world *w, struct client *c, bool reading)
{
	int64_t turn = (int64_t)w->history.n / (KEYS_AT_ONCE * OPS_BY_KEY);

	c->busy = true;
	c->floor = w->floor;
	c->reading = reading;
	c->seq += !reading;
	c->key = 1 + turn * KEYS_AT_ONCE + (int64_t)chance(w, KEYS_AT_ONCE);
	c->value = reading ? 0 : c->seq << 8 | c->id;
	c->op = linear_begin(&w->history, c->key, !reading, c->value,
			     ++w->moment, c->id);
}

/* Who is stopped hears nothing, and that is not known. */
static void client_ask(struct world *w, struct client *c, struct server *s)
{
	struct err err;
	int rc;

	c->server = s->id;
	c->life = s->life;
	c->ctx += CLIENTS + 1;
	c->index = 0;
	if (s->woken)
		rc = 0;
	else if (c->reading)
		rc = raft_read(s->r, local_ms(w, s), c->ctx, &err);
	else
		rc = client_propose(w, c, s);
	c->sent = !rc;
	w->t.refused += rc == ERR_RESOURCE_EXHAUSTED;
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

/* One step of a client; the server that heard of it, or NULL. */
static struct server *client_step(struct world *w, struct client *c)
{
	struct server *s;

	if (c->sent && w->now < c->retry)
		return NULL;
	if (!c->busy) {
		if (w->quiet)
			return NULL;
		client_begin(w, c, chance(w, 3) == 0);
	}
	c->sent = false;
	s = client_choose(w);
	if (!s)
		return NULL;
	c->retry = w->now + (50 + (int64_t)chance(w, 500)) * MS;
	client_ask(w, c, s);
	return s->woken ? NULL : s;
}

#endif
