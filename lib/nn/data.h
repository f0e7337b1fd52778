/* data.h - a labelled data set, read-only, shared with other processes: IDX
 * files as MNIST's, .npy, .npz, CSV or LIBSVM (load.h).
 *
 * Examples are bytes or floats. A batch has bytes as float32 in 0..1 (x / 255,
 * no mean, no deviation), as PyTorch's ToTensor() gives them, and floats as
 * they are; a model that wants another scale begins with batch
 * normalisation. */
#ifndef NN_DATA_H
#define NN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nn/idx.h"
#include "nn/layer.h"
#include "nn/load.h"

struct data {
	size_t count; /* examples */
	struct shape shape;
	int classes;
	const char *kind;      /* "idx", "npy", "npz", "csv", "libsvm" */
	const uint8_t *pixels; /* count times the shape, or */
	const float *values;   /* these; the other is NULL */
	const uint8_t *labels; /* count, each below classes */
	char *images_path, *labels_path;
	struct idx images_idx, labels_idx;
	struct load load;
};

/* How to open a set; zero is the usual. */
struct data_opts {
	const char *part;   /* "train" (NULL too) or "test", of a folder or an
			       archive */
	int classes;        /* how many there may be; 0: whatever comes */
	const char *labels; /* a CSV file's column of labels, or a .npy file's
			       file of them; NULL: as load.h finds them */
};

/* Open a data set. path is a file of images, whose labels lie beside it
 * ("images-idx3" in its name becomes "labels-idx1"), a file whose ending load.h
 * knows, or a folder with the files of MNIST's names, of which part chooses one
 * set. A label beyond the classes is INVALID_ARGUMENT; without a number of them
 * it is one more than the highest label. data_close() frees *out. What does not
 * exist is NOT_FOUND. */
int data_open_as(struct data **out, const char *path,
		 const struct data_opts *how, struct err *err) MUST_CHECK;
/* The same with labels where they usually are. */
int data_open(struct data **out, const char *path, const char *part,
	      int classes, struct err *err) MUST_CHECK;
void data_close(struct data *d);

/* Where label i is, for messages: "FILE at byte 12" or "FILE, example 4". The
 * caller frees it. */
char *data_label_place(const struct data *d, size_t i);

/* Examples index[0..n-1] (all below count) as floats, one after another, and
 * their labels. */
void data_batch(const struct data *d, const uint32_t *index, int n, float *x,
		int32_t *labels);

/* How many examples of each class are among index[0..n-1], or in all where
 * index is NULL; counts has d->classes places. */
void data_histogram(const struct data *d, const uint32_t *index, size_t n,
		    size_t *counts);

#endif
