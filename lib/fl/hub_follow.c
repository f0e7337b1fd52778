/* Servers beside nodes that do not lead: each keeps the newest state, so that
 * any of them can go on. No round begins before all that follow have what the
 * one before has made; one that is silent for a while does not count. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

enum {
	FOLLOWERS_MAX = 64,
	HOLD_MS = 2000,
	SILENT_MS = 6000,
	GONE_MS = 2000, /* with its connection, unless it is back */
};

struct hub_follower {
	struct hub *hub; /* NULL: forgotten, and only a stream knows of it */
	int pulling;     /* streams to it; meanwhile it does not ask */
	char id[STR_ID];
	int64_t term, version;     /* that it has */
	int64_t held_ms, until_ms; /* until then it counts */
	bool told;                 /* that all is over */
	struct call *held;
	struct hub_follower *prev, *next;
};

/* An ending hub has told its clients before it lets those go who would have to
 * tell them in its place. */
static bool is_over(const struct hub *h)
{
	bool waited = clock_ms() - h->ending_ms >= h->opts.ending_ms / 4 * 3;

	return h->state >= HUB_ENDING && h->saved && !h->ahead &&
	       (!h->present || waited);
}

static bool counts(const struct hub_follower *f)
{
	return f->pulling || clock_ms() < f->until_ms;
}

static bool has_newest(const struct hub_follower *f)
{
	const struct snapshot *s = f->hub->snapshot;

	return !s || snapshot_is(s, f->term, f->version);
}

/* Nothing is under way that the next active one would have to repeat. */
static bool is_at_rest(const struct hub *h)
{
	const bool idle =
		h->opts.async ? !h->admitting : h->state == HUB_WAITING;

	return h->alone && h->state < HUB_ENDING && idle && hub_followed(h);
}

static bool has_word(const struct hub_follower *f)
{
	const struct hub *h = f->hub;

	return !has_newest(f) || is_over(h) || is_at_rest(h);
}

static void answer(struct hub_follower *f, struct call *call)
{
	const struct hub *h = f->hub;
	Gfl__V1__FlFollowResponse out;

	gfl__v1__fl_follow_response__init(&out);
	out.term = h->snapshot ? h->snapshot->term : 0;
	out.version = h->snapshot ? h->snapshot->version : 0;
	out.leads = out.knows = h->opts.term;
	out.over = is_over(h) && has_newest(f);
	out.leaves = is_at_rest(h) && has_newest(f);
	f->told = out.over;
	call_reply(call, &out.base);
}

static struct call *take_held(struct hub_follower *f)
{
	struct call *call = f->held;

	f->held = NULL;
	call_on_cancel(call, NULL, NULL);
	return call;
}

static void held_gone(struct call *call, void *arg)
{
	struct hub_follower *f = arg;

	(void)call;
	f->held = NULL;
	f->until_ms = clock_ms() + GONE_MS;
}

static struct hub_follower *find(struct hub *h, const char *id)
{
	struct hub_follower *f;

	DL_FOREACH (h->followers, f)
		if (!strcmp(f->id, id))
			return f;
	return NULL;
}

static void forget(struct hub_follower *f)
{
	if (f->held)
		answer(f, take_held(f));
	DL_DELETE(f->hub->followers, f);
	f->hub = NULL;
	if (!f->pulling)
		free(f);
}

/* The silent make room. */
static int add(struct hub *h, const char *id, struct hub_follower **out,
	       struct err *err)
{
	struct hub_follower *f, *next;
	size_t n = 0;

	DL_FOREACH_SAFE(h->followers, f, next)
	{
		if (!counts(f))
			forget(f);
		else
			n++;
	}
	if (!str_is_id(id))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a follower's id has 32 hex digits");
	if (n >= FOLLOWERS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "%d servers follow, more are not taken",
			       FOLLOWERS_MAX);
	*out = f = mem_zero(1, sizeof(*f));
	f->hub = h;
	str_copy(f->id, STR_ID, id);
	DL_APPEND(h->followers, f);
	log_info("followed", "followers=%zu", n + 1);
	return 0;
}

static void serve_follow(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const Gfl__V1__FlFollowRequest *r =
		(const Gfl__V1__FlFollowRequest *)in;
	struct hub *h = arg;
	struct hub_follower *f = find(h, r->follower);
	struct err err;

	if (!f && add(h, r->follower, &f, &err)) {
		call_fail(call, &err);
		return;
	}
	if (f->held)
		answer(f, take_held(f));
	f->term = r->term;
	f->version = r->version;
	f->held_ms = clock_ms();
	f->until_ms = f->held_ms + SILENT_MS;
	if (has_word(f) || !r->hold) {
		answer(f, call);
	} else {
		f->held = call;
		call_on_cancel(call, held_gone, f);
	}
	hub_promises_look(h);
	hub_look(h);
}

static void pulled(void *arg)
{
	struct hub_follower *f = arg;

	f->until_ms = clock_ms() + SILENT_MS;
	if (!--f->pulling && !f->hub)
		free(f);
}

static void serve_pull(struct call *call, const ProtobufCMessage *in, void *arg)
{
	const Gfl__V1__FlStateRequest *r = (const Gfl__V1__FlStateRequest *)in;
	struct hub *h = arg;
	struct hub_follower *f = find(h, r->follower);
	struct err err;

	if (!h->snapshot) {
		err_set(&err, ERR_NOT_FOUND, "no round has ended yet");
		call_fail(call, &err);
		return;
	}
	if (f)
		f->pulling++;
	snapshot_give(h->snapshot, call, r->offset, r->sha256,
		      f ? pulled : NULL, f);
}

void hub_follow_look(struct hub *h)
{
	struct hub_follower *f, *next;
	int64_t now_ms = clock_ms();

	DL_FOREACH_SAFE(h->followers, f, next)
	if (f->held && (has_word(f) || now_ms - f->held_ms >= HOLD_MS))
		answer(f, take_held(f));
	hub_promises_look(h);
}

/* Whoever was there when we took over is waited for, as if it had asked. */
bool hub_followed(const struct hub *h)
{
	const struct hub_follower *f;
	int n = 0;

	if (h->opts.term && h->ahead)
		return false;
	DL_FOREACH (h->followers, f) {
		if (counts(f) && !has_newest(f))
			return false;
		n += counts(f);
	}
	return n >= h->opts.followers ||
	       clock_ms() - h->opened_ms >= SILENT_MS;
}

int64_t hub_safe_version(const struct hub *h)
{
	const struct hub_follower *f;
	int64_t safe = h->kept.round;

	DL_FOREACH (h->followers, f) {
		/* a state of an older term is none of ours */
		int64_t has = f->term == h->opts.term ? f->version : 0;

		if (counts(f) && !has_newest(f) && has < safe)
			safe = has;
	}
	return safe;
}

bool hub_let_go(const struct hub *h)
{
	const struct hub_follower *f;

	DL_FOREACH (h->followers, f)
		if (counts(f) && !f->told)
			return false;
	return true;
}

void hub_rest(struct hub *h, loop_fn *alone, void *arg)
{
	h->alone = alone;
	h->alone_arg = arg;
	log_info("rests", "round=%lld reason=%s", (long long)h->round,
		 "another server is to go on");
	hub_look(h);
}

void hub_rest_look(struct hub *h)
{
	const struct hub_follower *f;

	if (!is_at_rest(h))
		return;
	hub_follow_look(h);
	DL_FOREACH (h->followers, f)
		if (counts(f))
			return;
	log_info("alone", "round=%lld", (long long)h->round);
	h->alone(h->alone_arg);
}

void hub_serve_followers(struct hub *h)
{
	server_handle(h->server, RPC_FL_FOLLOW, serve_follow, h);
	server_handle(h->server, RPC_FL_PULL_STATE, serve_pull, h);
}

void hub_followers_close(struct hub *h)
{
	struct hub_follower *f, *next;

	DL_FOREACH_SAFE(h->followers, f, next)
	forget(f);
}
