/* chart.h - lines drawn in text: braille cells of 2 by 4 dots, a sparkline, or
 * SVG.
 *
 * Pure: points in, UTF-8 out. */
#ifndef BASE_CHART_H
#define BASE_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct chart_point {
	double x, y;
};

/* A line, its points by ascending x. */
struct chart_line {
	char *name; /* or NULL */
	struct chart_point *at;
	size_t n, cap;
};

struct chart_opts {
	size_t width, height; /* of the plane, in characters; SVG: of the
			       * picture, in pixels */
	const char *x_name, *y_name;
	const char *title; /* of an SVG; or NULL */
	bool log_x; /* by its logarithm; what is not above 0 is not drawn */
	bool color; /* a color a line */
};

/* Append the plane with its scales and, for several lines, a legend. Nothing
 * is drawn of points that are not finite; without any the chart says so. */
void chart_braille(struct buf *out, const struct chart_line *lines, size_t n,
		   const struct chart_opts *o);

/* Append one row a line: eight heights over o->width characters, then the
 * last value. */
void chart_spark(struct buf *out, const struct chart_line *lines, size_t n,
		 const struct chart_opts *o);

/* Append a whole SVG document: scales, a color a line (dashed where they do not
 * suffice), and for several lines a legend. */
void chart_svg(struct buf *out, const struct chart_line *lines, size_t n,
	       const struct chart_opts *o);

#endif
