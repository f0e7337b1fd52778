#include "base/command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/words.h"

extern char **environ;

struct command {
	struct words words;
	char *path;  /* absolute */
	char *guard; /* the same, or NULL */
};

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* The first program of this name in a directory of the PATH; free() it. */
static char *on_path(const char *name)
{
	const char *path = getenv("PATH");
	char *dirs = mem_str(path ? path : "/bin:/usr/bin"), *rest = dirs, *dir;
	char *found = NULL;

	while (!found && (dir = strsep(&rest, ":"))) {
		found = mem_fmt("%s/%s", *dir ? dir : ".", name);
		if (!is_program(found)) {
			free(found);
			found = NULL;
		}
	}
	free(dirs);
	return found;
}

static int find(struct command *c, struct err *err)
{
	const char *name = c->words.at[0];
	char *place = strchr(name, '/') ? mem_str(name) : on_path(name);

	if (!place)
		return err_set(err, ERR_NOT_FOUND, "no program %s on the PATH",
			       name);
	c->path = realpath(place, NULL);
	if (!c->path)
		err_sys(err, "%s", name);
	free(place);
	if (!c->path)
		return (int)err->code;
	if (!is_program(c->path)) {
		errno = EACCES;
		return err_sys(err, "run %s", c->path);
	}
	return 0;
}

/* Takes words. */
static int open_words(struct command **out, struct words *words,
		      struct err *err)
{
	struct command *c = mem_zero(1, sizeof(*c));
	int rc;

	c->words = *words;
	rc = words->n ? find(c, err)
		      : err_set(err, ERR_INVALID_ARGUMENT, "an empty command");
	if (rc)
		command_free(c);
	else
		*out = c;
	return rc;
}

int command_open(struct command **out, const char *text, struct err *err)
{
	struct words words;

	if (words_split(&words, text, err))
		return (int)err->code;
	return open_words(out, &words, err);
}

int command_of(struct command **out, const char *const *words, size_t n,
	       struct err *err)
{
	struct words copy;

	words_copy(&copy, words, n);
	return open_words(out, &copy, err);
}

const char *command_path(const struct command *c)
{
	return c->path;
}

const char *command_guard(const struct command *c)
{
	return c->guard;
}

void command_guard_take(struct command *c, char *guard)
{
	free(c->guard);
	c->guard = guard;
}

char *const *command_words(const struct command *c)
{
	return c->words.at;
}

int command_input(const void *p, size_t len, struct err *err)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		err_sys(err, "make an input");
		return -1;
	}
	for (size_t at = 0; at < len; at += (size_t)n) {
		n = write(fd, (const char *)p + at, len - at);
		if (n < 0) {
			err_sys(err, "make an input");
			close(fd);
			return -1;
		}
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* SIGPIPE, which we may ignore, has its usual effect on the command, and no
 * signal that a thread of ours blocks is blocked there. */
static int spawn(const struct command *c, const struct facts *facts, int input,
		 pid_t *pid)
{
	char **env = facts_env(facts, NULL);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t usual;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawnattr_init(&attr);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &usual);
	sigemptyset(&usual);
	posix_spawnattr_setsigmask(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(pid, c->path, &files, &attr, c->words.at, env);
	free(env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

int command_verdict(const struct command *c, int status, int signal,
		    struct err *err)
{
	if (signal)
		return err_set(err, ERR_ABORTED, "%s was ended by signal %d",
			       c->path, signal);
	if (status)
		return err_set(err, ERR_ABORTED, "%s exited with status %d",
			       c->path, status);
	return 0;
}

void facts_add(struct facts *f, const char *name, const char *fmt, ...)
{
	struct buf b = BUF_INIT(0);
	char *value;
	va_list ap;

	va_start(ap, fmt);
	if (f->n == FACTS_MAX || vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	buf_putf(&b, "%s=%s", name, value);
	free(value);
	f->at[f->n++] = buf_take(&b);
}

void facts_join(struct facts *to, const struct facts *from)
{
	for (size_t i = 0; i < from->n; i++) {
		if (to->n == FACTS_MAX)
			abort();
		to->at[to->n++] = mem_str(from->at[i]);
	}
}

void facts_release(struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->at[i]);
	*f = (struct facts){0};
}

static bool is_fact(const struct facts *f, const char *variable)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strncmp(f->at[i], variable, strcspn(f->at[i], "=") + 1))
			return true;
	return false;
}

char **facts_env(const struct facts *f, command_allow_fn *allow)
{
	size_t n = 0, k = f->n;
	char **all;

	while (environ[n])
		n++;
	all = mem_zero(f->n + n + 1, sizeof(*all));
	memcpy(all, f->at, f->n * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		if (!is_fact(f, environ[i]) && (!allow || allow(environ[i])))
			all[k++] = environ[i];
	return all;
}

bool command_allow_work(const char *variable)
{
	static const char *const ours[] = {
		"GFL_", "GOSSIPFL_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strncmp(variable, ours[i], strlen(ours[i])))
			return false;
	return true;
}

int command_run(const struct command *c, const struct facts *facts,
		const void *input, size_t len, struct err *err)
{
	int fd = command_input(input, len, err), status = 0, rc;
	pid_t pid;

	if (fd < 0)
		return (int)err->code;
	rc = spawn(c, facts, fd, &pid);
	close(fd);
	if (rc)
		return err_errno(err, rc, "run %s", c->path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "wait for %s", c->path);
	return command_verdict(c, WEXITSTATUS(status),
			       WIFSIGNALED(status) ? WTERMSIG(status) : 0, err);
}

void command_free(struct command *c)
{
	if (!c)
		return;
	words_release(&c->words);
	free(c->path);
	free(c->guard);
	free(c);
}
