/* chart_impl.h - what the kinds of charts share. */
#ifndef BASE_CHART_IMPL_H
#define BASE_CHART_IMPL_H

#include "base/chart.h"

/* What all points lie in; x as it is drawn. */
struct chart_box {
	double x0, x1, y0, y1;
	bool any;
};

/* A point as it is drawn: its x by the scale. False if it is not finite. */
bool chart_point(const struct chart_opts *o, struct chart_point p,
		 struct chart_point *out);
struct chart_box chart_bounds(const struct chart_line *lines, size_t n,
			      const struct chart_opts *o);

/* The x that is drawn at v. */
double chart_x(const struct chart_opts *o, double v);

#endif
