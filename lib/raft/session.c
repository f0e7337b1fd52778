/* session.c - a hash of clients, and a list of them by age. */
#include "raft/session.h"

#include <stdlib.h>
#include <utlist.h>

/* A failed allocation leaves the table as it was in uthash, and we would not
 * know: end instead, as lib/base/mem.c does. */
#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "base/mem.h"
#include "raft/bug.h"

struct one {
	struct session is;
	void *reply;
	UT_hash_handle hh;
	struct one *prev, *next; /* by ascending index */
};

struct sessions {
	struct one *by_client, *by_age;
	size_t max, max_reply;
};

struct sessions *sessions_new(size_t max, size_t max_reply)
{
	struct sessions *s = mem_zero(1, sizeof(*s));

	s->max = max;
	s->max_reply = max_reply;
	return s;
}

static void drop(struct sessions *s, struct one *o)
{
	HASH_DEL(s->by_client, o);
	DL_DELETE(s->by_age, o);
	free(o->reply);
	free(o);
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	while (s->by_age)
		drop(s, s->by_age);
	free(s);
}

static struct one *find(const struct sessions *s, int64_t client)
{
	struct one *o;

	HASH_FIND(hh, s->by_client, &client, sizeof(client), o);
	return o;
}

enum session_verdict session_begin(const struct sessions *s, int64_t client,
				   int64_t seq, struct session *last)
{
	const struct one *o = find(s, client);

	if (RAFT_BUG(RAFT_BUG_SESSION_REPLAY))
		return SESSION_NEW;
	if (!o)
		return seq == 1 ? SESSION_NEW : SESSION_EXPIRED;
	if (seq > o->is.seq)
		return SESSION_NEW;
	if (seq < o->is.seq)
		return SESSION_STALE;
	*last = o->is;
	return SESSION_REPLAY;
}

/* The oldest by log index goes, never by a clock: all members must agree. */
static int64_t make_room(struct sessions *s)
{
	int64_t client;

	if (HASH_COUNT(s->by_client) < s->max)
		return 0;
	client = s->by_age->is.client;
	drop(s, s->by_age);
	return client;
}

int64_t session_end(struct sessions *s, const struct session *now)
{
	struct one *o = find(s, now->client);
	int64_t gone = 0;

	if (o) {
		DL_DELETE(s->by_age, o);
		free(o->reply);
	} else {
		gone = make_room(s);
		o = mem_zero(1, sizeof(*o));
		o->is.client = now->client;
		HASH_ADD(hh, s->by_client, is.client, sizeof(o->is.client), o);
	}
	o->is = *now;
	if (o->is.len > s->max_reply)
		o->is.len = s->max_reply;
	o->is.reply = o->reply = mem_dup(now->reply, o->is.len);
	DL_APPEND(s->by_age, o);
	return gone;
}

void sessions_each(const struct sessions *s, session_fn *fn, void *arg)
{
	const struct one *o;

	DL_FOREACH (s->by_age, o)
		fn(&o->is, arg);
}

size_t sessions_count(const struct sessions *s)
{
	return HASH_COUNT(s->by_client);
}
