/* propose - how many proposals a cluster of three takes in a second.
 *
 * Three processes on loopback, each with its file; the first leads, and in it
 * N clients propose values of 256 bytes, each the next one when it has its
 * answer (committed, durable here, applied). One line per N on stdout. */
#include "raft_cluster.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { VALUE = 256, SAMPLES_MAX = 1 << 20 };

/* What raft_cluster.h calls, here without tests. */
void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "propose: %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

struct load {
	struct cluster *c;
	int64_t until_us, *took_us;
	size_t n, under_way, failed;
};

struct client_of_load {
	struct load *load;
	int64_t asked_us;
};

/* A member that only follows, until it is killed. */
static pid_t follow(int64_t id, char *url, size_t size)
{
	int pipes[2];
	pid_t pid;
	ssize_t n;

	if (pipe(pipes))
		exit(1);
	pid = fork();
	if (!pid) {
		struct cluster c;
		struct err err;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cluster_open(&c);
		c.quiet = true;
		must(member_start(&c, id, &err), &err);
		dprintf(pipes[1], "%s", server_url(c.m[id].server));
		close(pipes[1]);
		loop_run(c.loop);
		_exit(0);
	}
	close(pipes[1]);
	n = read(pipes[0], url, size - 1);
	url[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
	return pid;
}

static struct answer the_answer;

static bool answered(struct cluster *c)
{
	(void)c;
	return the_answer.done;
}

static void change(struct cluster *c, int64_t id, enum raft_member_role role)
{
	struct driver_proposal p = text_of("");
	struct err err;

	the_answer = (struct answer){.c = c};
	/* A learner that is not up to date yet is asked for again. */
	while (driver_change(c->m[1].driver, id, role, &p, on_answer,
			     &the_answer, &err)) {
		the_answer.done = false;
		must(driver_propose(c->m[1].driver, &p, on_answer, &the_answer,
				    &err),
		     &err);
		cluster_run(c, answered);
		the_answer.done = false;
	}
	cluster_run(c, answered);
	must((int)the_answer.err.code, &the_answer.err);
}

static void ask(struct client_of_load *who);

static void on_proposed(const struct err *err,
			const struct driver_result *result, void *arg)
{
	struct client_of_load *who = arg;
	struct load *l = who->load;
	int64_t now_us = clock_us();

	(void)result;
	l->under_way--;
	l->failed += err != NULL;
	if (!err && l->n < SAMPLES_MAX)
		l->took_us[l->n++] = now_us - who->asked_us;
	if (now_us < l->until_us)
		ask(who);
	else if (!l->under_way)
		loop_stop(l->c->loop);
}

static void ask(struct client_of_load *who)
{
	static const char value[VALUE];
	struct driver_proposal p = {.data = value, .len = VALUE};
	struct err err;

	who->asked_us = clock_us();
	must(driver_propose(who->load->c->m[1].driver, &p, on_proposed, who,
			    &err),
	     &err);
	who->load->under_way++;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void run(struct cluster *c, size_t clients, double seconds)
{
	struct client_of_load *who = mem_zero(clients, sizeof(*who));
	struct load l = {.c = c};
	int64_t begun_us = clock_us(), cpu_us = clock();
	int64_t commits = writer_commits(c->m[1].writer);
	double took_s;

	l.took_us = mem_zero(SAMPLES_MAX, sizeof(*l.took_us));
	l.until_us = begun_us + (int64_t)(seconds * 1e6);
	for (size_t i = 0; i < clients; i++) {
		who[i].load = &l;
		ask(&who[i]);
	}
	loop_run(c->loop);
	took_s = (double)(clock_us() - begun_us) / 1e6;
	commits = writer_commits(c->m[1].writer) - commits;
	qsort(l.took_us, l.n, sizeof(*l.took_us), by_size);
	if (!l.n || l.failed)
		test_fail(__FILE__, __LINE__, "%zu proposals failed", l.failed);
	printf("%7zu  %9.0f  %7.3f  %7.3f  %11.1f  %13.1f\n", clients,
	       (double)l.n / took_s, (double)l.took_us[l.n / 2] / 1e3,
	       (double)l.took_us[l.n * 99 / 100] / 1e3,
	       (double)l.n / (double)(commits ? commits : 1),
	       (double)(clock() - cpu_us) / (double)l.n);
	fflush(stdout);
	free(l.took_us);
	free(who);
}

static void bench(double seconds)
{
	static const size_t clients[] = {1, 16, 256};
	char urls[MEMBERS + 1][128];
	pid_t pids[MEMBERS + 1];
	struct cluster c;
	struct err err;

	for (int64_t id = 2; id <= MEMBERS; id++)
		pids[id] = follow(id, urls[id], sizeof(urls[id]));
	cluster_open(&c);
	c.quiet = true;
	must(member_start(&c, 1, &err), &err);
	must(driver_bootstrap(c.m[1].driver, "", 0, &err), &err);
	cluster_run(&c, has_leader);
	for (int64_t id = 2; id <= MEMBERS; id++) {
		c.url[id] = urls[id];
		change(&c, id, RAFT_LEARNER);
		change(&c, id, RAFT_VOTER);
	}
	puts("clients     ops/s   p50_ms   p99_ms   ops/commit  leader_us/op");
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		run(&c, clients[i], seconds);
	cluster_close(&c);
	for (int64_t id = 2; id <= MEMBERS; id++) {
		kill(pids[id], SIGKILL);
		waitpid(pids[id], NULL, 0);
	}
}

/* propose [SECONDS] [DIRECTORY]: the directory exists and is left empty. */
int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	char own[] = "/tmp/gfl-bench-XXXXXX";
	const char *dir = argc > 2 ? argv[2] : mkdtemp(own);
	char name[64];

	if (!dir || chdir(dir)) {
		perror("propose: directory");
		return 1;
	}
	bench(seconds);
	for (int id = 1; id <= MEMBERS; id++) {
		static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

		for (int i = 0; i < 4; i++) {
			snprintf(name, sizeof(name), "%d.db%s", id, ends[i]);
			unlink(name);
		}
	}
	if (argc <= 2)
		rmdir(dir);
	return 0;
}
