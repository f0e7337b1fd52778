/* The faults: each is done, held for a while, healed; then the cluster has to
 * go on. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chaos.h"

enum {
	PROGRESS_MS = 60000, /* on a busy machine */
	PROGRESS = 20,       /* writes, acknowledged after the healing */
	SPARE = 200000,      /* bytes left on a disk that fills up */
};

static struct site *leader(struct chaos *c)
{
	return &c->site[site_leader(c)];
}

static struct site *follower(struct chaos *c)
{
	return &c->site[site_other(c, site_leader(c))];
}

static struct site *anyone(struct chaos *c)
{
	return &c->site[site_other(c, 0)];
}

static int64_t a_while(struct chaos *c)
{
	return 500 + (int64_t)rand_below(&c->rand, 1000);
}

static void hold(struct chaos *c)
{
	turn_for(c, a_while(c));
}

/* ---- what has to hold afterwards ---- */

struct target {
	int64_t writes, index;
	int id;
	bool asked, reached;
};

static bool has_progressed(struct chaos *c, void *arg)
{
	return c->ledger.writes >= ((const struct target *)arg)->writes;
}

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct target *t = arg;

	t->asked = false;
	t->reached =
		!err &&
		((const Gfl__V1__NodeStatus *)out)->applied_index >= t->index;
}

/* Ask again and again. */
static bool has_applied(struct chaos *c, void *arg)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};
	struct target *t = arg;

	if (t->reached || t->asked)
		return t->reached;
	t->asked = true;
	client_call(c->client, c->site[t->id].url, RPC_NODE_GET_STATUS,
		    &in.base, &opts, on_status, t);
	return false;
}

static void recovers(struct chaos *c)
{
	struct target *t = calloc(1, sizeof(*t));

	site_all(c);
	t->writes = c->ledger.writes + PROGRESS;
	turn_expect(c, has_progressed, t, PROGRESS_MS, "writes are taken");
	t->index = c->cursor;
	for (t->id = 1; t->id <= NODES && !c->err.code; t->id++) {
		t->reached = false;
		turn_expect(c, has_applied, t, PROGRESS_MS,
			    "a node catches up");
	}
	if (!t->asked) /* else the run is over, and its answer still to come */
		free(t);
}

/* ---- processes ---- */

static void kill_leader(struct chaos *c)
{
	site_kill(leader(c));
	hold(c);
}

static void kill_follower(struct chaos *c)
{
	site_kill(follower(c));
	hold(c);
}

static void kill_majority(struct chaos *c)
{
	for (int n = 0; n <= NODES / 2; n++)
		site_kill(anyone(c));
	hold(c);
}

static void kill_all(struct chaos *c)
{
	for (int id = 1; id <= NODES; id++)
		site_kill(&c->site[id]);
}

static void pause_one(struct chaos *c, struct site *s)
{
	site_signal(s, SIGSTOP);
	hold(c);
	site_signal(s, SIGCONT);
}

static void pause_leader(struct chaos *c)
{
	pause_one(c, leader(c));
}

static void pause_follower(struct chaos *c)
{
	pause_one(c, follower(c));
}

static void pause_all(struct chaos *c)
{
	for (int id = 1; id <= NODES; id++)
		site_signal(&c->site[id], SIGSTOP);
	hold(c);
	for (int id = 1; id <= NODES; id++)
		site_signal(&c->site[id], SIGCONT);
}

/* ---- paths ---- */

/* A leader that follows nobody's answers: it has to step down. */
static void unheard_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int to = 1; to <= NODES; to++)
		if (to != id)
			net_cut(c, id, to);
	hold(c);
	net_heal(c);
}

static void deaf_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int from = 1; from <= NODES; from++)
		if (from != id)
			net_cut(c, from, id);
	hold(c);
	net_heal(c);
}

static void cut_off_leader(struct chaos *c)
{
	int id = site_leader(c);

	for (int other = 1; other <= NODES; other++)
		if (other != id)
			net_cut_both(c, id, other);
	hold(c);
	net_heal(c);
}

/* Two nodes hear a third, and not each other. */
static void bridge(struct chaos *c)
{
	int id = site_other(c, 0), other = site_other(c, id);

	net_cut_both(c, id, other);
	hold(c);
	net_heal(c);
}

static void nobody_hears(struct chaos *c)
{
	for (int one = 1; one <= NODES; one++)
		for (int other = 1; other < one; other++)
			net_cut_both(c, one, other);
	hold(c);
	net_heal(c);
}

static void link_down(struct chaos *c)
{
	int id = site_leader(c);

	net_link(c, id, false);
	hold(c);
	net_link(c, id, true);
}

static void loss(struct chaos *c)
{
	for (int id = 1; id <= NODES; id++)
		net_loss(c, id, 30);
	turn_for(c, 2 * a_while(c));
	net_heal(c);
}

static void resets(struct chaos *c)
{
	int id = site_leader(c);

	for (int n = 0; n < 3; n++) {
		for (int from = 1; from <= NODES; from++)
			if (from != id)
				net_reset(c, from, id);
		turn_for(c, 100);
		net_heal(c);
		turn_for(c, 200);
	}
}

static void delay(struct chaos *c)
{
	net_late(c, 40 + (int64_t)rand_below(&c->rand, 80));
	turn_for(c, 2 * a_while(c));
	net_heal(c);
}

/* ---- members ---- */

static void on_moved(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	(void)err, (void)out, (void)arg;
}

static void transfer(struct chaos *c)
{
	Gfl__V1__TransferRequest in = GFL__V1__TRANSFER_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};

	for (int n = 0; n < 3; n++) {
		in.to = site_other(c, site_leader(c));
		client_call(c->client, c->site[1].url, RPC_NODE_TRANSFER,
			    &in.base, &opts, on_moved, NULL);
		turn_for(c, a_while(c) / 2);
	}
}

static bool serves(struct chaos *c, void *arg)
{
	(void)c;
	return site_up(arg);
}

static bool is_member(struct chaos *c, void *arg)
{
	struct target *t = arg;

	return has_applied(c, t);
}

/* One more comes, works along, and leaves in order; it comes back as another
 * or as itself. */
static void churn(struct chaos *c)
{
	struct site *s = &c->site[SITES];
	struct target t = {.index = c->cursor, .id = SITES};

	site_start(s, false);
	if (!turn_expect(c, serves, s, PROGRESS_MS, "a new node serves") ||
	    !turn_expect(c, is_member, &t, PROGRESS_MS, "it has the log"))
		return;
	if (rand_below(&c->rand, 2))
		kill_leader(c);
	hold(c);
	site_all(c);
	s->dying = true;
	site_signal(s, SIGTERM);
	site_ends(s, 0, 0, "");
	if (rand_below(&c->rand, 2))
		disk_wipe(s);
}

/* ---- disks ---- */

static void power_one(struct chaos *c)
{
	struct site *s = rand_below(&c->rand, 2) ? leader(c) : follower(c);

	site_kill(s);
	disk_lose_power(s);
	hold(c);
}

static void power_all(struct chaos *c)
{
	for (int id = 1; id <= NODES; id++)
		site_signal(&c->site[id], SIGSTOP); /* all at once */
	kill_all(c);
	for (int id = 1; id <= NODES; id++)
		disk_lose_power(&c->site[id]);
}

static void slow_sync(struct chaos *c)
{
	struct site *s = leader(c);

	s->power->sync_ms = 20 + (int)rand_below(&c->rand, 100);
	hold(c);
	s->power->sync_ms = 0;
}

/* Its last words name the file; then it starts from what its disk has. */
static void fails(struct chaos *c, volatile int32_t *fault, int number,
		  struct site *s)
{
	s->dying = true;
	*fault = number;
	site_ends(s, 70, 7, "node.db");
	*fault = 0;
	if (rand_below(&c->rand, 2))
		disk_lose_power(s);
	hold(c);
}

static void sync_fails(struct chaos *c)
{
	struct site *s = rand_below(&c->rand, 2) ? leader(c) : follower(c);

	fails(c, &s->power->sync_errno, EIO, s);
}

static void write_fails(struct chaos *c)
{
	struct site *s = anyone(c);

	fails(c, &s->power->write_errno, rand_below(&c->rand, 2) ? EIO : EROFS,
	      s);
}

static void disk_full(struct chaos *c)
{
	struct site *s = anyone(c);

	site_kill(s);
	disk_fill(s, SPARE);
	site_start(s, false);
	s->dying = true;
	site_ends(s, 7, 7, "full");
	hold(c);
	disk_free(s);
}

static void read_only(struct chaos *c)
{
	struct site *s = anyone(c);

	site_kill(s);
	disk_read_only(s, true);
	site_start(s, false);
	s->dying = true;
	site_ends(s, 7, 7, "read-only");
	hold(c);
	disk_read_only(s, false);
}

/* The harness has to see it. */
static void lose_lied(struct chaos *c, enum power_lie lie)
{
	for (int id = 1; id <= NODES; id++)
		c->site[id].power->ignores_sync = lie;
	turn_for(c, 3 * a_while(c));
	power_all(c);
	for (int id = 1; id <= NODES; id++)
		c->site[id].power->ignores_sync = POWER_HONEST;
}

static void lying_disks(struct chaos *c)
{
	lose_lied(c, POWER_LIES);
}

static void lying_wal(struct chaos *c)
{
	lose_lied(c, POWER_LIES_OF_WAL);
}

struct fault {
	const char *name;
	void (*run)(struct chaos *c); /* and heal */
};

/* ---- damage ---- */

static bool is_decided(struct chaos *c, void *arg)
{
	const struct site *s = arg;

	(void)c;
	return !s->process || s->serves;
}

/* It may have what it needs from the others, or it says that it is damaged and
 * gets a new file; what it may not do is to go on with what is wrong. */
static void start_damaged(struct chaos *c, struct site *s)
{
	site_start(s, false);
	s->dying = true;
	turn_expect(c, is_decided, s, PROGRESS_MS, "a damaged node decides");
	if (s->process) {
		s->dying = false;
		return;
	}
	site_ends(s, 70, 70, "damaged");
	disk_wipe(s);
}

static void flip_stopped(struct chaos *c)
{
	struct site *s = anyone(c);

	site_kill(s);
	if (disk_flip(s))
		start_damaged(c, s);
}

/* What it has in memory is whole; the file is found when it starts again. */
static void flip_running(struct chaos *c)
{
	struct site *s = anyone(c);

	if (!disk_flip_running(s))
		return;
	hold(c);
	site_kill(s);
	start_damaged(c, s);
}

static const struct fault faults[] = {
	{"kill-leader", kill_leader},
	{"kill-follower", kill_follower},
	{"kill-majority", kill_majority},
	{"kill-all", kill_all},
	{"pause-leader", pause_leader},
	{"pause-follower", pause_follower},
	{"pause-all", pause_all},
	{"unheard-leader", unheard_leader},
	{"deaf-leader", deaf_leader},
	{"cut-off-leader", cut_off_leader},
	{"bridge", bridge},
	{"nobody-hears", nobody_hears},
	{"link-down", link_down},
	{"loss", loss},
	{"resets", resets},
	{"delay", delay},
	{"transfer", transfer},
	{"churn", churn},
	{"power-one", power_one},
	{"power-all", power_all},
	{"slow-sync", slow_sync},
	{"sync-fails", sync_fails},
	{"write-fails", write_fails},
	{"disk-full", disk_full},
	{"read-only", read_only},
	{"flip-stopped", flip_stopped},
	{"flip-running", flip_running},
	{NULL, NULL},
};

/* Only by their names: the run has to fail. */
static const struct fault planted[] = {
	{"lying-disks", lying_disks},
	{"lying-wal", lying_wal},
	{NULL, NULL},
};

/* ---- one after the other ---- */

enum {
	FAULTS = sizeof(faults) / sizeof(faults[0]) +
		 sizeof(planted) / sizeof(planted[0]),
};

static bool is_named(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = names; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	}
	return false;
}

static void run_one(struct chaos *c, const struct fault *f)
{
	int64_t began = clock_ms(), writes = c->ledger.writes;

	c->doing = f->name;
	chaos_say(c, "%s", f->name);
	f->run(c);
	if (!c->err.code)
		recovers(c);
	c->faults++;
	chaos_say(c, "%s: %lld writes in %lld ms", f->name,
		  (long long)(c->ledger.writes - writes),
		  (long long)(clock_ms() - began));
}

static void shuffle(struct chaos *c, const struct fault **order, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int j = (int)rand_below(&c->rand, (uint64_t)i + 1);
		const struct fault *f = order[i];

		order[i] = order[j];
		order[j] = f;
	}
}

void faults_run(struct chaos *c, const char *names, int rounds,
		int64_t until_ms)
{
	const struct fault *order[FAULTS];
	int n = 0;

	for (const struct fault *f = faults; f->name; f++)
		if (!names || is_named(names, f->name))
			order[n++] = f;
	for (const struct fault *f = planted; f->name; f++)
		if (is_named(names, f->name))
			order[n++] = f;
	for (int round = 0; (!rounds || round < rounds) && !c->err.code;
	     round++) {
		shuffle(c, order, n);
		for (int i = 0; i < n && !c->err.code; i++) {
			if (until_ms && clock_ms() >= until_ms)
				return;
			run_one(c, order[i]);
		}
	}
}
