#include "base/out.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/outcell.h"
#include "base/outfields.h"
#include "base/outtable.h"
#include "base/value.h"

enum format { TABLE, TSV, JSON, JSONL }; /* in the order of OUT_FORMATS */

struct out {
	enum format format;
	bool stream;
	struct outfields fields; /* the columns to write, in order */
	size_t rows;
	struct libscols_table *table; /* TABLE, unless a stream */
	bool fit;                     /* the table to the terminal */
	bool record;                  /* a field a line */
	bool daemon;
	struct buf line;
	int failed; /* errno of the first write that failed, or 0 */
};

bool out_color(const struct out_opts *opts)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (opts->color)
		return opts->color == 1;
	return isatty(STDOUT_FILENO) && !(no && *no) &&
	       !(term && !strcmp(term, "dumb"));
}

static enum format choose_format(const struct out_opts *opts, bool stream)
{
	int i = opts->format ? value_choice(OUT_FORMATS, opts->format) : -1;

	if (i >= 0)
		return (enum format)i;
	if (isatty(STDOUT_FILENO))
		return TABLE;
	return stream ? JSONL : TSV;
}

static bool is_number(enum out_type type)
{
	return type == OUT_INT || type == OUT_REAL;
}

static int column_flags(const struct out *o, enum out_type type)
{
	if (o->fit &&
	    (type == OUT_JSON || type == OUT_WORDS || type == OUT_SPREAD))
		return SCOLS_FL_TRUNC;
	return is_number(type) ? SCOLS_FL_RIGHT : 0;
}

static void begin_table(struct out *o, bool color)
{
	o->table = scols_new_table();
	if (!o->table)
		abort();
	scols_table_enable_colors(o->table, color);
	if (!isatty(STDOUT_FILENO))
		scols_table_set_termforce(o->table, SCOLS_TERMFORCE_NEVER);
	for (size_t i = 0; i < o->fields.n; i++) {
		const struct outfield *c = &o->fields.f[i];
		char *head = outcell_head(c->key);
		struct libscols_column *col;

		col = scols_table_new_column(o->table, head, 0,
					     column_flags(o, c->type));
		if (!col)
			abort();
		if (color)
			scols_cell_set_color(scols_column_get_header(col),
					     "bold");
		free(head);
	}
}

/* Remember the first failure; a reader that left is the end, as for any filter
 * that is no daemon, though the loop ignores the signal for the sake of sockets. */
static void check(struct out *o, bool ok)
{
	if (ok || o->failed)
		return;
	if (errno == EPIPE && o->daemon && freopen("/dev/null", "w", stdout)) {
		log_warn("output_closed", "reason=%s",
			 "whoever read it has gone");
		return;
	}
	if (errno == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	o->failed = errno ? errno : EIO;
}

static void put(struct out *o, const char *p, size_t len)
{
	check(o, fwrite(p, 1, len, stdout) == len);
}

static void flush(struct out *o)
{
	check(o, fflush(stdout) == 0);
}

/* The table of a stream cannot wait for its widest cell. */
static int stream_width(const struct outfield *c)
{
	int head = (int)strlen(c->key);
	int usual = c->type == OUT_TIME ? 24 : is_number(c->type) ? 8 : 12;

	return head > usual ? head : usual;
}

static void put_stream_row(struct out *o, const struct out_cell *cells)
{
	for (size_t i = 0; i < o->fields.n; i++) {
		const struct outfield *c = &o->fields.f[i];
		char *text = cells ? outcell_text(&cells[i], true)
				   : outcell_head(c->key);
		int width = i + 1 < o->fields.n || is_number(c->type)
				    ? stream_width(c)
				    : 0;

		buf_putf(&o->line, is_number(c->type) ? "%s%*s" : "%s%-*s",
			 i ? " " : "", width, text);
		free(text);
	}
	buf_putc(&o->line, '\n');
}

static size_t terminal_width(void)
{
	struct libscols_table *t = scols_new_table();
	size_t width = t ? scols_table_get_termwidth(t) : 80;

	scols_unref_table(t);
	return width;
}

/* Leave out columns from the last back, but for words, until a row is a line of
 * the terminal. */
static void fit_stream(struct out *o)
{
	struct outfields *fs = &o->fields;
	size_t room = terminal_width() + 1, total = 0;

	for (size_t i = 0; i < fs->n; i++)
		total += (size_t)stream_width(&fs->f[i]) + 1;
	for (size_t i = fs->n; i-- > 1 && total > room;) {
		if (fs->f[i].type == OUT_WORDS)
			continue;
		total -= (size_t)stream_width(&fs->f[i]) + 1;
		outfields_drop(fs, i);
	}
}

int out_begin(struct out **out, const struct out_opts *opts,
	      const struct out_col *cols, size_t ncols, bool stream,
	      struct err *err)
{
	struct out *o = mem_zero(1, sizeof(*o));
	int rc;

	o->format = choose_format(opts, stream);
	o->stream = stream;
	rc = outfields_choose(&o->fields, cols, ncols, opts->fields, err);
	if (rc) {
		outfields_release(&o->fields);
		free(o);
		return rc;
	}
	o->record = !opts->format && opts->record;
	o->daemon = opts->daemon;
	o->fit = !opts->format && !opts->fields && isatty(STDOUT_FILENO);
	if (o->format == TABLE && !stream)
		begin_table(o, out_color(opts));
	if (o->format == TABLE && stream && o->fit)
		fit_stream(o);
	if (o->format == JSON)
		put(o, "[", 1);
	*out = o;
	return 0;
}

static void put_table_row(struct out *o, const struct out_cell *cells)
{
	struct libscols_line *line = scols_table_new_line(o->table, NULL);

	for (size_t i = 0; line && i < o->fields.n; i++)
		if (scols_line_refer_data(line, i,
					  outcell_text(&cells[i], true)))
			abort();
}

static void put_tsv_row(struct out *o, const struct out_cell *cells)
{
	for (size_t i = 0; i < o->fields.n; i++) {
		if (i)
			buf_putc(&o->line, '\t');
		outcell_tsv(&o->line, &cells[i]);
	}
	buf_putc(&o->line, '\n');
}

static void put_json_row(struct out *o, const struct out_cell *cells)
{
	json_t *row = json_object();
	char *text;

	for (size_t i = 0; i < o->fields.n; i++)
		outcell_json(row, o->fields.f[i].key, &cells[i]);
	text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (!text)
		abort();
	if (o->format == JSON)
		buf_puts(&o->line, o->rows ? ",\n" : "\n");
	buf_puts(&o->line, text);
	if (o->format == JSONL)
		buf_putc(&o->line, '\n');
	free(text);
	json_decref(row);
}

void out_cells(struct out *o, const struct out_cell *cells, size_t n)
{
	if (n != o->fields.ncols)
		abort();
	cells = outfields_pick(&o->fields, cells);
	buf_reset(&o->line);
	if (o->table) {
		put_table_row(o, cells);
	} else if (o->format == TABLE) {
		if (!o->rows)
			put_stream_row(o, NULL);
		put_stream_row(o, cells);
	} else if (o->format == TSV) {
		put_tsv_row(o, cells);
	} else {
		put_json_row(o, cells);
	}
	o->rows++;
	put(o, o->line.p ? o->line.p : "", o->line.len);
	if (o->stream || o->format == JSONL)
		flush(o);
}

static void end_table(struct out *o)
{
	buf_reset(&o->line);
	if (o->record)
		outtable_record(o->table, &o->line);
	else if (o->fit)
		outtable_fit(o->table);
	if (o->fit && !o->rows)
		outtable_heads(o->table, &o->line);
	else if (!o->record && o->rows)
		check(o, scols_print_table(o->table) == 0);
	if (o->line.len)
		put(o, o->line.p, o->line.len);
	scols_unref_table(o->table);
}

/* A descriptor that nobody opened for us is not our bug. */
static int cannot_write(int number, struct err *err)
{
	err_errno(err, number, "write standard output");
	if (err && number == EBADF)
		err->code = ERR_RESOURCE_EXHAUSTED;
	return err ? (int)err->code : ERR_RESOURCE_EXHAUSTED;
}

int out_flush(struct out *o, struct err *err)
{
	struct out bare = {0};

	o = o ? o : &bare;
	check(o, !ferror(stdout));
	flush(o);
	return o->failed ? cannot_write(o->failed, err) : 0;
}

static int fields_were_there(const struct out *o, struct err *err)
{
	struct err unused;

	return outfields_check(&o->fields, err ? err : &unused);
}

int out_end(struct out *o, struct err *err)
{
	int failed, rc;

	if (o->table)
		end_table(o);
	if (o->format == JSON)
		put(o, o->rows ? "\n]\n" : "]\n", o->rows ? 3 : 2);
	flush(o);
	failed = o->failed;
	rc = failed ? cannot_write(failed, err) : fields_were_there(o, err);
	buf_release(&o->line);
	outfields_release(&o->fields);
	free(o);
	return rc;
}

int out_close(const struct prog *prog)
{
	struct out o = {0};
	struct err err;

	errno = 0;
	check(&o, !ferror(stdout));
	flush(&o);
	if (!o.failed)
		check(&o, !fclose(stdout));
	if (!o.failed)
		return 0;
	cannot_write(o.failed, &err);
	return err_report(prog, &err);
}
