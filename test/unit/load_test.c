/* load_test.c - data sets that are no IDX files: .npy, .npz, CSV, LIBSVM. */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "nn/data.h"
#include "nn/npy.h"
#include "nn/npz.h"

static void put(const char *path, const void *p, size_t len)
{
	const struct file_part part = {p, len};
	struct err err;

	CHECK(!file_replace(path, &part, 1, &err));
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static void use_cache(void)
{
	char cwd[512];

	CHECK(getcwd(cwd, sizeof(cwd)));
	strcat(cwd, "/cache");
	setenv("XDG_CACHE_HOME", cwd, 1);
}

static int files_in_cache(void)
{
	DIR *dir = opendir("cache/gfl");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return dir ? n - 2 : 0;
}

static struct data *open_set(const char *path, const char *label)
{
	const struct data_opts how = {.labels = label};
	struct data *d;
	struct err err;

	if (data_open_as(&d, path, &how, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return d;
}

/* Refused with that reason, and nothing is kept. */
static void check_refused(const char *path, const char *label, const char *why)
{
	const struct data_opts how = {.labels = label, .classes = 4};
	struct data *d;
	struct err err;

	use_cache();
	CHECK_INT(data_open_as(&d, path, &how, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
}

/* Two examples, (1, -2.5) of class 0 and (3, 4) of class 2. */
static void check_two(const char *path, const char *label, const char *kind)
{
	const uint32_t index[] = {1, 0};
	struct data *d = open_set(path, label);
	int32_t labels[2];
	float x[4];

	CHECK_STR(d->kind, kind);
	CHECK_INT(d->count, 2);
	CHECK_INT(d->classes, 3);
	CHECK(d->shape.c == 2 && d->shape.h == 1 && d->shape.w == 1);
	data_batch(d, index, 2, x, labels);
	CHECK(x[0] == 3 && x[1] == 4 && x[2] == 1 && x[3] == -2.5F);
	CHECK(labels[0] == 2 && labels[1] == 0);
	data_close(d);
}

TEST(csv_has_its_label_by_name_or_number)
{
	use_cache();
	put_text("a.csv", "x,label,\"y \"\"2\"\"\"\r\n1,0,-2.5\r\n3,2,4e0\r\n");
	check_two("a.csv", NULL, "csv");
	check_two("a.csv", "2", "csv");
	CHECK_INT(files_in_cache(), 2);
	check_two("a.csv", "2", "csv");
	CHECK_INT(files_in_cache(), 2);
	put_text("b.csv", "1,-2.5,0\n\n3,4,2");
	check_two("b.csv", "3", "csv");
}

TEST(csv_gzipped_is_read_too)
{
	const char text[] = "1,-2.5,0\n3,4,2";
	gzFile gz = gzopen("a.csv.gz", "wb");

	use_cache();
	CHECK(gzwrite(gz, text, sizeof(text) - 1) == sizeof(text) - 1);
	CHECK(gzclose(gz) == Z_OK);
	check_two("a.csv.gz", "3", "csv");
	CHECK(!truncate("a.csv.gz", 20));
	check_refused("a.csv.gz", "3", "a.csv.gz at byte");
}

TEST(csv_that_is_wrong_is_refused_with_its_line)
{
	put_text("a.csv", "a,b\n1,2\n");
	check_refused("a.csv", NULL, "a.csv line 1: no column \"label\"");
	check_refused("a.csv", "3", "no column \"3\" for the label among 2");
	check_refused("a.csv", "0", "no column \"0\"");
	check_refused("a.csv", "-1", "no column \"-1\"");
	put_text("a.csv", "a,label\n1,2\n3\n");
	check_refused("a.csv", NULL, "a.csv line 3: 1 fields, expected 2");
	put_text("a.csv", "a,label\nnan,2\n");
	check_refused("a.csv", NULL,
		      "line 2, column 1: \"nan\", expected a "
		      "finite number");
	put_text("a.csv", "a,label\n1e99,2\n");
	check_refused("a.csv", NULL, "\"1e99\", expected a finite");
	put_text("a.csv", "a,label\n1,256\n");
	check_refused("a.csv", NULL, "column 2: \"256\", expected a label");
	put_text("a.csv", "a,label\n1,0.5\n");
	check_refused("a.csv", NULL, "\"0.5\", expected a label");
	put_text("a.csv", "a,label\n1,3\n2,4\n");
	check_refused("a.csv", NULL,
		      "a.csv, example 1: label 4, expected 0 "
		      "to 3");
	put_text("a.csv", "a,label\n1,\"2\n");
	check_refused("a.csv", NULL, "ends within quotes");
	put_text("a.csv", "a,label\n1,\"2\"x\n");
	check_refused("a.csv", NULL, "line 2: ");
	put_text("a.csv", "a,label\n");
	check_refused("a.csv", NULL, "has 0 examples");
	put_text("a.csv", "");
	check_refused("a.csv", NULL, "has 0 examples");
	put_text("a.csv", "1\n2\n");
	check_refused("a.csv", "1", "of a label and values");
}

TEST(libsvm_is_read_into_rows)
{
	use_cache();
	put_text("a.svm", "# two\n0 1:1 2:-2.5\r\n\n2 1:3 2:4 # behind\n");
	check_two("a.svm", NULL, "libsvm");
	put_text("b.libsvm", "+1 3:7\n-1 1:2\n");
	{
		struct data *d = open_set("b.libsvm", NULL);
		const float want[] = {0, 0, 7, 2, 0, 0};

		CHECK(d->count == 2 && d->shape.c == 3 && d->classes == 2);
		CHECK(d->labels[0] == 1 && d->labels[1] == 0);
		CHECK(!memcmp(d->values, want, sizeof(want)));
		data_close(d);
	}
}

TEST(libsvm_that_is_wrong_is_refused_with_its_line)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"1 1:2\nx 1:2\n", "a.svm line 2: \"x 1:2\", expected a label"},
		{"1.5 1:2\n", "expected a label"},
		{"256 1:2\n", "expected a label"},
		{"1 0:2\n", "expected INDEX:VALUE"},
		{"1 2:2 2:3\n", "\"2:3\", expected INDEX:VALUE"},
		{"1 a:2\n", "expected INDEX:VALUE"},
		{"1 -1:2\n", "expected INDEX:VALUE"},
		{"1 99999999999999999999:2\n", "expected INDEX:VALUE"},
		{"1 1:\n", "expected a finite value"},
		{"1 1:inf\n", "expected a finite value"},
		{"1 1:2,3\n", "expected a finite value"},
		{"1\n0\n", "has 2 examples of 0 values"},
		{"", "has 0 examples"},
		{"-1 1:1\n2 1:1\n", "example 1: label 2 beside -1"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_text("a.svm", bad[i].text);
		check_refused("a.svm", NULL, bad[i].why);
	}
	put("a.svm", "1 1:1\0002:2\n", 10);
	check_refused("a.svm", NULL, "a.svm at byte 5: a NUL");
	/* what would not fit memory when it is not sparse */
	{
		struct buf b = BUF_INIT(0);

		for (int i = 0; i < 100; i++)
			buf_puts(&b, "1 16777216:1\n");
		put("a.svm", b.p, b.len);
		buf_release(&b);
		check_refused("a.svm", NULL, "100 examples of 16777216 values");
	}
}

/* A .npy file as numpy 1.24 writes it, but for the padding. */
static void npy_text(struct buf *b, const char *header, const void *data,
		     size_t len)
{
	buf_reset(b);
	buf_put(b, "\x93NUMPY\x01\x00", 8);
	buf_putc(b, (char)strlen(header));
	buf_putc(b, 0);
	buf_puts(b, header);
	buf_put(b, data, len);
}

static void put_npy(const char *path, const char *header, const void *data,
		    size_t len)
{
	struct buf b = BUF_INIT(0);

	npy_text(&b, header, data, len);
	put(path, b.p, b.len);
	buf_release(&b);
}

#define NPY(type, shape)                                                     \
	"{'descr': '" type "', 'fortran_order': False, 'shape': " shape ", " \
									"}\n"

TEST(npy_pairs_are_read_in_their_types)
{
	const double wide[] = {1, -2.5, 3, 4};
	const float narrow[] = {1, -2.5, 3, 4};
	const int64_t y[] = {0, 2};
	const uint8_t small[] = {0, 2}, pixels[] = {0, 51, 255, 1, 2, 3};

	use_cache();
	put_npy("x.npy", NPY("<f8", "(2, 2)"), wide, sizeof(wide));
	put_npy("y.npy", NPY("<i8", "(2,)"), y, sizeof(y));
	check_two("x.npy", NULL, "npy");
	put_npy("X_train.npy", NPY("<f4", "(2, 2)"), narrow, sizeof(narrow));
	put_npy("y_train.npy", NPY("|u1", "(2, 1)"), small, sizeof(small));
	check_two("X_train.npy", NULL, "npy");
	put_npy("values.npy", NPY("<f4", "(2, 2)"), narrow, sizeof(narrow));
	check_two("values.npy", "y.npy", "npy");
	put_npy("x.npy", NPY("|u1", "(2, 1, 3)"), pixels, sizeof(pixels));
	{
		const uint32_t first = 0;
		struct data *d = open_set("x.npy", NULL);
		int32_t label;
		float x[3];

		CHECK(d->shape.c == 1 && d->shape.h == 1 && d->shape.w == 3);
		data_batch(d, &first, 1, x, &label);
		CHECK(x[0] == 0 && x[1] == 0.2F && x[2] == 1);
		data_close(d);
	}
}

TEST(npy_that_is_wrong_is_refused_with_its_byte)
{
	static const struct {
		const char *header;
		size_t len;
		const char *why;
	} bad[] = {
		{NPY("<f4", "(2, 2)"), 15, "ends at byte"},
		{NPY("<f4", "(2, 2)"), 17, "expected 86 as its shape says"},
		{NPY(">f4", "(2, 2)"), 16, "a type such as"},
		{NPY("<c8", "(2, 1)"), 16, "a type such as"},
		{NPY("|O", "(2, 2)"), 16, "a type such as"},
		{NPY("<f4", "(2, -2)"), 16, "dimensions"},
		{NPY("<f4", "(9999999999, 9999999999)"), 16, "fit memory"},
		{NPY("<f4", "(1,1,1,1,1,1,1,1,4)"), 16, "at most 8 dimensions"},
		{NPY("<f4", "(2 2)"), 16, "a comma"},
		{NPY("<f4", "(2, 2"), 16, "dimensions"},
		{NPY("<f4", "(4,)"), 16, "1 dimensions and 4 values, expected"},
		{"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16,
		 "False (C order)"},
		{"{'descr': '<f4', 'shape': (2, 2)}", 16, "fortran_order and"},
		{"{'descr': '<f4', 'descr': '<f4'}", 16, "once each"},
		{"{'descr': '<f", 16, "a type in quotes"},
		{"", 16, "a dictionary"},
	};
	const float values[5] = {0};
	const int64_t y[] = {0, 2};

	put_npy("y.npy", NPY("<i8", "(2,)"), y, sizeof(y));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_npy("x.npy", bad[i].header, values, bad[i].len);
		check_refused("x.npy", NULL, bad[i].why);
		check_refused("x.npy", NULL, "x.npy");
	}
	put_text("x.npy", "\x93NUMPX");
	check_refused("x.npy", NULL, "x.npy ends at byte 6");
	put_text("x.npy", "0123456789");
	check_refused("x.npy", NULL, "x.npy at byte 0: expected the magic");
}

TEST(npy_whose_labels_do_not_fit_is_refused)
{
	const float values[] = {0, 1, NAN, 3};
	const int64_t y[] = {0, -2, 1};

	put_npy("x.npy", NPY("<f4", "(2, 2)"), values, sizeof(values));
	put_npy("y.npy", NPY("<i8", "(3,)"), y, sizeof(y));
	check_refused("x.npy", NULL,
		      "x.npy at byte 78: nan, expected a finite");
	put_npy("x.npy", NPY("<f4", "(2, 1)"), values, 8);
	check_refused("x.npy", NULL,
		      "y.npy: 3 labels in 1 dimensions, "
		      "expected 2 in one as x.npy has examples");
	put_npy("y.npy", NPY("<i8", "(2,)"), y, 16);
	check_refused("x.npy", NULL, "y.npy at byte 76: label -2");
	put_npy("z.npy", NPY("<f4", "(2, 1)"), values, 8);
	check_refused("z.npy", NULL, "z.npy does not begin with x");
}

/* An archive of x and y. */
static void put_npz(const char *path, const char *x, const char *y)
{
	const float values[] = {1, -2.5, 3, 4};
	const int64_t labels[] = {0, 2};
	struct npz_member m[] = {{x, {0}}, {y, {0}}};
	struct err err;

	npy_text(&m[0].bytes, NPY("<f4", "(2, 2)"), values, sizeof(values));
	npy_text(&m[1].bytes, NPY("<i8", "(2,)"), labels, sizeof(labels));
	CHECK(!npz_write(path, m, 2, &err));
	buf_release(&m[0].bytes);
	buf_release(&m[1].bytes);
}

TEST(npz_has_its_arrays_by_name)
{
	struct data *d;
	struct err err;

	use_cache();
	put_npz("a.npz", "x", "y");
	check_two("a.npz", NULL, "npz");
	put_npz("b.npz", "x_test", "y_test");
	CHECK(!data_open(&d, "b.npz", "test", 0, &err));
	CHECK_INT(d->count, 2);
	data_close(d);
	check_refused("b.npz", NULL,
		      "b.npz has neither an array \"x_train\" nor \"x\"");
}

TEST(npz_cut_or_changed_anywhere_is_refused_or_the_same)
{
	char *whole, *bad;
	struct err err;
	struct data *d;
	size_t len;
	int opened = 0;

	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	put_npz("a.npz", "x", "y");
	CHECK(!file_read(&whole, &len, "a.npz", 10000, &err));
	for (size_t at = 0; at < len; at += 3) {
		bad = mem_dup(whole, len);
		bad[at] = (char)(bad[at] ^ 0x41);
		put("b.npz", bad, len);
		free(bad);
		if (data_open(&d, "b.npz", NULL, 0, &err))
			continue;
		CHECK(d->values[1] == -2.5F && d->labels[1] == 2);
		data_close(d);
		opened++; /* a time stamp, say */
	}
	CHECK(opened < (int)len / 6);
	put("b.npz", whole, len / 2);
	CHECK_INT(data_open(&d, "b.npz", NULL, 0, &err), ERR_INVALID_ARGUMENT);
	free(whole);
}

TEST(npy_comes_back_as_encoded)
{
	const float values[] = {1, 2, 3, 4, 5, 6};
	const int64_t dim[] = {2, 3};
	struct buf b = BUF_INIT(0);
	struct npy a;
	struct err err;

	npy_encode(&b, 2, dim, values);
	CHECK_INT(b.len % 64, 24);
	CHECK(!npy_decode(&a, b.p, b.len, "f", &err));
	CHECK(a.dims == 2 && a.dim[0] == 2 && a.dim[1] == 3 && a.len == 6);
	CHECK_INT(a.at % 64, 0);
	for (size_t i = 0; i < 6; i++)
		CHECK(npy_value(&a, i) == (double)values[i]);
	buf_reset(&b);
	npy_encode(&b, 0, NULL, values);
	CHECK(!npy_decode(&a, b.p, b.len, "f", &err));
	CHECK(a.dims == 0 && a.len == 1 && npy_value(&a, 0) == 1);
	buf_release(&b);
}

TEST(cache_that_is_damaged_is_made_anew)
{
	struct dirent *entry;
	char path[512];
	DIR *dir;

	use_cache();
	put_text("b.csv", "1,-2.5,0\n3,4,2");
	check_two("b.csv", "3", "csv");
	dir = opendir("cache/gfl");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			FILE *f;

			snprintf(path, sizeof(path), "cache/gfl/%s",
				 entry->d_name);
			f = fopen(path, "r+b");
			CHECK(f && !fseek(f, 65, SEEK_SET));
			fputc(9, f); /* a label */
			fclose(f);
		}
	closedir(dir);
	check_two("b.csv", "3", "csv");
	CHECK_INT(files_in_cache(), 1);
}
