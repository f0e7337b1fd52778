/* gfl-plot - draw numbers from JSON Lines, in the terminal or as SVG. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>

#include "base/chart.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"

enum { LINES_MAX = 64, POINTS_MAX = 10000000 };

struct config {
	const char *x, *y, *by, *format, *title;
	int64_t width, height;
	int color;
	bool log_x;
};

static const struct opt opts[] = {
	OPT_STRING('x', "x", struct config, x, "KEY", NULL,
		   "what goes right; the record's number without it"),
	OPT_STRING('y', "y", struct config, y, "KEY", "accuracy",
		   "what goes up"),
	OPT_STRING(0, "by", struct config, by, "KEY", NULL,
		   "a line for each value of this key"),
	OPT_WORD('o', "format", struct config, format, "FORMAT",
		 "braille|spark|svg", "braille",
		 "drawn on a terminal, or written as a file of SVG"),
	OPT_BOOL(0, "log-x", struct config, log_x,
		 "by the logarithm of what goes right"),
	OPT_STRING(0, "title", struct config, title, "TEXT", NULL,
		   "what an SVG file says above the plane"),
	OPT_INT64(0, "width", struct config, width, "N", "0", 0, 10000,
		  "columns of the chart, pixels of SVG; 0: as fits"),
	OPT_INT64(0, "height", struct config, height, "N", "0", 0, 10000,
		  "rows of the chart, pixels of SVG; 0: as fits"),
	OPT_CHOICE(0, "color", struct config, color, OUT_COLORS, "auto",
		   "color the lines"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-plot",
	.args = "[FILE]...",
	.brief = "draw numbers from JSON Lines, in the terminal or as SVG",
	.about = "Reads records from the FILEs or standard input and draws one "
		 "line per value of --by. Records without --y, or with null "
		 "there, are passed over.",
	.example = "gfl-run show --history -o jsonl | "
		   "gfl-plot --x round --y accuracy --by trainer\n"
		   "gfl-sim -o jsonl | gfl-plot --x seconds -o svg >sim.svg",
	.opts = opts,
};

struct plot {
	const struct config *cfg;
	struct chart_line lines[LINES_MAX];
	size_t nlines, npoints;
	long long records;
};

static char *text_of(const json_t *v)
{
	if (json_is_string(v))
		return mem_str(json_string_value(v));
	if (!v || json_is_null(v))
		return mem_str("");
	return json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* The line for this record, or NULL past the bound. */
static struct chart_line *line_of(struct plot *p, const json_t *record)
{
	char *name = p->cfg->by ? text_of(json_object_get(record, p->cfg->by))
				: mem_str("");

	for (size_t i = 0; i < p->nlines; i++) {
		if (!strcmp(p->lines[i].name, name)) {
			free(name);
			return &p->lines[i];
		}
	}
	if (p->nlines == LINES_MAX) {
		free(name);
		return NULL;
	}
	p->lines[p->nlines].name = name;
	return &p->lines[p->nlines++];
}

static int add_point(struct plot *p, const json_t *record, struct err *err)
{
	const json_t *y = json_object_get(record, p->cfg->y);
	const json_t *x = p->cfg->x ? json_object_get(record, p->cfg->x) : NULL;
	struct chart_line *l;

	p->records++;
	if (!json_is_number(y) || (p->cfg->x && !json_is_number(x)))
		return 0;
	l = line_of(p, record);
	if (!l)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "more than %d values of %s", LINES_MAX,
			       p->cfg->by);
	if (p->npoints++ == POINTS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "more than %d points",
			       POINTS_MAX);
	l->at = mem_grow(l->at, &l->cap, l->n + 1, sizeof(*l->at));
	l->at[l->n++] = (struct chart_point){x ? json_number_value(x)
					       : (double)p->records,
					     json_number_value(y)};
	return 0;
}

static int read_stream(struct plot *p, FILE *f, const char *name,
		       struct err *err)
{
	size_t cap = 0, number = 0;
	char *line = NULL;
	int rc = 0;

	while (!rc && getline(&line, &cap, f) > 0) {
		json_error_t why;
		json_t *record;

		number++;
		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		record = json_loads(line, JSON_REJECT_DUPLICATES, &why);
		if (!json_is_object(record))
			rc = err_set(err, ERR_INVALID_ARGUMENT,
				     "%s line %zu is not a JSON object%s%s",
				     name, number, record ? "" : ": ",
				     record ? "" : why.text);
		else
			rc = add_point(p, record, err);
		json_decref(record);
	}
	if (!rc && ferror(f))
		rc = err_sys(err, "read %s", name);
	free(line);
	return rc;
}

static int read_file(struct plot *p, const char *path, struct err *err)
{
	FILE *f;
	int rc;

	if (!strcmp(path, "-"))
		return read_stream(p, stdin, "standard input", err);
	f = fopen(path, "re");
	if (!f)
		return err_sys(err, "open %s", path);
	rc = read_stream(p, f, path, err);
	fclose(f);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct chart_line *x = a, *y = b;

	return strverscmp(x->name, y->name);
}

static int by_x(const void *a, const void *b)
{
	const struct chart_point *p = a, *q = b;

	return (p->x > q->x) - (p->x < q->x);
}

enum { SVG_WIDTH = 800, SVG_HEIGHT = 480, LEAST = 2, SVG_LEAST = 300 };

static size_t width_of(const struct config *cfg, bool svg)
{
	struct winsize size;

	if (cfg->width)
		return (size_t)cfg->width;
	if (svg)
		return SVG_WIDTH;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col > 30)
		return size.ws_col - 12u;
	return 68;
}

static size_t height_of(const struct config *cfg, bool svg)
{
	if (cfg->height)
		return (size_t)cfg->height;
	return svg ? SVG_HEIGHT : 14;
}

static int check_size(const struct config *cfg, struct err *err)
{
	bool svg = !strcmp(cfg->format, "svg");
	size_t least = svg ? SVG_LEAST : LEAST;

	if (width_of(cfg, svg) < least || height_of(cfg, svg) < least)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a chart of fewer than %zu by %zu shows nothing",
			       least, least);
	return 0;
}

/* A number says little without the key that it is of. */
static void label(struct plot *p)
{
	for (size_t i = 0; i < p->nlines && p->cfg->by; i++) {
		char *name;

		if (!strchr("-0123456789", p->lines[i].name[0]))
			continue;
		name = mem_fmt("%s %s", p->cfg->by, p->lines[i].name);
		free(p->lines[i].name);
		p->lines[i].name = name;
	}
}

static void print(struct plot *p)
{
	const struct out_opts color = {.color = p->cfg->color};
	bool svg = !strcmp(p->cfg->format, "svg");
	struct chart_opts o = {
		.width = width_of(p->cfg, svg),
		.height = height_of(p->cfg, svg),
		.log_x = p->cfg->log_x,
		.x_name = p->cfg->x ? p->cfg->x : "record",
		.y_name = p->cfg->y,
		.title = p->cfg->title,
		.color = out_color(&color),
	};
	struct buf text = BUF_INIT(0);

	qsort(p->lines, p->nlines, sizeof(p->lines[0]), by_name);
	label(p);
	for (size_t i = 0; i < p->nlines; i++)
		qsort(p->lines[i].at, p->lines[i].n, sizeof(*p->lines[i].at),
		      by_x);
	if (svg)
		chart_svg(&text, p->lines, p->nlines, &o);
	else if (!strcmp(p->cfg->format, "spark"))
		chart_spark(&text, p->lines, p->nlines, &o);
	else
		chart_braille(&text, p->lines, p->nlines, &o);
	fwrite(text.p, 1, text.len, stdout);
	buf_release(&text);
}

static int no_points(const struct plot *p, struct err *err)
{
	const struct config *cfg = p->cfg;

	if (!p->records)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the input is empty: no record to draw");
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "no record has a number in %s%s%s (%lld read)", cfg->y,
		       cfg->x ? " and in " : "", cfg->x ? cfg->x : "",
		       p->records);
}

static int run(const struct config *cfg, int n, char **paths, struct err *err)
{
	struct plot p = {.cfg = cfg};
	int rc = check_size(cfg, err);

	if (!rc && !n)
		rc = read_file(&p, "-", err);
	for (int i = 0; i < n && !rc; i++)
		rc = read_file(&p, paths[i], err);
	if (!rc && !p.npoints)
		rc = no_points(&p, err);
	if (!rc)
		print(&p);
	for (size_t i = 0; i < p.nlines; i++) {
		free(p.lines[i].name);
		free(p.lines[i].at);
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, argc - rest, argv + rest, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
