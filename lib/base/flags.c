#include "base/flags.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/value.h"

enum { LONG_BASE = 1000, LONGS = 4 * OPT_ROWS };

struct flags {
	struct option longs[LONGS + 1];
	size_t n;
	char shorts[2 + 2 * OPT_ROWS + 1];
};

static int arg_mode(const struct opt *row)
{
	if (row->kind == OPT_KIND_COUNT)
		return no_argument;
	return row->kind == OPT_KIND_BOOL ? optional_argument
					  : required_argument;
}

/* A name as it is, and with '_' for '-', as the seeds spell it. */
static void add_long(struct flags *f, char *name, const struct opt *row, int i)
{
	char *other = mem_str(name);

	if (f->n + 2 > LONGS)
		abort();
	for (char *c = other; *c; c++)
		if (*c == '-')
			*c = '_';
	f->longs[f->n++] = (struct option){value_keep(name), arg_mode(row),
					   NULL, LONG_BASE + i};
	f->longs[f->n++] = (struct option){value_keep(other), arg_mode(row),
					   NULL, LONG_BASE + i};
}

static void make_flags(struct flags *f, const struct parse *p)
{
	size_t len = 0;

	memset(f, 0, sizeof(*f));
	f->shorts[len++] = ':';
	for (size_t i = 0; i < p->n; i++) {
		const struct opt *row = p->rows[i];
		const char *w = row->alias;

		add_long(f, mem_str(row->name), row, (int)i);
		for (; w && *w; w += strcspn(w, " "), w += strspn(w, " "))
			add_long(f, mem_dup(w, strcspn(w, " ")), row, (int)i);
		if (!row->letter || strchr(f->shorts, row->letter))
			continue;
		f->shorts[len++] = row->letter;
		if (arg_mode(row) == required_argument)
			f->shorts[len++] = ':';
	}
}

static int row_of_flag(const struct parse *p, int c)
{
	if (c >= LONG_BASE)
		return c - LONG_BASE;
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i]->letter == c)
			return (int)i;
	return -1;
}

static _Noreturn void bad_flag(const struct parse *p, int c, char **argv)
{
	struct err err;
	int row = optopt ? row_of_flag(p, optopt) : -1;
	const char *word = argv[optind - 1];
	int len = (int)strcspn(word, "=");

	if (row >= 0 && c == ':')
		err_set(&err, ERR_INVALID_ARGUMENT,
			"option --%s needs a value: %s", p->rows[row]->name,
			p->rows[row]->arg);
	else if (row >= 0)
		err_set(&err, ERR_INVALID_ARGUMENT,
			"option --%s takes no value", p->rows[row]->name);
	else if (optopt)
		err_set(&err, ERR_INVALID_ARGUMENT, "unknown option -%c",
			optopt);
	else
		err_set(&err, ERR_INVALID_ARGUMENT, "unknown option %.*s", len,
			word);
	if (!optopt && len > 2) {
		char *name = mem_dup(word + 2, (size_t)len - 2);

		parse_hint(p, name, &err);
		free(name);
	}
	parse_usage(p, &err);
}

static void take_flag(struct parse *p, int i)
{
	const struct opt *row = p->rows[i];
	struct value *v = &p->values[i];
	bool again = v->rank == FROM_FLAG;

	if (row->kind == OPT_KIND_PAIRS) {
		parse_pair(p, i, FROM_FLAG, NULL, optarg,
			   value_keep(mem_fmt("--%s", row->name)));
		return;
	}
	if (row->kind == OPT_KIND_COUNT)
		v->text = value_keep(
			mem_fmt("%d", again ? atoi(v->text) + 1 : 1));
	else if (again &&
		 (row->kind == OPT_KIND_LIST || row->kind == OPT_KIND_URLS))
		v->text = value_keep(mem_fmt("%s,%s", v->text, optarg));
	else
		v->text = optarg ? optarg : "yes";
	v->rank = FROM_FLAG;
	v->from = value_keep(mem_fmt("--%s", row->name));
}

int flags_read(struct parse *p, int argc, char **argv)
{
	struct flags f;
	int c, i;

	make_flags(&f, p);
	opterr = 0;
	optind =
		0; /* glibc: start over, with the state of another table gone */
	while ((c = getopt_long(argc, argv, f.shorts, f.longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			bad_flag(p, c, argv);
		i = row_of_flag(p, c);
		take_flag(p, i);
	}
	return optind;
}

/* The command is the first operand, with the options of all commands known. */
static const char *find_command(const struct prog *prog, int argc, char **argv)
{
	struct parse all = {.prog = prog};
	struct flags f;
	char shorts[sizeof(f.shorts) + 1];

	all.n = opt_rows(prog, NULL, all.rows);
	for (const struct opt_cmd *c = prog->cmds; c->name; c++)
		all.n = parse_add_rows(all.rows, all.n, c->opts);
	make_flags(&f, &all);
	snprintf(shorts, sizeof(shorts), "+%s", f.shorts);
	opterr = 0;
	optind = 0;
	while (getopt_long(argc, argv, shorts, f.longs, NULL) != -1)
		;
	return optind < argc ? argv[optind] : NULL;
}

void flags_command(struct parse *p, int argc, char **argv)
{
	const char *name = find_command(p->prog, argc, argv);
	struct nearest near;
	struct err err;

	if (!name)
		return;
	near = nearest_to(name);
	for (const struct opt_cmd *c = p->prog->cmds; c->name; c++) {
		nearest_offer(&near, c->name);
		if (!strcmp(c->name, name))
			p->cmd = c;
	}
	if (p->cmd)
		return;
	err_set(&err, ERR_INVALID_ARGUMENT, "unknown command %s", name);
	if (near.best)
		err_hint(&err, "did you mean %s? or try %s --help", near.best,
			 p->prog->name);
	parse_usage(p, &err);
}
