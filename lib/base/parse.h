/* parse.h - the state of reading a program's options: the rows that hold, and
 * for each the best value so far. For opt.c, flags.c and docs.c only. */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/opt.h"

/* What every program has. */
struct common {
	bool help, version, show_config;
	const char *docs;
	int quiet, verbose;
	const char *config;
	int log_level, log_format, color;
};

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
	const char *text; /* NULL: none; of pairs, all of them for a person */
	const char *from; /* "--timeout", "GFL_TIMEOUT", "./gfl.conf:3" */
	struct pairs *pairs; /* of OPT_KIND_PAIRS, if there are any */
};

/* Pairs as they are found, each with its source. */
struct pairs {
	struct opt_pairs all;
	struct {
		enum rank rank;
		const char *from;
	} at[OPT_PAIRS_MAX];
	bool full; /* there were more */
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

/* Index of the row that has this name or alias, or -1. */
int parse_row(const struct parse *p, const char *name);

/* Note a pair of a row, found at from; name is NULL if text has it. */
void parse_pair(struct parse *p, int row, enum rank rank, const char *name,
		const char *text, const char *from);

/* All pairs of a row, checked. */
int parse_pairs(const struct value *v, struct opt_pairs *out,
		struct err *err) MUST_CHECK;

/* Add "did you mean --NAME?" when a row in -h has a name near to this. */
void parse_hint(const struct parse *p, const char *name, struct err *err);

/* Is a section of a file that is not this program's one of another? */
int parse_section(const char *name, struct err *err) MUST_CHECK;

/* A usage error: print it with a hint, exit with its status. */
_Noreturn void parse_usage(const struct parse *p, struct err *err);

/* Append the rows of a table whose names are not there yet; returns how many
 * there are then. */
size_t parse_add_rows(const struct opt **rows, size_t n, const struct opt *o);

#endif
