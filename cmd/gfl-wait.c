/* gfl-wait - block until a condition of the cluster holds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/opt.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"
#include "registry/runs.h"

enum { POLL_US = 100000, NOTE_EVERY_MS = 2000, TRY_MS = 2000 };

struct config {
	struct client_opts client;
	int64_t not_id;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_INT64(0, "not", struct config, not_id, "ID", "0", 0, INT64_MAX,
		  "with leader: any but this node"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-wait",
	.args = "leader|nodes|trainers|round|run [N]",
	.brief = "wait until a condition of the cluster holds",
	.about = "leader: somebody leads. nodes N: N members of the cluster "
		 "are up and have its log. trainers N: N trainers are attached "
		 "and live. round "
		 "N: every trainer of the newest run has finished round N. run "
		 "ID: the run has ended; exit 1 unless it finished. Says on "
		 "standard error what it waits for; exits 4 when --timeout "
		 "comes first (-t 0 waits for ever).",
	.example = "gfl-wait nodes 4 -t 30\n"
		   "gfl-wait leader --not \"$old\" && gfl-leader",
	.opts = opts,
};

/* A look at the cluster: is it so? note says how far it is. */
struct look {
	const struct config *cfg;
	struct client_opts client;
	int64_t n;
	struct buf note;
};

typedef int look_fn(struct look *l, bool *holds, struct err *err);

static int look_leader(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	Gfl__V1__NodeStatus *s;

	if (directory_call(&l->client, RPC_NODE_GET_STATUS, &in.base,
			   (ProtobufCMessage **)&s, err))
		return (int)err->code;
	*holds = s->leader_id && s->leader_id != l->cfg->not_id;
	if (l->cfg->not_id)
		buf_putf(&l->note, "a leader that is not %" PRId64 ": ",
			 l->cfg->not_id);
	else
		buf_puts(&l->note, "a leader: ");
	if (s->leader_id)
		buf_putf(&l->note, "%" PRId64 " leads", s->leader_id);
	else
		buf_puts(&l->note, "none yet");
	rpc_free(&s->base);
	return 0;
}

static int get_state(struct look *l, Gfl__V1__State **out, struct err *err)
{
	Gfl__V1__GetStateRequest in = GFL__V1__GET_STATE_REQUEST__INIT;

	return directory_call(&l->client, RPC_NODE_GET_STATE, &in.base,
			      (ProtobufCMessage **)out, err);
}

/* "4 nodes: 3 joined (1,2,5)" */
static void note_ids(struct look *l, const char *what, const int64_t *ids,
		     size_t n)
{
	buf_putf(&l->note, "%" PRId64 " %s: %zu joined", l->n, what, n);
	for (size_t i = 0; i < n && i < 20; i++)
		buf_putf(&l->note, "%s%" PRId64, i ? "," : " (", ids[i]);
	if (n)
		buf_puts(&l->note, ")");
}

static int look_nodes(struct look *l, bool *holds, struct err *err)
{
	int64_t ids[1024];
	Gfl__V1__State *s;
	size_t n = 0;

	if (get_state(l, &s, err))
		return (int)err->code;
	for (size_t i = 0; i < s->n_members && n < 1024; i++)
		if (s->members[i]->liveness == GFL__V1__LIVENESS__LIVE &&
		    s->members[i]->role != GFL__V1__ROLE__LEARNER)
			ids[n++] = s->members[i]->id;
	note_ids(l, "nodes", ids, n);
	*holds = (int64_t)n >= l->n;
	rpc_free(&s->base);
	return 0;
}

static int look_trainers(struct look *l, bool *holds, struct err *err)
{
	int64_t ids[1024];
	Gfl__V1__State *s;
	size_t n = 0;

	if (get_state(l, &s, err))
		return (int)err->code;
	for (size_t i = 0; i < s->n_trainers && n < 1024; i++)
		if (s->trainers[i]->liveness == GFL__V1__LIVENESS__LIVE)
			ids[n++] = s->trainers[i]->id;
	note_ids(l, "trainers", ids, n);
	*holds = (int64_t)n >= l->n;
	rpc_free(&s->base);
	return 0;
}

static int look_round(struct look *l, bool *holds, struct err *err)
{
	struct runs_progress p;
	Gfl__V1__Run *run;
	int rc = 0;

	if (runs_get(&l->client, 0, &run, err))
		return (int)err->code;
	p = runs_progress_of(run);
	buf_putf(&l->note, "round %" PRId64 " of run %" PRId64 ": at %" PRId64,
		 l->n, run->id, p.round);
	*holds = p.round >= l->n;
	if (!*holds && runs_ended(run, &rc, err) && !rc)
		rc = err_set(err, ERR_ABORTED,
			     "run %" PRId64 " ended at round %" PRId64, run->id,
			     p.round);
	rpc_free(&run->base);
	return rc;
}

static int look_run(struct look *l, bool *holds, struct err *err)
{
	Gfl__V1__Run *run;
	int rc;

	if (runs_get(&l->client, l->n, &run, err))
		return (int)err->code;
	buf_putf(&l->note, "run %" PRId64 ": %s at round %" PRId64, run->id,
		 run->state, runs_progress_of(run).round);
	*holds = runs_ended(run, &rc, err);
	rpc_free(&run->base);
	return rc;
}

static const struct {
	const char *name;
	look_fn *fn;
	bool number; /* needs N */
} conditions[] = {
	{"leader", look_leader, false},    {"nodes", look_nodes, true},
	{"trainers", look_trainers, true}, {"round", look_round, true},
	{"run", look_run, true},
};

/* A failure that time may cure: nobody there yet, or no leader. */
static bool may_pass(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED ||
	       err->code == ERR_FAILED_PRECONDITION;
}

/* One line, rewritten on a terminal; in a pipe a line now and then. */
static void say(const struct look *l, int64_t since_ms, int64_t *said_ms)
{
	bool tty = isatty(STDERR_FILENO);
	int64_t now_ms = clock_ms();

	if (now_ms - *said_ms < (tty ? 200 : NOTE_EVERY_MS))
		return;
	*said_ms = now_ms;
	fprintf(stderr, "%swaiting for %s, %" PRId64 " s%s", tty ? "\r" : "",
		l->note.p, (now_ms - since_ms) / 1000, tty ? "\033[K" : "\n");
}

static int timed_out(const struct look *l, const struct err *last,
		     struct err *err)
{
	double waited_s = (double)l->cfg->client.timeout_ms / 1000;

	if (last->code)
		return err_set(err,
			       last->code == ERR_UNAVAILABLE
				       ? ERR_UNAVAILABLE
				       : ERR_DEADLINE_EXCEEDED,
			       "gave up after %g s: %s", waited_s, last->msg);
	return err_set(err, ERR_DEADLINE_EXCEEDED, "waited %g s for %s",
		       waited_s, l->note.p);
}

/* One look; a failure that may pass is noted, as what is waited for. */
static int take(struct look *l, look_fn *fn, bool *holds, struct err *last)
{
	int rc;

	buf_reset(&l->note);
	*holds = false;
	rc = fn(l, holds, last);
	if (!rc) {
		last->code = ERR_OK; /* a gateway may have failed on the way */
		return 0;
	}
	buf_reset(&l->note);
	buf_puts(&l->note, last->msg);
	return may_pass(last) ? 0 : rc;
}

static int wait_for(struct look *l, look_fn *fn, struct err *err)
{
	int64_t since_ms = clock_ms(), said_ms = since_ms;
	int64_t limit_ms = l->cfg->client.timeout_ms;
	struct err last;
	bool holds;

	for (;; usleep(POLL_US)) {
		if (take(l, fn, &holds, &last)) {
			*err = last;
			return (int)err->code;
		}
		if (holds)
			return 0;
		if (limit_ms && clock_ms() - since_ms >= limit_ms)
			return timed_out(l, &last, err);
		say(l, since_ms, &said_ms);
	}
}

static int parse(const char *name, const char *number, look_fn **fn, int64_t *n,
		 struct err *err)
{
	size_t i = 0, all = sizeof(conditions) / sizeof(conditions[0]);
	char *end = NULL;

	while (i < all && strcmp(conditions[i].name, name) != 0)
		i++;
	if (i == all)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "cannot wait for \"%s\": leader, nodes N, "
			       "trainers N, round N or run ID",
			       name);
	*n = number ? strtoll(number, &end, 10) : 0;
	if (conditions[i].number && (!number || !*number || *end || *n < 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s needs a number%s%s", name,
			       number ? ", not " : "", number ? number : "");
	*fn = conditions[i].fn;
	return 0;
}

static int run(const struct config *cfg, const char *name, const char *number,
	       struct err *err)
{
	struct look l = {.cfg = cfg, .client = cfg->client};
	look_fn *fn = NULL;
	int rc;

	if (parse(name, number, &fn, &l.n, err))
		return (int)err->code;
	if (!l.client.timeout_ms || l.client.timeout_ms > TRY_MS)
		l.client.timeout_ms = TRY_MS; /* of one look */
	rc = wait_for(&l, fn, err);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	buf_release(&l.note);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, argv[rest], opt_arg(argc, argv, rest + 1, NULL), &err))
		return err_report(&prog, &err);
	return 0;
}
