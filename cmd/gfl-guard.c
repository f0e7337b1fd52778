/* gfl-guard - run a command; what it started ends with it. */
#include "base/command.h"
#include "base/guard.h"
#include "base/opt.h"

struct config {
	int lifeline;
	int64_t grace_ms;
	const char *program;
};

static const struct opt opts[] = {
	OPT_SECONDS(0, "grace", struct config, grace_ms, "10",
		    "time between TERM and KILL", .max = 86400000),
	OPT_INT(0, "lifeline", struct config, lifeline, "FD", "-1", -1, 1 << 20,
		"end the command when this descriptor is closed",
		.flag_only = true),
	OPT_FILE(0, "program", struct config, program, NULL,
		 "run this file; COMMAND is only what it is called",
		 .flag_only = true),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-guard",
	.args = "COMMAND [ARG]...",
	.brief = "run a command; what it started ends with it",
	.about =
		"Runs COMMAND in a session of its own, with the same standard "
		"streams and environment, and exits as it does (128+n where a "
		"signal ended it). When it ends, all that descends from it and "
		"still runs is killed, also what left its session. TERM, INT, "
		"HUP, and the end of the lifeline, which breaks when whoever "
		"holds its other end dies, give it TERM and, after a grace, "
		"KILL. All daemons run the commands that they are given below "
		"it. Put -- before a COMMAND that has options. It can gain no "
		"privileges.",
	.example = "gfl-guard -- sh -c 'setsid sleep 1000 & echo done'",
	.exits = "COMMAND's own; 126 where it cannot be run, 127 where it is "
		 "not "
		 "there.",
	.failure = 126,
	.opts = opts,
};

static int run(const struct config *cfg, char **words, int n, int *status,
	       struct err *err)
{
	struct guard_opts o = {.path = cfg->program,
			       .words = words,
			       .lifeline = cfg->lifeline,
			       .grace_ms = cfg->grace_ms};
	struct command *c = NULL;
	int rc = 0;

	if (!cfg->program) {
		rc = command_of(&c, (const char *const *)words, (size_t)n, err);
		if (!rc)
			o.path = command_path(c);
	}
	if (!rc)
		rc = guard_run(&o, status, err);
	command_free(c);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv), status = 0;

	if (run(&cfg, argv + rest, argc - rest, &status, &err)) {
		status = err_report(&prog, &err);
		return err.code == ERR_NOT_FOUND ? 127 : 126;
	}
	return status;
}
