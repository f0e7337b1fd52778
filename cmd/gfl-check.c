/* gfl-check - one look at the cluster, for cron and for monitoring. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/opt.h"
#include "base/out.h"
#include "registry/check.h"
#include "task/reach.h"

struct config {
	struct check_opts check;
	const char *format, *out;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, check.client),
	OPT_MASTER(struct config, check.masters),
	OPT_SERVER(struct config, check.servers),
	OPT_REAL('w', "warn", struct config, check.warn, "N", NULL, 0, 1e9,
		 "WARNING past this"),
	OPT_REAL('c', "critical", struct config, check.crit, "N", NULL, 0, 1e9,
		 "CRITICAL past this"),
	OPT_WORD('o', "format", struct config, format, "FORMAT",
		 "plugin|prom|json", "plugin", "what is written"),
	OPT_FILE(0, "out", struct config, out, NULL,
		 "write there, as one step, and nothing to standard output"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-check",
	.args = "[nodes|leader|gateway|cluster|master|server]",
	.brief = "one look at the cluster, for cron and monitoring",
	.about =
		"nodes: how many members answer; fewer than -w (by default, "
		"than there are) is WARNING, fewer than -c (than a majority) "
		"CRITICAL. leader: does a node lead that a majority obeys, and "
		"how long does it take to tell; more than -w seconds (1) is "
		"WARNING, more than -c (5) CRITICAL. gateway: do the gateways "
		"answer, and how soon; -w and -c as for leader; some of "
		"several that do not are a WARNING, all of them CRITICAL. "
		"cluster, if nothing is named: all three, with -w and -c as "
		"for nodes; no gateway is a WARNING as long as the members "
		"know each other. master: does the master of tasks answer, "
		"with workers, and how long has the task that goes next "
		"waited; more than -w seconds (600) is WARNING, more than -c "
		"(3600) CRITICAL; a worker that was dead within the last hour "
		"is a WARNING, tasks and no worker CRITICAL. server: how long "
		"ago has a round of --server ended; more than -w seconds "
		"(twice its --round-deadline) is WARNING, more than -c (ten "
		"times) CRITICAL; a client that is gone is a WARNING, fewer "
		"than a round needs CRITICAL, participants likewise. One that "
		"stands by (--on-leader) is OK, a WARNING where it knows of no "
		"active one; of several the active one counts. Whoever cannot "
		"be reached is CRITICAL. "
		"--timeout bounds each question. Prints one line with the "
		"figures behind a bar; -o prom writes Prometheus' text format, "
		"with --out for the textfile collector of node_exporter.",
	.example = "gfl-check nodes -w 3 -c 2\n"
		   "gfl-check -o prom --out "
		   "/var/lib/prometheus/node-exporter/gfl.prom\n"
		   "gfl-check server --server http://127.0.0.1:8700 -w 600",
	.exits = "The monitoring plugins': 0 OK, 1 WARNING, 2 CRITICAL, "
		 "3 UNKNOWN, which is also how mistakes in usage, a file that "
		 "cannot be written and all other failures end.",
	.failure = PROBE_UNKNOWN,
	.opts = opts,
};

static int write_it(const struct config *cfg, const struct probe *p,
		    struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc = 0;

	if (!strcmp(cfg->format, "prom"))
		probe_prom(p, clock_wall_ms(), &b);
	else if (!strcmp(cfg->format, "json"))
		probe_json(p, clock_wall_ms(), &b);
	else
		probe_plugin(p, &b);
	part = (struct file_part){b.p, b.len};
	if (cfg->out)
		rc = file_replace(cfg->out, &part, 1, err);
	else
		fputs(b.p, stdout);
	buf_release(&b);
	return rc;
}

static int run(const struct config *cfg, const char *name, int *status,
	       struct err *err)
{
	struct probe p;
	int rc;

	if (check_run(&p, name, &cfg->check, err))
		return (int)err->code;
	*status = (int)p.status;
	rc = write_it(cfg, &p, err);
	probe_release(&p);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {.check = {.warn = -1, .crit = -1}};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), status = PROBE_OK, rc;

	if (run(&cfg, opt_arg(argc, argv, rest, "cluster"), &status, &err))
		return err_report(&prog, &err);
	rc = out_close(&prog);
	return rc ? rc : status;
}
