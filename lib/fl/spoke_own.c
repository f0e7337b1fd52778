/* What a logical client remembers for SCAFFOLD and FedDyn (correction.h): a
 * vector of its own, also in a file beside the database. An update's is written
 * under another name before it is sent, and takes the old one's place when the
 * server has it: whichever side is killed, the round is trained from the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/correction.h"
#include "fl/floats.h"
#include "fl/spoke_impl.h"
#include "nn/tensors.h"

static bool corrects(const struct spoke *s)
{
	return s->training.control || s->training.dyn > 0;
}

static char *path_of(const struct spoke *s, int logical, const char *end)
{
	size_t len = strlen(s->opts.db);

	if (len > 3 && !strcmp(s->opts.db + len - 3, ".db"))
		len -= 3;
	return mem_fmt("%.*s.own-%d.safetensors%s", (int)len, s->opts.db,
		       logical + 1, end);
}

/* ---- the file ---- */

static char *place_of(const struct spoke_work *w)
{
	return mem_fmt("%llu %s", (unsigned long long)w->spoke->seed,
		       w->spoke->layout);
}

static int write_own(const struct spoke_work *w, const float *own,
		     struct err *err)
{
	const int64_t n = (int64_t)w->spoke->learner->model->n;
	char *path = path_of(w->spoke, w->logical, ".next");
	char *place = place_of(w);
	char *round = mem_fmt("%lld", (long long)w->steps.round);
	struct tensors ts = {0};
	int rc;

	tensors_set(&ts, "place", place);
	tensors_set(&ts, "round", round);
	tensors_add(&ts, "own", 1, &n, own);
	rc = tensors_write(&ts, path, err);
	tensors_release(&ts);
	free(round);
	free(place);
	free(path);
	return rc;
}

/* Of this server's run, and of a round before. */
static const float *usable(const struct spoke_work *w, const struct tensors *ts)
{
	const struct tensor *t = tensors_find(ts, "own");
	const char *place = tensors_get(ts, "place");
	const char *round = tensors_get(ts, "round");
	char *want = place_of(w);
	bool ok = t && t->len == w->spoke->learner->model->n && place &&
		  !strcmp(place, want) && round &&
		  atoll(round) < w->steps.round;

	free(want);
	return ok ? tensor_f32(t) : NULL;
}

/* Zeroes before the first round, and where there is nothing of use. */
static float *read_own(const struct spoke_work *w)
{
	const size_t n = w->spoke->learner->model->n;
	char *path = path_of(w->spoke, w->logical, "");
	float *own = mem_zero(n, sizeof(*own));
	const float *values;
	struct tensors ts;
	struct err err;

	if (!tensors_read(&ts, path, &err)) {
		values = usable(w, &ts);
		if (values)
			memcpy(own, values, n * sizeof(*own));
		tensors_release(&ts);
	} else if (err.code != ERR_NOT_FOUND) {
		log_warn("own_lost", "logical=%d error=%s", w->logical,
			 err.msg);
	}
	free(path);
	return own;
}

/* ---- around the steps ---- */

void spoke_own_begin(struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	const size_t n = s->learner->model->n;
	float **own = &s->own[w->logical];

	if (!corrects(s))
		return;
	if (!*own)
		*own = read_own(w);
	w->shift = mem_zero(n, sizeof(*w->shift));
	if (s->training.control) {
		w->control = mem_zero(n, sizeof(*w->control));
		floats_unpack(w->control, w->base + 4 * s->learner->model->len,
			      n);
		correction_scaffold(w->control, *own, n, w->shift);
	} else {
		correction_dyn(*own, n, w->shift);
		w->steps.prox = s->training.dyn;
	}
	w->steps.shift = w->shift;
}

int spoke_own_end(struct spoke_work *w, struct err *err)
{
	struct spoke *s = w->spoke;
	const struct learner_steps *how = &w->steps;
	const double lr = schedule_rate(&how->schedule, how->lr, how->round);
	const double reach =
		correction_reach(how->steps, how->momentum, how->prox * lr);
	const size_t n = s->learner->model->n;
	float *x;

	if (!corrects(s))
		return 0;
	x = mem_zero(n, sizeof(*x));
	floats_unpack(x, w->base, n);
	w->own = mem_dup(s->own[w->logical], n * sizeof(*x));
	if (s->training.control)
		correction_scaffold_end(x, s->learner->params, w->control,
					w->own, n, lr, reach, w->control);
	else
		correction_dyn_end(x, s->learner->params, w->own, n, how->prox);
	free(x);
	return write_own(w, w->own, err);
}

void spoke_own_keep(struct spoke_work *w)
{
	struct spoke *s = w->spoke;
	char *from, *to;

	if (!w->own)
		return;
	from = path_of(s, w->logical, ".next");
	to = path_of(s, w->logical, "");
	if (rename(from, to))
		log_warn("own_lost", "logical=%d from=%s", w->logical, from);
	free(from);
	free(to);
	free(s->own[w->logical]);
	s->own[w->logical] = w->own;
	w->own = NULL;
}

void spoke_own_release(struct spoke_work *w)
{
	free(w->shift);
	free(w->control);
	free(w->own);
}
