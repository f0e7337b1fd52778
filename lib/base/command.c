#include "base/command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

struct command {
	char *words; /* argv points into it */
	char **argv; /* NULL at the end */
	char *path;  /* absolute */
};

static void split(struct command *c, const char *text)
{
	size_t cap = 0, n = 0;
	char *rest, *word;

	c->words = mem_str(text);
	word = strtok_r(c->words, " \t\n", &rest);
	while (word) {
		c->argv = mem_grow(c->argv, &cap, n + 2, sizeof(*c->argv));
		c->argv[n++] = word;
		word = strtok_r(NULL, " \t\n", &rest);
	}
	if (n)
		c->argv[n] = NULL;
}

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
	const char *name = c->argv[0];
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

int command_open(struct command **out, const char *text, struct err *err)
{
	struct command *c = mem_zero(1, sizeof(*c));
	int rc;

	split(c, text);
	rc = c->argv ? find(c, err)
		     : err_set(err, ERR_INVALID_ARGUMENT, "an empty command");
	if (rc)
		command_free(c);
	else
		*out = c;
	return rc;
}

/* A file in memory, read from its start: no pipe to be blocked or broken by a
 * command that does not read. */
static int input_file(const char *p, size_t len, struct err *err)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		err_sys(err, "make an input");
		return -1;
	}
	for (size_t at = 0; at < len; at += (size_t)n) {
		n = write(fd, p + at, len - at);
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
static int spawn(const struct command *c, int input, pid_t *pid)
{
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
	rc = posix_spawn(pid, c->path, &files, &attr, c->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int verdict(const struct command *c, int status, struct err *err)
{
	if (WIFSIGNALED(status))
		return err_set(err, ERR_ABORTED, "%s was ended by signal %d",
			       c->path, WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(err, ERR_ABORTED, "%s exited with status %d",
			       c->path, WEXITSTATUS(status));
	return 0;
}

int command_run(const struct command *c, const void *input, size_t len,
		struct err *err)
{
	int fd = input_file(input, len, err), status = 0, rc;
	pid_t pid;

	if (fd < 0)
		return (int)err->code;
	rc = spawn(c, fd, &pid);
	close(fd);
	if (rc)
		return err_errno(err, rc, "run %s", c->path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "wait for %s", c->path);
	return verdict(c, status, err);
}

void command_free(struct command *c)
{
	if (!c)
		return;
	free(c->words);
	free(c->argv);
	free(c->path);
	free(c);
}
