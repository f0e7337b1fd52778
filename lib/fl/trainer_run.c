/* A trainer's runs: when one begins, what it resumes from, and how it ends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/trainer_impl.h"

enum { LEAVE_MS = 2000, AGAIN_FIRST_MS = 500, AGAIN_MAX_MS = 30000 };

/* --- beginning ------------------------------------------------------------ */

void trainer_stay_out(struct trainer *t, const struct err *err)
{
	trainer_stay_out_for(t, err, err->msg);
}

void trainer_stay_out_for(struct trainer *t, const struct err *err,
			  const char *why)
{
	log_err("stays_out_of_the_run", err);
	t->out_of = t->run.id;
	t->out_at = t->run.at + 1;
	t->out_tally = t->run.tally;
	free(t->why_out);
	t->why_out = mem_str(why);
	t->phase = PHASE_READY;
	trainer_halt(t);
	t->out_told = t->out_sent = false;
	link_poke(t->link);
}

static struct learner_steps steps_of(const Gfl__V1__RunSpec *spec)
{
	return (struct learner_steps){
		.steps = spec->steps,
		.epochs = spec->epochs,
		.batch = (int)spec->batch,
		.lr = spec->lr,
		.momentum = spec->momentum,
		.weight_decay = spec->weight_decay,
		.prox = spec->prox,
		.nesterov = spec->nesterov,
		.schedule = {spec->lr_decay, spec->lr_every,
			     spec->lr_cosine ? spec->rounds : 0},
	};
}

/* The model of the run, as its settings have it. */
static int open_run(struct trainer *t, const Gfl__V1__Run *run, struct err *err)
{
	const Gfl__V1__RunSpec *spec = run->spec;
	char layout[17];
	int rc;

	t->run = (struct trainer_run){
		.id = run->id,
		.rounds = spec->rounds,
		.eval_every = spec->eval_every > 0 ? spec->eval_every
						   : t->opts.eval_every,
		.seed = spec->seed,
		.alone = !strcmp(spec->policy, "none"),
		.steps = steps_of(spec),
		.tally = {.loss = NAN, .accuracy = NAN, .accuracy_alone = NAN},
		.at = -1,
		.fastest = -1,
		.since_ms = clock_ms(),
		.saved_ms = clock_ms(),
		.backoff = {AGAIN_FIRST_MS, AGAIN_MAX_MS, 0},
	};
	rc = trainer_open_learner(t, run, err);
	if (rc || !t->run.learner->model)
		return rc;
	trainer_layout(t, layout);
	if (*spec->layout_hash && strcmp(spec->layout_hash, layout))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "the model \"%s\" has layout %s here, not %s",
			       spec->model, layout, spec->layout_hash);
	return 0;
}

/* How far the others are, as the committed reports have it. */
static int64_t fastest_reported(const Gfl__V1__Run *run)
{
	int64_t fastest = -1;

	for (size_t i = 0; i < run->n_reports; i++)
		if (run->reports[i]->round - 1 > fastest)
			fastest = run->reports[i]->round - 1;
	return fastest;
}

void trainer_begin_exchange(struct trainer *t)
{
	const Gfl__V1__Run *run = state_run(trainer_state(t), t->run.id);
	const struct learner *l = t->run.learner;

	trainer_meet_open(t, run->spec);
	exchange_begin(t->talk.exchange, t->run.id, l->params,
		       (uint32_t)l->model->n, l->model->layout);
	trainer_meet_by(t, t->talk.exchange, run->spec, true);
	trainer_meet_resumed(t, NULL);
}

static bool resume_run(struct trainer *t)
{
	char *path = trainer_beside_db(t, "checkpoint");
	bool known = t->run.learner->model;
	struct resume r;
	struct err err;
	int rc;

	file_sweep(path);
	rc = resume_load(path, t->run.id, t->run.learner, &r, &err);
	free(path);
	if (t->run.learner->model && !known)
		trainer_begin_exchange(t);
	if (!rc) {
		rc = exchange_load(t->talk.exchange, r.exchange.p,
				   r.exchange.len, &err);
		t->run.tally = r.tally;
		t->run.at = r.round;
		trainer_meet_resumed(t, r.shared);
		free(r.shared);
		buf_release(&r.exchange);
	}
	if (rc && rc != ERR_NOT_FOUND)
		log_err("checkpoint", &err);
	if (!rc)
		log_info("resumed", "trainer=%lld run=%lld round=%lld",
			 (long long)t->id, (long long)t->run.id,
			 (long long)t->run.at);
	return !rc;
}

static void begin(struct trainer *t, const Gfl__V1__Run *run)
{
	const struct plans *plans = &trainer_state(t)->plans;
	struct err err;

	if (open_run(t, run, &err)) {
		trainer_stay_out(t, &err);
		return;
	}
	log_info("run",
		 "trainer=%lld run=%lld model=%s parameters=%zu rounds=%lld",
		 (long long)t->id, (long long)run->id, run->spec->model,
		 t->run.learner->model ? t->run.learner->model->n : 0,
		 (long long)run->spec->rounds);
	trainer_exec_warm(t);
	if (t->run.learner->model)
		trainer_begin_exchange(t);
	t->run.fastest = fastest_reported(run);
	if (resume_run(t))
		trainer_begin_rounds(t, t->run.at);
	else if (!t->run.learner->model ||
		 pace_fastest(plans, run->id) > PACE_BEHIND ||
		 t->run.fastest > PACE_BEHIND)
		trainer_fetch(t);
	else
		trainer_begin_rounds(t, -1);
}

void trainer_begin_rounds(struct trainer *t, int64_t at)
{
	t->run.at = at;
	t->phase = PHASE_READY;
	exchange_epoch(t->talk.exchange, trainer_epoch(t), clock_ms());
	trainer_talk_drain(&t->talk);
	trainer_advance(t);
}

/* --- the end -------------------------------------------------------------- */

static void left(void *arg)
{
	struct trainer *t = arg;

	t->stopped(t->stopped_arg);
}

static void leave(struct trainer *t)
{
	if (t->leaving)
		return;
	t->leaving = true;
	link_leave(t->link, "stopped", LEAVE_MS, left, t);
}

static void close_run(struct trainer *t)
{
	if (t->talk.exchange && t->run.learner) {
		exchange_abandon(t->talk.exchange, "the run is over here");
		exchange_begin(t->talk.exchange, t->run.id + 1, NULL, 0, 0);
	}
	t->phase = PHASE_IDLE;
	trainer_talk_drain(&t->talk);
	trainer_bridge_close(t);
	trainer_give_close(t, false);
	trainer_fetch_close(t);
	learner_free(t->run.learner);
	trainer_exec_rest(t);
	trainer_meet_close(t);
	if (t->run.model_path) {
		free(t->last_model);
		t->last_model = t->run.model_path;
	}
	free(t->run.reason);
	t->run = (struct trainer_run){0};
	trainer_give(t);
	if (t->stopped)
		leave(t);
	else
		trainer_look(t);
}

static void ended(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);

	if (w->err.code)
		log_err("save", &w->err);
	else if (w->what & WORK_MODEL)
		t->run.model_path = trainer_model_path(t);
	trainer_free_work(w);
	close_run(t);
}

void trainer_end_run(struct trainer *t)
{
	unsigned what = t->stopped ? WORK_SAVE : WORK_MODEL;

	if (!t->run.learner || t->run.at < 0 || (t->run.final && !t->stopped) ||
	    t->out_of == t->run.id)
		close_run(t);
	else
		trainer_submit(t, what, ended);
}

void trainer_halt(struct trainer *t)
{
	if (!t->run.id && t->stopped) {
		leave(t);
		return;
	}
	if (!t->run.id)
		return;
	t->run.over = true;
	if (t->phase == PHASE_EXCHANGE) {
		exchange_abandon(t->talk.exchange, "the run is over here");
		trainer_talk_drain(&t->talk); /* its DONE leads on */
		trainer_bridge_abandon(t, "the run is over here");
	} else if (t->phase == PHASE_WORKING) {
		learner_cancel(t->run.learner);
	} else {
		trainer_end_run(t);
	}
}

/* --- the state has changed ------------------------------------------------ */

static bool is_live(const struct state *s, int64_t id)
{
	const Gfl__V1__Trainer *peer = state_trainer(s, id);

	return peer && peer->liveness == GFL__V1__LIVENESS__LIVE &&
	       !peer->no_runs;
}

/* Our last words come first: once we are out, the run may be over at once. */
static void look_at_failed(struct trainer *t, const Gfl__V1__Run *running)
{
	bool over = !running || running->id != t->out_of;

	if (!t->out_of || !t->out_told)
		return;
	if (over)
		t->out_of = 0;
	link_take_part(t->link, over && !t->opts.no_runs);
}

static void look_at_run(struct trainer *t, const struct state *s)
{
	const Gfl__V1__Run *run = state_running(s);

	if (t->run.id && !t->run.over && (!run || run->id != t->run.id)) {
		const Gfl__V1__Run *old = state_run(s, t->run.id);

		log_info("run_over", "trainer=%lld run=%lld state=%s",
			 (long long)t->id, (long long)t->run.id,
			 old ? old->state : "gone");
		trainer_halt(t);
	}
	look_at_failed(t, run);
	if (run && run->id == t->run.id &&
	    fastest_reported(run) > t->run.fastest)
		t->run.fastest = fastest_reported(run);
	if (run && !t->run.id && !t->out_of && !t->opts.no_runs &&
	    !t->stopped && t->talk.exchange)
		begin(t, run);
}

void trainer_look(struct trainer *t)
{
	const struct state *s = trainer_state(t);

	if (!s || t->failure.code)
		return;
	look_at_run(t, s);
	if (!t->run.id || t->run.over)
		return;
	trainer_fetch_look(t);
	trainer_bridge_look(t);
	exchange_epoch(t->talk.exchange, trainer_epoch(t), clock_ms());
	if (t->phase == PHASE_EXCHANGE && t->run.peer &&
	    !is_live(s, t->run.peer))
		exchange_abandon(t->talk.exchange, "the peer is down");
	trainer_talk_drain(&t->talk);
	trainer_advance(t);
}
