#include "registry/fetch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/directory.h"
#include "wire/backoff.h"

enum {
	HOLD_MAX_MS = 25000, /* one request waits no longer; then ask again */
	ANSWER_MS = 5000,    /* for an answer once the node has done waiting */
	BATCH = 1000,
};

struct reader {
	const struct fetch *f;
	char *url;
	int64_t upto, past; /* forget, or pass over, what is up to these */
	/* To be acknowledged with the next request: each, for between them
	 * there may be what others have and this reader was not given. */
	int64_t done[BATCH];
	size_t ndone;
	char *box; /* whose cursors they are; NULL: none has come */
	int64_t got;
	int64_t end_ms; /* 0: never */
	bool reached;   /* the node has answered once */
	bool unsaid;    /* something is to be acknowledged */
};

/* Acknowledge what is done, and ask for at most max more; below 0: for none. */
static int ask(struct reader *r, int32_t max, int64_t wait_ms,
	       Gfl__V1__ReceiveMessagesResponse **out, struct err *err)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;

	in.max = max;
	in.wait_ms = wait_ms;
	in.after = r->upto;
	in.past = r->past;
	in.cursors = r->done;
	in.n_cursors = r->ndone;
	in.box = r->box ? r->box : "";
	in.types = (int32_t *)r->f->types;
	in.n_types = r->f->ntypes;
	in.senders = (int64_t *)r->f->senders;
	in.n_senders = r->f->nsenders;
	if (client_now(&r->f->client->tls, r->url, RPC_NODE_RECEIVE_MESSAGES,
		       &in.base, wait_ms + ANSWER_MS, (ProtobufCMessage **)out,
		       err))
		return (int)err->code;
	r->reached = true;
	r->ndone = 0;
	r->unsaid = false;
	if (!r->box || strcmp(r->box, (*out)->box)) {
		free(r->box);
		r->box = mem_str((*out)->box);
		/* The inbox is another, or what it had is gone. */
		r->upto = r->past = 0;
	}
	return 0;
}

/* Without a count what was there is enough. */
static bool only_rest(const struct reader *r)
{
	return !r->f->count && !r->f->follow && r->got;
}

static int32_t wanted(const struct reader *r)
{
	int64_t n = r->f->count ? r->f->count - r->got : BATCH;
	int32_t most = r->f->single ? 1 : BATCH;

	return n < most ? (int32_t)n : most;
}

static int64_t patience(const struct reader *r)
{
	int64_t left_ms = r->end_ms ? r->end_ms - clock_ms() : HOLD_MAX_MS;

	if (left_ms < 0 || only_rest(r))
		return 0;
	return left_ms < HOLD_MAX_MS ? left_ms : HOLD_MAX_MS;
}

/* A node that restarts may do so at another URL. */
static void look_again(struct reader *r, int64_t wait_ms)
{
	const struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
	struct err unheard;
	char *url;

	nanosleep(&wait, NULL);
	if (directory_url(r->f->client, r->f->client->node, &url, &unheard))
		return;
	free(r->url);
	r->url = url;
}

static bool may_pass(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED;
}

/* A follower asks again until its node is back. What it has done goes with
 * every request, so that nothing is seen twice. */
static int ask_on(struct reader *r, Gfl__V1__ReceiveMessagesResponse **out,
		  struct err *err)
{
	struct backoff pause = {.first_ms = 100, .max_ms = 2000};
	struct rand rand = {rand_id()};

	while (ask(r, wanted(r), patience(r), out, err)) {
		if (!r->f->follow || !r->reached || !may_pass(err))
			return (int)err->code;
		if (!pause.now_ms)
			log_warn("node_lost", "node=%s error=%s",
				 r->f->client->node, err->msg);
		look_again(r, backoff_next(&pause, &rand));
	}
	return 0;
}

static void note_done(struct reader *r,
		      const Gfl__V1__ReceiveMessagesResponse *some)
{
	for (size_t i = 0; i < some->n_messages && i < BATCH; i++) {
		if (r->f->keep)
			r->past = some->messages[i]->cursor;
		else
			r->done[r->ndone++] = some->messages[i]->cursor;
	}
	r->unsaid = some->n_messages > 0 && !r->f->keep;
	r->got += (int64_t)some->n_messages;
}

static int too_late(const struct reader *r, struct err *err)
{
	if (!r->f->count)
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			       "no message came in time");
	return err_set(err, ERR_DEADLINE_EXCEEDED,
		       "%" PRId64 " of %" PRId64 " messages came in time",
		       r->got, r->f->count);
}

static int receive(struct reader *r, fetch_fn *fn, void *arg, struct err *err)
{
	Gfl__V1__ReceiveMessagesResponse *some;
	int rc;

	while (wanted(r) > 0) {
		bool none;

		if (ask_on(r, &some, err))
			return (int)err->code;
		none = !some->n_messages;
		rc = fn(some, arg, err);
		if (!rc)
			note_done(r, some);
		rpc_free(&some->base);
		if (rc)
			return rc;
		if (none && only_rest(r))
			return 0;
		if (none && r->end_ms && clock_ms() >= r->end_ms)
			return too_late(r, err);
	}
	return 0;
}

/* Let the node forget what is done. */
static int acknowledge(struct reader *r, struct err *err)
{
	Gfl__V1__ReceiveMessagesResponse *none;

	if (!r->unsaid)
		return 0;
	if (ask(r, -1, 0, &none, err))
		return (int)err->code;
	rpc_free(&none->base);
	return 0;
}

int fetch_run(const struct fetch *f, fetch_fn *fn, void *arg, struct err *err)
{
	struct reader r = {.f = f, .upto = f->after};
	struct err later;
	int rc = directory_url(f->client, f->client->node, &r.url, err);

	if (rc)
		return rc;
	if (f->client->timeout_ms && !f->follow)
		r.end_ms = clock_ms() + f->client->timeout_ms;
	rc = receive(&r, fn, arg, err);
	if (acknowledge(&r, rc ? &later : err) && !rc)
		rc = (int)err->code;
	free(r.box);
	free(r.url);
	return rc;
}
