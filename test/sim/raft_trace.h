/* raft_trace.h - the same cluster led by hand: a test says who times out, what
 * arrives, and when a disk has what. All that raft_check.h promises is checked
 * on the way, and the end of a test asks for it: trace_end(). */
#ifndef RAFT_TRACE_H
#define RAFT_TRACE_H

#include "raft_run.h"

struct trace {
	struct world w;
	bool slow[SERVERS + 1]; /* writes wait for sync() */
};

/* Servers 1 to voters know each other, the rest are empty. */
static inline void trace_init(struct trace *t, int voters)
{
	*t = (struct trace){.w.rand = {7}};
	t->w.max_jobs = 8;
	heal(&t->w);
	for (int i = 1; i <= SERVERS; i++) {
		struct server *s = &t->w.server[i];

		s->id = i;
		s->rate = 1000;
		s->write_us = 1;
		if (i <= voters)
			found(&t->w, s, voters);
		server_start(&t->w, s);
	}
	for (int i = 1; i <= CLIENTS; i++)
		t->w.client[i] = (struct client){.id = i, .ctx = i};
}

static inline struct raft *at(struct trace *t, int id)
{
	return t->w.server[id].r;
}

static inline struct raft_status status(struct trace *t, int id)
{
	struct raft_status st;

	raft_status(at(t, id), &st);
	return st;
}

static inline int64_t now_ms(struct trace *t)
{
	return local_ms(&t->w, &t->w.server[1]);
}

static inline void pass(struct trace *t, int64_t ms)
{
	t->w.now += ms * MS;
}

/* The oldest message of this kind (0: any) on its way, or NULL. */
static inline struct event *mail(struct trace *t, int from, int to, int type)
{
	struct event *best = NULL;

	for (size_t i = 0; i < t->w.n_events; i++) {
		struct event *e = &t->w.event[i];

		if ((from && e->msg.from != from) || (to && e->msg.to != to) ||
		    (type && (int)e->msg.type != type))
			continue;
		if (!best || e->order < best->order)
			best = e;
	}
	return best;
}

static inline int mails(struct trace *t, int from, int to, int type)
{
	int n = 0;

	for (size_t i = 0; i < t->w.n_events; i++) {
		const struct raft_msg *m = &t->w.event[i].msg;

		n += (!from || m->from == from) && (!to || m->to == to) &&
		     (!type || (int)m->type == type);
	}
	return n;
}

static inline void unmail(struct trace *t, struct event *e)
{
	msg_free(&e->msg);
	*e = t->w.event[--t->w.n_events];
}

static inline void lose(struct trace *t, int from, int to, int type)
{
	struct event *e;

	while ((e = mail(t, from, to, type)))
		unmail(t, e);
}

/* Hand over a message that may be made up. */
static inline int step(struct trace *t, const struct raft_msg *m)
{
	struct server *s = &t->w.server[m->to];
	struct err err;
	int rc = raft_step(s->r, local_ms(&t->w, s), m, &err);

	drain(&t->w, s);
	return rc;
}

/* The oldest message of this kind arrives; again: it stays, as a duplicate. */
static inline bool arrive(struct trace *t, int from, int to, int type,
			  bool again)
{
	struct event *e = mail(t, from, to, type), copy;

	if (!e)
		return false;
	copy = *e;
	copy.msg = msg_copy(&e->msg);
	if (!again)
		unmail(t, e);
	if (t->w.server[copy.msg.to].r && !t->w.cut[copy.msg.from][copy.msg.to])
		(void)step(t, &copy.msg);
	msg_free(&copy.msg);
	return true;
}

static inline void sync_one(struct trace *t, int id)
{
	struct server *s = &t->w.server[id];
	int64_t seq = 0;

	(void)finish_write(&t->w, s, &seq);
	if (seq)
		raft_written(s->r, local_ms(&t->w, s), seq);
	drain(&t->w, s);
}

static inline void sync_disk(struct trace *t, int id)
{
	while (t->w.server[id].r && t->w.server[id].n_jobs)
		sync_one(t, id);
}

/* All that is on its way arrives, until nothing is. */
static inline void settle(struct trace *t)
{
	bool more = true;

	while (more) {
		more = false;
		for (int i = 1; i <= SERVERS; i++)
			if (!t->slow[i])
				sync_disk(t, i);
		while (arrive(t, 0, 0, 0, false))
			more = true;
	}
}

static inline void tick(struct trace *t, int id)
{
	struct server *s = &t->w.server[id];

	raft_tick(s->r, local_ms(&t->w, s));
	drain(&t->w, s);
}

/* id has not heard from a leader for longer than any timeout. */
static inline void time_out(struct trace *t, int id)
{
	pass(t, 400);
	tick(t, id);
}

static inline void elect(struct trace *t, int id)
{
	time_out(t, id);
	settle(t);
}

/* Nothing but votes gets through, until no more are cast. */
static inline void ballots(struct trace *t)
{
	bool more = true;

	while (more) {
		more = false;
		for (int s = 1; s <= SERVERS; s++)
			if (!t->slow[s])
				sync_disk(t, s);
		for (int type = RAFT_PREVOTE; type <= RAFT_VOTE_REPLY; type++)
			while (arrive(t, 0, 0, type, false))
				more = true;
	}
}

/* Make id the leader by votes alone. A server that was away learns the term by
 * its first try. */
static inline void elect_by_votes(struct trace *t, int id)
{
	for (int i = 0; i < 3 && status(t, id).role != RAFT_LEADER; i++) {
		time_out(t, id);
		ballots(t);
	}
}

/* And its no-op stays with it. */
static inline void elect_quietly(struct trace *t, int id)
{
	elect_by_votes(t, id);
	lose(t, 0, 0, 0);
}

/* A leader that nobody answers finds out. */
static inline void step_down(struct trace *t, int id)
{
	time_out(t, id);
	lose(t, id, 0, 0);
}

static inline void heartbeat(struct trace *t, int id)
{
	pass(t, 60);
	tick(t, id);
}

static inline int propose(struct trace *t, int id, const char *text)
{
	struct server *s = &t->w.server[id];
	struct raft_entry e = {.type = RAFT_NORMAL, .data = text};
	int64_t index, term;
	struct err err;
	int rc;

	e.len = strlen(text);
	rc = raft_propose(s->r, local_ms(&t->w, s), &e, 1, &index, &term, &err);
	drain(&t->w, s);
	return rc;
}

/* Client 1 writes or reads at id, and what it is told is checked. */
static inline void client(struct trace *t, int id, bool reading)
{
	struct server *s = &t->w.server[id];
	struct client *c = &t->w.client[1];

	client_begin(&t->w, c, reading);
	client_ask(&t->w, c, s);
	drain(&t->w, s);
}

/* A snapshot of all that id has applied takes the place of its log. */
static inline void compact(struct trace *t, int id)
{
	struct server *s = &t->w.server[id];

	job_snapshot(&t->w, s, s->machine.index + 1);
	if (!t->slow[id])
		sync_disk(t, id);
}

static inline int change(struct trace *t, int id, int who,
			 enum raft_member_role role)
{
	struct server *s = &t->w.server[id];
	struct raft_entry e = {0};
	int64_t index, term;
	struct err err;
	int rc = raft_change(s->r, local_ms(&t->w, s), who, role, &e, &index,
			     &term, &err);

	drain(&t->w, s);
	return rc;
}

/* Several at once: "4v5v1-" is 4 and 5 to voters, 1 to nothing; s is a standby,
 * l a learner. */
static inline int change_many(struct trace *t, int id, const char *changes)
{
	static const char roles[] = "-vsl";
	struct server *s = &t->w.server[id];
	struct raft_member to[16];
	struct raft_entry e = {0};
	int64_t index, term;
	size_t n = 0;
	struct err err;
	int rc;

	for (const char *c = changes; *c; c += 2)
		to[n++] = (struct raft_member){
			.id = c[0] - '0',
			.role = (enum raft_member_role)(strchr(roles, c[1]) -
							roles),
		};
	rc = raft_change_many(s->r, local_ms(&t->w, s), to, n, &e, &index,
			      &term, &err);
	drain(&t->w, s);
	return rc;
}

static inline void crash(struct trace *t, int id)
{
	struct server *s = &t->w.server[id];

	jobs_end(&t->w, s, 0);
	server_crash(&t->w, s, INT64_MAX);
}

static inline void restart(struct trace *t, int id)
{
	server_start(&t->w, &t->w.server[id]);
	drain(&t->w, &t->w.server[id]);
}

/* Its disk keeps the entries up to kept, as it finds when it starts again. */
static inline void rot(struct trace *t, int id, int64_t kept)
{
	crash(t, id);
	disk_rot(&t->w.server[id].disk, kept);
	restart(t, id);
}

/* A server whose log has entries of these terms ("112") on disk. */
static inline void trace_load(struct trace *t, int id, const char *log,
			      int64_t term)
{
	struct server *s = &t->w.server[id];

	crash(t, id);
	for (size_t i = 1; i < strlen(log); i++) {
		struct raft_entry e = {.index = (int64_t)i + 1,
				       .term = log[i] - '0',
				       .type = RAFT_NORMAL};
		struct raft_write wr = {.term = s->disk.term,
					.vote = s->disk.vote,
					.entries = &e,
					.n = 1};

		disk_store(&t->w, s, &wr);
	}
	s->disk.term = term;
	restart(t, id);
}

/* Cut all links between these servers and the others. */
static inline void split(struct trace *t, const char *ids)
{
	memset(t->w.cut, 0, sizeof(t->w.cut));
	for (int a = 1; a <= SERVERS; a++)
		for (int b = 1; b <= SERVERS; b++)
			t->w.cut[a][b] =
				!strchr(ids, '0' + a) != !strchr(ids, '0' + b);
}

/* The terms of a log: "1 1 2". Borrowed until the next call. */
static inline const char *terms(struct trace *t, int id)
{
	static char text[512];
	size_t len = 0;
	const struct raft_entry *e;

	text[0] = 0;
	for (int64_t i = 1; (e = raft_entry(at(t, id), i)); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s%" PRId64, len ? " " : "", e->term);
	return text;
}

#define trace_end(t)                          \
	do {                                  \
		CHECK_STR((t)->w.broken, ""); \
		world_release(&(t)->w);       \
	} while (0)

#endif
