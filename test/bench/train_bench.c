/* train_bench.c - images a second that one thread trains: data to batch,
 * forward, backward, step. Prints records, of images per CPU-second.
 *
 *	train_bench DATA SECONDS
 *	train_bench DATA accuracy    what models come to on the test set after
 *	                             five epochs, the mean of three runs (of
 *	                             cnn one)
 *	train_bench DATA start       what the process has cost after one step of
 *	                             cnn
 *	train_bench DATA together    images a second by the clock, of as many
 *	                             processes as cores and of four times as
 *	                             many, for three seconds
 *
 * DATA: a folder, as gfl-data's --data. torch_train.py prints the same for
 * PyTorch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "nn/data.h"
#include "nn/eval.h"
#include "nn/index.h"
#include "nn/model.h"
#include "nn/net.h"
#include "nn/optim.h"
#include "nn/sampler.h"

enum { SEEDS = 3 };

/* With the mean and deviation of all pixels taken out first, as torchvision's
 * Normalize does with numbers that are known before. */
static const char normalised[] = "batchnorm; dense 128; relu; dense 10";

struct trainer {
	struct model *model;
	struct net *net;
	struct sampler sampler;
	float *params, *velocity, *grads, *x;
	int32_t *labels;
};

static int trainer_init(struct trainer *t, const struct data *d,
			const char *model, const char *engine, int batch,
			uint64_t seed, struct err *err)
{
	struct index all;

	if (model_open(&t->model, model, err) || eval_fits(t->model, d, err) ||
	    net_open(&t->net, t->model, engine, err))
		return (int)err->code;
	index_all(&all, d->count);
	sampler_init(&t->sampler, all.i, all.n, seed);
	index_release(&all);
	t->params = mem_zero(t->model->len, sizeof(float));
	t->velocity = mem_zero(t->model->n, sizeof(float));
	t->grads = mem_zero(t->model->n, sizeof(float));
	t->x = mem_zero((size_t)batch * shape_len(&d->shape), sizeof(float));
	t->labels = mem_zero((size_t)batch, sizeof(*t->labels));
	model_init(t->model, seed, t->params);
	return 0;
}

static void trainer_release(struct trainer *t)
{
	net_close(t->net);
	model_free(t->model);
	sampler_release(&t->sampler);
	free(t->params);
	free(t->velocity);
	free(t->grads);
	free(t->x);
	free(t->labels);
}

static int steps(struct trainer *t, const struct data *d, int batch, int count,
		 struct err *err)
{
	const struct sgd sgd = {.lr = 0.02F, .momentum = 0.9F};
	struct net_score score;

	for (int i = 0; i < count; i++) {
		int n;
		const uint32_t *index = sampler_next(&t->sampler, batch, &n);

		data_batch(d, index, n, t->x, t->labels);
		if (net_grad(t->net, t->params, t->x, t->labels, n, t->grads,
			     &score, err))
			return (int)err->code;
		sgd_model(&sgd, t->model, t->params, t->velocity, t->grads,
			  NULL);
	}
	return 0;
}

static int bench(const struct data *d, const char *model, const char *engine,
		 int batch, double seconds, struct err *err)
{
	const int few = strcmp(model, "cnn") ? 20 : 4;
	struct trainer t = {0};
	int64_t from, spent = 0, images = 0;

	if (trainer_init(&t, d, model, engine, batch, 1, err) ||
	    steps(&t, d, batch, 2 * few, err))
		return (int)err->code;
	from = clock();
	while (spent < (int64_t)(seconds * 1e6)) {
		if (steps(&t, d, batch, few, err))
			return (int)err->code;
		images += few * batch;
		spent = clock() - from;
	}
	printf("%s_%d\t%s\t%.0f\n", model, batch, engine ? engine : "gfl",
	       (double)images / ((double)spent / 1e6));
	trainer_release(&t);
	return 0;
}

/* Five epochs of batches of 64, lr 0.02, momentum 0.9; *right: the share of
 * the test set that is then right. */
static int learn(const struct data *d, const struct data *test,
		 const char *model, uint64_t seed, double *right,
		 struct err *err)
{
	const int batch = 64, epochs = 5;
	const int count = (int)((d->count + (size_t)batch - 1) / (size_t)batch);
	struct trainer t = {0};
	struct net_score score;

	if (trainer_init(&t, d, model, NULL, batch, seed, err) ||
	    steps(&t, d, batch, epochs * count, err) ||
	    eval_run(t.net, t.params, test, NULL, 0, &score, err))
		return (int)err->code;
	*right = (double)score.correct / (double)score.n;
	trainer_release(&t);
	return 0;
}

/* One run says little: the last steps alone move it by a hundredth. */
static int learn_mean(const struct data *d, const struct data *test,
		      const char *name, const char *model, int seeds,
		      struct err *err)
{
	double sum = 0, right = 0;

	for (uint64_t seed = 1; seed <= (uint64_t)seeds; seed++) {
		if (learn(d, test, model, seed, &right, err))
			return (int)err->code;
		sum += right;
	}
	printf("%s_accuracy\tgfl\t%.4f\n", name, sum / seeds);
	return 0;
}

static int speeds(const struct data *d, double seconds, struct err *err)
{
	int rc = bench(d, "mlp", NULL, 50, seconds, err);

	if (!rc)
		rc = bench(d, "mlp", NULL, 32, seconds, err);
	if (!rc)
		rc = bench(d, "softmax", NULL, 50, seconds, err);
	if (!rc)
		rc = bench(d, "cnn", NULL, 32, seconds, err);
	return rc ? rc : bench(d, "mlp", "ref", 50, seconds, err);
}

/* The first images, so that pages of the data set, which all processes share,
 * hardly count. */
static int start(const struct data *d, struct err *err)
{
	enum { BATCH = 32 };
	struct trainer t = {0};
	struct rusage used;
	struct index first;

	if (trainer_init(&t, d, "cnn", NULL, BATCH, 1, err))
		return (int)err->code;
	sampler_release(&t.sampler);
	index_all(&first, BATCH);
	sampler_init(&t.sampler, first.i, first.n, 1);
	index_release(&first);
	if (steps(&t, d, BATCH, 1, err))
		return (int)err->code;
	trainer_release(&t);
	getrusage(RUSAGE_SELF, &used);
	printf("start_cpu_s\tgfl\t%.3f\n",
	       (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) /
			       1e6);
	printf("start_mb\tgfl\t%.1f\n", (double)used.ru_maxrss / 1024);
	return 0;
}

static int accuracies(const struct data *d, const char *data, struct err *err)
{
	struct data *test;
	int rc = data_open(&test, data, "test", 0, err);

	if (rc)
		return rc;
	rc = learn_mean(d, test, "softmax", "softmax", SEEDS, err);
	if (!rc)
		rc = learn_mean(d, test, "mlp", "mlp", SEEDS, err);
	if (!rc)
		rc = learn_mean(d, test, "mlp_norm", normalised, SEEDS, err);
	if (!rc)
		rc = learn_mean(d, test, "cnn", "cnn", 1, err);
	data_close(test);
	return rc;
}

/* In a process of its own: once all are warm, which they say to ready, and
 * start is closed, train for so long and say to done how many images it was. */
static int train_for(const struct data *d, const char *model, int seconds,
		     int ready, int start, int done, struct err *err)
{
	enum { BATCH = 32, FEW = 4 };
	struct trainer t = {0};
	int64_t images = 0, end;
	char none;

	if (trainer_init(&t, d, model, NULL, BATCH, 1, err) ||
	    steps(&t, d, BATCH, 4 * FEW, err))
		return (int)err->code;
	if (write(ready, "", 1) != 1 || read(start, &none, 1) != 0)
		return err_sys(err, "begin together");
	end = clock_ms() + 1000 * seconds;
	while (clock_ms() < end) {
		if (steps(&t, d, BATCH, FEW, err))
			return (int)err->code;
		images += FEW * BATCH;
	}
	trainer_release(&t);
	if (write(done, &images, sizeof(images)) != sizeof(images))
		return err_sys(err, "tell the images");
	return 0;
}

static int open_pipes(int (*ends)[2], int n, struct err *err)
{
	for (int i = 0; i < n; i++)
		if (pipe(ends[i]))
			return err_sys(err, "open a pipe");
	return 0;
}

/* How many images a second n processes train on. */
static int together(const struct data *d, const char *model, int n,
		    double *speed, struct err *err)
{
	enum { READY, START, DONE, PIPES, SECONDS = 3 };
	int ends[PIPES][2], rc = open_pipes(ends, PIPES, err);
	int64_t images, sum = 0;
	char one;

	for (int i = 0; i < n && !rc; i++) {
		if (fork())
			continue;
		close(ends[START][1]);
		rc = train_for(d, model, SECONDS, ends[READY][1],
			       ends[START][0], ends[DONE][1], err);
		if (rc)
			fprintf(stderr, "train_bench: %s\n", err->msg);
		_exit(rc != 0);
	}
	for (int i = 0; i < PIPES; i++)
		close(ends[i][i == START ? 0 : 1]);
	for (int i = 0; i < n && !rc; i++)
		if (read(ends[READY][0], &one, 1) != 1)
			rc = err_set(err, ERR_ABORTED, "a process ended");
	close(ends[START][1]);
	for (int i = 0; i < n && !rc; i++) {
		if (read(ends[DONE][0], &images, sizeof(images)) !=
		    sizeof(images))
			rc = err_set(err, ERR_ABORTED, "a process ended");
		sum += images;
	}
	while (wait(NULL) > 0)
		;
	*speed = (double)sum / SECONDS;
	return rc;
}

static int all_together(const struct data *d, const char *model,
			struct err *err)
{
	int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
	double few, many;
	int rc = together(d, model, cores, &few, err);

	if (!rc)
		rc = together(d, model, 4 * cores, &many, err);
	if (!rc)
		printf("together_%s\tfew\t%.0f\ntogether_%s\tgfl\t%.0f\n",
		       model, few, model, many);
	return rc;
}

int main(int argc, char **argv)
{
	struct data *d;
	struct err err;
	int rc;

	if (argc != 3) {
		fputs("train_bench DATA SECONDS|accuracy|start|together\n",
		      stderr);
		return 2;
	}
	rc = data_open(&d, argv[1], "train", 0, &err);
	if (!rc && !strcmp(argv[2], "accuracy"))
		rc = accuracies(d, argv[1], &err);
	else if (!rc && !strcmp(argv[2], "start"))
		rc = start(d, &err);
	else if (!rc && !strcmp(argv[2], "together"))
		rc = all_together(d, "mlp", &err) ||
		     all_together(d, "cnn", &err);
	else if (!rc)
		rc = speeds(d, atof(argv[2]), &err);
	if (rc) {
		fprintf(stderr, "train_bench: %s\n", err.msg);
		return 1;
	}
	data_close(d);
	return 0;
}
