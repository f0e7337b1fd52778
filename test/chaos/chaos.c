/* chaos - one run: a cluster, clients, faults, and what has to hold in the end.
 *
 *	chaos.sh chaos --bin DIR [--seed N] [--seconds N | --rounds N]
 *		[--nodes 3|5] [--faults A,B] [--expect TEXT] [--stale-reads]
 *
 * One line of TAP. The seed gives the faults, their order and their lengths;
 * what the processes make of them is theirs. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "chaos.h"
#include "wire/rpc.h"

enum {
	WORK = 10, /* writes and reads for a fault, or the run is no proof */
	UNSEEN_PERCENT = 2,
	JOIN_MS = 60000,
};

struct options {
	const char *faults, *expect;
	int rounds;
	int64_t seconds;
	int argc;
	char **argv;
};

static const struct option names[] = {
	{"bin", required_argument, NULL, 'b'},
	{"seed", required_argument, NULL, 's'},
	{"seconds", required_argument, NULL, 't'},
	{"rounds", required_argument, NULL, 'r'},
	{"faults", required_argument, NULL, 'f'},
	{"expect", required_argument, NULL, 'e'},
	{"nodes", required_argument, NULL, 'n'},
	{"stale-reads", no_argument, NULL, 'l'},
	{0},
};

static void parse(struct chaos *c, struct options *o, int argc, char **argv)
{
	int letter;

	o->argc = argc;
	o->argv = argv;
	rand_os(&c->seed, sizeof(c->seed));
	c->seed %= 1000000;
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (letter) {
		case 'b':
			c->bin = optarg;
			break;
		case 's':
			c->seed = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = atoll(optarg);
			break;
		case 'r':
			o->rounds = atoi(optarg);
			break;
		case 'f':
			o->faults = optarg;
			break;
		case 'e':
			o->expect = optarg;
			break;
		case 'n':
			c->nodes = atoi(optarg);
			break;
		case 'l':
			c->stale_reads = true;
			break;
		default:
			exit(2);
		}
	c->dir = getenv("CHAOS_DIR");
	if (!c->bin || !c->dir) {
		fprintf(stderr, "chaos: --bin and CHAOS_DIR are needed\n");
		exit(2);
	}
}

/* ---- the cluster ---- */

static int64_t late(void *arg)
{
	struct chaos *c = arg;

	return c->late_ms ? (int64_t)rand_below(&c->rand, (uint64_t)c->late_ms)
			  : 0;
}

static void open_all(struct chaos *c)
{
	struct err err;

	c->began_us = clock_us();
	c->rand.state = c->seed;
	if (loop_open(&c->loop, &err) ||
	    client_open(&c->client, c->loop, NULL, &err)) {
		fprintf(stderr, "chaos: %s\n", err.msg);
		exit(1);
	}
	if (!c->nodes)
		c->nodes = rand_below(&c->rand, 2) ? NODES_MAX : 3;
	c->sites = c->nodes + 1;
	c->max_voters = rand_below(&c->rand, 2) ? 3 : 5;
	/* Snapshots all the time, or hardly any. */
	c->snapshot_after = rand_below(&c->rand, 2) ? 32 << 10 : 4 << 20;
	for (int id = 1; id <= c->sites; id++) {
		struct proxy *p = &c->site[id].proxy;

		site_open(c, id);
		proxy_open_at(p, c->loop, NET "254");
		p->to_host = mem_fmt(NET "%d", id);
		p->to_port = 8900 + id;
		p->late = late;
		p->arg = c;
	}
}

static void close_all(struct chaos *c)
{
	for (int id = 1; id <= c->sites; id++) {
		site_close(&c->site[id]);
		proxy_close(&c->site[id].proxy);
		free((char *)c->site[id].proxy.to_host);
	}
	client_close(c->client);
	load_close(c);
	loop_close(c->loop);
	ledger_release(&c->ledger);
}

static void begin_cluster(struct chaos *c)
{
	site_start(&c->site[1], true);
	for (int id = 2; id <= c->nodes; id++)
		site_start(&c->site[id], false);
	site_all(c);
	states_agree(c);
}

/* ---- the end ---- */

static void read_logs(struct chaos *c)
{
	struct err err;
	int64_t last;

	for (int id = 1; id <= c->nodes && !c->err.code; id++)
		if (load_read(c, id, &last, &err))
			chaos_fail(c, &err);
}

static void check_files(struct chaos *c)
{
	struct err err;

	for (int id = 1; id <= c->nodes; id++) {
		site_kill(&c->site[id]);
		if (!c->err.code && disk_check(&c->site[id], &err))
			chaos_fail(c, &err);
	}
}

static void check_amount(struct chaos *c, const struct ledger_result *r)
{
	int64_t least = WORK * c->faults;
	struct err err;

	if (c->ledger.writes < least || c->ledger.reads < least)
		err_set(&err, ERR_FAILED_PRECONDITION,
			"%" PRId64 " writes and %" PRId64 " reads at %" PRId64
			" faults are too few to show anything",
			c->ledger.writes, c->ledger.reads, c->faults);
	else if (r->unseen * 100 > c->ledger.writes * UNSEEN_PERCENT)
		err_set(&err, ERR_FAILED_PRECONDITION,
			"%" PRId64 " of %" PRId64
			" writes were compacted before anybody saw them",
			r->unseen, c->ledger.writes);
	else
		return;
	chaos_fail(c, &err);
}

static void sum_up(const struct chaos *c, const struct ledger_result *r)
{
	int64_t installed = 0;

	for (int id = 1; id <= c->sites; id++)
		installed += site_said(&c->site[id], "snapshot_received");
	printf("# 1 seeds: %" PRId64 " faults, %" PRId64 " writes, %" PRId64
	       " reads, %" PRId64 " writes of unknown outcome, %" PRId64
	       " of those applied, %" PRId64 " compacted unseen, %" PRId64
	       " operations on registers, %" PRId64 " snapshots installed\n",
	       c->faults, c->ledger.writes, c->ledger.reads, r->unknown,
	       r->unknown_applied, r->unseen, r->registers, installed);
}

static void check(struct chaos *c)
{
	struct ledger_result r = {0};
	struct err err;

	c->doing = "the end";
	load_stop(c);
	if (!c->err.code)
		states_agree(c);
	if (!c->err.code)
		read_logs(c);
	if (!c->err.code && ledger_check(&c->ledger, &r, &err))
		chaos_fail(c, &err);
	check_files(c);
	if (!c->err.code)
		check_amount(c, &r);
	sum_up(c, &r);
}

/* What is on the small disks goes with them. */
static void keep(const struct chaos *c)
{
	for (int id = 1; id <= c->sites; id++) {
		char *command = mem_fmt("cp -r %s %s.kept", c->site[id].dir,
					c->site[id].dir);

		if (system(command))
			printf("# %s failed\n", command);
		free(command);
	}
	printf("# logs and databases are in %s\n", c->dir);
}

static int report(const struct chaos *c, const struct options *o)
{
	const char *said = c->err.code ? c->err.msg : "all held";
	bool well = o->expect ? c->err.code && strstr(said, o->expect)
			      : !c->err.code;

	printf("%s 1 chaos%s%s: %s\n", well ? "ok" : "not ok",
	       o->faults ? " of " : "", o->faults ? o->faults : "", said);
	if (well)
		return 0;
	keep(c);
	printf("# again: test/chaos/run.sh %s/..", c->bin);
	for (int i = 1; i < o->argc; i++)
		if (!strcmp(o->argv[i], "--bin") ||
		    !strcmp(o->argv[i], "--seed"))
			i++;
		else
			printf(" %s", o->argv[i]);
	printf(" --seed %" PRIu64 "\n", c->seed);
	return 1;
}

int main(int argc, char **argv)
{
	struct chaos *c = mem_zero(1, sizeof(*c));
	struct options o = {0};
	int rc;

	parse(c, &o, argc, argv);
	open_all(c);
	chaos_say(c,
		  "seed %" PRIu64 ": %d nodes, of which %d may vote, with "
		  "snapshots after %" PRId64 " bytes",
		  c->seed, c->nodes, c->max_voters, c->snapshot_after);
	begin_cluster(c);
	if (!c->err.code) {
		load_start(c);
		c->weather = o.seconds != 0;
		faults_run(c, o.faults, o.rounds,
			   o.seconds ? clock_ms() + 1000 * o.seconds : 0);
	}
	check(c);
	rc = report(c, &o);
	fflush(stdout);
	close_all(c);
	free(c);
	return rc;
}
