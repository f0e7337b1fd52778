#include "nn/load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "nn/arrays.h"
#include "nn/cache.h"
#include "nn/csv.h"
#include "nn/libsvm.h"

/* How it is to be read. */
struct request {
	const char *path, *part, *labels;
	const char *labels_path;
};

static int read_npy(struct examples *e, const struct request *r,
		    struct err *err)
{
	return arrays_read(e, r->path, r->labels_path, err);
}

static int read_npz(struct examples *e, const struct request *r,
		    struct err *err)
{
	return arrays_read_npz(e, r->path, r->part, err);
}

static int read_csv(struct examples *e, const struct request *r,
		    struct err *err)
{
	return csv_read(e, r->path, r->labels, err);
}

static int read_libsvm(struct examples *e, const struct request *r,
		       struct err *err)
{
	return libsvm_read(e, r->path, err);
}

static const struct format {
	const char *ending, *kind;
	int (*read)(struct examples *e, const struct request *r,
		    struct err *err);
} formats[] = {
	{".npy", "npy", read_npy},
	{".npz", "npz", read_npz},
	{".csv", "csv", read_csv},
	{".csv.gz", "csv", read_csv},
	{".svm", "libsvm", read_libsvm},
	{".svm.gz", "libsvm", read_libsvm},
	{".libsvm", "libsvm", read_libsvm},
	{".libsvm.gz", "libsvm", read_libsvm},
};

static const struct format *format_of(const char *path)
{
	const size_t len = strlen(path);

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		const size_t end = strlen(formats[i].ending);

		if (len > end && !strcmp(path + len - end, formats[i].ending))
			return &formats[i];
	}
	return NULL;
}

bool load_knows(const char *path)
{
	return format_of(path) != NULL;
}

/* "x_train.npy" has its labels in "y_train.npy". */
static int labels_beside(struct load *l, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	if (*name != 'x' && *name != 'X') {
		err_set(err, ERR_INVALID_ARGUMENT,
			"%s does not begin with x, so its labels cannot be "
			"found",
			path);
		return err_hint(err, "name their file with --label");
	}
	l->labels_path = mem_str(path);
	l->labels_path[name - path] = 'y';
	return 0;
}

static int find_labels(struct load *l, const struct format *f,
		       const struct request *r, struct err *err)
{
	if (strcmp(f->kind, "npy"))
		l->labels_path = mem_str(r->path);
	else if (r->labels)
		l->labels_path = mem_str(r->labels);
	else
		return labels_beside(l, r->path, err);
	return 0;
}

/* All that the result depends on, but the file itself. */
static char *salt_of(const struct request *r, const struct stat *labels)
{
	return mem_fmt("%s\n%s\n%lld\n%lld.%09ld", r->part ? r->part : "",
		       r->labels ? r->labels : "", (long long)labels->st_size,
		       (long long)labels->st_mtim.tv_sec,
		       labels->st_mtim.tv_nsec);
}

static bool open_cached(struct load *l, const char *cache)
{
	l->map = cache ? cache_map(cache, &l->map_len) : NULL;
	if (l->map && examples_in_map(&l->e, l->map, l->map_len))
		return true;
	if (l->map)
		munmap(l->map, l->map_len);
	l->map = NULL;
	return false;
}

/* Put what was read into the cache and map it from there; where that fails the
 * private copy serves. */
static void keep(struct load *l, const char *cache)
{
	struct examples own = l->e;
	struct err err;

	if (!cache || examples_save(&own, cache, &err))
		return;
	if (open_cached(l, cache))
		examples_release(&own);
	else
		l->e = own;
}

int load_open(struct load *l, const char *path, const char *part,
	      const char *labels, struct err *err)
{
	const struct format *f = format_of(path);
	struct request r = {.path = path, .part = part, .labels = labels};
	struct stat st, labels_st;
	char *salt, *cache;
	int rc = 0;

	*l = (struct load){.kind = f->kind};
	if (find_labels(l, f, &r, err))
		return (int)err->code;
	r.labels_path = l->labels_path;
	if (stat(path, &st))
		return err_sys(err, "open %s", path);
	if (stat(l->labels_path, &labels_st))
		return err_sys(err, "open %s", l->labels_path);
	salt = salt_of(&r, &labels_st);
	cache = cache_path(path, &st, salt);
	if (!open_cached(l, cache)) {
		rc = f->read(&l->e, &r, err);
		if (!rc)
			keep(l, cache);
	}
	free(salt);
	free(cache);
	return rc;
}

void load_release(struct load *l)
{
	if (l->map)
		munmap(l->map, l->map_len);
	else
		examples_release(&l->e);
	free(l->labels_path);
	*l = (struct load){0};
}
