/* data.h - a labelled data set, read-only, shared with other processes.
 *
 * Images are bytes; a batch has them as float32 in 0..1 (x / 255, no mean, no
 * deviation), as PyTorch's ToTensor() gives them. */
#ifndef NN_DATA_H
#define NN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/idx.h"
#include "nn/layer.h"

struct data {
	size_t count; /* examples */
	struct shape shape;
	int classes;
	const uint8_t *pixels; /* count times the shape */
	const uint8_t *labels; /* count, each below classes */
	char *images_path, *labels_path;
	struct idx images_idx, labels_idx;
};

/* Open a data set. path is either a file of images, whose labels lie beside it
 * ("images-idx3" in its name becomes "labels-idx1"), or a folder with the files
 * of MNIST's names, of which part ("train" or "test") chooses one set; part is
 * of no meaning with a file. classes is how many there may be, a label beyond
 * is INVALID_ARGUMENT; 0 takes one more than the highest label. data_close()
 * frees *out. What does not exist is NOT_FOUND. */
int data_open(struct data **out, const char *path, const char *part,
	      int classes, struct err *err) MUST_CHECK;
void data_close(struct data *d);

/* Examples index[0..n-1] (all below count) as floats, one after another, and
 * their labels. */
void data_batch(const struct data *d, const uint32_t *index, int n, float *x,
		int32_t *labels);

/* How many examples of each class are among index[0..n-1], or in all where
 * index is NULL; counts has d->classes places. */
void data_histogram(const struct data *d, const uint32_t *index, size_t n,
		    size_t *counts);

#endif
