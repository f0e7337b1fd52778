#include "test.h"

#include <unistd.h>

#include "base/opt.h"
#include "base/out.h"
#include "capture.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	struct opt_addr listen;
	struct opt_list tags;
	struct opt_pairs hooks;
	bool refresh;
	int depth, kind, rank, command;
	int64_t pause_ms, size_bytes;
	double ratio;
	const char *data;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_BOOL('r', "refresh", struct config, refresh, "ask again"),
	OPT_INT('n', "max-depth", struct config, depth, "N", "3", 1, 9,
		"how deep to look", .alias = "depth levels"),
	OPT_CHOICE(0, "kind", struct config, kind, "ring|star", "ring",
		   "shape of the graph"),
	OPT_INT(0, "rank", struct config, rank, "N", NULL, 0, 0, "rank",
		.env = "OMPI_COMM_WORLD_RANK PMI_RANK"),
	OPT_MILLIS(0, "pause", struct config, pause_ms, "50", "pause"),
	OPT_SIZE(0, "size", struct config, size_bytes, "4K", "size"),
	OPT_REAL(0, "ratio", struct config, ratio, "R", "0.5", 0, 1, "ratio"),
	OPT_ADDR(0, "listen", struct config, listen, "127.0.0.1:9", "listen"),
	OPT_ROW(ADDR_PORT, 0, "port", struct opt_addr, struct config, listen,
		"PORT", NULL, "port", .hidden = true),
	OPT_LIST(0, "tag", struct config, tags, "TAG", NULL, "tags"),
	OPT_FILE(0, "data", struct config, data, NULL, "data file"),
	OPT_PAIRS(0, "on-event", struct config, hooks, "EVENT=CMD", "hooks"),
	OPT_END};

static const struct prog prog = {
	.name = "gfl-try",
	.args = "[WHAT]",
	.opts = opts,
	.brief = "try the options",
	.about = "Prints what it was given.\n\nAnd nothing else.",
};

static const struct opt start_opts[] = {
	OPT_INT(0, "rounds", struct config, depth, "N", NULL, 1, 1000,
		"rounds to go", .required = true),
	OPT_END};

static const struct opt_cmd cmds[] = {
	{"start", "NAME", "start a run", start_opts},
	{"list", NULL, "list the runs", NULL},
	{NULL, NULL, NULL, NULL},
};

static const struct opt run_opts[] = {
	OPT_TIMEOUT(struct config, client.timeout_ms), OPT_END};

static const struct prog run_prog = {
	.name = "gfl-tryrun",
	.opts = run_opts,
	.cmds = cmds,
	.command_at = offsetof(struct config, command),
	.brief = "try commands",
};

struct call {
	const struct prog *prog;
	char **argv;
};

static int show(void *arg)
{
	struct call *c = arg;
	struct config cfg = {0};
	int argc = 0, rest;

	while (c->argv[argc])
		argc++;
	rest = opt_parse(c->prog, &cfg, argc, c->argv);
	printf("operand=%s command=%d\n", opt_arg(argc, c->argv, rest, "none"),
	       cfg.command);
	printf("timeout=%lld depth=%d kind=%d refresh=%d rank=%d\n",
	       (long long)cfg.client.timeout_ms, cfg.depth, cfg.kind,
	       cfg.refresh, cfg.rank);
	printf("pause=%lld size=%lld ratio=%g listen=%s:%d\n",
	       (long long)cfg.pause_ms, (long long)cfg.size_bytes, cfg.ratio,
	       cfg.listen.host, cfg.listen.port);
	for (size_t i = 0; i < cfg.client.gateways.n; i++)
		printf("gateway=%s\n", cfg.client.gateways.at[i]);
	for (size_t i = 0; i < cfg.tags.n; i++)
		printf("tag=%s\n", cfg.tags.at[i]);
	for (size_t i = 0; i < cfg.hooks.n; i++)
		printf("on %s %s: %s\n", cfg.hooks.at[i].name,
		       cfg.hooks.at[i].by_flag ? "by flag" : "configured",
		       cfg.hooks.at[i].text);
	return out_close(c->prog);
}

/* Not the machine's own configuration. */
static struct capture run(const struct prog *p, char **argv)
{
	struct call c = {p, argv};

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	return capture_run(show, &c);
}

#define RUN(...) run(&prog, (char *[]){"gfl-try", ##__VA_ARGS__, NULL})
#define RUN_CMD(...) \
	run(&run_prog, (char *[]){"gfl-tryrun", ##__VA_ARGS__, NULL})

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

TEST(defaults_hold_when_nothing_is_given)
{
	struct capture c = RUN();

	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "operand=none");
	CHECK_HAS(c.out, "timeout=5000 depth=3 kind=0 refresh=0");
	CHECK_HAS(c.out, "pause=50 size=4096 ratio=0.5 listen=127.0.0.1:9");
	CHECK_HAS(c.out, "gateway=http://127.0.0.1:8090\n");
	CHECK_STR(c.err, "");
}

TEST(flags_of_every_kind_are_parsed)
{
	struct capture c = RUN("-r", "x", "-n9", "--kind=star", "-t", "300ms",
			       "--pause", "2s", "--size", "1M", "--ratio", "1",
			       "--listen", ":80", "--tag=a", "--tag", "b,c");

	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "operand=x");
	CHECK_HAS(c.out, "timeout=300 depth=9 kind=1 refresh=1");
	CHECK_HAS(c.out, "pause=2000 size=1048576 ratio=1 listen=127.0.0.1:80");
	CHECK_HAS(c.out, "tag=a\ntag=b\ntag=c\n");
}

TEST(underscores_and_aliases_are_the_same_option)
{
	CHECK_HAS(RUN("--max_depth", "7").out, "depth=7");
	CHECK_HAS(RUN("--levels=8").out, "depth=8");
}

TEST(a_flag_beats_the_environment_beats_the_file_beats_the_default)
{
	write_file("gfl.conf", "timeout = 7\nmax_depth = 4\nkind = star\n"
			       "refresh = yes\n[gfl-node]\ntimeout = 8\n"
			       "[gfl-try]\npause = 60\n");
	setenv("GFL_MAX_DEPTH", "5", 1);
	setenv("GFL_KIND", "star", 1);
	CHECK_HAS(RUN("--kind", "ring").out,
		  "timeout=7000 depth=5 kind=0 refresh=1");
	CHECK_HAS(RUN().out, "pause=60");
	CHECK_HAS(RUN("--config", "none").out, "timeout=5000 depth=5");
	CHECK_HAS(RUN("--refresh=no").out, "refresh=0");
}

TEST(variables_of_the_row_come_after_ours)
{
	setenv("PMI_RANK", "2", 1);
	CHECK_HAS(RUN().out, "rank=2");
	setenv("OMPI_COMM_WORLD_RANK", "1", 1);
	CHECK_HAS(RUN().out, "rank=1");
	setenv("GFL_RANK", "7", 1);
	CHECK_HAS(RUN().out, "rank=7");
}

TEST(gateways_are_urls_however_they_are_spelt)
{
	setenv("GOSSIPFL_GATEWAY_HOST", "10.0.0.5", 1);
	CHECK_HAS(RUN().out, "gateway=http://10.0.0.5:8090\n");
	setenv("GOSSIPFL_GATEWAY_PORT", "9000", 1);
	CHECK_HAS(RUN().out, "gateway=http://10.0.0.5:9000\n");
	CHECK_HAS(RUN("-g", "a:1,https://b:2/").out,
		  "gateway=http://a:1\ngateway=https://b:2\n");
	CHECK_HAS(RUN("--gateway-host", "::1").out,
		  "gateway=http://[::1]:9000\n");
}

TEST(port_changes_the_address_of_a_lower_source_only)
{
	CHECK_HAS(RUN("--port", "77").out, "listen=127.0.0.1:77");
	setenv("GFL_PORT", "78", 1);
	CHECK_HAS(RUN("--listen", "[::1]:5").out, "listen=::1:5");
}

TEST(a_mistake_is_one_sentence_and_a_hint)
{
	struct capture c = RUN("--tiemout=3");

	CHECK_INT(c.status, 2);
	CHECK_STR(c.out, "");
	CHECK_STR(c.err,
		  "gfl-try: unknown option --tiemout\n"
		  "gfl-try: hint: did you mean --timeout? or try gfl-try "
		  "--help\n");
	c = RUN("-Z");
	CHECK_INT(c.status, 2);
	CHECK_STR(c.err, "gfl-try: unknown option -Z\n"
			 "gfl-try: hint: try gfl-try --help\n");
	CHECK_HAS(RUN("-t").err, "option --timeout needs a value: TIME");
	CHECK_HAS(RUN("-q", "--verbose=2").err,
		  "option --verbose takes no value");
	CHECK_HAS(RUN("-t", "soon").err, "--timeout: 'soon' is not a duration");
	CHECK_HAS(RUN("-n", "10").err, "10 is outside of 1 to 9");
	CHECK_HAS(RUN("-n", "2x").err, "'2x' is not a whole number");
	CHECK_HAS(RUN("--kind", "tree").err, "'tree' is none of ring|star");
	CHECK_HAS(RUN("--listen", "x").err, "'x' is not HOST:PORT");
	CHECK_HAS(RUN("--listen", "x:70000").err, "70000 is outside");
	CHECK_HAS(RUN("-g", "ftp://x").err, "not an http or https URL");
	CHECK_HAS(RUN("-o", "xml").err, "'xml' is none of table|tsv");
	CHECK_HAS(RUN("a", "b").err, "unexpected operand b");
}

TEST(a_mistake_in_environment_or_file_names_its_place)
{
	setenv("GFL_TIMEOUT", "x", 1);
	CHECK_HAS(RUN().err, "gfl-try: GFL_TIMEOUT: 'x' is not a duration");
	unsetenv("GFL_TIMEOUT");
	write_file("gfl.conf", "# a comment\n\n  timeout = y\n");
	CHECK_HAS(RUN().err, "gfl-try: ./gfl.conf:3: 'y' is not a duration");
	write_file("gfl.conf", "tiemout = 3\n[gfl-try]\ntiemout = 3\n");
	CHECK_INT(RUN().status, 2);
	CHECK_HAS(RUN().err, "./gfl.conf:3: unknown option tiemout");
	CHECK_HAS(RUN().err, "did you mean --timeout?");
}

TEST(a_named_configuration_must_exist)
{
	struct capture c = RUN("--config", "no-such-file");

	CHECK_INT(c.status, 1);
	CHECK_HAS(c.err, "gfl-try: read configuration no-such-file: No such");
}

TEST(help_fits_in_80_columns_and_goes_to_stdout)
{
	struct capture c = RUN("-h");
	char *line, *rest = c.out;

	CHECK_INT(c.status, 0);
	CHECK_STR(c.err, "");
	CHECK_HAS(c.out, "Usage: gfl-try [OPTION]... [WHAT]\n");
	CHECK_HAS(c.out, "  -t, --timeout=TIME");
	CHECK_HAS(c.out, "(default 5)");
	CHECK_HAS(c.out, "OMPI_COMM_WORLD_RANK");
	CHECK_HAS(c.out, "4   timed out");
	CHECK(!strstr(c.out, "--gateway-host=") && !strstr(c.out, "gfl-docs"));
	CHECK_HAS(c.out, "Prints what it was given. More is in the manual: "
			 "man gfl-try.\n");
	CHECK(!strstr(c.out, "And nothing else"));
	while ((line = strsep(&rest, "\n")))
		CHECK(strlen(line) <= 80);
	c = RUN("--gfl-docs=man");
	CHECK_HAS(c.out, "Prints what it was given.\n\nAnd nothing else.\n");
}

TEST(show_config_tells_where_each_value_came_from)
{
	struct capture c;

	write_file("gfl.conf", "timeout = 7\n");
	setenv("GFL_MAX_DEPTH", "5", 1);
	c = RUN("--show-config", "--kind=star");
	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "timeout\t7\t./gfl.conf:1\n");
	CHECK_HAS(c.out, "max-depth\t5\tGFL_MAX_DEPTH\n");
	CHECK_HAS(c.out, "kind\tstar\t--kind\n");
	CHECK_HAS(c.out, "ratio\t0.5\tdefault\n");
}

TEST(commands_have_their_own_options_and_operands)
{
	struct capture c = RUN_CMD("-t1", "start", "--rounds", "9", "mlp");

	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "operand=mlp command=0");
	CHECK_HAS(c.out, "timeout=1000 depth=9");
	CHECK_HAS(RUN_CMD("--rounds=9", "start", "x").out, "depth=9");
	CHECK_HAS(RUN_CMD("list").out, "operand=none command=1");
	c = RUN_CMD("list", "--rounds=9");
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "unknown option --rounds");
	CHECK_HAS(c.err, "hint: try gfl-tryrun list --help");
	CHECK_HAS(RUN_CMD("start", "x").err, "option --rounds is needed");
	CHECK_HAS(RUN_CMD("start", "--rounds=2").err,
		  "operand NAME is missing");
	CHECK_HAS(RUN_CMD().err, "a command is needed: start, list");
	CHECK_HAS(RUN_CMD("strat").err, "did you mean start?");
	CHECK_HAS(RUN_CMD("start", "-h").out,
		  "Usage: gfl-tryrun start [OPTION]... NAME\n");
	CHECK_HAS(RUN_CMD("-h").out, "  list                      list the");
}

TEST(a_command_may_be_left_out_where_one_is_usual)
{
	struct prog usual = run_prog;
	struct capture c;

	usual.command_optional = true;
	c = run(&usual, (char *[]){"gfl-tryrun", "-t1", NULL});
	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "operand=none command=0");
	c = run(&usual, (char *[]){"gfl-tryrun", "list", NULL});
	CHECK_HAS(c.out, "operand=none command=1");
	c = run(&usual, (char *[]){"gfl-tryrun", "lost", NULL});
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "did you mean list?");
	c = run(&usual, (char *[]){"gfl-tryrun", "-h", NULL});
	CHECK_HAS(c.out, "Usage: gfl-tryrun [COMMAND] [OPTION]...\n");
}

TEST(a_section_of_the_file_holds_for_all_commands)
{
	write_file("gfl.conf", "[gfl-tryrun]\nrounds = 8\n");
	CHECK_HAS(RUN_CMD("start", "x").out, "depth=8");
	CHECK_INT(RUN_CMD("list").status, 0);
	write_file("gfl.conf", "[gfl-tryrun]\nrunds = 8\n");
	CHECK_HAS(RUN_CMD("list").err, "unknown option runds");
}

TEST(a_section_of_the_file_is_a_program)
{
	struct capture c;

	write_file("gfl.conf", "[gfl-node]\nanything = 8\n");
	CHECK_INT(RUN("a").status, 0);
	write_file("gfl.conf", "color = never\n[gfl-sever]\nrounds = 8\n");
	c = RUN("a");
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "gfl.conf:3: section [gfl-sever]: there is no such "
			 "program\n");
	CHECK_HAS(c.err, "did you mean [gfl-server]?");
	write_file("gfl.conf", "[common]\nrounds = 8\n");
	CHECK_HAS(RUN("a").err, "stands above the first one");
	CHECK(!unlink("gfl.conf"));
}

TEST(pairs_come_from_all_sources_and_the_first_has_its_name)
{
	struct capture c;

	write_file("gfl.conf", "on-event.lost = /c one,two=3\n"
			       "on_event.gone = /c gone\n");
	c = RUN("--on-event", "lost=flag a=b", "--on_event=new=x");
	CHECK_INT(c.status, 0);
	CHECK_HAS(c.out, "on lost by flag: flag a=b\n"
			 "on new by flag: x\n"
			 "on gone configured: /c gone\n");
	c = RUN("a");
	CHECK_HAS(c.out, "on lost configured: /c one,two=3\n");
	setenv("GFL_ON_EVENT", "lost=/env", 1);
	CHECK_HAS(RUN("a").out, "on lost configured: /env\n");
	CHECK_HAS(RUN("--show-config").out,
		  "on-event\tlost=/env, gone=/c gone\tGFL_ON_EVENT\n");
	unsetenv("GFL_ON_EVENT");
	c = RUN("--on-event", "lost");
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "--on-event: 'lost' is not NAME=VALUE");
	c = RUN("--on-event", "lost=");
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "'lost=' is not NAME=VALUE");
	c = RUN("--on-event", "=x");
	CHECK_INT(c.status, 2);
	CHECK_HAS(c.err, "'=x' is not NAME=VALUE");
	write_file("gfl.conf", "[gfl-try]\ntag.x = 1\n");
	CHECK_HAS(RUN("a").err, "unknown option tag.x");
	CHECK(!unlink("gfl.conf"));
}

static int report_peer(void *arg)
{
	struct err err;

	(void)arg;
	err_set(&err, ERR_UNAVAILABLE, "peer says: a\nb\x1b[31m");
	return err_report(&prog, &err);
}

TEST(a_peer_cannot_write_to_the_terminal_through_an_error)
{
	struct capture c = capture_run(report_peer, NULL);

	CHECK_INT(c.status, 3);
	CHECK_STR(c.err, "gfl-try: peer says: a?b?[31m\n");
}

TEST(version_names_program_and_version)
{
	CHECK_STR(RUN("-V").out, "gfl-try (gfl) " GFL_VERSION "\n");
}

TEST(documentation_comes_from_the_table)
{
	struct capture c = RUN("--gfl-docs=man");

	CHECK_HAS(c.out, "Generated by `make docs`");
	CHECK_HAS(c.out, "gfl\\-try \\- try the options");
	CHECK_HAS(c.out, "\\fB\\-t\\fR, \\fB\\-\\-timeout\\fR=\\fITIME\\fR");
	CHECK_STR(RUN("--gfl-docs=brief").out, "try the options\n");
	c = RUN("--gfl-docs=bash");
	CHECK_HAS(c.out, "complete -o default -F _gfl_try gfl-try");
	CHECK_HAS(c.out, "compgen -W 'ring star'");
}
