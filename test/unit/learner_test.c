#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "fl/history.h"
#include "fl/learner.h"
#include "fl/resume.h"

/* 40 images of 2 x 2 in two classes that are easy to tell apart. */
enum { IMAGES = 40 };

static uint8_t pixels[IMAGES * 4], labels[IMAGES];
static struct data set = {.count = IMAGES,
			  .shape = {1, 2, 2},
			  .classes = 2,
			  .pixels = pixels,
			  .labels = labels,
			  .images_path = "images",
			  .labels_path = "labels"};
static uint32_t all[IMAGES];
static struct index mine = {all, IMAGES};
static const struct learner_data data = {&set, &mine, &set, 1};
static const struct learner_steps steps = {
	.steps = 20, .batch = 10, .lr = 0.5, .momentum = 0.9};
static const char MODEL[] = "input 1 2 2; dense 8; relu; dense 2";

static void make_data(void)
{
	for (uint32_t i = 0; i < IMAGES; i++) {
		all[i] = i;
		labels[i] = i % 2;
		for (uint32_t j = 0; j < 4; j++)
			pixels[i * 4 + j] =
				(uint8_t)((j < 2) == (i % 2) ? 200 + i : i);
	}
}

static struct learner *make(uint64_t seed)
{
	struct learner *l;
	struct err err;

	make_data();
	if (learner_open(&l, MODEL, &data, 1, seed, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return l;
}

TEST(learner_learns)
{
	struct learner *l = make(1);
	struct learner_score score;
	double first, loss;
	struct err err;

	CHECK(!learner_train(l, &steps, &first, &err));
	CHECK(!learner_train(l, &steps, &loss, &err));
	CHECK(loss < first);
	CHECK(!learner_evaluate(l, &score, &err));
	CHECK_NEAR(score.accuracy, 1, 0);
	CHECK(score.loss > 0 && score.loss < first);
	learner_free(l);
}

TEST(learner_says_when_the_loss_explodes)
{
	struct learner_steps wild = {
		.steps = 200, .batch = 10, .lr = 1e30, .momentum = 0.9};
	struct learner *l = make(1);
	struct err err;
	double loss;

	CHECK(learner_train(l, &wild, &loss, &err) == ERR_ABORTED);
	CHECK_HAS(err.msg, "not finite");
	learner_free(l);
}

TEST(learner_refuses_a_model_that_does_not_fit_the_data)
{
	struct learner *l = NULL;
	struct err err;

	make_data();
	CHECK(learner_open(&l, "mlp", &data, 1, 1, &err) ==
	      ERR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg, "examples of 4 values");
	CHECK(learner_open(&l, "nonsense 3", &data, 1, 1, &err) ==
	      ERR_INVALID_ARGUMENT);
}

TEST(resume_goes_on_exactly_where_it_stopped)
{
	struct learner *a = make(7), *b = make(8);
	struct resume r = {.run = 5, .round = 17}, back;
	struct err err;
	double loss;

	CHECK(!learner_train(a, &steps, &loss, &err));
	r.tally = (struct tally){.bytes_sent = 12,
				 .misses = 3,
				 .compute_s = 0.1,
				 .accuracy = NAN,
				 .accuracy_alone = 0.25};
	buf_put(&r.exchange, "\0\1\2ab", 5);
	r.shared = mem_dup(a->params, a->model->n * sizeof(float));
	r.shared[3] = 9;
	CHECK(!resume_save("r.safetensors", a, &r, &err));
	CHECK(resume_load("r.safetensors", 6, b, &back, &err) == ERR_NOT_FOUND);
	b->sampler.seed = a->sampler.seed;
	if (resume_load("r.safetensors", 5, b, &back, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	CHECK_INT(back.round, 17);
	CHECK_INT(back.tally.bytes_sent, 12);
	CHECK_INT(back.tally.misses, 3);
	CHECK_NEAR(back.tally.compute_s, 0.1, 0);
	CHECK(isnan(back.tally.accuracy));
	CHECK_NEAR(back.tally.accuracy_alone, 0.25, 0);
	CHECK_INT(back.exchange.len, 5);
	CHECK(!memcmp(back.exchange.p, "\0\1\2ab", 5));
	CHECK(!memcmp(back.shared, r.shared, a->model->n * sizeof(float)));
	free(back.shared);
	free(r.shared);
	CHECK(!learner_train(a, &steps, &loss, &err));
	CHECK(!learner_train(b, &steps, &loss, &err));
	CHECK(!memcmp(a->params, b->params, a->model->n * sizeof(float)));
	CHECK(!memcmp(a->velocity, b->velocity, a->model->n * sizeof(float)));
	buf_release(&back.exchange);
	buf_release(&r.exchange);
	learner_free(a);
	learner_free(b);
}

TEST(resume_of_a_damaged_or_missing_file_is_an_error_that_names_it)
{
	struct learner *l = make(1);
	struct resume r = {.run = 5};
	struct err err;

	CHECK(resume_load("none", 5, l, &r, &err) == ERR_NOT_FOUND);
	CHECK_HAS(err.msg, "none");
	CHECK(!resume_save("r", l, &r, &err));
	CHECK(!truncate("r", 200));
	CHECK(resume_load("r", 5, l, &r, &err) == ERR_INVALID_ARGUMENT);
	learner_free(l);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(bytes, 1, len, f) == len && !fclose(f));
}

/* A bit turned over anywhere is noticed, or was of no meaning (a blank). */
TEST(resume_is_from_nothing_but_what_was_saved)
{
	struct learner *l = make(1), *to = make(2);
	struct resume r = {.run = 5, .round = 3}, back;
	const size_t size = l->model->n * sizeof(float);
	float *was = mem_dup(to->params, size);
	int refused = 0, passed = 0;
	struct err err;
	char *bytes;
	size_t len;

	l->params[0] = 5;
	CHECK(!resume_save("r", l, &r, &err));
	CHECK(!file_read(&bytes, &len, "r", 1 << 20, &err));
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= (char)(1 << i % 8);
		write_file("r", bytes, len);
		bytes[i] ^= (char)(1 << i % 8);
		if (resume_load("r", 5, to, &back, &err)) {
			CHECK_HAS(err.msg, "r");
			CHECK(!memcmp(to->params, was, size));
			refused++;
			continue;
		}
		CHECK_INT(back.round, 3);
		CHECK(!memcmp(to->params, l->params, size));
		memcpy(to->params, was, size);
		buf_release(&back.exchange);
		passed++;
	}
	CHECK(refused > 500 && passed < 20);
	free(bytes);
	free(was);
	learner_free(l);
	learner_free(to);
}

/* --- history ------------------------------------------------------------- */

static int count(const struct history_row *row, void *arg)
{
	int64_t *n = arg;

	CHECK_INT(row->round, *n);
	CHECK_INT(row->peer, 2);
	CHECK(row->round % 2 ? isnan(row->accuracy) : row->accuracy == 0.5);
	++*n;
	return 0;
}

static void last(const char *url, void *arg)
{
	str_copy(arg, 64, url);
}

TEST(history_survives_and_keeps_its_identity)
{
	struct history *h;
	struct loop *loop;
	struct err err;
	char id[STR_ID], url[64] = "";
	int64_t n = 0;

	CHECK(!loop_open(&loop, &err));
	CHECK(!history_open(&h, loop, "t.db", &err));
	str_copy(id, STR_ID, history_me(h)->instance_id);
	CHECK(str_is_id(id));
	CHECK_INT(history_me(h)->trainer_id, 0);
	history_attached(h, 4, "0123456789abcdef0123456789abcdef");
	for (int i = 0; i < 1000; i++) /* a log that is replayed tells often */
		history_node(h, "http://127.0.0.1:1");
	for (int64_t t = 0; t < 600; t++) {
		struct history_row row = {.run = 3,
					  .round = t,
					  .peer = 2,
					  .accuracy = t % 2 ? NAN : 0.5};

		history_add(h, &row);
	}
	history_close(h);
	CHECK(!history_open(&h, loop, "t.db", &err));
	CHECK_STR(history_me(h)->instance_id, id);
	CHECK_INT(history_me(h)->trainer_id, 4);
	CHECK(!history_nodes(h, last, url, &err));
	CHECK_STR(url, "http://127.0.0.1:1");
	CHECK(!history_each(h, 0, -1, count, &n, &err));
	CHECK_INT(n, 600);
	n = 590;
	CHECK(!history_each(h, 3, 589, count, &n, &err));
	CHECK_INT(n, 600);
	history_close(h);
	loop_close(loop);
}

TEST(learner_follows_the_schedule_of_the_rounds)
{
	struct learner_steps how = steps;
	struct learner *a = make(1), *b = make(1);
	double loss;
	struct err err;

	how.schedule = (struct schedule){.decay = 0.5, .every = 1};
	how.round = 2;
	CHECK(!learner_train(a, &how, &loss, &err));
	how.schedule = (struct schedule){0};
	how.lr /= 4;
	CHECK(!learner_train(b, &how, &loss, &err));
	CHECK(!memcmp(a->params, b->params, a->model->n * sizeof(float)));
	learner_free(a);
	learner_free(b);
}

/* With a pull that is as strong as the rate allows the model stays. */
TEST(learner_with_prox_stays_near_where_it_began)
{
	struct learner_steps how = steps;
	struct learner *start = make(1), *far = make(1), *near = make(1);
	double loss, moved = 0, held = 0;
	struct err err;

	how.momentum = 0;
	CHECK(!learner_train(far, &how, &loss, &err));
	how.prox = 1.5;
	CHECK(!learner_train(near, &how, &loss, &err));
	for (size_t i = 0; i < start->model->n; i++) {
		moved += pow((double)(far->params[i] - start->params[i]), 2);
		held += pow((double)(near->params[i] - start->params[i]), 2);
	}
	CHECK(held > 0 && held < moved / 4);
	learner_free(start);
	learner_free(far);
	learner_free(near);
}

TEST(learner_adds_what_it_is_told_to_each_gradient)
{
	struct learner_steps one = {.steps = 1, .batch = 10, .lr = 0.5};
	struct learner *a = make(3), *b = make(3);
	float shift[256];
	struct err err;
	double loss;

	CHECK(a->model->n <= 256);
	for (size_t i = 0; i < a->model->n; i++)
		shift[i] = (float)i / 64;
	CHECK(!learner_train(a, &one, &loss, &err));
	one.shift = shift;
	CHECK(!learner_train(b, &one, &loss, &err));
	for (size_t i = 0; i < a->model->n; i++)
		CHECK_NEAR(b->params[i], a->params[i] - shift[i] / 2, 1e-5);
	learner_free(a);
	learner_free(b);
}

TEST(learner_may_know_no_more_of_a_model_than_its_shape)
{
	struct param p[2] = {{.name = "w", .dims = 2, .dim = {3, 4}},
			     {.name = "b", .dims = 1, .dim = {3}}};
	struct learner l = {0};
	struct err err;

	CHECK(!learner_shape(&l, p, 2, &err));
	CHECK_INT(l.model->len, 15);
	CHECK_STR(l.model->params[0].name, "b");
	CHECK(l.params[14] == 0);
	model_free(l.model);
	free(l.params);

	l = (struct learner){0};
	p[0].dim[0] = -3;
	CHECK_INT(learner_shape(&l, p, 2, &err), ERR_INVALID_ARGUMENT);
	p[0].dim[0] = INT64_MAX / 2;
	CHECK_INT(learner_shape(&l, p, 2, &err), ERR_INVALID_ARGUMENT);
	strcpy(p[1].name, "w");
	p[0].dim[0] = 3;
	CHECK_INT(learner_shape(&l, p, 2, &err), ERR_INVALID_ARGUMENT);
	CHECK(!l.model && !l.params);
}
