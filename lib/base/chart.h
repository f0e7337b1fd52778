/* chart.h - lines drawn in text: braille cells of 2 by 4 dots, or a sparkline.
 *
 * Pure: points in, UTF-8 out. */
#ifndef BASE_CHART_H
#define BASE_CHART_H

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
	size_t width, height;	    /* of the plane, in characters */
	const char *x_name, *y_name;
	bool color;		    /* a color a line */
};

/* Append the plane with its scales and, for several lines, a legend. Nothing
 * is drawn of points that are not finite; without any the chart says so. */
void chart_braille(struct buf *out, const struct chart_line *lines, size_t n,
		   const struct chart_opts *o);

/* Append one row a line: eight heights over o->width characters, then the
 * last value. */
void chart_spark(struct buf *out, const struct chart_line *lines, size_t n,
		 const struct chart_opts *o);

#endif
