/* What a logical client remembers: for SCAFFOLD and FedDyn (correction.h) a
 * vector of its own, and where updates travel compressed what has not travelled
 * yet; also in a file beside the database. An update's is written under another
 * name before it is sent, and takes the old one's place when the server has it:
 * whichever side is killed, the round is trained from the same, and an update
 * that is refused leaves everything as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fl/aggregate.h"
#include "fl/correction.h"
#include "fl/floats.h"
#include "fl/spoke_impl.h"
#include "nn/tensors.h"

static bool corrects(const struct spoke_work *w)
{
	return w->training.control || w->training.dyn > 0;
}

/* So that not all of an update travels, or not exactly. */
static bool compresses(const struct spoke_work *w)
{
	return w->training.code == GFL__V1__FL_CODE__GRADIENT_UPDATE &&
	       (w->training.scheme || w->training.dtype);
}

static char *path_of(const struct spoke *s, int logical, const char *end)
{
	return mem_fmt("%.*s.own-%d.safetensors%s", str_stem(s->opts.db),
		       s->opts.db, logical + 1, end);
}

/* ---- the file ---- */

static char *place_of(const struct spoke_work *w)
{
	return mem_fmt("%llu %s", (unsigned long long)w->run_seed,
		       w->layout);
}

int spoke_own_write(const struct spoke_work *w, struct err *err)
{
	const struct model *m = w->spoke->learner->model;
	const int64_t n = (int64_t)m->n, len = (int64_t)m->len;
	char *path = path_of(w->spoke, w->logical, ".next");
	char *place = place_of(w);
	char *round = mem_fmt("%lld", (long long)w->steps.round);
	struct tensors ts = {0};
	int rc = 0;

	tensors_set(&ts, "place", place);
	tensors_set(&ts, "round", round);
	if (w->own)
		tensors_add(&ts, "own", 1, &n, w->own);
	if (w->left)
		tensors_add(&ts, "left", 1, &len, w->left);
	if (ts.n)
		rc = tensors_write(&ts, path, err);
	tensors_release(&ts);
	free(round);
	free(place);
	free(path);
	return rc;
}

/* Of this server's run, and of a round before; what has not travelled may be of
 * this round too, since that is true whatever became of the rest. */
static float *usable(const struct spoke_work *w, const struct tensors *ts,
		     const char *name, size_t len, bool same_round)
{
	const struct tensor *t = tensors_find(ts, name);
	const char *place = tensors_get(ts, "place");
	const char *round = tensors_get(ts, "round");
	char *want = place_of(w);
	bool ok = t && !strcmp(t->type, "F32") && t->len == len && place &&
		  !strcmp(place, want) && round &&
		  atoll(round) < w->steps.round + same_round &&
		  aggregate_is_finite(tensor_f32(t), len);

	free(want);
	return ok ? mem_dup(tensor_f32(t), len * sizeof(float)) : NULL;
}

/* Once. Nothing before the first round, and where there is nothing of use. */
static void read_kept(const struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	const struct model *m = s->learner->model;
	char *path = path_of(s, w->logical, "");
	struct tensors ts;
	struct err err;

	if (!tensors_read(&ts, path, &err)) {
		s->own[w->logical] = usable(w, &ts, "own", m->n, false);
		s->left[w->logical] = usable(w, &ts, "left", m->len, true);
		tensors_release(&ts);
	} else if (err.code != ERR_NOT_FOUND) {
		log_warn("own_lost", "logical=%d error=%s", w->logical,
			 err.msg);
	}
	free(path);
}

/* ---- around the steps ---- */

void spoke_own_begin(struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	const size_t n = s->learner->model->n;
	float **own = &s->own[w->logical];

	if ((corrects(w) || compresses(w)) && !s->read[w->logical])
		read_kept(w);
	s->read[w->logical] = true;
	if (!corrects(w))
		return;
	if (!*own)
		*own = mem_zero(n, sizeof(**own));
	w->shift = mem_zero(n, sizeof(*w->shift));
	if (w->training.control) {
		w->control = mem_zero(n, sizeof(*w->control));
		floats_unpack(w->control, w->base + 4 * s->learner->model->len,
			      n);
		correction_scaffold(w->control, *own, n, w->shift);
	} else {
		correction_dyn(*own, n, w->shift);
		w->steps.prox = w->training.dyn;
	}
	w->steps.shift = w->shift;
}

void spoke_own_end(struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	const struct learner_steps *how = &w->steps;
	const double lr = schedule_rate(&how->schedule, how->lr, how->round);
	const double reach =
		correction_reach(how->steps, how->momentum, how->prox * lr);
	const size_t n = s->learner->model->n;
	float *x;

	if (!corrects(w))
		return;
	x = mem_zero(n, sizeof(*x));
	floats_unpack(x, w->base, n);
	w->own = mem_dup(s->own[w->logical], n * sizeof(*x));
	if (w->training.control)
		correction_scaffold_end(x, s->learner->params, w->control,
					w->own, n, lr, reach, w->control);
	else
		correction_dyn_end(x, s->learner->params, w->own, n, how->prox);
	free(x);
}

void spoke_own_left(struct spoke_work *w, float *left)
{
	if (compresses(w))
		w->left = left;
	else
		free(left);
}

static void replace(float **old, float **next)
{
	if (!*next)
		return;
	free(*old);
	*old = *next;
	*next = NULL;
}

void spoke_own_keep(struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	char *from, *to;

	if (!w->own && !w->left)
		return;
	from = path_of(s, w->logical, ".next");
	to = path_of(s, w->logical, "");
	if (rename(from, to))
		log_warn("own_lost", "logical=%d from=%s", w->logical, from);
	free(from);
	free(to);
	replace(&s->own[w->logical], &w->own);
	replace(&s->left[w->logical], &w->left);
}

void spoke_own_release(struct spoke_work *w)
{
	free(w->shift);
	free(w->control);
	free(w->own);
	free(w->left);
}
