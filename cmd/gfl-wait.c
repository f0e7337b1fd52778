/* gfl-wait - block until a condition of the cluster holds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/opt.h"
#include "registry/condition.h"
#include "task/await.h"
#include "task/reach.h"

enum { POLL_US = 100000, NOTE_EVERY_MS = 2000, TRY_MS = 2000 };

struct config {
	struct client_opts client;
	struct opt_list masters;
	int64_t not_id;
	struct opt_list servers;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_MASTER(struct config, masters),
	OPT_INT64(0, "not", struct config, not_id, "ID", "0", 0, INT64_MAX,
		  "with leader: any but this node"),
	OPT_SERVER(struct config, servers),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-wait",
	.args = "leader|ready|nodes|voters|trainers|round|run|task|"
		"participants|clients [N]",
	.brief = "wait until a condition of the cluster holds",
	.about = "leader: somebody leads. ready: the node asked and its peers "
		 "reach each other, --client-num of them. nodes N: N members "
		 "of the cluster "
		 "are up and have its log. voters N: N of them vote. trainers "
		 "N: N trainers are attached "
		 "and live. round "
		 "N: every trainer of the newest run has finished round N. run "
		 "ID: the run has ended; exit 1 unless it finished. task ID: "
		 "the task of --master has ended; exit 1 unless it is done. "
		 "participants N: N of them wait for the instructions of "
		 "--server, or work on them. clients N: N clients of --server "
		 "are there, and it may be so many that few trainers host "
		 "them. Says on "
		 "standard error what it waits for; exits 4 when --timeout "
		 "comes first (-t 0 waits for ever).",
	.example = "gfl-wait nodes 4 -t 30\n"
		   "gfl-wait leader --not \"$old\" && gfl-leader",
	.opts = opts,
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

static int timed_out(const struct look *l, int64_t limit_ms,
		     const struct err *last, struct err *err)
{
	double waited_s = (double)limit_ms / 1000;

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
static int take(struct look *l, const struct condition *c, bool *holds,
		struct err *last)
{
	int rc;

	buf_reset(&l->note);
	*holds = false;
	rc = c->look(l, holds, last);
	if (!rc) {
		last->code = ERR_OK; /* a gateway may have failed on the way */
		return 0;
	}
	buf_reset(&l->note);
	buf_putf(&l->note, "%s: %s", c->name, last->msg);
	return may_pass(last) ? 0 : rc;
}

static int wait_for(struct look *l, const struct condition *c, int64_t limit_ms,
		    struct err *err)
{
	int64_t since_ms = clock_ms(), said_ms = since_ms;
	struct err last;
	bool holds;

	for (;; usleep(POLL_US)) {
		if (take(l, c, &holds, &last)) {
			*err = last;
			return (int)err->code;
		}
		if (holds)
			return 0;
		if (limit_ms && clock_ms() - since_ms >= limit_ms)
			return timed_out(l, limit_ms, &last, err);
		say(l, since_ms, &said_ms);
	}
}

static int parse(const char *name, const char *number,
		 const struct condition **c, int64_t *n, struct err *err)
{
	char *end = NULL;

	*c = strcmp(name, "task") ? condition_find(name) : &await_task;
	if (!*c)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "cannot wait for \"%s\": leader, ready, "
			       "nodes N, voters N, trainers N, round N, run "
			       "ID, task ID, participants N or clients N",
			       name);
	*n = number ? strtoll(number, &end, 10) : 0;
	if ((*c)->number && (!number || !*number || *end || *n < 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s needs a number%s%s", name,
			       number ? ", not " : "", number ? number : "");
	return 0;
}

static int run(const struct config *cfg, const char *name, const char *number,
	       struct err *err)
{
	struct look l = {.client = cfg->client,
			 .not_id = cfg->not_id,
			 .masters = &cfg->masters,
			 .servers = &cfg->servers};
	const struct condition *c;
	int rc;

	if (parse(name, number, &c, &l.n, err))
		return (int)err->code;
	if (!l.client.timeout_ms || l.client.timeout_ms > TRY_MS)
		l.client.timeout_ms = TRY_MS; /* of one look */
	rc = wait_for(&l, c, cfg->client.timeout_ms, err);
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
