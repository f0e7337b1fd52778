#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/daemon.h"
#include "capture.h"

#define LOCAL .listen = {"127.0.0.1", 0}, .ready_fd = -1

TEST(a_daemon_serves_this_machine_only_unless_told)
{
	static const char *const inside[] = {"127.0.0.1", "127.9.9.9", "::1",
					     "localhost"};
	static const char *const outside[] = {"0.0.0.0", "::", "10.0.0.5",
					      "example.org"};
	struct daemon_opts o = {0};
	struct daemon d;
	struct err err;

	for (int i = 0; i < 4; i++) {
		strcpy(o.listen.host, inside[i]);
		CHECK(!daemon_start(&d, &o, &err));
		strcpy(o.listen.host, outside[i]);
		CHECK(daemon_start(&d, &o, &err) == ERR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, outside[i]);
	}
	o.listen.host[0] = '\0'; /* the program's own choice */
	CHECK(!daemon_start(&d, &o, &err));
	strcpy(o.listen.host, outside[0]);
	o.insecure = true;
	CHECK(!daemon_start(&d, &o, &err));
	o.insecure = false;
	o.tls.cert = "cert.pem";
	CHECK(!daemon_start(&d, &o, &err));
}

TEST(a_daemon_takes_the_descriptors_that_it_may_have)
{
	struct rlimit limit = {100, 300};
	struct daemon_opts o = {LOCAL};
	struct daemon d;
	struct err err;

	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(!daemon_start(&d, &o, &err));
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	CHECK_INT(limit.rlim_cur, 300);
	o.max_connections = 300 - DAEMON_KEPT_FDS;
	CHECK(!daemon_start(&d, &o, &err));
	o.max_connections++;
	CHECK_INT(daemon_start(&d, &o, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "--max-connections 237");
	CHECK_HAS(err.hint, "ulimit");
}

TEST(readiness_is_told_in_every_way_asked_for)
{
	struct sockaddr_un a = {AF_UNIX, "notify"};
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0), fds[2];
	struct daemon_opts o = {LOCAL, .port_file = "port"};
	char text[64] = "";
	struct daemon d;
	struct err err;
	FILE *f;

	CHECK(!bind(sock, (struct sockaddr *)&a, sizeof(a)) && !pipe(fds));
	setenv("NOTIFY_SOCKET", "notify", 1);
	o.ready_fd = fds[1];
	CHECK(!daemon_start(&d, &o, &err));
	CHECK(access("port", F_OK));
	CHECK(!daemon_ready(&d, 1234, &err));
	CHECK(recv(sock, text, sizeof(text) - 1, 0) > 0);
	CHECK_STR(text, "READY=1");
	CHECK_INT(read(fds[0], text, sizeof(text)), 1);
	CHECK_INT(text[0], '\n');
	CHECK_INT(read(fds[0], text, sizeof(text)), 0);
	f = fopen("port", "r");
	CHECK(f && fgets(text, sizeof(text), f));
	fclose(f);
	CHECK_STR(text, "1234\n");
	daemon_end(&d);
	CHECK(access("port", F_OK));
	close(sock);
	close(fds[0]);
}

TEST(a_port_file_that_cannot_be_written_is_an_error)
{
	struct daemon_opts o = {LOCAL, .port_file = "no/such/port"};
	struct daemon d;
	struct err err;

	CHECK(!daemon_start(&d, &o, &err));
	CHECK(daemon_ready(&d, 1, &err) == ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "write port file no/such/port: No such file");
}

struct background {
	bool fails;
};

/* Becomes ready, or exits 7; then waits to be killed. */
static int in_background(void *arg)
{
	struct background *b = arg;
	struct daemon_opts o = {LOCAL, .background = true};
	struct daemon d;
	struct err err;

	if (daemon_start(&d, &o, &err))
		return 99;
	if (b->fails)
		return 7;
	if (daemon_ready(&d, 1, &err))
		return 98;
	pause();
	return 0;
}

TEST(background_returns_once_ready_and_prints_the_pid)
{
	struct background b = {0};
	struct capture c;
	int fds[2], pid;
	char byte;

	CHECK(!pipe(fds));
	c = capture_run(in_background, &b);
	close(fds[1]);
	CHECK_INT(c.status, 0);
	pid = atoi(c.out);
	CHECK(pid > 1 && !kill(pid, 0) && pid == getpgid(pid));
	kill(pid, SIGTERM);
	CHECK_INT(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

TEST(background_passes_on_the_failure_to_start)
{
	struct background b = {.fails = true};
	struct capture c = capture_run(in_background, &b);

	CHECK_INT(c.status, 7);
	CHECK_STR(c.out, "");
}

static int hang_while_stopping(void *arg)
{
	struct daemon_opts o = {LOCAL, .shutdown_ms = 20};
	struct daemon d;

	(void)arg;
	if (daemon_start(&d, &o, NULL))
		return 99;
	daemon_stopping(&d);
	for (;;)
		pause();
}

TEST(a_stop_that_hangs_ends_at_the_shutdown_timeout)
{
	struct capture c = capture_run(hang_while_stopping, NULL);

	CHECK_INT(c.status, 4);
	CHECK_HAS(c.err, "event=stopping\n");
	CHECK_HAS(c.err, "longer than --shutdown-timeout\n");
}

TEST(state_lives_where_the_system_says_and_never_here)
{
	struct daemon_opts o = {LOCAL};
	char cwd[200], want[300], *path;
	struct stat st;
	struct err err;

	CHECK(getcwd(cwd, sizeof(cwd)));
	unsetenv("STATE_DIRECTORY");
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", cwd, 1);
	CHECK(!daemon_db(&path, &o, "a.db", &err));
	snprintf(want, sizeof(want), "%s/.local/state/gfl/a.db", cwd);
	CHECK_STR(path, want);
	CHECK(!stat(".local/state/gfl", &st) && (st.st_mode & 0777) == 0700);
	free(path);
	snprintf(want, sizeof(want), "%s/x:/other", cwd);
	setenv("STATE_DIRECTORY", want, 1);
	CHECK(!daemon_db(&path, &o, "a.db", &err));
	snprintf(want, sizeof(want), "%s/x/a.db", cwd);
	CHECK_STR(path, want);
	free(path);
	o.db = "here.db";
	CHECK(!daemon_db(&path, &o, "a.db", &err));
	CHECK_STR(path, "here.db");
	free(path);
	unsetenv("STATE_DIRECTORY");
	unsetenv("HOME");
	o.db = NULL;
	CHECK(daemon_db(&path, &o, "a.db", &err) == ERR_FAILED_PRECONDITION);
	CHECK_HAS(err.hint, "--db");
}
