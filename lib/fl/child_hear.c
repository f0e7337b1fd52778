#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "fl/child_impl.h"

/* The end of it for who asks, its beginning for the log. */
static void take_said(struct child *c, const char *p, size_t len)
{
	buf_put(&c->words, p, len);
	if (c->words.len > CHILD_WORDS)
		buf_drop(&c->words, c->words.len - CHILD_WORDS);
	said_take(&c->logged, p, len);
}

/* What is there now; false at its end. A child that never stops is heard a
 * piece at a time. */
bool child_hear_said(struct child *c)
{
	char room[16384];
	ssize_t n = read(c->said, room, sizeof(room));

	if (n > 0)
		take_said(c, room, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* The same of its stdout; *more says whether there may be some. */
static int read_out(struct child *c, bool *more, struct err *err)
{
	char room[16384];
	ssize_t n = read(c->out, room, sizeof(room));

	*more = n > 0;
	return n > 0 ? contract_feed(&c->contract, room, (size_t)n, err) : 0;
}

int child_hear_out(struct child *c, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (!rc && more)
		rc = read_out(c, &more, err);
	return rc;
}

static void write_task(struct child *c)
{
	ssize_t n = write(c->in, c->task.p, c->task.len);

	if (n > 0)
		buf_drop(&c->task, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR)
		buf_reset(&c->task); /* it reads no more: its end will tell */
}

/* Wait until something comes, and take it. */
int child_hear(struct child *c, int64_t until, const char *what,
	       int64_t limit_ms, struct err *err)
{
	struct pollfd p[] = {
		{.fd = c->cancelled, .events = POLLIN},
		{.fd = c->pidfd, .events = POLLIN},
		{.fd = c->out, .events = POLLIN},
		{.fd = c->said, .events = POLLIN},
		{.fd = c->task.len ? c->in : -1, .events = POLLOUT},
	};
	int64_t left = until - clock_ms();
	bool more;

	worker_beat();
	if (left <= 0)
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			       "%s took longer than %g s%s",
			       command_path(c->command), (double)limit_ms / 1e3,
			       what);
	poll(p, 5, left < CHILD_POLL_MS ? (int)left : CHILD_POLL_MS);
	if (p[0].revents)
		return err_set(err, ERR_CANCELLED, "cancelled");
	if (p[3].revents && !child_hear_said(c))
		child_shut(&c->said);
	if (p[4].revents)
		write_task(c);
	if (p[2].revents && read_out(c, &more, err))
		return err_wrap(err, "%s", command_path(c->command));
	if (p[2].revents && !more && p[2].revents & POLLHUP)
		child_shut(&c->out);
	c->ended = p[1].revents;
	return 0;
}
