/* Nodes as processes: started, watched, and ended. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "chaos.h"

enum { READY_MS = 60000, END_MS = 30000 };

static struct power *map_power(struct site *s, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct power *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(*p)))
		p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);
	if (p == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	close(fd);
	p->leak_percent = (int32_t)rand_below(&s->c->rand, 3) * 30;
	return p;
}

void site_open(struct chaos *c, int id)
{
	struct site *s = &c->site[id];
	char path[300];

	*s = (struct site){.c = c, .id = id};
	snprintf(s->url, sizeof(s->url), "http://" NET "%d:%d", id, 8900 + id);
	snprintf(s->dir, sizeof(s->dir), "%s/n%d", c->dir, id);
	snprintf(s->shadow, sizeof(s->shadow), "%s/shadow%d", c->dir, id);
	mkdir(s->shadow, 0700);
	snprintf(path, sizeof(path), "%s/power%d", c->dir, id);
	s->power = map_power(s, path);
}

void site_close(struct site *s)
{
	load_unwatch(s);
	if (s->process)
		site_kill(s);
	munmap(s->power, sizeof(*s->power));
}

bool site_up(const struct site *s)
{
	return s->process && s->serves && !s->stopped;
}

/* ---- start ---- */

static void on_closed(uv_handle_t *h)
{
	free(h);
}

static void close_ready(struct site *s)
{
	if (s->ready)
		uv_close((uv_handle_t *)s->ready, on_closed);
	s->ready = NULL;
}

static void on_exit_(uv_process_t *p, int64_t status, int signal)
{
	struct site *s = p->data;
	struct err err;

	s->status = signal ? 128 + signal : (int)status;
	s->process = NULL;
	s->serves = s->stopped = false;
	close_ready(s);
	uv_close((uv_handle_t *)p, on_closed);
	if (s->dying)
		return;
	err_set(&err, ERR_INTERNAL, "%s: node %d ended with status %d",
		s->c->doing ? s->c->doing : "start", s->id, s->status);
	chaos_fail(s->c, &err);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char bytes[16];

	(void)h, (void)want;
	*b = uv_buf_init(bytes, sizeof(bytes));
}

static void on_ready(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct site *s = h->data;

	(void)b;
	if (!n)
		return;
	close_ready(s);
	if (n < 0)
		return;
	s->serves = true;
	load_watch(s);
}

/* The others, to join by. */
static char *joins(const struct site *s)
{
	char *text = mem_str(""), *longer;

	for (int id = 1; id <= s->c->nodes; id++) {
		if (id == s->id)
			continue;
		longer = mem_fmt("%s%s%s", text, *text ? "," : "",
				 s->c->site[id].url);
		free(text);
		text = longer;
	}
	return text;
}

static void spawn(struct site *s, char **argv)
{
	char *env[] = {
		mem_fmt("PATH=%s", getenv("PATH")),
		mem_fmt("HOME=%s", s->c->dir),
		mem_fmt("LD_PRELOAD=%s/../test/chaos/power.so", s->c->bin),
		mem_fmt(POWER_LIVE "=%s", s->dir),
		mem_fmt(POWER_SHADOW "=%s", s->shadow),
		mem_fmt(POWER_CONTROL "=%s/power%d", s->c->dir, s->id),
		NULL,
	};
	char *path = mem_fmt("%s/n%d.log", s->c->dir, s->id);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	uv_stdio_container_t io[4] = {
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = log},
		{.flags = UV_INHERIT_FD, .data.fd = log},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)s->ready},
	};
	uv_process_options_t opts = {
		.file = argv[0],
		.args = argv,
		.env = env,
		.stdio = io,
		.stdio_count = 4,
		.exit_cb = on_exit_,
	};
	int rc = uv_spawn(loop_uv(s->c->loop), s->process, &opts);

	if (rc) {
		fprintf(stderr, "%s: %s\n", argv[0], uv_strerror(rc));
		exit(1);
	}
	close(log);
	free(path);
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
}

void site_start(struct site *s, bool founds)
{
	struct chaos *c = s->c;
	char *argv[] = {
		mem_str("nsenter"),
		mem_fmt("--net=/run/netns/n%d", s->id),
		mem_fmt("%s/gfl-node", c->bin),
		mem_fmt("--node-id=%d", s->id),
		mem_fmt("--db=%s/node.db", s->dir),
		mem_fmt("--listen=" NET "%d:%d", s->id, 8900 + s->id),
		mem_fmt("--bind=" NET "%d", s->id),
		mem_str("--insecure"),
		mem_str("--config=none"),
		mem_str("--ready-fd=3"),
		mem_fmt("--snapshot-after=%lld", (long long)c->snapshot_after),
		mem_str("--min-election-timeout=300"),
		mem_str("--max-election-timeout=600"),
		mem_fmt("--max-voters=%d", c->max_voters),
		founds ? mem_str("--bootstrap") : joins(s),
		NULL,
	};
	char *last = argv[14];

	if (!founds) {
		argv[14] = mem_fmt("--join=%s", last);
		free(last);
	}
	s->process = mem_zero(1, sizeof(*s->process));
	s->process->data = s;
	s->ready = mem_zero(1, sizeof(*s->ready));
	uv_pipe_init(loop_uv(c->loop), s->ready, 0);
	s->ready->data = s;
	s->dying = s->serves = s->stopped = false;
	spawn(s, argv);
	s->pid = s->process->pid;
	uv_read_start((uv_stream_t *)s->ready, on_alloc, on_ready);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
}

/* ---- end ---- */

void site_signal(struct site *s, int number)
{
	if (!s->process)
		return;
	s->stopped = number == SIGSTOP || (s->stopped && number != SIGCONT);
	uv_process_kill(s->process, number);
}

static bool is_gone(struct chaos *c, void *arg)
{
	const struct site *s = arg;

	(void)c;
	return !s->process;
}

void site_kill(struct site *s)
{
	struct err kept = s->c->err;

	s->dying = true;
	site_signal(s, SIGKILL);
	s->c->err.code = ERR_OK; /* also when the run has failed already */
	turn_until(s->c, is_gone, s, END_MS);
	if (kept.code)
		s->c->err = kept;
}

/* The end of its log. */
static void last_words(const struct site *s, char *out, size_t size)
{
	char path[300];
	int fd;
	ssize_t n = 0;
	off_t end;

	snprintf(path, sizeof(path), "%s/n%d.log", s->c->dir, s->id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		end = lseek(fd, 0, SEEK_END);
		n = pread(fd, out, size - 1,
			  end > (off_t)size ? end - (off_t)size + 1 : 0);
		close(fd);
	}
	out[n > 0 ? n : 0] = 0;
}

void site_ends(struct site *s, int status, int other, const char *word)
{
	char words[1024];
	struct err err;

	if (!turn_expect(s->c, is_gone, s, END_MS, "the node ends"))
		return;
	last_words(s, words, sizeof(words));
	if ((s->status == status || s->status == other) && strstr(words, word))
		return;
	err_set(&err, ERR_INTERNAL,
		"%s: node %d ended with status %d, not %d, or without the "
		"word \"%s\"",
		s->c->doing, s->id, s->status, status, word);
	chaos_fail(s->c, &err);
}

int64_t site_said(const struct site *s, const char *word)
{
	char path[300], *log, *at;
	int64_t times = 0;
	size_t len;

	snprintf(path, sizeof(path), "%s/n%d.log", s->c->dir, s->id);
	if (file_read(&log, &len, path, SIZE_MAX, NULL))
		return 0;
	for (at = log; (at = strstr(at, word)); at++)
		times++;
	free(log);
	return times;
}

/* ---- all of them ---- */

static bool all_serve(struct chaos *c, void *arg)
{
	(void)arg;
	for (int id = 1; id <= c->sites; id++)
		if (id <= c->nodes
			    ? !site_up(&c->site[id])
			    : c->site[id].process && !site_up(&c->site[id]))
			return false;
	return true;
}

void site_all(struct chaos *c)
{
	for (int id = 1; id <= c->sites; id++) {
		struct site *s = &c->site[id];

		if (s->stopped)
			site_signal(s, SIGCONT);
		if (!s->process && id <= c->nodes)
			site_start(s, false);
	}
	turn_expect(c, all_serve, NULL, READY_MS, "all nodes serve");
}

int site_other(struct chaos *c, int id)
{
	int other, tries = 100;

	do
		other = 1 + (int)rand_below(&c->rand, c->nodes);
	while ((other == id || !site_up(&c->site[other])) && --tries);
	return other;
}

struct asked {
	int votes[SITES_MAX + 1], left;
};

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct asked *a = arg;
	int64_t leader =
		err ? 0 : ((const Gfl__V1__NodeStatus *)out)->leader_id;

	a->left--;
	if (leader > 0 && leader <= SITES_MAX)
		a->votes[leader]++;
}

static bool all_told(struct chaos *c, void *arg)
{
	(void)c;
	return !((const struct asked *)arg)->left;
}

int site_leader(struct chaos *c)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};
	struct asked *a = mem_zero(1, sizeof(*a));
	int most = site_other(c, 0);

	for (int id = 1; id <= c->nodes; id++)
		if (site_up(&c->site[id])) {
			a->left++;
			client_call(c->client, c->site[id].url,
				    RPC_NODE_GET_STATUS, &in.base, &opts,
				    on_status, a);
		}
	turn_until(c, all_told, a, 5000);
	for (int id = 1; id <= c->nodes; id++)
		if (a->votes[id] > a->votes[most])
			most = id;
	if (!a->left) /* else the run is over, and its answers still to come */
		free(a);
	return most;
}
