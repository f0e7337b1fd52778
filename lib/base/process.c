#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/guard.h"
#include "base/mem.h"
#include "base/said.h"

enum {
	SAID_MAX = 4096,
	READ_BYTES = 65536,
	GUARD_MS = 8000, /* of a guard, once all is killed */
	LIFELINE = 3,    /* the guard's descriptor */
	GRACE_MAX_MS = 86400000,
};

/* One of its streams, read as it comes. */
struct stream {
	uv_pipe_t pipe;
	struct process *p;
	struct buf text;
	bool keeps_end; /* past max what is old goes, not what is new */
	size_t max;
	bool over; /* there was more than max */
};

struct process {
	const struct command *c;
	struct loop *loop;
	uv_process_t child;
	struct stream out, said;
	struct timer timer;
	int64_t timeout_ms, grace_ms;
	struct said log;
	bool shared, guarded, logged, timed_out, ended;
	int lifeline;          /* the guard ends when we close it; or -1 */
	process_done_fn *done; /* NULL: dropped */
	void *arg;
	int handles; /* not yet closed */
	char room[READ_BYTES];
};

/* ---- the end ---- */

static void closed(uv_handle_t *h)
{
	struct process *p = h->data;

	if (--p->handles)
		return;
	buf_release(&p->out.text);
	buf_release(&p->said.text);
	said_release(&p->log);
	free(p);
}

static void close_all(struct process *p)
{
	timer_stop(&p->timer);
	if (p->lifeline >= 0)
		close(p->lifeline);
	p->handles = 3;
	uv_close((uv_handle_t *)&p->child, closed);
	uv_close((uv_handle_t *)&p->out.pipe, closed);
	uv_close((uv_handle_t *)&p->said.pipe, closed);
}

static void keep(struct stream *s, const char *p, size_t len)
{
	if (s == &s->p->said && s->p->logged)
		said_take(&s->p->log, p, len);
	buf_put(&s->text, p, len);
	if (s->text.len <= s->max)
		return;
	s->over = true;
	if (s->keeps_end)
		buf_drop(&s->text, s->text.len - s->max);
	else
		s->text.len = s->max;
}

/* What is in the pipe when it has ended; somebody else may hold the other end
 * open. */
static void drain(struct stream *s)
{
	uv_os_fd_t fd;
	ssize_t n;

	if (uv_fileno((uv_handle_t *)&s->pipe, &fd))
		return;
	do {
		n = read(fd, s->p->room, sizeof(s->p->room));
		if (n > 0)
			keep(s, s->p->room, (size_t)n);
	} while ((n > 0 && !s->over) || (n < 0 && errno == EINTR));
}

const char *process_said(const struct process *p)
{
	return p->said.text.len ? p->said.text.p : "";
}

/* The last line of what it said, if any, behind the sentence. */
static int add_last_words(struct process *p, struct err *err)
{
	struct buf *b = &p->said.text;
	char *line, *all;

	while (b->len && strchr("\r\n", b->p[b->len - 1]))
		b->p[--b->len] = '\0';
	if (!b->len)
		return (int)err->code;
	line = memrchr(b->p, '\n', b->len);
	all = mem_fmt("%s: %.300s", err->msg, line ? line + 1 : b->p);
	err_set(err, err->code, "%s", all);
	free(all);
	return (int)err->code;
}

static int verdict(struct process *p, int64_t status, int signal,
		   struct err *err)
{
	if (p->out.over)
		err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%s printed more than %zu bytes", command_path(p->c),
			p->out.max);
	else if (p->timed_out)
		err_set(err, ERR_DEADLINE_EXCEEDED, "%s took longer than %g s",
			command_path(p->c), (double)p->timeout_ms / 1000);
	else if (!command_verdict(p->c, (int)status, signal, err))
		return 0;
	return add_last_words(p, err);
}

/* The group may have more members than the one that ended. */
static void on_end(uv_process_t *child, int64_t status, int signal)
{
	struct process *p = child->data;
	struct err err;
	int rc;

	p->ended = true;
	if (p->guarded && status > 128 && status <= 128 + SIGRTMAX) {
		/* as it says it of the command */
		signal = (int)status - 128;
		status = 0;
	}
	if (!p->shared) {
		kill(-child->pid, SIGKILL);
		drain(&p->out);
		drain(&p->said);
	}
	said_end(&p->log);
	close_all(p);
	if (!p->done)
		return;
	rc = verdict(p, status, signal, &err);
	p->done(rc ? &err : NULL, p->out.text.p ? p->out.text.p : "",
		p->out.text.len, p->arg);
}

/* ---- its time ---- */

static void send_signal(const struct process *p, int signal)
{
	if (!p->ended)
		kill(p->shared ? p->child.pid : -p->child.pid, signal);
}

static void on_grace(void *arg)
{
	send_signal(arg, SIGKILL);
}

void process_stop(struct process *p)
{
	send_signal(p, SIGTERM);
	timer_set(&p->timer, p->loop, p->grace_ms + (p->guarded ? GUARD_MS : 0),
		  on_grace, p);
}

static void on_timeout(void *arg)
{
	struct process *p = arg;

	p->timed_out = true;
	process_stop(p);
}

void process_drop(struct process *p)
{
	if (!p)
		return;
	p->done = NULL;
	if (!p->guarded)
		send_signal(p, SIGKILL);
	close_all(p);
}

/* ---- the start ---- */

static void on_room(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	struct process *p = h->data;

	(void)hint;
	*out = uv_buf_init(p->room, sizeof(p->room));
}

static void on_out(uv_stream_t *from, ssize_t n, const uv_buf_t *room)
{
	struct process *p = from->data;
	const bool said = from == (uv_stream_t *)&p->said.pipe;

	if (n > 0)
		keep(said ? &p->said : &p->out, room->base, (size_t)n);
	if (n < 0 || (!said && p->out.over))
		uv_read_stop(from);
	if (!said && p->out.over) /* it has failed, and may never end */
		process_stop(p);
}

static bool is_named(const char *variable, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(variable, name, len) && variable[len] == '=';
}

static bool allow_little(const char *variable)
{
	static const char *const names[] = {"PATH",  "HOME", "USER", "LOGNAME",
					    "SHELL", "LANG", "TZ",   "TMPDIR"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (is_named(variable, names[i]))
			return true;
	return !strncmp(variable, "LC_", 3);
}

/* What whoever started us left open is not for commands. */
static void confine(void)
{
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Its streams; a guard's lifeline is from, which is closed when we are gone. */
static int streams(struct process *p, uv_stdio_container_t *io, int input,
		   int from)
{
	io[0].flags = input < 0 ? UV_IGNORE : UV_INHERIT_FD;
	io[0].data.fd = input;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stream *s = fd == STDOUT_FILENO ? &p->out : &p->said;

		io[fd].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
		io[fd].data.stream = (uv_stream_t *)&s->pipe;
		if (!p->shared)
			continue;
		io[fd].flags = UV_INHERIT_FD;
		io[fd].data.fd = fd;
	}
	io[LIFELINE].flags = UV_INHERIT_FD;
	io[LIFELINE].data.fd = from;
	return p->guarded ? LIFELINE + 1 : LIFELINE;
}

static int spawn(struct process *p, const struct process_opts *opts, int input,
		 int from)
{
	const struct facts none = {0};
	char lifeline[] = "3", grace[32], **guard;
	uv_stdio_container_t io[LIFELINE + 1];
	uv_process_options_t o = {
		.exit_cb = on_end,
		.file = p->guarded ? command_guard(p->c) : command_path(p->c),
		.args = (char **)command_words(p->c),
		.env = facts_env(opts->facts ? opts->facts : &none,
				 p->shared     ? NULL
				 : opts->works ? command_allow_work
					       : allow_little),
		.flags = p->shared ? 0 : UV_PROCESS_DETACHED,
		.stdio_count = streams(p, io, input, from),
		.stdio = io,
	};
	int rc;

	snprintf(grace, sizeof(grace), "%" PRId64 "ms", p->grace_ms);
	guard = guard_words(p->c, lifeline, grace);
	if (p->guarded)
		o.args = guard;
	rc = uv_spawn(loop_uv(p->loop), &p->child, &o);
	free(guard);
	free(o.env);
	return rc;
}

static struct process *process_new(struct loop *loop, const struct command *c,
				   const struct process_opts *opts,
				   bool guarded)
{
	struct process *p = mem_zero(1, sizeof(*p));

	p->c = c;
	p->loop = loop;
	p->timeout_ms = opts->timeout_ms;
	p->grace_ms =
		opts->grace_ms < GRACE_MAX_MS ? opts->grace_ms : GRACE_MAX_MS;
	p->shared = opts->shared;
	p->logged = opts->logged;
	p->log.by = command_path(c);
	p->guarded = guarded;
	p->lifeline = -1;
	p->out.p = p->said.p = p;
	p->out.max = opts->out_max;
	p->said.max = SAID_MAX;
	p->said.keeps_end = true;
	uv_pipe_init(loop_uv(loop), &p->out.pipe, 0);
	uv_pipe_init(loop_uv(loop), &p->said.pipe, 0);
	p->out.pipe.data = p->said.pipe.data = p->child.data = p;
	return p;
}

int process_start(struct process **out, struct loop *loop,
		  const struct command *c, const struct process_opts *opts,
		  process_done_fn *done, void *arg, struct err *err)
{
	const bool guarded = command_guard(c) && !opts->shared;
	int input = opts->no_stdin ? -1 : STDIN_FILENO, life[] = {-1, -1}, rc;
	struct process *p;

	if (!opts->shared) {
		input = command_input(opts->input, opts->len, err);
		if (input < 0)
			return (int)err->code;
		confine();
	}
	if (guarded && pipe2(life, O_CLOEXEC)) {
		err_sys(err, "make a pipe for %s", command_guard(c));
		close(input);
		return (int)err->code;
	}
	p = process_new(loop, c, opts, guarded);
	p->lifeline = life[1];
	rc = spawn(p, opts, input, life[0]);
	if (guarded)
		close(life[0]);
	if (!opts->shared)
		close(input);
	if (rc) {
		close_all(p);
		return err_errno(err, -rc, "run %s", command_path(c));
	}
	if (!p->shared) {
		uv_read_start((uv_stream_t *)&p->out.pipe, on_room, on_out);
		uv_read_start((uv_stream_t *)&p->said.pipe, on_room, on_out);
	}
	if (p->timeout_ms)
		timer_set(&p->timer, loop, p->timeout_ms, on_timeout, p);
	p->done = done;
	p->arg = arg;
	*out = p;
	return 0;
}
