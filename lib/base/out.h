/* out.h - records on stdout: a table for people, TSV for pipes, JSON.
 *
 *	static const struct out_col cols[] = {
 *		{"id", OUT_INT}, {"addr", OUT_TEXT}, {"seen", OUT_TIME},
 *	};
 *	if (out_begin(&o, &cfg->out, cols, 3, false, err))
 *		return (int)err->code;
 *	out_row(o, out_int(7), out_text("a:1"), out_time(ms));
 *	return out_end(o, err);
 *
 * A terminal gets a table with a header, without the last columns if it is too
 * narrow (-o table and -F show all); a pipe gets TSV without a header: nothing
 * cut, tab, newline and backslash as \t \n \\. A reader that goes away ends the
 * process by SIGPIPE, as it would any filter, but not a daemon. */
#ifndef BASE_OUT_H
#define BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

/* What -o and -F and --color say; all zero is automatic. */
struct out_opts {
	const char *format; /* NULL: by what stdout is */
	const char *fields; /* "a,b", or NULL for all */
	int color;          /* index into OUT_COLORS */
	/* no options: */
	bool record; /* a terminal gets a field a line */
	bool daemon; /* goes on, with a warning in its log, without a reader */
};

#define OUT_COLORS "auto|always|never"
#define OUT_FORMATS "table|tsv|json|jsonl"

/* formats: OUT_FORMATS, or with more that the program writes itself. */
#define OPT_OUT(T, m, formats)                                             \
	OPT_WORD('o', "format", T, m.format, "FORMAT", formats, NULL,      \
		 "what is written"),                                       \
		OPT_STRING('F', "fields", T, m.fields, "FIELD[,FIELD...]", \
			   NULL, "write these columns, in this order"),    \
		OPT_CHOICE(0, "color", T, m.color, OUT_COLORS, "auto",     \
			   "color the table's header")

enum out_type {
	OUT_INT,
	OUT_REAL,
	OUT_TEXT,
	OUT_BOOL,  /* true, false */
	OUT_TIME,  /* ms since the epoch; written as RFC 3339 UTC */
	OUT_BYTES, /* any bytes; in JSON, KEY_b64 when they are not UTF-8 */
	OUT_JSON,  /* text that is JSON already, put into JSON as it is */
	OUT_WORDS, /* of a column only: text that a narrow terminal may cut */
	OUT_SPREAD, /* a JSON object; in JSON its members stand in the row itself,
		       but for those whose names are taken */
};

/* A column: its key, with the unit (rtt_s, size_bytes), also names it in -F
 * and, in capitals, heads it in a table. */
struct out_col {
	const char *key;
	enum out_type type;
};

/* A cell, made by the functions below; they borrow what they are given until
 * the row is written. */
struct out_cell {
	enum out_type type;
	bool none; /* empty, null in JSON */
	int64_t i;
	double r;
	const char *p;
	size_t len;
};

struct out_cell out_none(void);
struct out_cell out_int(int64_t v);
struct out_cell out_real(double v); /* NaN and infinity are none */
struct out_cell out_bool(bool v);
struct out_cell out_time(int64_t wall_ms); /* 0 is none */
struct out_cell out_text(const char *s);   /* NULL is none */
struct out_cell out_bytes(const void *p, size_t len);
struct out_cell out_json(const char *json);     /* NULL is none */
struct out_cell out_spread(const char *object); /* NULL is none */

struct out;

/* Start a list of records, or a stream of them: a stream writes every record
 * at once, and is jsonl in a pipe. cols must outlive *out. -F with a name that
 * is no column is INVALID_ARGUMENT and lists the columns; where one of them is
 * OUT_SPREAD the name may be a member's, and out_end() fails so if no row had
 * it. */
int out_begin(struct out **out, const struct out_opts *opts,
	      const struct out_col *cols, size_t ncols, bool stream,
	      struct err *err) MUST_CHECK;

/* One record; there are as many cells as columns. */
#define out_row(o, ...)                                            \
	out_cells((o), (const struct out_cell[]){__VA_ARGS__},     \
		  sizeof((const struct out_cell[]){__VA_ARGS__}) / \
			  sizeof(struct out_cell))
void out_cells(struct out *o, const struct out_cell *cells, size_t n);

/* Write out what was put to stdout, by o (may be NULL) or directly: 0 means that
 * its reader can have it. */
int out_flush(struct out *o, struct err *err) MUST_CHECK;

/* Write what is left and free; a failure of any write shows here. */
int out_end(struct out *o, struct err *err) MUST_CHECK;

/* May escape sequences be written to stdout? --color, else a terminal and no
 * NO_COLOR. */
bool out_color(const struct out_opts *opts);

/* The last thing a program does: flush stdout. Reports a full disk or the like
 * on stderr; returns the exit status. */
int out_close(const struct prog *prog);

#endif
