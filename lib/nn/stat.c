#include "nn/stat.h"

#include <math.h>
#include <string.h>

bool stat_of(const struct tensor *t, struct stat_values *out)
{
	const float *v = tensor_f32(t);
	double min = INFINITY, max = -INFINITY, sum = 0, squares = 0;

	if (!v || !t->len)
		return false;
	for (size_t i = 0; i < t->len; i++) {
		min = fmin(min, (double)v[i]);
		max = fmax(max, (double)v[i]);
		sum += (double)v[i];
		squares += (double)v[i] * (double)v[i];
	}
	*out = (struct stat_values){min, max, sum / (double)t->len,
				    sqrt(squares)};
	return true;
}

bool stat_differ(const struct tensor *a, const struct tensor *b,
		 struct stat_distance *out)
{
	const float *x = tensor_f32(a), *y = tensor_f32(b);
	double max = 0, squares = 0;

	for (size_t i = 0; x && i < a->len; i++) {
		double d = (double)x[i] - (double)y[i];

		max = fmax(max, fabs(d));
		squares += d * d;
	}
	*out = (struct stat_distance){max, sqrt(squares)};
	return memcmp(a->data, b->data, a->size) != 0;
}
