/* load.h - data sets that are no IDX files, by their names' endings, unpacked
 * once into the cache (cache.h) and mapped from there; for data.c. */
#ifndef NN_LOAD_H
#define NN_LOAD_H

#include <stdbool.h>

#include "base/err.h"
#include "nn/examples.h"

/* A set in memory; load_release() frees it. */
struct load {
	const char *kind;  /* "npy", "npz", "csv", "libsvm" */
	char *labels_path; /* the file that has the labels */
	struct examples e; /* in map where that is not NULL */
	void *map;
	size_t map_len;
};

/* Whether path's ending is one of .npy, .npz, .csv, .csv.gz, .svm, .libsvm, and
 * these with .gz. */
bool load_knows(const char *path);

/* Read the set at path. part chooses arrays of an archive; labels names the
 * column of a CSV file, or the file of labels of a .npy file (NULL: "label",
 * and the name with its x made y). Errors as of csv.h, libsvm.h, arrays.h. */
int load_open(struct load *l, const char *path, const char *part,
	      const char *labels, struct err *err) MUST_CHECK;
void load_release(struct load *l);

#endif
