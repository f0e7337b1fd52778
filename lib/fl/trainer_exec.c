/* A trainer whose steps somebody else's program takes: whose model it begins
 * with, and what becomes of a round that fails there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/contract.h"
#include "fl/trainer_impl.h"
#include "node/state.h"

enum {
	ROUNDS_IN_VAIN = 10, /* in a row, then it stays out */
};

/* --- opening -------------------------------------------------------------- */

int trainer_exec_open(struct trainer *t, struct err *err)
{
	return t->opts.exec.command
		       ? exec_open(&t->exec, &t->opts.exec, t->opts.db, err)
		       : 0;
}

bool trainer_tests(const struct trainer *t)
{
	return t->exec ? exec_tests(t->exec) : t->data.test != NULL;
}

static uint64_t own_seed(const struct trainer *t, uint64_t seed)
{
	return rand_mix(seed ^ rand_mix((uint64_t)t->id));
}

static int open_ours(struct trainer *t, const Gfl__V1__Run *run,
		     struct err *err)
{
	const Gfl__V1__RunSpec *spec = run->spec;
	const struct exec_run how = {
		.node = t->id,
		.run = run->id,
		.run_seed = spec->seed,
		.own_seed = own_seed(t, spec->seed),
		.model = spec->model,
		.hyper = spec->hyper,
		.nhyper = spec->n_hyper,
		.momentum = spec->momentum,
		.weight_decay = spec->weight_decay,
		.prox = spec->prox,
	};

	return exec_learner(&t->run.learner, t->exec, &how, err);
}

int trainer_open_learner(struct trainer *t, const Gfl__V1__Run *run,
			 struct err *err)
{
	const Gfl__V1__RunSpec *spec = run->spec;

	t->run.brought = !strcmp(spec->model, EXEC_MODEL);
	if (t->exec)
		return open_ours(t, run, err);
	if (t->run.brought)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the run is for trainers that were started with "
			       "--exec or --exec-serve");
	return learner_open(&t->run.learner, spec->model, &t->data, spec->seed,
			    own_seed(t, spec->seed), err);
}

/* --- the first model ------------------------------------------------------ */

static int64_t place_of(const struct trainer *t, const Gfl__V1__Trainer *p)
{
	return p->attached_index > t->run.id ? p->attached_index : t->run.id;
}

/* Of those that take part: the lowest id of those that were attached when the
 * run began, then whoever came next. All trainers agree on it, and one that
 * comes late does not become it. */
bool trainer_exec_is_first(const struct trainer *t)
{
	const struct state *s = trainer_state(t);
	const Gfl__V1__Trainer *me = state_trainer(s, t->id);

	for (size_t i = 0; me && i < s->ntrainers; i++) {
		const Gfl__V1__Trainer *p = s->trainers[i];

		if (p->id == t->id || p->no_runs ||
		    p->liveness != GFL__V1__LIVENESS__LIVE)
			continue;
		if (place_of(t, p) < place_of(t, me) ||
		    (place_of(t, p) == place_of(t, me) && p->id < t->id))
			return false;
	}
	return me != NULL;
}

static void ask_again(void *arg)
{
	trainer_fetch(arg);
}

static void begun(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);
	struct err err = w->err;

	trainer_free_work(w);
	t->phase = PHASE_READY;
	if (t->run.over) {
		trainer_end_run(t);
	} else if (err.code == ERR_UNAVAILABLE) {
		trainer_exec_note(t, "the first model", &err);
		t->phase = PHASE_PULLING;
		timer_set(&t->again, t->loop,
			  backoff_next(&t->run.backoff, &t->chance), ask_again,
			  t);
	} else if (err.code) {
		trainer_exec_note(t, "the first model", &err);
		trainer_stay_out_for(t, &err, t->run.reason);
	} else {
		log_info("first_model", "trainer=%lld run=%lld parameters=%zu",
			 (long long)t->id, (long long)t->run.id,
			 t->run.learner->model->n);
		trainer_begin_exchange(t);
		trainer_begin_rounds(t, -1);
	}
}

void trainer_exec_begin(struct trainer *t)
{
	trainer_submit(t, WORK_BEGIN, begun);
}

/* --- what goes wrong ------------------------------------------------------ */

/* The newest failure, with the last words of the program, for the report. */
void trainer_exec_note(struct trainer *t, const char *when,
		       const struct err *err)
{
	log_err("round_failed", err);
	free(t->run.reason);
	t->run.reason = exec_reason(t->exec, when, err, REASON_MAX);
	link_poke(t->link);
}

static void again(void *arg)
{
	struct trainer *t = arg;

	t->run.pauses = false;
	trainer_advance(t);
}

bool trainer_exec_goes_on(struct trainer *t, const struct work *w)
{
	char when[40];

	if (!w->err.code) {
		t->run.vain = 0;
		t->run.backoff.now_ms = 0;
		return true;
	}
	snprintf(when, sizeof(when), "round %" PRId64, t->run.t);
	trainer_exec_note(t, when, &w->err);
	if (w->trained)
		return true;
	if (w->err.code == ERR_UNAVAILABLE) {
		t->run.pauses = true;
		timer_set(&t->again, t->loop,
			  backoff_next(&t->run.backoff, &t->chance), again, t);
		return false;
	}
	if (w->err.code != ERR_FAILED_PRECONDITION &&
	    ++t->run.vain < ROUNDS_IN_VAIN)
		return true;
	trainer_stay_out_for(t, &w->err, t->run.reason);
	return false;
}

static void warm(void *exec)
{
	exec_warm(exec);
}

/* While we ask others for the model. */
void trainer_exec_warm(struct trainer *t)
{
	struct err err;

	if (t->exec && worker_submit(t->host.worker, warm, NULL, t->exec, &err))
		log_err("warm", &err);
}

static void rest(void *exec)
{
	exec_rest(exec);
}

/* With the run: what it keeps of one is not for the next. */
void trainer_exec_rest(struct trainer *t)
{
	struct err err;

	if (t->exec && worker_submit(t->host.worker, rest, NULL, t->exec, &err))
		log_err("rest", &err);
}
