/* tensors.h - named tensors with a map of texts, as safetensors files.
 *
 * A file is a u64 length, little-endian, a JSON header of that length, and the
 * data. Reading checks all of it: the header's length (at most 100 MB), every
 * name (once), type, shape and offset; no hole, no overlap, no byte left. */
#ifndef NN_TENSORS_H
#define NN_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	TENSOR_DIMS = 8,
	TENSORS_MAX = 65536,
	TENSOR_SHAPE_TEXT = TENSOR_DIMS * 21, /* bytes */
};

struct tensor {
	char *name;
	char type[8]; /* "F32", as the file has it */
	int dims;
	int64_t dim[TENSOR_DIMS];
	size_t len;  /* values */
	size_t size; /* bytes */
	void *data;
};

struct tensors_meta {
	char *key, *value;
};

/* Zero is empty. All in it is its own. */
struct tensors {
	struct tensor *t; /* in the order of their data */
	size_t n, cap;
	struct tensors_meta *meta;
	size_t n_meta, cap_meta;
};

void tensors_release(struct tensors *ts);

/* Add a copy of a float32 tensor; the name is new. */
void tensors_add(struct tensors *ts, const char *name, int dims,
		 const int64_t *dim, const float *values);

/* Add a copy of a tensor of any type; its name is new. */
void tensors_copy(struct tensors *ts, const struct tensor *t);

/* The tensor of that name, or NULL. */
const struct tensor *tensors_find(const struct tensors *ts, const char *name);

/* The values of a float32 tensor, NULL of any other type. */
const float *tensor_f32(const struct tensor *t);

/* Give ts, called what in messages, the names of like, one after another.
 * INVALID_ARGUMENT unless there are as many, each alike. */
int tensors_name_as(struct tensors *ts, const struct tensors *like,
		    const char *what, struct err *err) MUST_CHECK;

/* True if type, dimensions and sizes are the same. */
bool tensor_alike(const struct tensor *a, const struct tensor *b);

/* "128x784"; a scalar is "". Returns text. */
const char *tensor_shape_text(const struct tensor *t,
			      char text[TENSOR_SHAPE_TEXT]);

/* Set or replace a text of the map; get it, or NULL. */
void tensors_set(struct tensors *ts, const char *key, const char *value);
const char *tensors_get(const struct tensors *ts, const char *key);

/* Write the bytes of a file to b, which has no limit. */
void tensors_encode(const struct tensors *ts, struct buf *b);

/* Understand a file's bytes, called what in messages. On success *ts is filled
 * in and released by tensors_release(); malformed is INVALID_ARGUMENT. */
int tensors_decode(struct tensors *ts, const void *p, size_t len,
		   const char *what, struct err *err) MUST_CHECK;

/* The same with a file; writing replaces it as one step (file.h). */
int tensors_read(struct tensors *ts, const char *path,
		 struct err *err) MUST_CHECK;
int tensors_write(const struct tensors *ts, const char *path,
		  struct err *err) MUST_CHECK;

#endif
