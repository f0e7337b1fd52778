#include "base/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/out.h"
#include "base/value.h"

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
	OPT_WORD(0, "gfl-docs", struct common, docs, "man|bash|brief",
		 "man|bash|brief", NULL, "print generated documentation",
		 .hidden = true, .flag_only = true),
	OPT_END};

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

size_t parse_add_rows(const struct opt **rows, size_t n, const struct opt *o)
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
	size_t n = parse_add_rows(rows, 0, cmd ? cmd->opts : NULL);

	n = parse_add_rows(rows, n, prog->opts);
	return parse_add_rows(rows, n, common_rows);
}

void opt_env_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "GFL_%s", name);
	for (; *out; out++)
		*out = *out == '-' ? '_' : (char)toupper((unsigned char)*out);
}

_Noreturn void parse_usage(const struct parse *p, struct err *err)
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

int parse_row(const struct parse *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->rows[i]->name, name) ||
		    names(p->rows[i]->alias, name))
			return (int)i;
	return -1;
}

static struct opt_pair *find_pair(struct pairs *found, const char *name)
{
	for (size_t i = 0; name && i < found->all.n; i++)
		if (found->all.at[i].name &&
		    !strcmp(found->all.at[i].name, name))
			return &found->all.at[i];
	if (found->all.n < OPT_PAIRS_MAX)
		return &found->all.at[found->all.n++];
	found->full = true;
	return NULL;
}

/* All of them, as a person would give them. */
static const char *pairs_text(const struct opt_pairs *all)
{
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < all->n; i++)
		buf_putf(&b, "%s%s%s%s", i ? ", " : "",
			 all->at[i].name ? all->at[i].name : "",
			 all->at[i].name ? "=" : "", all->at[i].text);
	return value_keep(buf_take(&b));
}

void parse_pair(struct parse *p, int row, enum rank rank, const char *name,
		const char *text, const char *from)
{
	struct value *v = &p->values[row];
	const char *equals = name ? NULL : strchr(text, '=');
	struct opt_pair *pair;
	size_t i;

	if (!v->pairs) {
		v->pairs = mem_zero(1, sizeof(*v->pairs));
		value_keep((char *)v->pairs);
	}
	if (equals) {
		name = value_keep(mem_dup(text, (size_t)(equals - text)));
		text = equals + 1;
	}
	pair = find_pair(v->pairs, name);
	i = pair ? (size_t)(pair - v->pairs->all.at) : 0;
	if (!pair || (pair->text && v->pairs->at[i].rank > rank))
		return;
	*pair = (struct opt_pair){name, text, rank == FROM_FLAG};
	v->pairs->at[i].rank = rank;
	v->pairs->at[i].from = from;
	if (rank >= v->rank)
		v->from = from;
	v->rank = rank > v->rank ? rank : v->rank;
	v->text = pairs_text(&v->pairs->all);
}

int parse_pairs(const struct value *v, struct opt_pairs *out, struct err *err)
{
	const struct opt_pairs *all = &v->pairs->all;

	if (v->pairs->full)
		return err_set(err, ERR_OUT_OF_RANGE, "%s: more than %d values",
			       v->from, OPT_PAIRS_MAX);
	for (size_t i = 0; i < all->n; i++) {
		const char *name = all->at[i].name, *text = all->at[i].text;

		if (!name || !*name || !*text)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "%s: '%s%s%s' is not NAME=VALUE",
				       v->pairs->at[i].from, name ? name : "",
				       name ? "=" : "", text);
	}
	*out = *all;
	return 0;
}

void parse_hint(const struct parse *p, const char *name, struct err *err)
{
	struct nearest near = nearest_to(name);

	for (size_t i = 0; i < p->n; i++)
		if (!p->rows[i]->hidden)
			nearest_offer(&near, p->rows[i]->name);
	if (near.best)
		err_hint(err, "did you mean --%s? or try %s --help", near.best,
			 p->prog->name);
}

int parse_section(const char *name, struct err *err)
{
	static const char *const programs[] = {GFL_PROGRAMS};
	struct nearest near = nearest_to(name);

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		if (!strcmp(programs[i], name))
			return 0;
		nearest_offer(&near, programs[i]);
	}
	err_set(err, ERR_INVALID_ARGUMENT,
		"section [%s]: there is no such program", name);
	if (near.best)
		return err_hint(err, "did you mean [%s]?", near.best);
	return err_hint(err, "a section is named as a program is; what is for "
			     "all of them stands above the first one");
}
