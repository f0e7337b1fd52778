#include "base/daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"

static bool is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return !strcmp(host, "localhost");
}

/* The parent of --background: until the child is ready, or has ended. */
static _Noreturn void wait_for(pid_t child, int fd)
{
	int status = 0;
	char c;

	if (read(fd, &c, 1) == 1) {
		printf("%d\n", (int)child);
		exit(fflush(stdout) ? EXIT_FAILURE : 0);
	}
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int go_background(struct daemon *d, struct err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "go to the background");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_sys(err, "go to the background");
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for(pid, fds[0]);
	}
	close(fds[0]);
	setsid();
	d->parent_fd = fds[1];
	return 0;
}

/* The usual 1024 is for programs that use select(). */
static int raise_descriptors(const struct daemon_opts *opts, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if ((rlim_t)opts->max_connections + DAEMON_KEPT_FDS <= limit.rlim_cur)
		return 0;
	if (!opts->max_connections)
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT,
		"--max-connections %d is more than %llu descriptors allow",
		opts->max_connections, (unsigned long long)limit.rlim_cur);
	return err_hint(err, "raise the limit with ulimit -n or LimitNOFILE=");
}

int daemon_start(struct daemon *d, const struct daemon_opts *opts,
		 struct err *err)
{
	*d = (struct daemon){.opts = opts, .parent_fd = -1};
	if (raise_descriptors(opts, err))
		return (int)err->code;
	/* Without a host the program has a default of its own, on loopback. */
	if (!opts->insecure && !opts->tls.cert && opts->listen.host[0] &&
	    !is_loopback(opts->listen.host)) {
		err_set(err, ERR_INVALID_ARGUMENT,
			"refusing to serve on %s without TLS",
			opts->listen.host);
		return err_hint(err, "give --tls-cert and --tls-key, or listen "
				     "on 127.0.0.1, or say --insecure where "
				     "everyone who can reach the port may be "
				     "trusted");
	}
	return opts->background ? go_background(d, err) : 0;
}

/* By rename, so that whoever sees the file sees all of it. */
static int write_port(const char *path, int port, struct err *err)
{
	char *tmp = mem_fmt("%s.%d", path, (int)getpid());
	FILE *f = fopen(tmp, "we");
	bool ok = f && fprintf(f, "%d\n", port) > 0;
	int rc = 0;

	if (f && fclose(f))
		ok = false;
	if (!ok || rename(tmp, path)) {
		rc = err_sys(err, "write port file %s", path);
		unlink(tmp);
	}
	free(tmp);
	return rc;
}

/* Whoever waits for the end of what we print is not to wait for ours. */
static void detach(struct daemon *d)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!log_lasts())
		log_info("log_ends", "hint=%s", "2>FILE keeps it");
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (!log_lasts())
			dup2(null, STDERR_FILENO);
		close(null);
	}
	/* A parent that is gone already has nobody to tell. */
	(void)!write(d->parent_fd, "\n", 1);
	close(d->parent_fd);
	d->parent_fd = -1;
}

int daemon_ready(struct daemon *d, int port, struct err *err)
{
	const struct daemon_opts *o = d->opts;

	if (o->port_file && write_port(o->port_file, port, err))
		return (int)err->code;
	d->ready = true;
	log_info("ready", "pid=%d port=%d", (int)getpid(), port);
	notify_send("READY=1");
	if (o->ready_fd >= 0) {
		if (write(o->ready_fd, "\n", 1) != 1)
			return err_sys(err, "write to --ready-fd %d",
				       o->ready_fd);
		if (o->ready_fd > STDERR_FILENO)
			close(o->ready_fd);
	}
	if (d->parent_fd >= 0)
		detach(d);
	return 0;
}

static void on_alarm(int number)
{
	static const char text[] = "stopping took longer than "
				   "--shutdown-timeout\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(err_exit(ERR_DEADLINE_EXCEEDED));
}

void daemon_stopping(struct daemon *d)
{
	int64_t ms = d->opts->shutdown_ms;
	struct itimerval t = {.it_value = {ms / 1000, ms % 1000 * 1000}};

	log_info("stopping");
	notify_send("STOPPING=1");
	if (!ms)
		return;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &t, NULL);
}

void daemon_end(struct daemon *d)
{
	if (d->ready && d->opts->port_file)
		unlink(d->opts->port_file);
	d->ready = false;
}

/* The directory of state, or NULL; the caller frees it. */
static char *state_dir(void)
{
	const char *given = getenv("STATE_DIRECTORY");
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (given && *given) /* systemd lists several with colons */
		return mem_dup(given, strcspn(given, ":"));
	if (base && *base == '/')
		return mem_fmt("%s/gfl", base);
	return home && *home == '/' ? mem_fmt("%s/.local/state/gfl", home)
				    : NULL;
}

int daemon_db(char **path, const struct daemon_opts *opts, const char *file,
	      struct err *err)
{
	char *dir;
	int rc;

	if (opts->db) {
		*path = mem_str(opts->db);
		return 0;
	}
	dir = state_dir();
	if (!dir) {
		err_set(err, ERR_FAILED_PRECONDITION,
			"no place to keep state: HOME is not set");
		return err_hint(err, "name a file with --db");
	}
	rc = file_make_dirs(dir, err);
	if (!rc)
		*path = mem_fmt("%s/%s", dir, file);
	free(dir);
	return rc;
}
