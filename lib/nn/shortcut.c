#include "nn/shortcut.h"

static int ceil_div(int a, int b)
{
	return (a + b - 1) / b;
}

int shortcut_stride(const struct shape *from, const struct shape *to)
{
	const int s = ceil_div(from->h, to->h);

	if (from->c > to->c || ceil_div(from->h, s) != to->h ||
	    ceil_div(from->w, s) != to->w)
		return 0;
	return s;
}

/* Rows of one channel: call with each pair of an output and its input. */
static size_t input_at(const struct shape *from, const struct shape *to,
		       size_t channel, int y)
{
	const int s = shortcut_stride(from, to);

	return (channel * (size_t)from->h + (size_t)(y * s)) * (size_t)from->w;
}

static size_t output_at(const struct shape *from, const struct shape *to,
			size_t example, int c, int y)
{
	const size_t low = (size_t)(to->c - from->c) / 2;

	return ((example * (size_t)to->c + low + (size_t)c) * (size_t)to->h +
		(size_t)y) *
	       (size_t)to->w;
}

void shortcut_add(float *to, const float *from, const struct shape *to_shape,
		  const struct shape *from_shape, int n)
{
	const int channels = from_shape->c;
	const int s = shortcut_stride(from_shape, to_shape);

	for (int i = 0; i < n * channels; i++)
		for (int y = 0; y < to_shape->h; y++) {
			const float *in = from + input_at(from_shape, to_shape,
							  (size_t)i, y);
			float *out = to + output_at(from_shape, to_shape,
						    (size_t)(i / channels),
						    i % channels, y);

			for (int x = 0; x < to_shape->w; x++)
				out[x] += in[x * s];
		}
}

void shortcut_back(float *from, const float *to, const struct shape *from_shape,
		   const struct shape *to_shape, int n)
{
	const int channels = from_shape->c;
	const int s = shortcut_stride(from_shape, to_shape);

	for (int i = 0; i < n * channels; i++)
		for (int y = 0; y < to_shape->h; y++) {
			float *in = from + input_at(from_shape, to_shape,
						    (size_t)i, y);
			const float *out =
				to + output_at(from_shape, to_shape,
					       (size_t)(i / channels),
					       i % channels, y);

			for (int x = 0; x < to_shape->w; x++)
				in[x * s] += out[x];
		}
}
