#include "fl/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "fl/child_impl.h"

enum {
	END_MS = 8000, /* of the guard, when all are killed */
	REST_READS = 64,
	FIRST_MS = 200, /* until a child that died is started again */
	AGAIN_MS = 30000,
};

int child_open(struct child **out, const struct child_opts *opts,
	       struct err *err)
{
	struct child *c = mem_zero(1, sizeof(*c));

	c->opts = *opts;
	c->opts.command = NULL;
	c->opts.always = NULL;
	facts_join(&c->always, opts->always);
	c->backoff = (struct backoff){FIRST_MS, AGAIN_MS, 0};
	c->chance.state = rand_id();
	c->in = c->out = c->said = c->lifeline = c->pidfd = -1;
	c->cancelled = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->cancelled < 0)
		err_sys(err, "make an event");
	else if (!guard_open(&c->command, opts->command, err)) {
		*out = c;
		return 0;
	}
	child_close(c);
	return (int)err->code;
}

void child_close(struct child *c)
{
	if (!c)
		return;
	child_rest(c);
	if (c->cancelled >= 0)
		close(c->cancelled);
	contract_release(&c->contract);
	buf_release(&c->task);
	buf_release(&c->words);
	said_release(&c->logged);
	facts_release(&c->always);
	command_free(c->command);
	free(c);
}

void child_cancel(struct child *c, bool cancelled)
{
	uint64_t one = 1;

	if (cancelled)
		(void)!write(c->cancelled, &one, sizeof(one));
	else
		(void)!read(c->cancelled, &one, sizeof(one));
}

const char *child_words(const struct child *c)
{
	return c->words.p ? c->words.p : "";
}

/* ---- its end ---- */

static int verdict(struct child *c, int status, struct err *err)
{
	const char *path = command_path(c->command);

	if (status == CONTRACT_AGAIN)
		return err_set(err, ERR_UNAVAILABLE,
			       "%s asks to be run again (status %d)", path,
			       status);
	if (status == CONTRACT_STOP)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s is misconfigured (status %d)", path, status);
	if (status == CONTRACT_NOT_RUN || status == CONTRACT_NOT_FOUND)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "%s cannot be run (status %d)", path, status);
	if (status > 128)
		return err_set(err, ERR_ABORTED, "%s was ended by signal %d",
			       path, status - 128);
	if (status)
		return err_set(err, ERR_ABORTED, "%s exited with status %d",
			       path, status);
	return err_set(err, ERR_ABORTED, "%s exited without a result", path);
}

/* It has ended, and all that it started: hear the rest. */
static int bury(struct child *c)
{
	int status = 0;

	errno = 0;
	for (int i = 0; i < REST_READS && child_hear_said(c) && !errno; i++)
		;
	said_end(&c->logged);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	child_shut_all(c);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Wait for its end for so long, without a word but on stderr. */
static bool ends_within(struct child *c, int64_t ms)
{
	const int64_t until = clock_ms() + ms;
	int64_t left;

	while ((left = until - clock_ms()) > 0) {
		struct pollfd p[] = {{.fd = c->pidfd, .events = POLLIN},
				     {.fd = c->said, .events = POLLIN}};

		worker_beat();
		poll(p, 2, left < CHILD_POLL_MS ? (int)left : CHILD_POLL_MS);
		if (p[0].revents)
			return true;
		if (p[1].revents && !child_hear_said(c))
			child_shut(&c->said);
	}
	return false;
}

/* TERM, KILL: the guard sees to it. */
static void stop(struct child *c)
{
	if (!c->pid)
		return;
	child_shut(&c->lifeline);
	child_shut(&c->in);
	child_shut(&c->out);
	if (!ends_within(c, c->opts.grace_ms + END_MS))
		kill(c->pid, SIGKILL);
	bury(c);
}

void child_rest(struct child *c)
{
	if (!c->pid)
		return;
	child_shut(&c->in);
	child_shut(&c->out);
	if (ends_within(c, c->opts.grace_ms))
		bury(c);
	else
		stop(c);
}

/* ---- a task ---- */

static void begin_task(struct child *c)
{
	contract_begin(&c->contract);
	buf_reset(&c->words);
	said_end(&c->logged);
}

static int run_once(struct child *c, const struct facts *facts, struct err *err)
{
	const int64_t until = clock_ms() + c->opts.task_ms;
	int rc = child_start(c, facts, err), status;

	while (!rc && !c->ended)
		rc = child_hear(c, until, "", c->opts.task_ms, err);
	if (!rc)
		rc = child_hear_out(c, err);
	if (!rc)
		rc = contract_end(&c->contract, err);
	if (rc && !c->ended) {
		stop(c);
		return rc;
	}
	status = bury(c);
	return status || (!rc && !c->contract.result) ? verdict(c, status, err)
						      : rc;
}

/* Not at once, where it went wrong before. */
static int wait_to_start(struct child *c, struct err *err)
{
	struct pollfd p = {.fd = c->cancelled, .events = POLLIN};
	int64_t ms = c->failures ? backoff_next(&c->backoff, &c->chance) : 0;
	const int64_t until = clock_ms() + ms;

	if (ms)
		log_info("starts_again", "after_s=%.1f failures=%d",
			 (double)ms / 1e3, c->failures);
	while ((ms = until - clock_ms()) > 0) {
		worker_beat();
		if (poll(&p, 1, ms < CHILD_POLL_MS ? (int)ms : CHILD_POLL_MS) >
		    0)
			return err_set(err, ERR_CANCELLED, "cancelled");
	}
	return 0;
}

static int start_serving(struct child *c, struct err *err)
{
	const int64_t until = clock_ms() + c->opts.ready_ms;
	int rc = child_start(c, NULL, err);

	while (!rc && !c->ended && !c->contract.ready)
		rc = child_hear(c, until, " to say that it is ready",
				c->opts.ready_ms, err);
	if (!rc && c->contract.ready)
		log_info("serves", "program=%s pid=%d",
			 command_path(c->command), (int)c->pid);
	return rc;
}

/* It may have died since the last task, or said what nobody asked. */
static int look(struct child *c, struct err *err)
{
	struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
	int rc = c->pid ? child_hear_out(c, err) : 0;

	if (!rc && c->contract.result)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s gave a result that nobody asked for",
			     command_path(c->command));
	if (c->pid && poll(&p, 1, 0) > 0)
		rc = verdict(c, bury(c), err);
	else if (rc)
		stop(c);
	return rc;
}

static int start_up(struct child *c, struct err *err)
{
	int rc = wait_to_start(c, err);

	if (!rc)
		rc = start_serving(c, err);
	if (!rc && !c->contract.ready)
		return verdict(c, bury(c), err);
	if (rc)
		stop(c);
	return rc;
}

static int serve(struct child *c, const struct facts *facts, struct err *err)
{
	int64_t until;
	int rc = 0;

	begin_task(c); /* first: what it says from now on is about this one */
	if (look(c, err)) {
		log_err("served_no_more", err);
		c->failures++;
	}
	if (!c->pid && start_up(c, err))
		return (int)err->code;
	buf_reset(&c->task);
	contract_task(&c->task, facts);
	until = clock_ms() + c->opts.task_ms;
	while (!rc && !c->ended && !c->contract.result)
		rc = child_hear(c, until, "", c->opts.task_ms, err);
	if (!rc && c->ended && !c->contract.result)
		rc = verdict(c, bury(c), err);
	else if (rc)
		stop(c);
	return rc;
}

void child_warm(struct child *c)
{
	struct err err;

	if (!c->opts.serves || c->pid)
		return;
	begin_task(c);
	if (start_up(c, &err))
		c->failures++; /* whoever calls it next is told why */
}

int child_call(struct child *c, const struct facts *facts,
	       const struct contract **said, struct err *err)
{
	int rc;

	if (!c->opts.serves)
		begin_task(c);
	rc = c->opts.serves ? serve(c, facts, err) : run_once(c, facts, err);
	c->failures = rc ? c->failures + 1 : 0;
	if (!rc)
		c->backoff.now_ms = 0;
	*said = &c->contract;
	return rc;
}
