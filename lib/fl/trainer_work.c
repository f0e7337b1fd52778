/* What the worker does with a trainer's model: local steps, evaluation, files.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/trainer_impl.h"
#include "nn/checkpoint.h"
#include "nn/tensors.h"

/* --- on the worker's thread ----------------------------------------------- */

static void set_int(struct tensors *ts, const char *key, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, value);
	tensors_set(ts, key, text);
}

void trainer_put_model(struct tensors *ts, const struct learner *l,
		       int64_t trainer, int64_t run, int64_t at,
		       double accuracy)
{
	char text[32];

	checkpoint_put(ts, l->model, "", l->params);
	set_int(ts, "trainer", trainer);
	set_int(ts, "run", run);
	set_int(ts, "rounds", at + 1);
	snprintf(text, sizeof(text), "%.6f", accuracy);
	if (!isnan(accuracy))
		tensors_set(ts, "accuracy", text);
}

static int write_model(const struct work *w, struct err *err)
{
	struct tensors ts = {0};
	int rc;

	trainer_put_model(&ts, w->learner, w->trainer, w->resume.run,
			  w->resume.round, w->resume.tally.accuracy);
	rc = tensors_write(&ts, w->model_to, err);
	tensors_release(&ts);
	return rc;
}

static void work(void *arg)
{
	struct trainer *t = arg;
	struct work *w = t->work;
	struct learner_score score;
	int64_t from = clock_us();
	int rc = 0;

	if (w->what & WORK_BEGIN)
		rc = exec_begin(w->learner, &w->steps, &w->err);
	if (w->what & WORK_TRAIN)
		rc = learner_train(w->learner, &w->steps, &w->loss, &w->err);
	w->trained = !rc;
	w->seconds = (double)(clock_us() - from) / 1e6;
	if (!rc && w->what & WORK_EVALUATE) {
		rc = learner_evaluate(w->learner, &score, &w->err);
		if (!rc)
			w->accuracy = score.accuracy;
		w->resume.tally.accuracy = w->accuracy;
	}
	if (!rc && w->what & WORK_SAVE)
		rc = resume_save(w->save_to, w->learner, &w->resume, &w->err);
	if (!rc && w->what & WORK_MODEL)
		rc = write_model(w, &w->err);
	if (!rc)
		w->err.code = ERR_OK;
}

/* --- on the loop's -------------------------------------------------------- */

void trainer_free_work(struct work *w)
{
	buf_release(&w->resume.exchange);
	free(w->save_to);
	free(w->model_to);
	free(w);
}

char *trainer_beside_db(const struct trainer *t, const char *what)
{
	return mem_fmt("%.*s.%s.safetensors", str_stem(t->opts.db), t->opts.db,
		       what);
}

char *trainer_model_path(const struct trainer *t)
{
	char name[40];

	if (t->opts.model_out)
		return mem_str(t->opts.model_out);
	snprintf(name, sizeof(name), "run%" PRId64, t->run.id);
	return trainer_beside_db(t, name);
}

static void done(void *arg)
{
	struct trainer *t = arg;

	if (t->quiet)
		trainer_free_work(trainer_take_work(t));
	else
		t->work->done(t);
}

void trainer_submit(struct trainer *t, unsigned what, worker_fn *then)
{
	struct work *w = mem_zero(1, sizeof(*w));
	struct err err;

	w->what = what;
	w->done = then;
	w->learner = t->run.learner;
	w->trainer = t->id;
	w->steps = t->run.steps;
	w->steps.round = t->run.t;
	w->loss = t->run.tally.loss;
	w->resume.run = t->run.id;
	w->resume.round = t->run.at;
	w->resume.tally = t->run.tally;
	w->resume.shared = t->run.shared; /* borrowed, like the model */
	if (what & WORK_SAVE) {
		exchange_dump(t->talk.exchange, &w->resume.exchange);
		w->save_to = trainer_beside_db(t, "checkpoint");
		t->run.saved_ms = clock_ms();
	}
	if (what & WORK_MODEL)
		w->model_to = trainer_model_path(t);
	t->work = w;
	t->phase = PHASE_WORKING;
	if (worker_submit(t->host.worker, work, done, t, &err))
		trainer_fail(t, &err);
}

struct work *trainer_take_work(struct trainer *t)
{
	struct work *w = t->work;

	t->work = NULL;
	return w;
}
