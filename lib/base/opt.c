#include "base/opt.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/docs.h"
#include "base/help.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/out.h"
#include "base/value.h"

/* What every program has. */
struct common {
	bool help, version, show_config;
	const char *docs;
	int quiet, verbose;
	const char *config;
	int log_level, log_format, color;
};

/* The seed's names of levels follow ours. */
#define LEVEL_NAMES LOG_LEVELS "|warning|critical|trace"

static const struct opt common_rows[] = {
	OPT_BOOL('h', "help", struct common, help, "print this",
		 .flag_only = true),
	OPT_BOOL('V', "version", struct common, version, "print the version",
		 .flag_only = true),
	OPT_COUNT('q', "quiet", struct common, quiet, "log errors only"),
	OPT_COUNT('v', "verbose", struct common, verbose,
		  "log more; may be repeated"),
	OPT_STRING(0, "config", struct common, config, "FILE|none", NULL,
		   "read this configuration file only"),
	OPT_BOOL(0, "show-config", struct common, show_config,
		 "print each value and where it came from", .flag_only = true),
	OPT_ROW(CHOICE, 0, "log-level", int, struct common, log_level,
		LOG_LEVELS, NULL, "log from this level on",
		.choices = LEVEL_NAMES, .env = "GOSSIPFL_LOG_LEVEL"),
	OPT_CHOICE(0, "log-format", struct common, log_format, LOG_FORMATS,
		   "text", "how a line of the log looks"),
	OPT_CHOICE(0, "color", struct common, color, OUT_COLORS, "auto",
		   "when to use color"),
	OPT_WORD(0, "gfl-docs", struct common, docs, "man|bash", "man|bash",
		 NULL, "print generated documentation", .hidden = true,
		 .flag_only = true),
	OPT_END};

/* Where a value came from; a higher one wins. */
enum rank {
	FROM_DEFAULT,
	FROM_ETC,
	FROM_HOME,
	FROM_HERE,
	FROM_SEED_ENV,
	FROM_ENV,
	FROM_FLAG,
	RANKS
};

struct value {
	enum rank rank;
	const char *text; /* NULL: none */
	const char *from; /* "--timeout", "GFL_TIMEOUT", "./gfl.conf:3" */
};

struct parse {
	const struct prog *prog;
	const struct opt_cmd *cmd;
	void *cfg;
	struct common common;
	const struct opt *rows[OPT_ROWS];
	struct value values[OPT_ROWS];
	size_t n;
	enum rank file; /* the one being read */
	const char *path;
};

bool opt_is_common(const struct opt *row)
{
	return row >= common_rows &&
	       row < common_rows + sizeof(common_rows) / sizeof(*common_rows);
}

static bool has_row(const struct opt *const *rows, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i]->name, name))
			return true;
	return false;
}

static size_t add_rows(const struct opt **rows, size_t n, const struct opt *o)
{
	for (; o && o->name; o++) {
		if (has_row(rows, n, o->name))
			continue;
		if (n == OPT_ROWS)
			abort();
		rows[n++] = o;
	}
	return n;
}

size_t opt_rows(const struct prog *prog, const struct opt_cmd *cmd,
		const struct opt *rows[OPT_ROWS])
{
	size_t n = add_rows(rows, 0, cmd ? cmd->opts : NULL);

	n = add_rows(rows, n, prog->opts);
	return add_rows(rows, n, common_rows);
}

void opt_env_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "GFL_%s", name);
	for (; *out; out++)
		*out = *out == '-' ? '_' : (char)toupper((unsigned char)*out);
}

int err_report(const struct prog *prog, const struct err *err)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", prog->name, err->msg);
	if (err->hint[0])
		fprintf(stderr, "%s: hint: %s\n", prog->name, err->hint);
	return err_exit(err->code);
}

static _Noreturn void usage(const struct parse *p, struct err *err)
{
	err_hint(err, "try %s%s%s --help", p->prog->name, p->cmd ? " " : "",
		 p->cmd ? p->cmd->name : "");
	exit(err_report(p->prog, err));
}

/* Does a word of "a b c" equal name? */
static bool names(const char *words, const char *name)
{
	size_t len = strlen(name);

	for (; words && *words; words += strspn(words, " ")) {
		size_t n = strcspn(words, " ");

		if (n == len && !strncmp(words, name, n))
			return true;
		words += n;
	}
	return false;
}

static int row_by_name(const struct parse *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->rows[i]->name, name) ||
		    names(p->rows[i]->alias, name))
			return (int)i;
	return -1;
}

/* Flags: getopt_long's tables from ours. */

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

static void hint_nearest(const struct parse *p, const char *name,
			 struct err *err)
{
	struct nearest near = nearest_to(name);

	for (size_t i = 0; i < p->n; i++)
		if (!p->rows[i]->hidden)
			nearest_offer(&near, p->rows[i]->name);
	if (near.best)
		err_hint(err, "did you mean --%s? or try %s --help", near.best,
			 p->prog->name);
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

		hint_nearest(p, name, &err);
		free(name);
	}
	usage(p, &err);
}

static void take_flag(struct parse *p, int i)
{
	const struct opt *row = p->rows[i];
	struct value *v = &p->values[i];
	bool again = v->rank == FROM_FLAG;

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

static int read_flags(struct parse *p, int argc, char **argv)
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

	for (const struct opt_cmd *c = prog->cmds; c->name; c++)
		all.n = add_rows(all.rows, all.n, c->opts);
	all.n = add_rows(all.rows, all.n, prog->opts);
	all.n = add_rows(all.rows, all.n, common_rows);
	make_flags(&f, &all);
	snprintf(shorts, sizeof(shorts), "+%s", f.shorts);
	opterr = 0;
	optind = 0;
	while (getopt_long(argc, argv, shorts, f.longs, NULL) != -1)
		;
	return optind < argc ? argv[optind] : NULL;
}

static void choose_command(struct parse *p, int argc, char **argv)
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
	usage(p, &err);
}

/* Environment and files. */

static void take(struct parse *p, size_t i, enum rank rank, const char *text,
		 const char *from)
{
	if (p->rows[i]->flag_only || p->values[i].rank > rank)
		return;
	p->values[i] = (struct value){rank, text, from};
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

/* Above the sections stands what concerns several programs, so a name unknown
 * here may be another's; in our section it is a mistake. */
static int on_conf(const char *section, const char *key, const char *value,
		   int line, void *arg, struct err *err)
{
	struct parse *p = arg;
	int i = row_by_name(p, key);

	if (*section && strcmp(section, p->prog->name))
		return 0;
	if (i < 0 && *section && !p->prog->cmds) {
		err_set(err, ERR_INVALID_ARGUMENT, "unknown option %s", key);
		hint_nearest(p, key, err);
		return (int)err->code;
	}
	if (i >= 0)
		take(p, (size_t)i, p->file, value_keep(mem_str(value)),
		     value_keep(mem_fmt("%s:%d", p->path, line)));
	return 0;
}

static void read_file(struct parse *p, const char *path, enum rank rank,
		      bool must)
{
	struct err err;

	p->file = rank;
	p->path = path;
	if (!conf_read(path, on_conf, p, &err))
		return;
	if (must || err.code != ERR_NOT_FOUND)
		exit(err_report(p->prog, &err));
}

static void read_files(struct parse *p)
{
	const char *named = p->values[row_by_name(p, "config")].text;
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path;

	if (named && strcmp(named, "none"))
		read_file(p, named, FROM_HERE, true);
	if (named)
		return;
	read_file(p, "/etc/gfl/gfl.conf", FROM_ETC, false);
	path = base && *base
		       ? mem_fmt("%s/gfl/gfl.conf", base)
		       : mem_fmt("%s/.config/gfl/gfl.conf", home ? home : "");
	if ((base && *base) || home)
		read_file(p, path, FROM_HOME, false);
	free(path);
	read_file(p, "./gfl.conf", FROM_HERE, false);
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
			if (value_set(row, base, v->text, err))
				return err_wrap(err, "%s", v->from);
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

static void set_up_log(const struct parse *p)
{
	static const enum log_level seed_levels[] = {LEVEL_WARN, LEVEL_ERROR,
						     LEVEL_DEBUG};
	int level = p->prog->daemon ? LEVEL_INFO : LEVEL_WARN;

	if (p->values[row_by_name(p, "log-level")].text)
		level = p->common.log_level;
	if (level > LEVEL_DEBUG)
		level = (int)seed_levels[level - LEVEL_DEBUG - 1];
	level += p->common.verbose;
	if (p->common.quiet)
		level = LEVEL_ERROR;
	if (level > LEVEL_DEBUG)
		level = LEVEL_DEBUG;
	log_setup(p->prog->name, (enum log_level)level,
		  p->common.log_format == 1);
}

static _Noreturn void show_config(const struct parse *p)
{
	static const struct out_col cols[] = {
		{"option", OUT_TEXT},
		{"value", OUT_TEXT},
		{"source", OUT_TEXT},
	};
	int format = row_by_name(p, "format");
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
	const char *docs = p->values[row_by_name(p, "gfl-docs")].text;

	if (p->values[row_by_name(p, "help")].text) {
		help_print(stdout, p->prog, p->cmd);
		exit(out_close(p->prog));
	}
	if (p->values[row_by_name(p, "version")].text) {
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
	if (p->cmd) {
		*(int *)((char *)p->cfg + p->prog->command_at) =
			(int)(p->cmd - p->prog->cmds);
		return;
	}
	for (const struct opt_cmd *c = p->prog->cmds; c->name; c++)
		buf_putf(&list, "%s%s", list.len ? ", " : "", c->name);
	err_set(&err, ERR_INVALID_ARGUMENT, "a command is needed: %s", list.p);
	buf_release(&list);
	usage(p, &err);
}

static void defaults(struct parse *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->values[i] = (struct value){FROM_DEFAULT, p->rows[i]->def,
					      "default"};
}

int opt_parse(const struct prog *prog, void *cfg, int argc, char **argv)
{
	struct parse p = {.prog = prog, .cfg = cfg};
	struct err err;
	int rest;

	if (prog->cmds)
		choose_command(&p, argc, argv);
	p.n = opt_rows(prog, p.cmd, p.rows);
	defaults(&p);
	rest = read_flags(&p, argc, argv);
	act_on_flags(&p);
	for (size_t i = 0; i < p.n; i++)
		read_env(&p, i);
	read_files(&p);
	if (apply(&p, &err))
		usage(&p, &err);
	set_up_log(&p);
	if (p.common.show_config)
		show_config(&p);
	check_command(&p);
	rest += p.cmd != NULL;
	if (check_required(&p, &err) ||
	    check_operands(&p, argc - rest, argv + rest, &err))
		usage(&p, &err);
	return rest;
}

const char *opt_arg(int argc, char **argv, int i, const char *otherwise)
{
	return i < argc ? argv[i] : otherwise;
}
