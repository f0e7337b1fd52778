/* gfl-data - look at a labelled data set, and divide it among trainers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "nn/data.h"
#include "nn/index.h"
#include "nn/partition.h"

enum command { INFO, SPLIT };

/* Columns of split before those of the classes. */
enum { SPLIT_COLS = 3, CLASSES_MAX = 256, KEY_LEN = 16 };

struct config {
	struct out_opts out;
	int command;
	const char *data, *part, *label;
	int classes;
	const char *index; /* info */
	int parts;         /* split, from here on */
	const char *by, *dir;
	int64_t seed;
};

static const struct opt opts[] = {
	OPT_FILE(0, "data", struct config, data, NULL,
		 "file (IDX, .npy, .npz, .csv, .svm; also gzipped), or folder "
		 "with MNIST's names",
		 .required = true),
	OPT_WORD(0, "part", struct config, part, "PART", "train|test", "train",
		 "which set of a folder"),
	OPT_STRING(0, "label", struct config, label, "NAME", NULL,
		   "column of labels of a .csv (name, or number from 1), or "
		   "file of labels of a .npy"),
	OPT_INT(0, "classes", struct config, classes, "N", "10", 0, CLASSES_MAX,
		"refuse labels from this on; 0 takes whatever comes"),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_END};

static const struct opt info_opts[] = {
	OPT_FILE(0, "index", struct config, index, NULL,
		 "only the examples of this index file"),
	OPT_END};

static const struct opt split_opts[] = {
	OPT_INT('n', "parts", struct config, parts, "N", NULL, 1,
		PARTITION_PARTS_MAX, "how many parts", .required = true),
	OPT_STRING(0, "by", struct config, by, "HOW", "iid",
		   "iid, dirichlet:ALPHA, shards:K or lognormal:SIGMA"),
	OPT_INT64(0, "seed", struct config, seed, "N", "1", 0, INT64_MAX,
		  "the same seed divides the same way"),
	OPT_FILE(0, "out", struct config, dir, NULL,
		 "folder for part-1.idx, part-2.idx, ...", .required = true),
	OPT_END};

static const struct opt_cmd cmds[] = {
	[INFO] = {"info", "", "kind, size and labels of a data set", info_opts},
	[SPLIT] = {"split", "", "divide a data set into index files",
		   split_opts},
	{0}};

static const struct prog prog = {
	.name = "gfl-data",
	.brief = "look at a data set, and divide it among trainers",
	.about = "info prints one line: the number of examples, their shape, "
		 "the classes and how many examples each has. split writes "
		 "index files, part-1.idx and so on, that give each example to "
		 "one part, and prints a line for each: its number, its file, "
		 "its examples, and how many of each class (c0, c1, ...). An "
		 "index file is text, a number from 0 a line.\n\n"
		 "Ways to divide: iid, evenly by chance; dirichlet:ALPHA, each "
		 "class in random shares that are the more unequal the smaller "
		 "ALPHA is; shards:K, sorted by label and cut, K pieces to "
		 "each; lognormal:SIGMA, by chance, in sizes whose logarithms "
		 "have that deviation.\n\n"
		 "A set is IDX as MNIST's (images-idx3 in its name, "
		 "labels-idx1 beside it), two .npy files (x.npy and y.npy), "
		 "one .npz with x and y or x_train and so on, CSV, or LIBSVM; "
		 "all but plain IDX is unpacked once into the folder gfl of "
		 "$XDG_CACHE_HOME. No network.",
	.example = "gfl-data info --data /usr/share/datasets/fashion-mnist\n"
		   "gfl-data split --data train-images-idx3-ubyte.gz --parts 4 "
		   "--by dirichlet:0.5 --out parts",
	.opts = opts,
	.cmds = cmds,
	.command_at = offsetof(struct config, command),
};

/* "[6000,5999]" */
static char *json_of(const size_t *counts, int n)
{
	struct buf b = BUF_INIT(0);

	buf_putc(&b, '[');
	for (int c = 0; c < n; c++)
		buf_putf(&b, "%s%zu", c ? "," : "", counts[c]);
	buf_putc(&b, ']');
	return buf_take(&b);
}

static int print_info(const struct config *cfg, const struct data *d,
		      const struct index *ix, struct err *err)
{
	static const struct out_col cols[] = {
		{"file", OUT_TEXT},    {"kind", OUT_TEXT},
		{"examples", OUT_INT}, {"shape", OUT_TEXT},
		{"classes", OUT_INT},  {"labels", OUT_JSON},
	};
	size_t counts[CLASSES_MAX];
	char shape[64];
	struct out *o;
	char *labels;

	if (out_begin(&o, &cfg->out, cols, 6, false, err))
		return (int)err->code;
	data_histogram(d, ix->i, ix->n, counts);
	labels = json_of(counts, d->classes);
	snprintf(shape, sizeof(shape), "%dx%dx%d", d->shape.c, d->shape.h,
		 d->shape.w);
	out_row(o, out_text(d->images_path), out_text(d->kind),
		out_int((int64_t)(ix->i ? ix->n : d->count)), out_text(shape),
		out_int(d->classes), out_json(labels));
	free(labels);
	return out_end(o, err);
}

static int run_info(const struct config *cfg, const struct data *d,
		    struct err *err)
{
	struct index ix = {0};
	int rc = 0;

	if (cfg->index)
		rc = index_read(&ix, cfg->index, d->count, err);
	if (!rc)
		rc = print_info(cfg, d, &ix, err);
	index_release(&ix);
	return rc;
}

/* What each part has: index[start[k]..start[k + 1]-1] is part k's. */
struct parts {
	uint32_t *index;
	size_t *start;
};

static void gather(struct parts *p, const uint32_t *part_of, size_t n,
		   int parts)
{
	size_t *to = mem_zero((size_t)parts, sizeof(*to));

	p->index = mem_zero(n, sizeof(*p->index));
	p->start = mem_zero((size_t)parts + 1, sizeof(*p->start));
	for (size_t i = 0; i < n; i++)
		p->start[part_of[i] + 1]++;
	for (int k = 0; k < parts; k++) {
		p->start[k + 1] += p->start[k];
		to[k] = p->start[k];
	}
	for (size_t i = 0; i < n; i++)
		p->index[to[part_of[i]]++] = (uint32_t)i;
	free(to);
}

static int begin_split(struct out **o, const struct config *cfg,
		       const struct data *d, struct err *err)
{
	static char keys[CLASSES_MAX][KEY_LEN];
	static struct out_col cols[SPLIT_COLS + CLASSES_MAX] = {
		{"part", OUT_INT}, {"file", OUT_TEXT}, {"examples", OUT_INT}};

	for (int c = 0; c < d->classes; c++) {
		snprintf(keys[c], KEY_LEN, "c%d", c);
		cols[SPLIT_COLS + c] = (struct out_col){keys[c], OUT_INT};
	}
	return out_begin(o, &cfg->out, cols, SPLIT_COLS + (size_t)d->classes,
			 false, err);
}

/* Write part k's file and its line. */
static int put_part(struct out *o, const struct config *cfg,
		    const struct data *d, const struct parts *p, int k,
		    struct err *err)
{
	const uint32_t *index = p->index + p->start[k];
	const size_t n = p->start[k + 1] - p->start[k];
	char *path = mem_fmt("%s/part-%d.idx", cfg->dir, k + 1);
	struct out_cell cells[SPLIT_COLS + CLASSES_MAX];
	size_t counts[CLASSES_MAX];
	int rc;

	data_histogram(d, index, n, counts);
	cells[0] = out_int(k + 1);
	cells[1] = out_text(path);
	cells[2] = out_int((int64_t)n);
	for (int c = 0; c < d->classes; c++)
		cells[SPLIT_COLS + c] = out_int((int64_t)counts[c]);
	rc = index_write(path, index, n, d->count, err);
	if (!rc)
		out_cells(o, cells, SPLIT_COLS + (size_t)d->classes);
	free(path);
	return rc;
}

static int put_parts(const struct config *cfg, const struct data *d,
		     const struct parts *p, struct err *err)
{
	struct out *o;
	int rc = 0;

	if (mkdir(cfg->dir, 0777) && errno != EEXIST)
		return err_sys(err, "make folder %s", cfg->dir);
	if (begin_split(&o, cfg, d, err))
		return (int)err->code;
	for (int k = 0; k < cfg->parts && !rc; k++)
		rc = put_part(o, cfg, d, p, k, err);
	if (out_end(o, rc ? NULL : err))
		return (int)err->code;
	return rc;
}

static int run_split(const struct config *cfg, const struct data *d,
		     struct err *err)
{
	const struct partition_labels labels = {d->labels, d->count,
						d->classes};
	struct partition how;
	struct parts p = {0};
	uint32_t *part_of;
	int rc;

	if (partition_parse(&how, cfg->by, err))
		return (int)err->code;
	part_of = mem_zero(d->count, sizeof(*part_of));
	rc = partition_make(&how, &labels, cfg->parts, (uint64_t)cfg->seed,
			    part_of, err);
	if (!rc) {
		gather(&p, part_of, d->count, cfg->parts);
		rc = put_parts(cfg, d, &p, err);
	}
	free(part_of);
	free(p.index);
	free(p.start);
	return rc;
}

static int run(const struct config *cfg, struct err *err)
{
	const struct data_opts how = {cfg->part, cfg->classes, cfg->label};
	struct data *d;
	int rc;

	if (data_open_as(&d, cfg->data, &how, err))
		return (int)err->code;
	rc = cfg->command == INFO ? run_info(cfg, d, err)
				  : run_split(cfg, d, err);
	data_close(d);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
