/* Members in processes of their own that are killed with -9, or stand still,
 * while they lead and follow; what was acknowledged is in the logs
 * afterwards. */
#define TEST_SECONDS 30
#include "raft_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"

enum {
	KILLS = 12,
	PAUSES = 6,
	BETWEEN = 100,
	ACKS_MAX = 1 << 16,
	UNDER_WAY = 4
};

/* Told to the parent through a pipe, in one write. */
struct ack {
	int64_t member, index, term, value;
};

static int acks_fd;

/* ---- a member's process ---- */

static struct cluster world; /* with the one member of this process */
static int64_t next_value;

struct ticket {
	int64_t value;
};

static void keep_proposing(struct member *m);

static void on_proposed(const struct err *err,
			const struct driver_result *result, void *arg)
{
	struct ticket *t = arg;
	struct member *m = &world.m[0];
	struct ack ack = {m->id, result->index, result->term, t->value};

	free(t);
	if (err)
		return;
	if (write(acks_fd, &ack, sizeof(ack)) != sizeof(ack))
		_exit(1);
	keep_proposing(m);
}

static void keep_proposing(struct member *m)
{
	struct ticket *t = mem_zero(1, sizeof(*t));
	struct driver_proposal p = {.data = t, .len = sizeof(*t)};

	t->value = next_value++;
	if (driver_propose(m->driver, &p, on_proposed, t, NULL))
		free(t);
}

static void on_leader(int64_t leader, int64_t term, bool we_lead, void *arg)
{
	(void)leader, (void)term;
	for (int i = 0; we_lead && i < UNDER_WAY; i++)
		keep_proposing(arg);
}

static void on_apply(const struct raft_entry *e, bool skip,
		     struct driver_result *result, void *arg)
{
	(void)e, (void)skip, (void)result, (void)arg;
}

static void on_failed(const struct err *err, void *arg)
{
	(void)arg;
	fprintf(stderr, "# member failed: %s\n", err->msg);
	_exit(1);
}

/* From the file that each member writes when it serves. */
static const char *url_of_file(int64_t id, void *arg)
{
	static char url[128];
	char name[32];
	ssize_t n;
	int fd;

	(void)arg;
	snprintf(name, sizeof(name), "%d.url", (int)id);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return NULL;
	n = read(fd, url, sizeof(url) - 1);
	close(fd);
	url[n > 0 ? n : 0] = '\0';
	return n > 0 ? url : NULL;
}

static void write_url(struct member *m)
{
	char name[32], draft[32];
	FILE *f;

	snprintf(name, sizeof(name), "%d.url", (int)m->id);
	snprintf(draft, sizeof(draft), "%d.new", (int)m->id);
	f = fopen(draft, "w");
	CHECK(f && fputs(server_url(m->server), f) >= 0 && !fclose(f));
	CHECK(!rename(draft, name));
}

static void open_member(int64_t id)
{
	struct server_opts opts = {.listen = "127.0.0.1:0"};
	struct member *m = &world.m[0];
	struct driver_config cfg = {
		.node_id = id,
		.cluster_id = CLUSTER_ID,
		.on_apply = on_apply,
		.on_leader = on_leader,
		.on_failed = on_failed,
		.url_of = url_of_file,
		.arg = m,
	};
	char path[32];
	struct err err;

	m->id = id;
	snprintf(path, sizeof(path), "%d.db", (int)id);
	must(db_open(&m->db, path, DB_NODE, &err), &err);
	must(db_open_to_read(&cfg.reader, path, DB_NODE, &err), &err);
	must(loop_open(&cfg.loop, &err), &err);
	must(writer_open(&cfg.writer, cfg.loop, m->db, 64, &err), &err);
	must(client_open(&cfg.client, cfg.loop, NULL, &err), &err);
	must(server_open(&m->server, cfg.loop, &opts, &err), &err);
	cfg.server = m->server;
	must(driver_open(&m->driver, &cfg, &err), &err);
	world.loop = cfg.loop;
	write_url(m);
}

static pid_t spawn(int64_t id, int64_t life)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	next_value = (id << 40) + (life << 32);
	open_member(id);
	loop_run(world.loop);
	_exit(1);
}

/* ---- the test ---- */

static struct ack acks[ACKS_MAX];
static size_t nacks;

static void read_acks(int fd, size_t more)
{
	size_t until = nacks + more;

	while (nacks < until && nacks < ACKS_MAX) {
		CHECK(read(fd, &acks[nacks], sizeof(acks[0])) ==
		      sizeof(acks[0]));
		nacks++;
	}
}

/* Read until another member than id acknowledges; how long it took, in
 * milliseconds. */
static int64_t read_another(int fd, int64_t id)
{
	int64_t begun_ms = clock_ms();

	do
		read_acks(fd, 1);
	while (acks[nacks - 1].member == id);
	return clock_ms() - begun_ms;
}

/* The same log for all three: the first entry names them as voters. */
static void make_files(void)
{
	static const char *const steps[] = {
		raft_store_schema, raft_snapshot_schema, raft_tail_schema,
		raft_conf_schema};
	struct raft_member members[MEMBERS] = {{.id = 1, .role = RAFT_VOTER},
					       {.id = 2, .role = RAFT_VOTER},
					       {.id = 3, .role = RAFT_VOTER}};
	struct raft_conf conf = {members, MEMBERS};
	struct raft_entry first = {.index = 1, .term = 1, .type = RAFT_CONFIG};
	struct raft_write write = {
		.term = 1, .commit = 1, .entries = &first, .n = 1};
	void *bytes;

	first.conf_len = raft_conf_encode(&conf, &bytes);
	first.conf = bytes;
	for (int id = 1; id <= MEMBERS; id++) {
		char path[32];
		struct err err;
		struct raft_tail tail = {0};
		struct db *d;

		snprintf(path, sizeof(path), "%d.db", id);
		must(db_open(&d, path, DB_NODE, &err), &err);
		must(schema_apply(d, steps, 4, &err), &err);
		must(raft_store_write(d, &write, &tail, &err), &err);
		db_close(d);
	}
	free(bytes);
}

struct logs {
	int64_t *value[MEMBERS + 1], *term[MEMBERS + 1];
	int64_t last[MEMBERS + 1], commit[MEMBERS + 1];
	int id;
};

enum { ENTRIES_MAX = 1 << 17 };

static int take_entry(const struct raft_entry *e, void *arg, struct err *err)
{
	struct logs *l = arg;
	int64_t value = 0;

	(void)err;
	CHECK(e->index < ENTRIES_MAX);
	if (e->len == sizeof(value))
		memcpy(&value, e->data, sizeof(value));
	l->value[l->id][e->index] = value;
	l->term[l->id][e->index] = e->term;
	l->last[l->id] = e->index;
	return 0;
}

static void read_logs(struct logs *l)
{
	for (l->id = 1; l->id <= MEMBERS; l->id++) {
		struct raft_config cfg = {0};
		char path[32];
		struct err err;
		struct db *d;

		l->value[l->id] = mem_zero(ENTRIES_MAX, sizeof(int64_t));
		l->term[l->id] = mem_zero(ENTRIES_MAX, sizeof(int64_t));
		snprintf(path, sizeof(path), "%d.db", l->id);
		must(db_open(&d, path, DB_NODE, &err), &err);
		must(raft_store_hard_state(d, &cfg, &err), &err);
		must(raft_store_each(d, 1, 0, take_entry, l, NULL, &err), &err);
		l->commit[l->id] = cfg.commit;
		CHECK(cfg.commit <= l->last[l->id]);
		db_close(d);
	}
}

static void check_acks(const struct logs *l)
{
	for (size_t i = 0; i < nacks; i++) {
		const struct ack *a = &acks[i];
		int have = 0;

		for (int id = 1; id <= MEMBERS; id++)
			have += l->value[id][a->index] == a->value &&
				l->term[id][a->index] == a->term;
		if (have < 2)
			test_fail(__FILE__, __LINE__,
				  "entry %lld was acknowledged, and %d of 3 "
				  "have it",
				  (long long)a->index, have);
	}
}

static void check_committed_equal(const struct logs *l)
{
	for (int id = 2; id <= MEMBERS; id++) {
		int64_t both = l->commit[1] < l->commit[id] ? l->commit[1]
							    : l->commit[id];

		for (int64_t i = 1; i <= both; i++)
			CHECK(l->value[1][i] == l->value[id][i] &&
			      l->term[1][i] == l->term[id][i]);
	}
}

struct run {
	struct rand chance;
	pid_t pids[MEMBERS + 1];
	int fd; /* of acknowledgements */
	int64_t longest_ms;
};

static void start(struct run *r)
{
	int pipes[2];

	*r = (struct run){.chance = {20240501}};
	CHECK(!pipe(pipes));
	r->fd = pipes[0];
	acks_fd = pipes[1];
	make_files();
	for (int id = 1; id <= MEMBERS; id++)
		r->pids[id] = spawn(id, 0);
	read_acks(r->fd, BETWEEN);
}

static void kill_one(struct run *r, int64_t id)
{
	kill(r->pids[id], SIGKILL);
	waitpid(r->pids[id], NULL, 0);
}

/* Kill all and look at what they have. */
static void end(struct run *r)
{
	struct logs l = {0};

	for (int id = 1; id <= MEMBERS; id++)
		kill_one(r, id);
	printf("# longest time without a leader: %lld ms\n",
	       (long long)r->longest_ms);
	read_logs(&l);
	check_acks(&l);
	check_committed_equal(&l);
	for (int id = 1; id <= MEMBERS; id++) {
		free(l.value[id]);
		free(l.term[id]);
	}
}

static void note(struct run *r, int64_t took_ms)
{
	if (took_ms > r->longest_ms)
		r->longest_ms = took_ms;
}

TEST(what_was_acknowledged_survives_kill_9_of_any_member)
{
	struct run r;

	start(&r);
	for (int life = 1; life <= KILLS; life++) {
		int64_t leader = acks[nacks - 1].member, victim = leader;

		if (life % 2 == 0)
			victim = 1 + (int64_t)rand_below(&r.chance, MEMBERS);
		kill_one(&r, victim);
		if (victim == leader)
			note(&r, read_another(r.fd, leader));
		read_acks(r.fd, BETWEEN);
		r.pids[victim] = spawn(victim, life);
		read_acks(r.fd, BETWEEN);
	}
	end(&r);
}

/* A leader that stands still does not know that it is none any more. */
TEST(what_was_acknowledged_survives_pauses_of_the_leader)
{
	struct run r;

	start(&r);
	for (int i = 0; i < PAUSES; i++) {
		int64_t leader = acks[nacks - 1].member;

		kill(r.pids[leader], SIGSTOP);
		note(&r, read_another(r.fd, leader));
		read_acks(r.fd, BETWEEN);
		kill(r.pids[leader], SIGCONT);
		read_acks(r.fd, BETWEEN);
	}
	end(&r);
}
