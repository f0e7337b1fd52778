#include "base/chart_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { COLORS = 6, LABEL = 9 };

bool chart_point(const struct chart_opts *o, struct chart_point p,
		 struct chart_point *out)
{
	*out = (struct chart_point){o->log_x ? log10(p.x) : p.x, p.y};
	return isfinite(out->x) && isfinite(out->y);
}

double chart_x(const struct chart_opts *o, double v)
{
	return o->log_x ? pow(10, v) : v;
}

static void widen(struct chart_box *b, struct chart_point p)
{
	b->x0 = b->any ? fmin(b->x0, p.x) : p.x;
	b->x1 = b->any ? fmax(b->x1, p.x) : p.x;
	b->y0 = b->any ? fmin(b->y0, p.y) : p.y;
	b->y1 = b->any ? fmax(b->y1, p.y) : p.y;
	b->any = true;
}

struct chart_box chart_bounds(const struct chart_line *lines, size_t n,
			      const struct chart_opts *o)
{
	struct chart_box b = {0};
	struct chart_point p;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < lines[i].n; k++)
			if (chart_point(o, lines[i].at[k], &p))
				widen(&b, p);
	return b;
}

/* A value's place among n dots between low and high. */
static int place(double v, double low, double high, size_t n)
{
	if (!(high > low))
		return (int)(n / 2);
	return (int)lround((v - low) / (high - low) * (double)(n - 1));
}

/* Cells by row and column; dots as braille numbers them, and who was last. */
struct plane {
	size_t width, height;
	unsigned char *dots, *owner;
};

static void dot(struct plane *p, int x, int y, size_t line)
{
	static const unsigned char bits[4][2] = {
		{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
	size_t cell;

	y = (int)p->height * 4 - 1 - y;
	cell = (size_t)(y / 4) * p->width + (size_t)(x / 2);
	p->dots[cell] |= bits[y % 4][x % 2];
	p->owner[cell] = (unsigned char)(1 + line % COLORS);
}

/* Bresenham's line between two dots. */
static void stroke(struct plane *p, int x0, int y0, int x1, int y1, size_t line)
{
	int dx = abs(x1 - x0), dy = -abs(y1 - y0), err = dx + dy;
	int sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1;

	for (;;) {
		int twice = 2 * err;

		dot(p, x0, y0, line);
		if (x0 == x1 && y0 == y1)
			return;
		if (twice >= dy) {
			err += dy;
			x0 += sx;
		}
		if (twice <= dx) {
			err += dx;
			y0 += sy;
		}
	}
}

static void draw(struct plane *p, const struct chart_line *l, size_t index,
		 const struct chart_box *b, const struct chart_opts *o)
{
	struct chart_point at;
	int x0 = -1, y0 = -1;

	for (size_t k = 0; k < l->n; k++) {
		int x, y;

		if (!chart_point(o, l->at[k], &at))
			continue;
		x = place(at.x, b->x0, b->x1, p->width * 2);
		y = place(at.y, b->y0, b->y1, p->height * 4);
		stroke(p, x0 < 0 ? x : x0, x0 < 0 ? y : y0, x, y, index);
		x0 = x;
		y0 = y;
	}
}

static void put_rune(struct buf *out, unsigned rune)
{
	buf_putc(out, (char)(0xe0 | rune >> 12));
	buf_putc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
	buf_putc(out, (char)(0x80 | (rune & 0x3f)));
}

static void put_cell(struct buf *out, const struct plane *p, size_t cell,
		     bool color)
{
	if (!p->dots[cell]) {
		buf_putc(out, ' ');
		return;
	}
	if (color)
		buf_putf(out, "\033[3%dm", p->owner[cell]);
	put_rune(out, 0x2800u + p->dots[cell]);
	if (color)
		buf_puts(out, "\033[m");
}

static void put_rows(struct buf *out, const struct plane *p,
		     const struct chart_box *b, const struct chart_opts *o)
{
	for (size_t row = 0; row < p->height; row++) {
		size_t end = p->width;

		if (row == 0)
			buf_putf(out, "%*.4g ", LABEL - 1, b->y1);
		else if (row == p->height - 1)
			buf_putf(out, "%*.4g ", LABEL - 1, b->y0);
		else
			buf_putf(out, "%*s", LABEL, "");
		buf_puts(out, "│");
		while (end && !p->dots[row * p->width + end - 1])
			end--;
		for (size_t i = 0; i < end; i++)
			put_cell(out, p, row * p->width + i, o->color);
		buf_putc(out, '\n');
	}
}

static void put_axis(struct buf *out, const struct chart_box *b,
		     const struct chart_opts *o)
{
	char low[32], high[32];
	int room;

	buf_putf(out, "%*s└", LABEL, "");
	for (size_t i = 0; i < o->width; i++)
		buf_puts(out, "─");
	snprintf(low, sizeof(low), "%.6g", chart_x(o, b->x0));
	snprintf(high, sizeof(high), "%.6g", chart_x(o, b->x1));
	room = (int)(o->width - strlen(low) - strlen(high));
	buf_putf(out, "\n%*s%s%*s%s\n", LABEL + 1, "", low, room > 0 ? room : 1,
		 "", high);
	buf_putf(out, "%*s%s over %s\n", LABEL + 1, "", o->y_name, o->x_name);
}

static void put_legend(struct buf *out, const struct chart_line *lines,
		       size_t n, const struct chart_opts *o)
{
	if (n < 2)
		return;
	buf_putf(out, "%*s", LABEL + 1, "");
	for (size_t i = 0; i < n; i++) {
		if (o->color)
			buf_putf(out, "\033[3%dm", (int)(1 + i % COLORS));
		buf_putf(out, "%s%s", i ? "  " : "",
			 lines[i].name ? lines[i].name : "");
		if (o->color)
			buf_puts(out, "\033[m");
	}
	buf_putc(out, '\n');
}

void chart_braille(struct buf *out, const struct chart_line *lines, size_t n,
		   const struct chart_opts *o)
{
	struct chart_box b = chart_bounds(lines, n, o);
	struct plane p = {.width = o->width, .height = o->height};

	if (!b.any) {
		buf_puts(out, "nothing to draw\n");
		return;
	}
	p.dots = mem_zero(p.width * p.height, 1);
	p.owner = mem_zero(p.width * p.height, 1);
	for (size_t i = 0; i < n; i++)
		draw(&p, &lines[i], i, &b, o);
	put_rows(out, &p, &b, o);
	put_axis(out, &b, o);
	put_legend(out, lines, n, o);
	free(p.dots);
	free(p.owner);
}

/* The mean of the points of l in the column; NaN if there are none. */
static double column_mean(const struct chart_line *l, const struct chart_box *b,
			  size_t column, const struct chart_opts *o)
{
	struct chart_point at;
	double sum = 0;
	int n = 0;

	for (size_t k = 0; k < l->n; k++) {
		if (!chart_point(o, l->at[k], &at) ||
		    place(at.x, b->x0, b->x1, o->width) != (int)column)
			continue;
		sum += at.y;
		n++;
	}
	return n ? sum / n : NAN;
}

void chart_spark(struct buf *out, const struct chart_line *lines, size_t n,
		 const struct chart_opts *o)
{
	struct chart_box b = chart_bounds(lines, n, o);

	for (size_t i = 0; i < n; i++) {
		double last = NAN;

		for (size_t c = 0; c < o->width; c++) {
			double v = column_mean(&lines[i], &b, c, o);

			if (isfinite(v)) {
				put_rune(out,
					 0x2581u + (unsigned)place(v, b.y0,
								   b.y1, 8));
				last = v;
			}
		}
		if (isfinite(last))
			buf_putf(out, " %.4g", last);
		if (lines[i].name)
			buf_putf(out, "  %s", lines[i].name);
		buf_putc(out, '\n');
	}
}
