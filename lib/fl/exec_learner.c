/* A learner whose calls are tasks of somebody else's program. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/exec_impl.h"
#include "nn/checkpoint.h"

enum {
	SEED_BITS = 31,        /* what every library takes */
	FILE_EXTRA = 16 << 20, /* of a file, beside the values */
};

/* What a learner of ours has beside its model. */
struct exec_work {
	struct exec *x;
	int64_t node, run, round; /* the round trained last */
	uint64_t run_seed, own_seed;
	struct facts hyper;
	struct buf head; /* of the files that it is given */
};

/* ---- a task ---- */

static uint64_t seed_of(uint64_t seed)
{
	return seed & ((1U << SEED_BITS) - 1);
}

static void put_common(const struct exec_work *w, const char *op, uint64_t seed,
		       struct facts *f)
{
	const struct exec *x = w->x;
	const int64_t until = clock_wall_ms() + x->opts.task_ms;

	facts_add(f, "GFL_PROTOCOL", "%d", CONTRACT_PROTOCOL);
	facts_add(f, "GFL_OP", "%s", op);
	facts_add(f, "GFL_NODE", "%" PRId64, w->node);
	facts_add(f, "GFL_RUN", "%" PRId64, w->run);
	facts_add(f, "GFL_ROUND", "%" PRId64, w->round);
	facts_add(f, "GFL_SEED", "%" PRIu64, seed_of(seed));
	facts_add(f, "GFL_DEADLINE", "%" PRId64, until / 1000);
	facts_join(f, &w->hyper);
}

static void put_file(struct facts *f, const char *name, const char *value)
{
	if (value)
		facts_add(f, name, "%s", value);
}

static void put_steps(const struct learner_steps *how, struct facts *f)
{
	const double lr = schedule_rate(&how->schedule, how->lr, how->round);

	if (how->epochs)
		facts_add(f, "GFL_EPOCHS", "%" PRId64, how->epochs);
	else
		facts_add(f, "GFL_STEPS", "%" PRId64, how->steps);
	facts_add(f, "GFL_BATCH", "%d", how->batch);
	facts_add(f, "GFL_LR", "%.9g", lr);
}

static void put_train(const struct exec_work *w,
		      const struct learner_steps *how, uint64_t seed,
		      struct facts *f)
{
	put_common(w, "train", seed, f);
	put_steps(how, f);
	put_file(f, "GFL_DATA", w->x->data);
	put_file(f, "GFL_INDEX", w->x->index);
	put_file(f, "GFL_MODEL_OUT", w->x->out);
}

/* All of the file but the values, which follow as they lie in memory: the
 * layout stays, and so does this. */
static void make_head(const struct learner *l, struct exec_work *w)
{
	const size_t values = l->model->len * sizeof(*l->params);
	struct tensors ts = {0};
	char text[32];

	checkpoint_put(&ts, l->model, "", l->params);
	snprintf(text, sizeof(text), "%" PRId64, w->run);
	tensors_set(&ts, "run", text);
	snprintf(text, sizeof(text), "%" PRId64, w->node);
	tensors_set(&ts, "node", text);
	tensors_encode(&ts, &w->head);
	w->head.len -= values;
	tensors_release(&ts);
}

/* The model as it is now, to where the task finds it. */
static int give_model(const struct learner *l, struct facts *f, struct err *err)
{
	struct exec_work *w = l->work;
	struct file_part parts[2];

	if (!w->head.len)
		make_head(l, w);
	parts[0] = (struct file_part){w->head.p, w->head.len};
	parts[1] = (struct file_part){l->params,
				      l->model->len * sizeof(*l->params)};
	put_file(f, "GFL_MODEL_IN", w->x->in);
	return file_put(w->x->in, parts, 2, err);
}

/* The file that came back, which nobody has looked at yet. */
static int read_model(const struct exec *x, size_t values, struct tensors *ts,
		      struct err *err)
{
	size_t len;
	char *p;
	int rc = file_read(&p, &len, x->out, values * 4 + FILE_EXTRA, err);

	if (rc)
		return rc;
	rc = tensors_decode(ts, p, len, "the model that came back", err);
	free(p);
	return rc;
}

/* Its values take the place of ours, all or none. */
static int take_model(struct learner *l, struct err *err)
{
	static const char what[] = "the model that came back";
	struct exec_work *w = l->work;
	struct tensors ts;
	int rc = read_model(w->x, l->model->len, &ts, err);

	if (rc)
		return rc;
	if (checkpoint_fits(&ts, l->model, what, err))
		rc = (int)(err->code = ERR_FAILED_PRECONDITION);
	else
		rc = checkpoint_finite(&ts, what, err);
	if (!rc)
		rc = checkpoint_get(&ts, l->model, "", what, l->params, err);
	tensors_release(&ts);
	return rc;
}

/* ---- a learner ---- */

static int train(struct learner *l, const struct learner_steps *how,
		 double *loss, struct err *err)
{
	struct exec_work *w = l->work;
	const struct contract *said;
	struct facts f = {0};
	int rc;

	w->round = how->round;
	put_train(w, how, rand_mix(w->own_seed + (uint64_t)how->round), &f);
	rc = give_model(l, &f, err);
	unlink(w->x->out);
	if (!rc)
		rc = child_call(w->x->child, &f, &said, err);
	facts_release(&f);
	if (!rc)
		rc = take_model(l, err);
	if (!rc) {
		*loss = said->loss;
		l->examples = said->num_examples;
	}
	return rc;
}

int exec_begin(struct learner *l, const struct learner_steps *how,
	       struct err *err)
{
	struct exec_work *w = l->work;
	struct learner_steps none = *how;
	const struct contract *said;
	struct tensors ts;
	struct facts f = {0};
	int rc;

	none.steps = none.epochs = 0;
	none.round = 0;
	put_train(w, &none, w->run_seed, &f);
	unlink(w->x->out);
	rc = child_call(w->x->child, &f, &said, err);
	facts_release(&f);
	if (rc || read_model(w->x, MODEL_PARAMS_MAX, &ts, err))
		return (int)err->code;
	rc = learner_adopt(l, &ts, "the first model", err);
	tensors_release(&ts);
	return rc;
}

static int evaluate(struct learner *l, struct learner_score *score,
		    struct err *err)
{
	struct exec_work *w = l->work;
	const struct contract *said;
	struct facts f = {0};
	int rc;

	if (!w->x->test)
		return err_set(err, ERR_FAILED_PRECONDITION, "no test set");
	put_common(w, "eval", w->own_seed, &f);
	put_file(&f, "GFL_DATA", w->x->test);
	rc = give_model(l, &f, err);
	if (!rc)
		rc = child_call(w->x->child, &f, &said, err);
	facts_release(&f);
	if (!rc && isnan(said->accuracy))
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "its result has no accuracy");
	if (!rc)
		*score = (struct learner_score){said->num_examples, said->loss,
						said->accuracy};
	return rc;
}

static void cancel(struct learner *l)
{
	child_cancel(((struct exec_work *)l->work)->x->child, true);
}

static void release(struct learner *l)
{
	struct exec_work *w = l->work;

	facts_release(&w->hyper);
	buf_release(&w->head);
	free(w);
}

static const struct learner_kind kind = {train, evaluate, cancel, release};

static bool names(const struct exec_run *r, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < r->nhyper; i++)
		if (!strncmp(r->hyper[i], name, len) && r->hyper[i][len] == '=')
			return true;
	return false;
}

/* What a learner that computes here knows of the steps. */
static void put_usual(struct exec_work *w, const struct exec_run *r)
{
	const struct {
		const char *name;
		double value;
	} usual[] = {{"MOMENTUM", r->momentum},
		     {"WEIGHT_DECAY", r->weight_decay},
		     {"PROX", r->prox}};
	char name[32];

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
		if (usual[i].value == 0 || names(r, usual[i].name))
			continue;
		snprintf(name, sizeof(name), "GFL_HP_%s", usual[i].name);
		facts_add(&w->hyper, name, "%.9g", usual[i].value);
	}
}

static void put_hyper(struct exec_work *w, const struct exec_run *r)
{
	for (size_t i = 0; i < r->nhyper; i++) {
		const char *value = strchr(r->hyper[i], '=');
		char *name = mem_fmt("GFL_HP_%.*s", (int)(value - r->hyper[i]),
				     r->hyper[i]);

		facts_add(&w->hyper, name, "%s", value + 1);
		free(name);
	}
	put_usual(w, r);
}

int exec_learner(struct learner **out, struct exec *x, const struct exec_run *r,
		 struct err *err)
{
	struct learner *l = mem_zero(1, sizeof(*l));
	struct exec_work *w = mem_zero(1, sizeof(*w));

	l->kind = &kind;
	l->work = w;
	w->x = x;
	w->node = r->node;
	w->run = r->run;
	w->run_seed = r->run_seed;
	w->own_seed = r->own_seed;
	put_hyper(w, r);
	child_cancel(x->child, false);
	if (strcmp(r->model, EXEC_MODEL) != 0) {
		if (model_open(&l->model, r->model, err)) {
			learner_free(l);
			return (int)err->code;
		}
		l->params = mem_zero(l->model->len, sizeof(*l->params));
		model_init(l->model, r->run_seed, l->params);
	}
	*out = l;
	return 0;
}
