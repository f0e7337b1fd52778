/* One fault after the other, and what has to hold after each. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fault.h"

enum { PROGRESS = 20 }; /* writes, acknowledged after the healing */

struct fault {
	const char *name;
	void (*run)(struct chaos *c);
};

#define ROW(name, fn) {name, fn},
static const struct fault faults[] = {FAULTS(ROW){NULL, NULL}};
static const struct fault planted[] = {FAULTS_PLANTED(ROW){NULL, NULL}};

struct site *fault_leader(struct chaos *c)
{
	return &c->site[site_leader(c)];
}

struct site *fault_follower(struct chaos *c)
{
	return &c->site[site_other(c, site_leader(c))];
}

struct site *fault_anyone(struct chaos *c)
{
	return &c->site[site_other(c, 0)];
}

int64_t fault_ms(struct chaos *c)
{
	return 500 + (int64_t)rand_below(&c->rand, 1000);
}

void fault_hold(struct chaos *c)
{
	turn_for(c, fault_ms(c));
}

/* ---- what has to hold afterwards ---- */

bool fault_has_progressed(struct chaos *c, void *arg)
{
	return c->ledger.writes >= ((const struct fault_target *)arg)->writes;
}

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct fault_target *t = arg;

	t->asked = false;
	t->reached =
		!err &&
		((const Gfl__V1__NodeStatus *)out)->applied_index >= t->index;
}

/* Ask again and again. */
bool fault_has_applied(struct chaos *c, void *arg)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 2000};
	struct fault_target *t = arg;

	if (t->reached || t->asked)
		return t->reached;
	t->asked = true;
	client_call(c->client, c->site[t->id].url, RPC_NODE_GET_STATUS,
		    &in.base, &opts, on_status, t);
	return false;
}

static void recovers(struct chaos *c)
{
	struct fault_target *t = mem_zero(1, sizeof(*t));

	site_all(c);
	t->writes = c->ledger.writes + PROGRESS;
	turn_expect(c, fault_has_progressed, t, FAULT_WAIT_MS,
		    "writes are taken");
	t->index = c->cursor;
	for (t->id = 1; t->id <= c->nodes && !c->err.code; t->id++) {
		t->reached = false;
		turn_expect(c, fault_has_applied, t, FAULT_WAIT_MS,
			    "a node catches up");
	}
	if (!t->asked) /* else the run is over, and its answer still to come */
		free(t);
}

/* ---- one after the other ---- */

enum {
	FAULTS_MAX = sizeof(faults) / sizeof(faults[0]) +
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

/* What goes on at the same time; a fault of paths that heals them ends it. */
static const char *begin_weather(struct chaos *c)
{
	int64_t ms = 1 + (int64_t)rand_below(&c->rand, 30);

	switch (rand_below(&c->rand, 6)) {
	case 0:
		for (int id = 1; id <= c->nodes; id++)
			net_loss(c, id, 5);
		return "some loss";
	case 1:
		for (int id = 1; id <= c->nodes; id++)
			c->site[id].power->sync_ms = (int32_t)ms;
		return "slow disks";
	case 2:
		net_late(c, ms);
		return "slow paths";
	default:
		return "nothing else";
	}
}

static void end_weather(struct chaos *c)
{
	net_heal(c);
	for (int id = 1; id <= c->nodes; id++)
		c->site[id].power->sync_ms = 0;
}

static void run_one(struct chaos *c, const struct fault *f)
{
	int64_t began = clock_ms(), writes = c->ledger.writes;

	c->doing = f->name;
	chaos_say(c, "%s, and %s", f->name,
		  c->weather ? begin_weather(c) : "nothing else");
	f->run(c);
	if (c->weather)
		end_weather(c);
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
	const struct fault *order[FAULTS_MAX];
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
