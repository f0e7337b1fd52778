#include "base/completion.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

/* The rows of the program and of all its commands, each name once. */
static size_t all_rows(const struct prog *prog, const struct opt **rows)
{
	size_t n = opt_rows(prog, NULL, rows);

	for (const struct opt_cmd *c = prog->cmds; c && c->name; c++)
		n = parse_add_rows(rows, n, c->opts);
	return n;
}

/* What may stand where no option does: the commands, or the small letters of
 * the operands, as in [nodes|runs]. */
static void put_operands(FILE *f, const struct prog *prog)
{
	const char *args = prog->args ? prog->args : "";
	const char *blank = "";

	for (const struct opt_cmd *c = prog->cmds; c && c->name; c++) {
		fprintf(f, "%s%s", blank, c->name);
		blank = " ";
	}
	while (*args) {
		size_t len = strspn(args, "abcdefghijklmnopqrstuvwxyz");

		if (len)
			fprintf(f, "%s%.*s", blank, (int)len, args);
		blank = len ? " " : blank;
		args += len ? len : 1;
	}
}

static void put_long_options(FILE *f, const struct prog *prog)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = all_rows(prog, rows);
	const char *blank = "";

	for (size_t i = 0; i < n; i++) {
		if (rows[i]->hidden)
			continue;
		fprintf(f, "%s--%s", blank, rows[i]->name);
		blank = " ";
	}
}

/* "a|b|c", where they are known. */
static const char *values_of(const struct opt *row)
{
	return row->kind == OPT_KIND_CHOICE ? row->arg : row->choices;
}

static bool is_file(const struct opt *row)
{
	return row->kind == OPT_KIND_FILE || !strcmp(row->name, "config");
}

static void put_words(FILE *f, const char *list)
{
	for (; *list; list++)
		fputc(*list == '|' ? ' ' : *list, f);
}

/* gfl-list has _gfl_list. The caller frees it. */
static char *function_of(const struct prog *prog)
{
	char *name = mem_fmt("_%s", prog->name);

	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	return name;
}

/* ---- bash ---- */

/* A case of bash for the values of a row, where they are known. */
static void put_values(FILE *f, const struct opt *row)
{
	const char *list = values_of(row);

	if (row->hidden || (!list && !is_file(row)))
		return;
	fprintf(f, "\t--%s", row->name);
	if (row->letter)
		fprintf(f, "|-%c", row->letter);
	if (!list) {
		fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\");;\n",
		      f);
		return;
	}
	fputs(") mapfile -t COMPREPLY < <(compgen -W '", f);
	put_words(f, list);
	fputs("' -- \"$cur\");;\n", f);
}

void completion_bash(FILE *f, const struct prog *prog)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = all_rows(prog, rows);
	char *fn = function_of(prog);

	fprintf(f,
		"%s()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
		"\tlocal prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
		"\t[ \"$cur\" = = ] && cur= && prev=${COMP_WORDS["
		"COMP_CWORD-1]}\n"
		"\tcase $prev in\n",
		fn);
	for (size_t i = 0; i < n; i++)
		put_values(f, rows[i]);
	fputs("\t*)\n\t\tcase $cur in\n"
	      "\t\t-*) mapfile -t COMPREPLY < <(compgen -W '",
	      f);
	put_long_options(f, prog);
	fputs("' -- \"$cur\");;\n"
	      "\t\t*) mapfile -t COMPREPLY < <(compgen -W '",
	      f);
	put_operands(f, prog);
	fprintf(f,
		"' -- \"$cur\");;\n\t\tesac;;\n\tesac\n}\n"
		"complete -o default -F %s %s\n",
		fn, prog->name);
	free(fn);
}

/* ---- zsh ---- */

/* In '…', of a specification of _arguments. */
static void put_zsh(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", f);
		else if (strchr(":[]\\", *text))
			fprintf(f, "\\%c", *text);
		else
			fputc(*text, f);
	}
}

/* What its value is called, and may be. */
static void put_zsh_value(FILE *f, const struct opt *row)
{
	const char *list = values_of(row);

	if (!row->arg)
		return;
	fputc(':', f);
	put_zsh(f, row->kind == OPT_KIND_CHOICE ? row->name : row->arg);
	fputc(':', f);
	if (list) {
		fputc('(', f);
		put_words(f, list);
		fputc(')', f);
	} else {
		fputs(is_file(row) ? "_files" : " ", f);
	}
}

/* '--name=[brief]:ARG:(a b)'; with a letter both, of which one is given. */
static void put_zsh_option(FILE *f, const struct opt *row)
{
	fputs(" \\\n\t\t", f);
	if (row->letter && row->arg)
		fprintf(f, "'(-%c --%s)'{-%c+,--%s=}'[", row->letter, row->name,
			row->letter, row->name);
	else if (row->letter)
		fprintf(f, "'(-%c --%s)'{-%c,--%s}'[", row->letter, row->name,
			row->letter, row->name);
	else
		fprintf(f, "'--%s%s[", row->name, row->arg ? "=" : "");
	put_zsh(f, row->brief);
	fputc(']', f);
	put_zsh_value(f, row);
	fputc('\'', f);
}

void completion_zsh(FILE *f, const struct prog *prog)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = all_rows(prog, rows);
	char *fn = function_of(prog);

	fprintf(f, "%s() {\n\t_arguments -s -S :", fn);
	for (size_t i = 0; i < n; i++)
		if (!rows[i]->hidden)
			put_zsh_option(f, rows[i]);
	fputs(" \\\n\t\t'1: :(", f);
	put_operands(f, prog);
	fputs(")' '*: :_files'\n}\n", f);
	free(fn);
}

/* ---- fish ---- */

/* In '…'. */
static void put_fish(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

static void put_fish_option(FILE *f, const struct prog *prog,
			    const struct opt *row)
{
	const char *list = values_of(row);

	fprintf(f, "complete -c %s -l %s", prog->name, row->name);
	if (row->letter)
		fprintf(f, " -s %c", row->letter);
	if (list) {
		fputs(" -x -a '", f);
		put_words(f, list);
		fputc('\'', f);
	} else if (row->arg) {
		fputs(is_file(row) ? " -r -F" : " -x", f);
	}
	fputs(" -d '", f);
	put_fish(f, row->brief);
	fputs("'\n", f);
}

/* Words come first, if at all. */
void completion_fish(FILE *f, const struct prog *prog)
{
	const struct opt *rows[OPT_ROWS];
	size_t n = all_rows(prog, rows);

	for (const struct opt_cmd *c = prog->cmds; c && c->name; c++) {
		fprintf(f, "complete -c %s -n __fish_use_subcommand -a %s -d '",
			prog->name, c->name);
		put_fish(f, c->brief);
		fputs("'\n", f);
	}
	if (!prog->cmds) {
		fprintf(f, "complete -c %s -n __fish_use_subcommand -a '",
			prog->name);
		put_operands(f, prog);
		fputs("'\n", f);
	}
	for (size_t i = 0; i < n; i++)
		if (!rows[i]->hidden)
			put_fish_option(f, prog, rows[i]);
}
