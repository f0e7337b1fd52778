#include "nn/data.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "nn/vector.h"

enum { CACHE_LINE = 64, AHEAD = 2 };

/* MNIST's names of the two sets. */
static const struct part {
	const char *name, *prefix;
} parts[] = {{"train", "train"}, {"test", "t10k"}};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* A file in a folder, gzipped or not. */
static char *plain_or_gz(char *plain)
{
	char *gz;

	if (!access(plain, F_OK))
		return plain;
	gz = mem_fmt("%s.gz", plain);
	free(plain);
	return gz;
}

static int name_in_folder(struct data *d, const char *folder, const char *part,
			  struct err *err)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(parts[i].name, part ? part : "train"))
			continue;
		d->images_path = plain_or_gz(mem_fmt("%s/%s-images-idx3-ubyte",
						     folder, parts[i].prefix));
		d->labels_path = plain_or_gz(mem_fmt("%s/%s-labels-idx1-ubyte",
						     folder, parts[i].prefix));
		return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "no part \"%s\" of a data set, expected train or test",
		       part);
}

static int name_beside(struct data *d, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *in = strstr(slash ? slash : path, "images-idx");
	const char *rest = in ? in + strlen("images-idx") : NULL;
	char *labels;

	if (!in || *rest < '1' || *rest > '4') {
		err_set(err, ERR_INVALID_ARGUMENT,
			"%s has no \"images-idx3\" in its name, so its labels "
			"cannot be found",
			path);
		return err_hint(err, "other sets end with .csv, .svm or "
				     ".libsvm (also gzipped), .npz or .npy");
	}
	d->images_path = mem_str(path);
	labels = mem_fmt("%.*slabels-idx1%s", (int)(in - path), path, rest + 1);
	if (access(labels, F_OK) && ends_with(labels, ".gz"))
		labels[strlen(labels) - 3] = '\0';
	d->labels_path = plain_or_gz(labels);
	return 0;
}

static int find_files(struct data *d, const char *path, const char *part,
		      struct err *err)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(err, "open %s", path);
	return S_ISDIR(st.st_mode) ? name_in_folder(d, path, part, err)
				   : name_beside(d, path, err);
}

/* The shape of one image: dimensions after the first, from the right. */
static struct shape shape_of(const struct idx *idx)
{
	struct shape s = {1, 1, 1};

	if (idx->dims == 2)
		s.c = (int)idx->dim[1];
	if (idx->dims >= 3) {
		s.h = (int)idx->dim[idx->dims - 2];
		s.w = (int)idx->dim[idx->dims - 1];
	}
	if (idx->dims == 4)
		s.c = (int)idx->dim[1];
	return s;
}

char *data_label_place(const struct data *d, size_t i)
{
	if (d->labels_idx.p)
		return mem_fmt("%s at byte %zu", d->labels_path,
			       d->labels_idx.at + i);
	return mem_fmt("%s, example %zu", d->labels_path, i);
}

static int label_beyond(const struct data *d, size_t i, int classes,
			struct err *err)
{
	char *place = data_label_place(d, i);
	int rc;

	rc = err_set(err, ERR_INVALID_ARGUMENT,
		     "%s: label %d, expected 0 to %d", place, d->labels[i],
		     classes - 1);
	free(place);
	return rc;
}

static int check_labels(struct data *d, int classes, struct err *err)
{
	for (size_t i = 0; i < d->count; i++) {
		if (classes && d->labels[i] >= classes)
			return label_beyond(d, i, classes, err);
		if (d->labels[i] >= d->classes)
			d->classes = d->labels[i] + 1;
	}
	if (classes)
		d->classes = classes;
	return 0;
}

static int join(struct data *d, int classes, struct err *err)
{
	if (d->images_idx.dims < 2)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 3: 1 dimension, expected 2 to 4 "
			       "(images)",
			       d->images_path);
	if (d->labels_idx.dims != 1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 3: %d dimensions, expected 1 "
			       "(labels)",
			       d->labels_path, d->labels_idx.dims);
	if (d->labels_idx.dim[0] != d->images_idx.dim[0])
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 4: %u labels, expected %u as %s has "
			       "images",
			       d->labels_path, d->labels_idx.dim[0],
			       d->images_idx.dim[0], d->images_path);
	d->count = d->images_idx.dim[0];
	d->shape = shape_of(&d->images_idx);
	d->pixels = d->images_idx.p;
	d->labels = d->labels_idx.p;
	d->kind = "idx";
	return check_labels(d, classes, err);
}

static int open_idx(struct data *d, const char *path,
		    const struct data_opts *how, struct err *err)
{
	if (find_files(d, path, how->part, err) ||
	    idx_open(&d->images_idx, d->images_path, err) ||
	    idx_open(&d->labels_idx, d->labels_path, err))
		return (int)err->code;
	return join(d, how->classes, err);
}

static int open_other(struct data *d, const char *path,
		      const struct data_opts *how, struct err *err)
{
	const struct examples *e = &d->load.e;

	if (load_open(&d->load, path, how->part, how->labels, err))
		return (int)err->code;
	d->kind = d->load.kind;
	d->images_path = mem_str(path);
	d->labels_path = mem_str(d->load.labels_path);
	d->count = e->count;
	d->shape = e->shape;
	d->pixels = e->pixels;
	d->values = e->values;
	d->labels = e->labels;
	return check_labels(d, how->classes, err);
}

int data_open_as(struct data **out, const char *path,
		 const struct data_opts *how, struct err *err)
{
	struct data *d = mem_zero(1, sizeof(*d));
	int rc = load_knows(path) ? open_other(d, path, how, err)
				  : open_idx(d, path, how, err);

	if (rc) {
		data_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

int data_open(struct data **out, const char *path, const char *part,
	      int classes, struct err *err)
{
	const struct data_opts how = {.part = part, .classes = classes};

	return data_open_as(out, path, &how, err);
}

void data_close(struct data *d)
{
	if (!d)
		return;
	idx_close(&d->images_idx);
	idx_close(&d->labels_idx);
	load_release(&d->load);
	free(d->images_path);
	free(d->labels_path);
	free(d);
}

static inline __attribute__((always_inline)) void
scale(float *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (float)from[i] / 255;
}

VECTOR static void scale_all(float *to, const uint8_t *from, size_t n)
{
	size_t i = 0;

	for (; i + VECTOR_BLOCK <= n; i += VECTOR_BLOCK)
		scale(to + i, from + i, VECTOR_BLOCK);
	scale(to + i, from + i, n - i);
}

/* Examples lie anywhere in the file: ask for the next ones in time. */
static void prefetch(const void *at, size_t len)
{
	const char *p = at;

	for (size_t i = 0; i < len; i += CACHE_LINE)
		__builtin_prefetch(p + i);
}

static void batch_of_values(const struct data *d, const uint32_t *index, int n,
			    float *x)
{
	const size_t len = shape_len(&d->shape), size = len * sizeof(*x);

	for (int i = 0; i < n; i++) {
		if (i + AHEAD < n)
			prefetch(d->values + index[i + AHEAD] * len, size);
		memcpy(x + (size_t)i * len, d->values + index[i] * len, size);
	}
}

void data_batch(const struct data *d, const uint32_t *index, int n, float *x,
		int32_t *labels)
{
	const size_t len = shape_len(&d->shape);

	for (int i = 0; i < n; i++)
		labels[i] = d->labels[index[i]];
	if (d->values) {
		batch_of_values(d, index, n, x);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (i + AHEAD < n)
			prefetch(d->pixels + index[i + AHEAD] * len, len);
		scale_all(x + (size_t)i * len, d->pixels + index[i] * len, len);
	}
}

void data_histogram(const struct data *d, const uint32_t *index, size_t n,
		    size_t *counts)
{
	memset(counts, 0, (size_t)d->classes * sizeof(*counts));
	for (size_t i = 0; i < (index ? n : d->count); i++)
		counts[d->labels[index ? index[i] : i]]++;
}
