#include "base/help.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 2, BRIEF = 28 };

const struct help_exit help_exits[] = {
	{0, "done"},
	{1, "answered no, or failed"},
	{2, "usage, configuration or bad input"},
	{3, "unreachable"},
	{4, "timed out"},
	{5, "no leader, no quorum or the wrong state"},
	{6, "partly done"},
	{7, "a resource is taken, used up or closed to us"},
	{8, "not allowed"},
	{70, "a bug, or damaged data"},
	{0, NULL},
};

/* Stands for a blank at which a line may not end. */
#define NBSP "\001"

/* Print words wrapped at WIDTH, from column col on, lines indented. */
static void put_wrapped(FILE *f, const char *text, int indent, int col)
{
	while (*(text += strspn(text, " \n"))) {
		int len = (int)strcspn(text, " \n");

		if (col > indent && col + 1 + len > WIDTH) {
			fputc('\n', f);
			col = 0;
		}
		if (col < indent)
			col += fprintf(f, "%*s", indent - col, "");
		else if (col > indent)
			col += fprintf(f, " ");
		col += len;
		for (; len; len--, text++)
			fputc(*text == *NBSP ? ' ' : *text, f);
	}
	fputc('\n', f);
}

static void put_flag(struct buf *b, const struct opt *row)
{
	if (row->letter)
		buf_putf(b, "-%c, --%s", row->letter, row->name);
	else
		buf_putf(b, "    --%s", row->name);
	if (row->arg)
		buf_putf(b, "=%s", row->arg);
}

void help_brief(struct buf *out, const struct opt *row)
{
	buf_puts(out, row->brief);
	if (row->kind != OPT_KIND_WORD)
		return;
	buf_puts(out, ": ");
	for (const char *c = row->choices; *c; c++)
		buf_puts(out, *c == '|' ? ", " : (char[]){*c, '\0'});
}

static void put_option(FILE *f, const struct opt *row)
{
	struct buf flag = BUF_INIT(0), text = BUF_INIT(0);
	int col;

	put_flag(&flag, row);
	help_brief(&text, row);
	if (row->def)
		buf_putf(&text, " (default" NBSP "%s)", row->def);
	if (row->required)
		buf_puts(&text, " (required)");
	col = fprintf(f, "%*s%s", INDENT, "", flag.p);
	if (col > BRIEF - 2) {
		fputc('\n', f);
		col = 0;
	}
	put_wrapped(f, text.p, BRIEF, col);
	buf_release(&flag);
	buf_release(&text);
}

/* A list of words, which may go on in the next line before any '|'. */
static void put_args(FILE *f, const char *args, int col)
{
	for (int len; *args; args += len, col += len) {
		len = 1 + (int)strcspn(args + 1, "|");
		if (col + len > WIDTH)
			col = fprintf(f, "\n%*s", INDENT, "") - 1;
		fprintf(f, "%.*s", len, args);
	}
}

/* The first paragraph. */
static void put_about(FILE *f, const struct prog *prog)
{
	const char *more = strstr(prog->about, "\n\n");
	struct buf text = BUF_INIT(0);

	buf_put(&text, prog->about,
		more ? (size_t)(more - prog->about) : strlen(prog->about));
	if (more)
		buf_putf(&text, " More is in the manual: man" NBSP "%s.",
			 prog->name);
	fputc('\n', f);
	put_wrapped(f, text.p, 0, 0);
	buf_release(&text);
}

static void put_usage(FILE *f, const struct prog *prog,
		      const struct opt_cmd *cmd)
{
	const char *args = cmd ? cmd->args : prog->args;

	int col = fprintf(f, "Usage: %s%s%s [OPTION]...", prog->name,
			  cmd                      ? " "
			  : prog->command_optional ? " [COMMAND]"
			  : prog->cmds             ? " COMMAND"
						   : "",
			  cmd ? cmd->name : "");

	if (args && *args) {
		fputc(' ', f);
		put_args(f, args, col + 1);
	}
	fputc('\n', f);
	put_wrapped(f, cmd ? cmd->brief : prog->brief, 0, 0);
	if (!cmd && prog->about)
		put_about(f, prog);
}

static void put_commands(FILE *f, const struct prog *prog)
{
	fputs("\nCommands:\n", f);
	for (const struct opt_cmd *c = prog->cmds; c->name; c++) {
		int col = fprintf(f, "%*s%s%s%s", INDENT, "", c->name,
				  c->args ? " " : "", c->args ? c->args : "");

		if (col > BRIEF - 2) {
			fputc('\n', f);
			col = 0;
		}
		put_wrapped(f, c->brief, BRIEF, col);
	}
	fprintf(f, "\n%s COMMAND --help tells the options of a command.\n",
		prog->name);
}

static void put_options(FILE *f, const struct prog *prog,
			const struct opt_cmd *cmd)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = opt_rows(prog, cmd, rows);
	bool common = false;

	fputs("\nOptions:\n", f);
	for (size_t i = 0; i < n; i++) {
		if (rows[i]->hidden)
			continue;
		if (!common && opt_is_common(rows[i])) {
			common = true;
			fputs("\nCommon options:\n", f);
		}
		put_option(f, rows[i]);
	}
}

static void put_environment(FILE *f, const struct prog *prog,
			    const struct opt_cmd *cmd)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = opt_rows(prog, cmd, rows);
	struct buf b = BUF_INIT(0);

	buf_puts(&b, "An option not given is taken from GFL_<OPTION>, as in "
		     "GFL_LOG_LEVEL");
	for (size_t i = 0; i < n; i++)
		if (rows[i]->env)
			buf_putf(&b, "; --%s also from %s", rows[i]->name,
				 rows[i]->env);
	buf_puts(&b, "; then from ./gfl.conf, $XDG_CONFIG_HOME/gfl/gfl.conf "
		     "and /etc/gfl/gfl.conf, lines of `option = value', in a "
		     "[");
	buf_putf(&b, "%s] section for this program alone.", prog->name);
	fputs("\nEnvironment and configuration:\n", f);
	put_wrapped(f, b.p, INDENT, 0);
	buf_release(&b);
}

static void put_exits(FILE *f, const struct prog *prog)
{
	fputs("\nExit status:\n", f);
	if (prog->exits)
		put_wrapped(f, prog->exits, INDENT, 0);
	for (const struct help_exit *e = help_exits; !prog->exits && e->meaning;
	     e++)
		fprintf(f, "%*s%-4d%s\n", INDENT, "", e->status, e->meaning);
}

void help_print(FILE *f, const struct prog *prog, const struct opt_cmd *cmd)
{
	put_usage(f, prog, cmd);
	if (prog->cmds && !cmd)
		put_commands(f, prog);
	put_options(f, prog, cmd);
	put_environment(f, prog, cmd);
	put_exits(f, prog);
}
