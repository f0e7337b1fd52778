/* The progress of a run until its end, a row at a time, with what went wrong in
 * between. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "registry/directory.h"
#include "registry/runs.h"

static const struct out_col follow_cols[] = {
	{"run", OUT_INT},        {"state", OUT_TEXT},   {"round", OUT_INT},
	{"rounds", OUT_INT},     {"trainers", OUT_INT}, {"accuracy", OUT_REAL},
	{"bytes_sent", OUT_INT}, {"leader", OUT_INT},   {"reason", OUT_WORDS},
};

static int64_t leader_of(const struct client_opts *c)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	Gfl__V1__NodeStatus *status;
	struct err err;
	int64_t id;

	if (directory_call(c, RPC_NODE_GET_STATUS, &in.base,
			   (ProtobufCMessage **)&status, &err))
		return 0;
	id = status->leader_id;
	rpc_free(&status->base);
	return id;
}

static void add(struct buf *b, const char *reason)
{
	if (b->len && *reason)
		buf_puts(b, "; ");
	buf_puts(b, reason);
}

void runs_news(struct buf *b, const Gfl__V1__Run *before,
	       const Gfl__V1__Run *now)
{
	for (size_t i = 0; i < now->n_reports; i++) {
		const Gfl__V1__TrainerReport *r = now->reports[i];

		if (!*r->reason ||
		    !strcmp(r->reason, runs_reason(before, r->trainer_id)))
			continue;
		add(b, "trainer ");
		buf_putf(b, "%" PRId64 ": %s", r->trainer_id, r->reason);
	}
	add(b, now->reason);
}

static bool is_same(const Gfl__V1__Run *before, const Gfl__V1__Run *now)
{
	const struct runs_progress b = runs_progress_of(before);
	const struct runs_progress n = runs_progress_of(now);

	return !strcmp(before->state, now->state) && b.round == n.round &&
	       b.trainers == n.trainers && b.bytes_sent == n.bytes_sent &&
	       (b.accuracy == n.accuracy ||
		(isnan(b.accuracy) && isnan(n.accuracy)));
}

/* A row, if it differs from the one before. */
static void print_progress(const struct runs_follow *f, struct out *o,
			   int64_t *leader, const Gfl__V1__Run *before,
			   const Gfl__V1__Run *run)
{
	const struct runs_progress p = runs_progress_of(run);
	const int64_t was = *leader;
	struct buf news = BUF_INIT(0);

	*leader = leader_of(&f->client);
	runs_news(&news, before, run);
	if (!before || news.len || was != *leader || !is_same(before, run))
		out_row(o, out_int(run->id), out_text(run->state),
			out_int(p.round),
			out_int(run->spec ? run->spec->rounds : 0),
			out_int(p.trainers), out_real(p.accuracy),
			out_int(p.bytes_sent), out_int(*leader),
			out_text(news.len ? news.p : ""));
	buf_release(&news);
}

static bool may_pass(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED ||
	       err->code == ERR_FAILED_PRECONDITION;
}

static bool is_lost(const struct runs_follow *f, int64_t heard_ms,
		    const struct err *err)
{
	int64_t patience_ms = 10 * f->client.timeout_ms;

	return !may_pass(err) ||
	       (patience_ms && clock_ms() - heard_ms > patience_ms);
}

/* *last is the run as it was seen last. */
static int watch(const struct runs_follow *f, struct out *o,
		 Gfl__V1__Run **last, struct err *err)
{
	int64_t heard_ms = clock_ms(), id = f->id, leader = 0;
	Gfl__V1__Run *run;
	int rc;

	for (;; usleep((useconds_t)f->every_ms * 1000)) {
		if (runs_get(&f->client, id, &run, err)) {
			if (is_lost(f, heard_ms, err))
				return (int)err->code;
			continue;
		}
		heard_ms = clock_ms();
		id = run->id;
		if (o)
			print_progress(f, o, &leader, *last, run);
		if (*last)
			rpc_free(&(*last)->base);
		*last = run;
		if (runs_ended(run, &rc, err))
			return rc;
	}
}

int runs_follow(const struct runs_follow *f, struct err *err)
{
	Gfl__V1__Run *last = NULL;
	struct out *o = NULL;
	int rc;

	if (!f->silent && out_begin(&o, &f->out, follow_cols, 9, true, err))
		return (int)err->code;
	rc = watch(f, o, &last, err);
	if (last)
		rpc_free(&last->base);
	if (o && out_end(o, rc ? NULL : err) && !rc)
		rc = (int)err->code;
	return rc;
}
