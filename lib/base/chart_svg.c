/* chart_svg.c - lines as a picture for documents and browsers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/chart_impl.h"

/* In pixels; the plane lies within the margins. */
enum { LEFT = 70, RIGHT = 20, TOP = 20, BOTTOM = 50 };
enum { LEGEND_HEIGHT = 18, TITLE_HEIGHT = 20 };

/* Of the legend: what is around its names, a letter's about, the least. */
enum { LEGEND_ROOM = 40, LETTER_WIDTH = 7, LEGEND_WIDTH = 180 };

/* Okabe and Ito's colors, which colorblind people tell apart. */
static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73",
				     "#cc79a7", "#e69f00", "#56b4e9",
				     "#000000", "#8c6d31"};

enum { COLORS = sizeof(colors) / sizeof(colors[0]) };

struct svg {
	struct buf *out;
	const struct chart_opts *o;
	struct chart_box box;
	double width, height; /* of the plane */
	double top;           /* where it begins */
};

static double left_of(const struct svg *s, double x)
{
	double span = s->box.x1 - s->box.x0;

	return LEFT + (span > 0 ? (x - s->box.x0) / span : 0.5) * s->width;
}

static double top_of(const struct svg *s, double y)
{
	double span = s->box.y1 - s->box.y0;

	return s->top + (span > 0 ? (s->box.y1 - y) / span : 0.5) * s->height;
}

static void put_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			buf_puts(out, "&lt;");
		else if (*text == '&')
			buf_puts(out, "&amp;");
		else if (*text == '"')
			buf_puts(out, "&quot;");
		else if ((unsigned char)*text >= ' ')
			buf_putc(out, *text);
	}
}

/* 1, 2 or 5 times a power of ten, so that there are about 5 in the span. */
static double step_of(double span)
{
	double raw = span / 5, power = pow(10, floor(log10(raw)));

	if (raw / power > 5)
		return 10 * power;
	return raw / power > 2   ? 5 * power
	       : raw / power > 1 ? 2 * power
				 : power;
}

static void put_label(struct svg *s, double x, double y, const char *anchor,
		      double value)
{
	buf_putf(s->out,
		 "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.4g</text>\n",
		 x, y, anchor, value);
}

static void put_rule(struct svg *s, double x0, double y0, double x1, double y1)
{
	buf_putf(s->out,
		 "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
		 "stroke=\"#ddd\"/>\n",
		 x0, y0, x1, y1);
}

static void put_x_tick(struct svg *s, double x)
{
	double at = left_of(s, x), end = s->top + s->height;

	put_rule(s, at, s->top, at, end);
	put_label(s, at, end + 16, "middle", chart_x(s->o, x));
}

static void put_ticks(struct svg *s)
{
	double span = s->box.x1 - s->box.x0;
	double step = s->o->log_x ? 1 : step_of(span > 0 ? span : 1);

	for (double x = ceil(s->box.x0 / step) * step; x <= s->box.x1 + 1e-9;
	     x += step)
		put_x_tick(s, x);
	span = s->box.y1 - s->box.y0;
	step = step_of(span > 0 ? span : 1);
	for (double y = ceil(s->box.y0 / step) * step; y <= s->box.y1 + 1e-12;
	     y += step) {
		put_rule(s, LEFT, top_of(s, y), LEFT + s->width, top_of(s, y));
		put_label(s, LEFT - 6, top_of(s, y) + 4, "end", y);
	}
}

static void put_title(struct svg *s)
{
	buf_putf(s->out, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">", LEFT,
		 TOP + 4);
	put_text(s->out, s->o->title);
	buf_puts(s->out, "</text>\n");
}

static void put_names(struct svg *s)
{
	double end = s->top + s->height;

	buf_putf(s->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
		 LEFT + s->width / 2, end + 38);
	put_text(s->out, s->o->x_name);
	buf_putf(s->out,
		 "</text>\n<text transform=\"translate(16 %.1f) rotate(-90)\" "
		 "text-anchor=\"middle\">",
		 s->top + s->height / 2);
	put_text(s->out, s->o->y_name);
	buf_puts(s->out, "</text>\n");
}

/* Where the colors are all taken, lines are dashed. */
static const char *dash_of(size_t index)
{
	static const char *const dashes[] = {"", " stroke-dasharray=\"6 3\"",
					     " stroke-dasharray=\"2 2\""};

	return dashes[index / COLORS % 3];
}

static void put_line(struct svg *s, const struct chart_line *l, size_t index)
{
	struct chart_point p;

	buf_putf(s->out,
		 "<polyline fill=\"none\" stroke-width=\"1.5\" "
		 "stroke=\"%s\"%s points=\"",
		 colors[index % COLORS], dash_of(index));
	for (size_t k = 0; k < l->n; k++)
		if (chart_point(s->o, l->at[k], &p))
			buf_putf(s->out, "%.1f,%.1f ", left_of(s, p.x),
				 top_of(s, p.y));
	buf_puts(s->out, "\"/>\n");
}

/* Names beside their colors, right of the plane. */
static void put_legend(struct svg *s, const struct chart_line *lines, size_t n)
{
	double y = s->top + LEGEND_HEIGHT;

	for (size_t i = 0; i < n && n > 1; i++, y += LEGEND_HEIGHT) {
		double x = LEFT + s->width + RIGHT;

		buf_putf(s->out,
			 "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
			 "y2=\"%.1f\" stroke-width=\"3\" stroke=\"%s\"%s/>\n"
			 "<text x=\"%.1f\" y=\"%.1f\">",
			 x, y + 2, x + 14, y + 2, colors[i % COLORS],
			 dash_of(i), x + 20, y + 6);
		put_text(s->out, lines[i].name ? lines[i].name : "");
		buf_puts(s->out, "</text>\n");
	}
}

/* As the longest name needs it, but not more than half of the picture. */
static double legend_width(const struct chart_line *lines, size_t n,
			   const struct chart_opts *o)
{
	double width = LEGEND_WIDTH;

	for (size_t i = 0; i < n; i++)
		if (lines[i].name)
			width = fmax(
				width,
				LEGEND_ROOM +
					LETTER_WIDTH *
						(double)strlen(lines[i].name));
	return n > 1 ? fmin(width, (double)o->width / 2) : 0;
}

void chart_svg(struct buf *out, const struct chart_line *lines, size_t n,
	       const struct chart_opts *o)
{
	struct svg s = {
		.out = out,
		.o = o,
		.box = chart_bounds(lines, n, o),
		.width = (double)o->width - LEFT - RIGHT -
			 legend_width(lines, n, o),
		.top = TOP + (o->title ? TITLE_HEIGHT : 0),
	};

	s.height = (double)o->height - s.top - BOTTOM;

	buf_putf(out,
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" "
		 "height=\"%zu\" font-family=\"sans-serif\" "
		 "font-size=\"12\">\n"
		 "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		 o->width, o->height);
	if (o->title)
		put_title(&s);
	put_names(&s);
	if (s.box.any) {
		put_ticks(&s);
		for (size_t i = 0; i < n; i++)
			put_line(&s, &lines[i], i);
		put_legend(&s, lines, n);
	}
	buf_puts(out, "</svg>\n");
}
