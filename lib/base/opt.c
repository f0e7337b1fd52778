#include "base/opt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/docs.h"
#include "base/flags.h"
#include "base/help.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/out.h"
#include "base/parse.h"
#include "base/value.h"

/* A sentence may quote a peer; a terminal must not obey it. */
static void put_words(const struct prog *prog, const char *what, const char *s)
{
	struct buf b = BUF_INIT(0);

	buf_putf(&b, "%s: %s%s\n", prog->name, what, s);
	for (size_t i = 0; i + 1 < b.len; i++)
		if ((unsigned char)b.p[i] < ' ' || b.p[i] == 0x7f)
			b.p[i] = '?';
	fputs(b.p, stderr);
	buf_release(&b);
}

int err_report(const struct prog *prog, const struct err *err)
{
	fflush(stdout);
	put_words(prog, "", err->msg);
	if (err->hint[0])
		put_words(prog, "hint: ", err->hint);
	return prog->failure ? prog->failure : err_exit(err->code);
}

/* Environment and files. */

static void take(struct parse *p, size_t i, enum rank rank, const char *text,
		 const char *from)
{
	if (!p->rows[i]->flag_only && p->rows[i]->kind == OPT_KIND_PAIRS)
		parse_pair(p, (int)i, rank, NULL, text, from);
	if (p->rows[i]->flag_only || p->rows[i]->kind == OPT_KIND_PAIRS ||
	    p->values[i].rank > rank)
		return;
	p->values[i] = (struct value){rank, text, from, NULL};
}

static void read_env(struct parse *p, size_t i)
{
	const struct opt *row = p->rows[i];
	const char *text, *w = row->env;
	char name[96];

	opt_env_name(name, sizeof(name), row->name);
	text = getenv(name);
	if (text && *text) {
		take(p, i, FROM_ENV, text, value_keep(mem_str(name)));
		return;
	}
	for (; w && *w; w += strcspn(w, " "), w += strspn(w, " ")) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(w, " "), w);
		text = getenv(name);
		if (!text || !*text)
			continue;
		take(p, i, FROM_SEED_ENV, text, value_keep(mem_str(name)));
		return;
	}
}

/* Is this an option of a command other than the one that runs? */
static bool is_of_a_command(const struct prog *prog, const char *key)
{
	for (const struct opt_cmd *c = prog->cmds; c && c->name; c++)
		for (const struct opt *o = c->opts; o && o->name; o++)
			if (!strcmp(o->name, key))
				return true;
	return false;
}

/* The row of "option.NAME", or -1. */
static int pair_row(const struct parse *p, const char *key, const char **name)
{
	const char *dot = strchr(key, '.');
	char *option;
	int i;

	if (!dot)
		return -1;
	option = mem_dup(key, (size_t)(dot - key));
	i = parse_row(p, option);
	free(option);
	*name = dot + 1;
	return i >= 0 && p->rows[i]->kind == OPT_KIND_PAIRS ? i : -1;
}

/* Above the sections stands what concerns several programs, so a name unknown
 * here may be another's; in our section it is a mistake. */
static int on_conf(const char *section, const char *key, const char *value,
		   int line, void *arg, struct err *err)
{
	struct parse *p = arg;
	int i = parse_row(p, key);
	const char *name = NULL, *where;

	if (i < 0)
		i = pair_row(p, key, &name);
	if (*section && strcmp(section, p->prog->name))
		return parse_section(section, err);
	if (i < 0 && *section && !is_of_a_command(p->prog, key)) {
		err_set(err, ERR_INVALID_ARGUMENT, "unknown option %s", key);
		parse_hint(p, key, err);
		return (int)err->code;
	}
	if (i < 0)
		return 0;
	where = value_keep(mem_fmt("%s:%d", p->path, line));
	value = value_keep(mem_str(value));
	if (name)
		parse_pair(p, i, p->file, value_keep(mem_str(name)), value,
			   where);
	else
		take(p, (size_t)i, p->file, value, where);
	return 0;
}

static int read_file(struct parse *p, const char *path, enum rank rank,
		     bool must, struct err *err)
{
	int rc;

	p->file = rank;
	p->path = path;
	rc = conf_read(path, on_conf, p, err);
	return rc == ERR_NOT_FOUND && !must ? 0 : rc;
}

static int read_files(struct parse *p, struct err *err)
{
	const char *named = p->values[parse_row(p, "config")].text;
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path;
	int rc;

	if (named && strcmp(named, "none"))
		return read_file(p, named, FROM_HERE, true, err);
	if (named)
		return 0;
	rc = read_file(p, "/etc/gfl/gfl.conf", FROM_ETC, false, err);
	path = base && *base
		       ? mem_fmt("%s/gfl/gfl.conf", base)
		       : mem_fmt("%s/.config/gfl/gfl.conf", home ? home : "");
	if (!rc && ((base && *base) || home))
		rc = read_file(p, path, FROM_HOME, false, err);
	free(path);
	return rc ? rc : read_file(p, "./gfl.conf", FROM_HERE, false, err);
}

/* Lowest source first, so that --port changes what ./gfl.conf listens on and
 * not the other way round. */
static int apply(struct parse *p, struct err *err)
{
	for (int rank = 0; rank < RANKS; rank++) {
		for (size_t i = 0; i < p->n; i++) {
			struct value *v = &p->values[i];
			const struct opt *row = p->rows[i];
			void *base = opt_is_common(row) ? &p->common : p->cfg;

			if ((int)v->rank != rank || !v->text)
				continue;
			if (v->pairs &&
			    parse_pairs(v,
					(struct opt_pairs *)((char *)base +
							     row->at),
					err))
				return (int)err->code;
			if (v->pairs)
				continue;
			if (value_set(row, base, v->text, err))
				return err_wrap(err, "%s", v->from);
			if (row->kind == OPT_KIND_URLS ||
			    row->kind == OPT_KIND_LIST)
				((struct opt_list *)((char *)base + row->at))
					->by_flag = rank == FROM_FLAG;
		}
	}
	return 0;
}

static int check_required(const struct parse *p, struct err *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i]->required && !p->values[i].text)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "option --%s is needed",
				       p->rows[i]->name);
	return 0;
}

/* "TO [TEXT]..." takes one operand or more. */
static int check_operands(const struct parse *p, int n, char **operands,
			  struct err *err)
{
	const char *args = p->cmd ? p->cmd->args : p->prog->args, *w;
	int most = 0;

	for (w = args; w && *w; w += strcspn(w, " "), w += strspn(w, " ")) {
		if (*w != '[' && most >= n)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "operand %.*s is missing",
				       (int)strcspn(w, " "), w);
		most++;
	}
	if (n > most && !(args && strstr(args, "...")))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "unexpected operand %s", operands[most]);
	return 0;
}

static enum log_level level_of(const struct parse *p)
{
	static const enum log_level seed_levels[] = {LEVEL_WARN, LEVEL_ERROR,
						     LEVEL_DEBUG};
	int level = p->prog->daemon ? LEVEL_INFO : LEVEL_WARN;

	if (p->values[parse_row(p, "log-level")].text)
		level = p->common.log_level;
	if (level > LEVEL_DEBUG)
		level = (int)seed_levels[level - LEVEL_DEBUG - 1];
	level += p->common.verbose;
	if (p->common.quiet)
		level = LEVEL_ERROR;
	if (level > LEVEL_DEBUG)
		level = LEVEL_DEBUG;
	return (enum log_level)level;
}

static _Noreturn void show_config(const struct parse *p)
{
	static const struct out_col cols[] = {
		{"option", OUT_TEXT},
		{"value", OUT_TEXT},
		{"source", OUT_TEXT},
	};
	int format = parse_row(p, "format");
	struct out_opts opts = {0};
	struct out *o;
	struct err err;

	if (format >= 0 &&
	    value_choice(OUT_FORMATS, p->values[format].text
					      ? p->values[format].text
					      : "") >= 0)
		opts.format = p->values[format].text;
	if (out_begin(&o, &opts, cols, 3, false, &err))
		exit(err_report(p->prog, &err));
	for (size_t i = 0; i < p->n; i++)
		if (!p->rows[i]->flag_only)
			out_row(o, out_text(p->rows[i]->name),
				out_text(p->values[i].text),
				out_text(p->values[i].from));
	if (out_end(o, &err))
		exit(err_report(p->prog, &err));
	exit(out_close(p->prog));
}

/* --help and its kin act before anything else can be wrong. */
static void act_on_flags(const struct parse *p)
{
	const char *docs = p->values[parse_row(p, "gfl-docs")].text;

	if (p->values[parse_row(p, "help")].text) {
		help_print(stdout, p->prog, p->cmd);
		exit(out_close(p->prog));
	}
	if (p->values[parse_row(p, "version")].text) {
		printf("%s (gfl) %s\n", p->prog->name, GFL_VERSION);
		exit(out_close(p->prog));
	}
	if (docs && docs_print(stdout, p->prog, docs))
		exit(out_close(p->prog));
}

static void check_command(struct parse *p)
{
	struct buf list = BUF_INIT(0);
	struct err err;

	if (!p->prog->cmds)
		return;
	if (p->cmd || p->prog->command_optional) {
		*(int *)((char *)p->cfg + p->prog->command_at) =
			p->cmd ? (int)(p->cmd - p->prog->cmds) : 0;
		return;
	}
	for (const struct opt_cmd *c = p->prog->cmds; c->name; c++)
		buf_putf(&list, "%s%s", list.len ? ", " : "", c->name);
	err_set(&err, ERR_INVALID_ARGUMENT, "a command is needed: %s", list.p);
	buf_release(&list);
	parse_usage(p, &err);
}

static void defaults(struct parse *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->values[i] = (struct value){FROM_DEFAULT, p->rows[i]->def,
					      "default", NULL};
}

/* Whoever starts us may have closed 0, 1 or 2; a file or socket that got such a
 * number would be taken for it. What holds the place fails as if closed. */
static void hold_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null",
			 fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

int opt_parse(const struct prog *prog, void *cfg, int argc, char **argv)
{
	struct parse p = {.prog = prog, .cfg = cfg};
	struct err err;
	int rest;

	hold_standard_fds();
	if (prog->cmds)
		flags_command(&p, argc, argv);
	p.n = opt_rows(prog, p.cmd, p.rows);
	defaults(&p);
	rest = flags_read(&p, argc, argv);
	act_on_flags(&p);
	for (size_t i = 0; i < p.n; i++)
		read_env(&p, i);
	if (read_files(&p, &err))
		exit(err_report(prog, &err));
	if (apply(&p, &err))
		parse_usage(&p, &err);
	log_setup(prog->name, level_of(&p), p.common.log_format == 1);
	if (p.common.show_config)
		show_config(&p);
	check_command(&p);
	rest += p.cmd != NULL;
	if (check_required(&p, &err) ||
	    check_operands(&p, argc - rest, argv + rest, &err))
		parse_usage(&p, &err);
	return rest;
}

int opt_again(const struct prog *prog, void *cfg, int argc, char **argv,
	      struct err *err)
{
	struct parse p = {.prog = prog, .cfg = cfg};

	p.n = opt_rows(prog, NULL, p.rows);
	defaults(&p);
	flags_read(&p, argc, argv);
	for (size_t i = 0; i < p.n; i++)
		read_env(&p, i);
	if (read_files(&p, err) || apply(&p, err))
		return (int)err->code;
	log_set_level(level_of(&p));
	return 0;
}

void opt_prefer_flag(struct opt_list *a, struct opt_list *b)
{
	if (a->by_flag && !b->by_flag)
		b->n = 0;
	if (b->by_flag && !a->by_flag)
		a->n = 0;
}

int opt_single(const struct opt_list *all, const char *option, struct err *err)
{
	return all->n < 2 ? 0
			  : err_set(err, ERR_INVALID_ARGUMENT,
				    "--%s names %zu, %s and others, but one is "
				    "meant",
				    option, all->n, all->at[0]);
}

const char *opt_arg(int argc, char **argv, int i, const char *otherwise)
{
	return i < argc ? argv[i] : otherwise;
}

char *opt_addr_text(const struct opt_addr *a)
{
	return mem_fmt(strchr(a->host, ':') ? "[%s]:%d" : "%s:%d", a->host,
		       a->port);
}
