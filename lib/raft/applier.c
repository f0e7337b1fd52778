#include "raft/applier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "raft/session.h"
#include "wire/rpc.h"

/* The same on every member: which sessions are kept is replicated state. */
enum { SESSIONS_MAX = 16384 };

/* What is kept of a result. */
struct reply {
	int64_t id, term;
	enum err_code code;
	char msg[200];
};

struct applier {
	driver_apply_fn *apply;
	void *arg;
	struct sessions *sessions;
};

struct applier *applier_new(driver_apply_fn *apply, void *arg)
{
	struct applier *a = mem_zero(1, sizeof(*a));

	a->apply = apply;
	a->arg = arg;
	a->sessions = sessions_new(SESSIONS_MAX, sizeof(struct reply));
	return a;
}

void applier_free(struct applier *a)
{
	sessions_free(a->sessions);
	free(a);
}

static void keep(struct applier *a, const struct raft_entry *e,
		 const struct driver_result *result)
{
	struct reply reply = {
		.id = result->id,
		.term = result->term,
		.code = result->refused.code,
	};
	struct session now = {
		.client = e->client,
		.seq = e->seq,
		.index = e->index,
		.reply = &reply,
		.len = sizeof(reply),
	};

	if (reply.code)
		snprintf(reply.msg, sizeof(reply.msg), "%.*s",
			 (int)sizeof(reply.msg) - 1, result->refused.msg);
	else
		now.len = offsetof(struct reply, msg);
	session_end(a->sessions, &now);
}

static void recall(const struct session *last, struct driver_result *result)
{
	struct reply reply = {0};

	memcpy(&reply, last->reply, last->len);
	result->index = last->index;
	result->term = reply.term;
	result->id = reply.id;
	if (reply.code)
		err_set(&result->refused, reply.code, "%s", reply.msg);
	else
		result->refused.code = ERR_OK;
}

static int say(enum session_verdict verdict, int64_t client, int64_t seq,
	       struct err *err)
{
	switch (verdict) {
	case SESSION_STALE:
		return err_set(err, ERR_ABORTED,
			       "proposal %lld of client %lld comes after a "
			       "later one of it",
			       (long long)seq, (long long)client);
	case SESSION_EXPIRED:
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the session of client %lld has expired",
			       (long long)client);
	default:
		return 0;
	}
}

int applier_apply(struct applier *a, const struct raft_entry *e,
		  struct driver_result *result, struct err *err)
{
	struct raft_entry own = *e; /* apply may make e go away */
	enum session_verdict verdict = SESSION_NEW;
	bool session = e->client > 0 && e->seq > 0;
	struct session last;

	memset(result, 0, sizeof(*result));
	result->index = e->index;
	result->term = e->term;
	if (session)
		verdict = session_begin(a->sessions, e->client, e->seq, &last);
	a->apply(e, verdict != SESSION_NEW && e->type != RAFT_CONFIG, result,
		 a->arg);
	if (session && verdict == SESSION_NEW)
		keep(a, &own, result);
	if (verdict == SESSION_REPLAY)
		recall(&last, result);
	return say(verdict, own.client, own.seq, err);
}

bool applier_knows(const struct applier *a, int64_t client, int64_t seq,
		   struct driver_result *result, int *rc, struct err *err)
{
	struct session last;
	enum session_verdict verdict =
		session_begin(a->sessions, client, seq, &last);

	if (verdict != SESSION_REPLAY && verdict != SESSION_STALE)
		return false;
	memset(result, 0, sizeof(*result));
	if (verdict == SESSION_REPLAY)
		recall(&last, result);
	*rc = say(verdict, client, seq, err);
	return true;
}

static void save_one(const struct session *now, void *arg)
{
	Gfl__V1__RaftImage *image = arg;
	Gfl__V1__RaftSession *s = mem_zero(1, sizeof(*s));

	gfl__v1__raft_session__init(s);
	s->client = (uint64_t)now->client;
	s->seq = (uint64_t)now->seq;
	s->index = (uint64_t)now->index;
	s->reply.data = mem_dup(now->reply, now->len);
	s->reply.len = now->len;
	image->sessions[image->n_sessions++] = s;
}

Gfl__V1__RaftImage *applier_save(const struct applier *a)
{
	Gfl__V1__RaftImage *image = mem_zero(1, sizeof(*image));
	size_t n = sessions_count(a->sessions);

	gfl__v1__raft_image__init(image);
	image->sessions = mem_zero(n + 1, sizeof(*image->sessions));
	sessions_each(a->sessions, save_one, image);
	return image;
}

void applier_restore(struct applier *a, const Gfl__V1__RaftImage *image)
{
	sessions_free(a->sessions);
	a->sessions = sessions_new(SESSIONS_MAX, sizeof(struct reply));
	for (size_t i = 0; i < image->n_sessions; i++) {
		const Gfl__V1__RaftSession *s = image->sessions[i];
		const struct session now = {
			.client = (int64_t)s->client,
			.seq = (int64_t)s->seq,
			.index = (int64_t)s->index,
			.reply = s->reply.data,
			.len = s->reply.len,
		};

		session_end(a->sessions, &now);
	}
}
