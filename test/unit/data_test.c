#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "nn/data.h"
#include "nn/eval.h"
#include "nn/index.h"

#define IMAGES "t-images-idx3-ubyte"
#define LABELS "t-labels-idx1-ubyte"

/* Three images of 2 x 2, and their labels. */
static const unsigned char images[] = {0, 0,   8, 3,   0, 0, 0,  3, 0, 0,
				       0, 2,   0, 0,   0, 2, 0,  1, 2, 3,
				       4, 255, 6, 128, 8, 9, 10, 11};
static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 2};

static void put(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "wb");

	CHECK(f);
	CHECK(fwrite(p, 1, len, f) == len);
	CHECK(!fclose(f));
}

static void put_gz(const char *path, const void *p, unsigned len)
{
	gzFile gz = gzopen(path, "wb");

	CHECK(gz);
	CHECK(gzwrite(gz, p, len) == (int)len);
	CHECK(gzclose(gz) == Z_OK);
}

static void check_data(const char *path, const char *part)
{
	const uint32_t index[] = {2, 1};
	int32_t label[2];
	struct data *d;
	struct err err;
	float x[8];

	if (data_open(&d, path, part, 10, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK_INT(d->count, 3);
	CHECK_INT(d->classes, 10);
	CHECK(d->shape.c == 1 && d->shape.h == 2 && d->shape.w == 2);
	data_batch(d, index, 2, x, label);
	CHECK_INT(label[0], 2);
	CHECK_INT(label[1], 0);
	CHECK(x[0] == 8.F / 255 && x[5] == 1 && x[7] == 128.F / 255);
	data_close(d);
}

static void check_refused(const char *path, int code, const char *why)
{
	struct data *d;
	struct err err;

	CHECK_INT(data_open(&d, path, "train", 3, &err), code);
	CHECK_HAS(err.msg, why);
}

static int files_in(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2;
}

static void use_cache(void)
{
	char cwd[512];

	CHECK(getcwd(cwd, sizeof(cwd)));
	strcat(cwd, "/cache");
	setenv("XDG_CACHE_HOME", cwd, 1);
}

TEST(data_from_plain_files_is_mapped_in_place)
{
	use_cache();
	put(IMAGES, images, sizeof(images));
	put(LABELS, labels, sizeof(labels));
	check_data(IMAGES, NULL);
	check_data("./" IMAGES, NULL);
	CHECK(access("cache", F_OK)); /* nothing to unpack, nothing kept */
}

/* 150 values: two vector blocks and a rest. */
TEST(data_batch_is_bytes_over_255)
{
	unsigned char file[16 + 150] = {0, 0, 8, 3,  0, 0, 0, 1,
					0, 0, 0, 10, 0, 0, 0, 15};
	const unsigned char one[] = {0, 0, 8, 1, 0, 0, 0, 1, 7};
	const uint32_t index = 0;
	int32_t label;
	struct data *d;
	struct err err;
	float x[150];

	for (int i = 0; i < 150; i++)
		file[16 + i] = (unsigned char)(i * 101);
	put(IMAGES, file, sizeof(file));
	put(LABELS, one, sizeof(one));
	CHECK(!data_open(&d, IMAGES, NULL, 0, &err));
	CHECK_INT(d->classes, 8);
	data_batch(d, &index, 1, x, &label);
	CHECK_INT(label, 7);
	for (int i = 0; i < 150; i++)
		CHECK(x[i] == (float)file[16 + i] / 255);
	data_close(d);
}

TEST(data_from_gzipped_files_is_unpacked_once)
{
	use_cache();
	put_gz(IMAGES ".gz", images, sizeof(images));
	put_gz(LABELS ".gz", labels, sizeof(labels));
	check_data(IMAGES ".gz", NULL);
	CHECK_INT(files_in("cache/gfl"), 2);
	check_data(IMAGES ".gz", NULL);
	CHECK_INT(files_in("cache/gfl"), 2);
}

TEST(data_without_a_cache_is_unpacked_into_memory)
{
	put("cache", "", 0); /* a file where the folder would be */
	use_cache();
	put_gz(IMAGES ".gz", images, sizeof(images));
	put_gz(LABELS ".gz", labels, sizeof(labels));
	check_data(IMAGES ".gz", NULL);
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	check_data(IMAGES ".gz", NULL);
}

TEST(data_in_a_damaged_cache_is_unpacked_anew)
{
	struct dirent *entry;
	char path[512];
	DIR *dir;

	use_cache();
	put_gz(IMAGES ".gz", images, sizeof(images));
	put_gz(LABELS ".gz", labels, sizeof(labels));
	check_data(IMAGES ".gz", NULL);
	dir = opendir("cache/gfl");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "cache/gfl/%s",
				 entry->d_name);
			CHECK(!truncate(path, 5));
		}
	closedir(dir);
	check_data(IMAGES ".gz", NULL);
	CHECK_INT(files_in("cache/gfl"), 2);
}

TEST(data_opened_by_many_processes_at_once_is_whole)
{
	use_cache();
	put_gz(IMAGES ".gz", images, sizeof(images));
	put_gz(LABELS ".gz", labels, sizeof(labels));
	for (int i = 0; i < 8; i++)
		if (!fork()) {
			check_data(IMAGES ".gz", NULL);
			_exit(0);
		}
	for (int i = 0, status; i < 8; i++) {
		CHECK(wait(&status) > 0);
		CHECK_INT(status, 0);
	}
	CHECK_INT(files_in("cache/gfl"), 2);
}

TEST(data_in_a_folder_is_found_by_its_part)
{
	struct data *d;
	struct err err;

	use_cache();
	CHECK(!mkdir("set", 0700));
	put_gz("set/train-images-idx3-ubyte.gz", images, sizeof(images));
	put("set/train-labels-idx1-ubyte", labels, sizeof(labels));
	check_data("set", "train");
	check_data("set", NULL);
	CHECK_INT(data_open(&d, "set", "test", 0, &err), ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "set/t10k-images-idx3-ubyte.gz: No such file");
	CHECK_INT(data_open(&d, "set", "all", 0, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "no part \"all\"");
}

TEST(data_that_is_missing_or_nameless_is_refused)
{
	check_refused("nowhere", ERR_NOT_FOUND, "open nowhere: No such file");
	put("pictures", images, sizeof(images));
	check_refused("pictures", ERR_INVALID_ARGUMENT,
		      "pictures has no \"images-idx3\" in its name");
	put(IMAGES, images, sizeof(images));
	check_refused(IMAGES, ERR_NOT_FOUND, "open " LABELS);
}

/* Every shortened form is refused, and every wrong byte of the head. */
TEST(data_cut_short_is_refused_at_every_length)
{
	put(LABELS, labels, sizeof(labels));
	for (size_t len = 0; len < sizeof(images); len++) {
		put(IMAGES, images, len);
		check_refused(IMAGES, ERR_INVALID_ARGUMENT,
			      IMAGES " ends at byte");
	}
}

TEST(data_with_a_wrong_head_is_refused)
{
	unsigned char bad[sizeof(images) + 1] = {0};

	put(LABELS, labels, sizeof(labels));
	memcpy(bad, images, sizeof(images));
	put(IMAGES, bad, sizeof(bad));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      IMAGES " has 29 bytes, expected 28");
	bad[2] = 0x0d;
	put(IMAGES, bad, sizeof(images));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      "at byte 0: magic 00000d03, expected 000008");
	bad[2] = 8;
	bad[3] = 5;
	put(IMAGES, bad, sizeof(images));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT, "magic 00000805");
	bad[3] = 3;
	memset(bad + 4, 0xff, 8);
	put(IMAGES, bad, sizeof(images));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      "at byte 8: dimension 4294967295");
	memset(bad + 4, 0, 8);
	put(IMAGES, bad, sizeof(images));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT, "at byte 4: dimension 0");
}

TEST(data_whose_files_disagree_is_refused)
{
	unsigned char bad[sizeof(labels)];

	put(IMAGES, images, sizeof(images));
	memcpy(bad, labels, sizeof(labels));
	bad[7] = 2;
	put(LABELS, bad, sizeof(labels) - 1);
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      LABELS " at byte 4: 2 labels, expected 3 as " IMAGES
			     " has images");
	bad[7] = 3;
	bad[9] = 3;
	put(LABELS, bad, sizeof(labels));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      LABELS " at byte 9: label 3, expected 0 to 2");
	put(LABELS, images, sizeof(images));
	check_refused(IMAGES, ERR_INVALID_ARGUMENT,
		      LABELS " at byte 3: 3 dimensions, expected 1");
}

/* A gzip stream cut or changed anywhere is refused, and leaves no cache. */
TEST(data_gzipped_and_damaged_is_refused_and_not_kept)
{
	char *gz, *bad;
	struct err err;
	size_t len;

	use_cache();
	put(LABELS, labels, sizeof(labels));
	put_gz(IMAGES ".gz", images, sizeof(images));
	CHECK(!file_read(&gz, &len, IMAGES ".gz", 1000, &err));
	bad = malloc(len + 1);
	for (size_t cut = 2; cut < len; cut++) {
		put(IMAGES ".gz", gz, cut);
		check_refused(IMAGES ".gz", ERR_INVALID_ARGUMENT, IMAGES ".gz");
	}
	for (size_t at = 10; at < len; at++) {
		memcpy(bad, gz, len);
		bad[at] = (char)(bad[at] ^ 0x55);
		put(IMAGES ".gz", bad, len);
		check_refused(IMAGES ".gz", ERR_INVALID_ARGUMENT, IMAGES ".gz");
	}
	CHECK_INT(files_in("cache/gfl"), 0);
	free(gz);
	free(bad);
}

TEST(data_gzipped_with_more_than_its_head_says_is_refused)
{
	unsigned char bad[sizeof(images) + 1] = {0};

	use_cache();
	memcpy(bad, images, sizeof(images));
	put(LABELS, labels, sizeof(labels));
	put_gz(IMAGES ".gz", bad, sizeof(bad));
	check_refused(IMAGES ".gz", ERR_INVALID_ARGUMENT,
		      "at byte 28 of what it unpacks to: more data");
	put_gz(IMAGES ".gz", bad, 20);
	check_refused(IMAGES ".gz", ERR_INVALID_ARGUMENT,
		      "ends at byte 20 of what it unpacks to, expected 28");
}

TEST(data_that_does_not_fit_a_model_is_refused)
{
	struct model *m;
	struct data *d;
	struct err err;

	put(IMAGES, images, sizeof(images));
	put(LABELS, labels, sizeof(labels));
	CHECK(!data_open(&d, IMAGES, NULL, 0, &err));
	CHECK_INT(d->classes, 3);
	CHECK(!model_open(&m, "mlp", &err));
	CHECK_INT(eval_fits(m, d, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "examples of 4 values");
	model_free(m);
	CHECK(!model_open(&m, "input 4; dense 2", &err));
	CHECK_INT(eval_fits(m, d, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, LABELS " at byte 10: label 2, expected 0 to 1");
	model_free(m);
	data_close(d);
}

TEST(eval_scores_all_or_a_subset)
{
	/* logits = bias: every example is taken for class 1 */
	const float params[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0};
	const uint32_t index[] = {0, 0, 2};
	struct net_score score;
	struct model *m;
	struct net *net;
	struct data *d;
	struct err err;

	put(IMAGES, images, sizeof(images));
	put(LABELS, labels, sizeof(labels));
	CHECK(!data_open(&d, IMAGES, NULL, 3, &err));
	CHECK(!model_open(&m, "input 4; dense 3", &err));
	CHECK(!net_open(&net, m, "ref", &err));
	CHECK(!eval_fits(m, d, &err));
	CHECK(!eval_run(net, params, d, NULL, 0, &score, &err));
	CHECK(score.n == 3 && score.correct == 1);
	CHECK_NEAR(score.loss, 10 + 3 * log1p(2 * exp(-5)), 1e-6);
	CHECK(!eval_run(net, params, d, index, 3, &score, &err));
	CHECK(score.n == 3 && score.correct == 2);
	net_close(net);
	model_free(m);
	data_close(d);
}

TEST(index_comes_back_as_written)
{
	const uint32_t i[] = {5, 0, 9};
	struct index ix;
	struct err err;

	CHECK(!index_write("part", i, 3, 10, &err));
	CHECK(!index_read(&ix, "part", 10, &err));
	CHECK(ix.n == 3 && !memcmp(ix.i, i, sizeof(i)));
	index_release(&ix);
	put("part", " 7 # mine\r\n\n# note\n3", 20);
	CHECK(!index_read(&ix, "part", 8, &err));
	CHECK(ix.n == 2 && ix.i[0] == 7 && ix.i[1] == 3);
	index_release(&ix);
}

static void check_index_refused(const char *text, const char *why)
{
	struct index ix;
	struct err err;

	put("part", text, strlen(text));
	CHECK_INT(index_read(&ix, "part", 10, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, why);
}

TEST(index_that_is_wrong_is_refused_with_its_line)
{
	struct index ix;
	struct err err;

	check_index_refused("", "part has no index");
	check_index_refused("1\n10\n", "line 2: \"10\", expected a number from "
				       "0 to 9");
	check_index_refused("1\n-1\n", "line 2: \"-1\"");
	check_index_refused("99999999999999999999\n", "line 1");
	check_index_refused("1 2\n", "line 1: \"1 2\"");
	check_index_refused("# gfl-index of=11 count=1\n1\n",
			    "made for 11 examples, but the data set has 10");
	check_index_refused("# gfl-index of=10 count=3\n1\n2\n",
			    "has 2 indices, expected 3");
	put("part", "1\0002\n", 4);
	CHECK_INT(index_read(&ix, "part", 10, &err), ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "byte 1: a NUL");
	CHECK_INT(index_read(&ix, "none", 10, &err), ERR_NOT_FOUND);
}
