#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/mem.h"
#include "fl/child_impl.h"

enum { READ, WRITE, ENDS };

void child_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void child_shut_all(struct child *c)
{
	child_shut(&c->pidfd);
	child_shut(&c->in);
	child_shut(&c->out);
	child_shut(&c->said);
	child_shut(&c->lifeline);
	c->pid = 0;
}

struct ends {
	int in[ENDS], out[ENDS], said[ENDS], life[ENDS];
};

static void close_ends(struct ends *e)
{
	for (int i = 0; i < ENDS; i++) {
		child_shut(&e->in[i]);
		child_shut(&e->out[i]);
		child_shut(&e->said[i]);
		child_shut(&e->life[i]);
	}
}

/* Who does not serve reads nothing. */
static int open_in(struct ends *e, bool serves)
{
	if (serves)
		return pipe2(e->in, O_CLOEXEC);
	e->in[READ] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return e->in[READ] < 0;
}

static int open_ends(struct ends *e, bool serves, struct err *err)
{
	*e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	if (open_in(e, serves) || pipe2(e->out, O_CLOEXEC) ||
	    pipe2(e->said, O_CLOEXEC) || pipe2(e->life, O_CLOEXEC)) {
		err_sys(err, "make pipes");
		close_ends(e);
		return (int)err->code;
	}
	if (serves)
		fcntl(e->in[WRITE], F_SETFL, O_NONBLOCK);
	fcntl(e->out[READ], F_SETFL, O_NONBLOCK);
	fcntl(e->said[READ], F_SETFL, O_NONBLOCK);
	return 0;
}

/* SIGPIPE, which we ignore, has its usual effect there, and what this thread
 * blocks is not blocked. */
static int spawn(struct child *c, struct ends *e, char **words, char **env)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, e->in[READ], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, e->out[WRITE], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, e->said[WRITE], STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&files, e->life[READ], e->life[READ]);
	posix_spawnattr_init(&attr);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(&c->pid, command_guard(c->command), &files, &attr,
			 words, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void take(int *to, int *from)
{
	*to = *from;
	*from = -1;
}

int child_start(struct child *c, const struct facts *facts, struct err *err)
{
	char lifeline[16], grace[32];
	struct facts all = {0};
	char **words, **env;
	struct ends e;
	int rc;

	if (open_ends(&e, c->opts.serves, err))
		return (int)err->code;
	snprintf(lifeline, sizeof(lifeline), "%d", e.life[READ]);
	snprintf(grace, sizeof(grace), "%lldms", (long long)c->opts.grace_ms);
	facts_join(&all, &c->always);
	if (facts)
		facts_join(&all, facts);
	words = guard_words(c->command, lifeline, grace);
	env = facts_env(&all, command_allow_work);
	rc = spawn(c, &e, words, env);
	free(words);
	free(env);
	facts_release(&all);
	if (!rc) {
		c->ended = false;
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
		take(&c->in, &e.in[WRITE]);
		take(&c->out, &e.out[READ]);
		take(&c->said, &e.said[READ]);
		take(&c->lifeline, &e.life[WRITE]);
		contract_release(&c->contract);
		c->contract = (struct contract){0};
		contract_begin(&c->contract);
	} else {
		c->pid = 0;
		err_errno(err, rc, "run %s", command_guard(c->command));
	}
	close_ends(&e);
	return rc ? (int)err->code : 0;
}
