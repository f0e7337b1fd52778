#include "task/evaluate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "fl/learner.h"
#include "nn/eval.h"
#include "task/layers.h"
#include "task/task_json.h"

/* What a task asks for. */
struct wish {
	struct buf model;
	const char *dataset;
	int64_t epochs, steps, batch, examples, seed;
	double lr, momentum, weight_decay;
	json_t *ignored; /* names of what else the task has */
};

/* By the name *a, or else by b, which *a is then. */
static const json_t *find(const json_t *all, const char **a, const char *b)
{
	if (b && !json_object_get(all, *a))
		*a = b;
	return json_object_get(all, *a);
}

static int whole(const json_t *all, const char *a, const char *b, int64_t least,
		 int64_t *out, struct err *err)
{
	const json_t *v = find(all, &a, b);

	if (!v)
		return 0;
	*out = json_integer_value(v);
	if (!json_is_integer(v) || *out < least || *out > INT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a whole number from %" PRId64
			       " to %d",
			       a, least, INT32_MAX);
	return 0;
}

static int real(const json_t *all, const char *a, const char *b, double *out,
		struct err *err)
{
	const json_t *v = find(all, &a, b);

	if (!v)
		return 0;
	*out = json_number_value(v);
	if (!json_is_number(v) || *out < 0 || *out > 1e6)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s is not a number from 0 to 1000000", a);
	return 0;
}

static int parse_model(struct wish *w, const json_t *all, struct err *err)
{
	const json_t *v = json_object_get(all, "architecture");

	v = v ? v : json_object_get(all, "model");
	if (!v && json_object_get(all, "layers"))
		v = all;
	if (!v)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the task has no \"architecture\"");
	if (json_is_string(v)) {
		buf_puts(&w->model, json_string_value(v));
		return 0;
	}
	return layers_text(&w->model, v, err);
}

/* What a task says that means nothing here, lest a search over it
 * goes unseen. */
static json_t *ignored(const json_t *all)
{
	static const char *const known[] = {
		"architecture", "model",    "layers",      "dataset",
		"num_epochs",   "epochs",   "steps",       "batch_size",
		"batch",        "examples", "seed",        "learning_rate",
		"lr",           "momentum", "weight_decay"};
	json_t *names = json_array();
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)all, key, v)
	{
		size_t i = 0;

		while (i < sizeof(known) / sizeof(*known) &&
		       strcmp(known[i], key) != 0)
			i++;
		if (i == sizeof(known) / sizeof(*known))
			json_array_append_new(names, json_string(key));
	}
	return names;
}

static int parse(struct wish *w, const json_t *all, struct err *err)
{
	w->epochs = w->seed = 1;
	w->batch = 32;
	w->lr = 0.05;
	w->momentum = 0.9;
	w->dataset = json_string_value(json_object_get(all, "dataset"));
	w->ignored = ignored(all);
	if (json_object_get(all, "dataset") && !w->dataset)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "dataset is not a text");
	if (parse_model(w, all, err) ||
	    whole(all, "num_epochs", "epochs", 1, &w->epochs, err) ||
	    whole(all, "steps", NULL, 1, &w->steps, err) ||
	    whole(all, "batch_size", "batch", 1, &w->batch, err) ||
	    whole(all, "examples", NULL, 0, &w->examples, err) ||
	    whole(all, "seed", NULL, 0, &w->seed, err) ||
	    real(all, "learning_rate", "lr", &w->lr, err) ||
	    real(all, "momentum", NULL, &w->momentum, err) ||
	    real(all, "weight_decay", NULL, &w->weight_decay, err))
		return (int)err->code;
	return 0;
}

static const char *path_of(const struct wish *w, const struct evaluate_opts *o)
{
	if (!w->dataset || !*w->dataset)
		return o->data;
	for (size_t i = 0; o->named && i < o->named->n; i++)
		if (!strcmp(o->named->at[i].name, w->dataset))
			return o->named->at[i].text;
	return w->dataset;
}

struct sets {
	struct data *train, *test;
	struct index index;
};

static int open_sets(struct sets *s, const struct wish *w,
		     const struct evaluate_opts *o, struct err *err)
{
	const char *path = path_of(w, o);
	struct err none;

	if (!path)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "the task has no \"dataset\", and the worker no "
			       "--data");
	if (data_open(&s->train, path, "train", 0, err))
		return err_wrap(err, "dataset");
	if (data_open(&s->test, path, "test", s->train->classes, &none))
		s->test = NULL;
	index_all(&s->index, s->train->count);
	if (w->examples && (size_t)w->examples < s->index.n)
		s->index.n = (size_t)w->examples;
	return 0;
}

static int train(struct learner *l, const struct sets *s, const struct wish *w,
		 double *loss, struct err *err)
{
	const int64_t n = (int64_t)s->index.n;
	struct learner_steps how = {
		.steps = (n + w->batch - 1) / w->batch,
		.batch = (int)w->batch,
		.lr = w->lr,
		.momentum = w->momentum,
		.weight_decay = w->weight_decay,
	};
	int64_t epochs = w->steps ? 1 : w->epochs;
	int rc = 0;

	if (w->steps)
		how.steps = w->steps;
	for (int64_t i = 0; !rc && i < epochs; i++)
		rc = learner_train(l, &how, loss, err);
	return rc;
}

static void tell(struct buf *out, const struct learner *l, const struct sets *s,
		 const struct wish *w, double accuracy, double loss)
{
	buf_putf(out,
		 "{\"accuracy\":%.9g,\"loss\":%.9g,\"parameters\":%zu,"
		 "\"examples\":%zu,\"epochs\":%.6g",
		 accuracy, loss, l->model->n, s->index.n,
		 w->steps ? (double)(w->steps * w->batch) / (double)s->index.n
			  : (double)w->epochs);
	if (json_array_size(w->ignored)) {
		char *names = json_dumps(w->ignored, JSON_COMPACT);

		buf_putf(out, ",\"ignored\":%s", names);
		free(names);
	}
	buf_puts(out, "}\n");
}

static int run(struct buf *out, const struct wish *w, const struct sets *s,
	       const struct evaluate_opts *o, struct err *err)
{
	const struct learner_data data = {
		s->train, &s->index, s->test ? s->test : s->train, o->threads};
	struct learner_score score = {0};
	double loss = 0;
	struct learner *l;
	int rc;

	if (learner_open(&l, w->model.p, &data, (uint64_t)w->seed,
			 (uint64_t)w->seed, err))
		return (int)err->code;
	rc = train(l, s, w, &loss, err);
	if (!rc)
		rc = learner_evaluate(l, &score, err);
	if (!rc)
		tell(out, l, s, w, score.accuracy, loss);
	learner_free(l);
	return rc;
}

int evaluate_run(struct buf *out, const char *task, size_t len,
		 const struct evaluate_opts *o, struct err *err)
{
	struct wish w = {.model = BUF_INIT(0)};
	struct sets s = {0};
	json_t *all;
	int rc;

	if (task_json_object(task, len, &all, err))
		return err_wrap(err, "the task");
	rc = parse(&w, all, err) || open_sets(&s, &w, o, err) ||
	     run(out, &w, &s, o, err);
	index_release(&s.index);
	data_close(s.test);
	data_close(s.train);
	buf_release(&w.model);
	json_decref(w.ignored);
	json_decref(all);
	return rc ? (int)err->code : 0;
}

int evaluate_command(struct command **out, const struct evaluate_opts *o,
		     struct err *err)
{
	enum { WORDS_MAX = 10 + 2 * OPT_PAIRS_MAX };
	const char *words[WORDS_MAX] = {"/proc/self/exe", "--evaluate",
					"--config", "none", "--threads"};
	char threads[16], self[4096], *pairs[OPT_PAIRS_MAX];
	ssize_t len = readlink(words[0], self, sizeof(self) - 1);
	size_t n = 6;
	int rc;

	if (len < 0)
		return err_sys(err, "find out where this program is");
	self[len] = '\0';
	words[0] = self;
	snprintf(threads, sizeof(threads), "%d", o->threads);
	words[5] = threads;
	if (o->data) {
		words[n++] = "--data";
		words[n++] = o->data;
	}
	for (size_t i = 0; i < o->named->n; i++) {
		pairs[i] = mem_fmt("%s=%s", o->named->at[i].name,
				   o->named->at[i].text);
		words[n++] = "--dataset";
		words[n++] = pairs[i];
	}
	rc = command_of(out, words, n, err);
	for (size_t i = 0; i < o->named->n; i++)
		free(pairs[i]);
	return rc;
}
