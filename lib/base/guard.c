#include "base/guard.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { SWEEP_MS = 5000, NOT_STARTED = 126, NOT_FOUND = 127 };

struct guard {
	const struct guard_opts *o;
	int signals; /* a signalfd */
	int lifeline;
	pid_t child; /* also its session and group */
	bool ended;
	int status;
	int64_t kill_at; /* INT64_MAX: not asked to end */
};

/* ---- the command ---- */

static void become(const struct guard_opts *o, pid_t parent,
		   const sigset_t *was)
{
	extern char **environ;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_STARTED); /* it had died before we asked */
	sigprocmask(SIG_SETMASK, was, NULL);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	execve(o->path, o->words, environ);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", o->path, strerror(errno));
	_exit(errno == ENOENT ? NOT_FOUND : NOT_STARTED);
}

static int begin(struct guard *g, struct err *err)
{
	const pid_t self = getpid();
	sigset_t ours, was;

	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &was);
	g->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(err, "prepare for %s", g->o->path);
	g->child = vfork(); /* small commands are many, and a copy of us costs
			       as much as they do */
	if (g->child < 0)
		return err_sys(err, "start %s", g->o->path);
	if (!g->child)
		become(g->o, self, &was);
	return 0;
}

/* ---- who is left ---- */

/* The parent that /proc/PID/stat tells; the name before it may have any
 * character. */
static pid_t parent_of(const char *pid)
{
	char path[64], text[512];
	const char *end;
	FILE *f;
	size_t n;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && sscanf(end, ") %*c %d", &ppid) == 1 ? ppid : 0;
}

/* Whoever loses its parent becomes ours, so that in the end all do. */
static void kill_children(void)
{
	const pid_t self = getpid();
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (*entry->d_name >= '1' && *entry->d_name <= '9' &&
		    parent_of(entry->d_name) == self)
			kill(atoi(entry->d_name), SIGKILL);
	if (proc)
		closedir(proc);
}

/* Bury the dead; false when nobody is left. */
static bool reap(struct guard *g)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != g->child)
			continue;
		g->ended = true;
		g->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						: WEXITSTATUS(status);
	}
	return !pid;
}

static void drain(struct guard *g, bool *asked)
{
	struct signalfd_siginfo s;

	while (read(g->signals, &s, sizeof(s)) == (ssize_t)sizeof(s))
		*asked |= s.ssi_signo != SIGCHLD;
}

/* Kill what is left, for as long as that can take; what hangs in the kernel is
 * not waited for. */
static void sweep(struct guard *g)
{
	const int64_t until = clock_ms() + SWEEP_MS;
	struct pollfd p = {.fd = g->signals, .events = POLLIN};
	bool asked = false;

	while (reap(g) && clock_ms() < until) {
		kill(-g->child, SIGKILL);
		kill_children();
		poll(&p, 1, 100);
		drain(g, &asked);
	}
}

/* ---- the wait ---- */

static void ask_to_end(struct guard *g)
{
	if (g->kill_at != INT64_MAX)
		return;
	if (kill(-g->child, SIGTERM)) /* not yet a group */
		kill(g->child, SIGTERM);
	g->kill_at = clock_ms() + g->o->grace_ms;
}

static void wait_some(struct guard *g)
{
	struct pollfd p[] = {{.fd = g->signals, .events = POLLIN},
			     {.fd = g->lifeline, .events = POLLIN}};
	int64_t left = g->kill_at - clock_ms();
	bool asked = false;

	if (g->kill_at == INT64_MAX)
		left = -1;
	else if (left < 0)
		left = 0;
	poll(p, 2, left > 60000 ? 60000 : (int)left);
	drain(g, &asked);
	if (p[1].revents) {
		asked = true;
		g->lifeline = -1;
	}
	if (asked)
		ask_to_end(g);
	if (clock_ms() >= g->kill_at)
		kill(-g->child, SIGKILL);
}

int guard_run(const struct guard_opts *o, int *status, struct err *err)
{
	struct guard g = {.o = o,
			  .signals = -1,
			  .lifeline = o->lifeline,
			  .kill_at = INT64_MAX};

	if (begin(&g, err))
		return (int)err->code;
	while (reap(&g) && !g.ended)
		wait_some(&g);
	sweep(&g);
	close(g.signals);
	*status = g.status;
	return 0;
}

/* ---- for who starts it ---- */

static int find(char **path, struct err *err)
{
	char *self = realpath("/proc/self/exe", NULL), *slash;

	if (!self)
		return err_sys(err, "find our own program");
	slash = strrchr(self, '/');
	*path = mem_fmt("%.*s/gfl-guard", (int)(slash - self), self);
	free(self);
	if (!access(*path, X_OK))
		return 0;
	err_sys(err, "run %s", *path);
	free(*path);
	*path = NULL;
	return (int)err->code;
}

int guard_command(struct command *c, struct err *err)
{
	char *path;

	if (find(&path, err))
		return (int)err->code;
	command_guard_take(c, path);
	return 0;
}

int guard_open(struct command **out, const char *text, struct err *err)
{
	if (command_open(out, text, err))
		return (int)err->code;
	if (!guard_command(*out, err))
		return 0;
	command_free(*out);
	*out = NULL;
	return (int)err->code;
}

char **guard_words(const struct command *c, char *lifeline, char *grace)
{
	char *const *words = command_words(c);
	char *const fixed[] = {"gfl-guard", "--config", "none", "--lifeline",
			       lifeline,    "--grace",  grace,  "--program"};
	const size_t nfixed = sizeof(fixed) / sizeof(*fixed);
	size_t n = 0, at = nfixed;
	char **all;

	while (words[n])
		n++;
	all = mem_zero(nfixed + n + 3, sizeof(*all));
	memcpy(all, fixed, sizeof(fixed));
	all[at++] = (char *)(uintptr_t)command_path(c);
	all[at++] = "--";
	memcpy(all + at, words, n * sizeof(*all));
	return all;
}
