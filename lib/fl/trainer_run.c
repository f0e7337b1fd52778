/* A trainer's way through a run: which round, local steps, exchange, what has
 * to be evaluated and saved, and the end. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/trainer_impl.h"
#include "nn/checkpoint.h"
#include "nn/tensors.h"

enum { LEAVE_MS = 2000 };

static void advance(struct trainer *t);

/* --- beginning ------------------------------------------------------------ */

static void stay_out(struct trainer *t, const struct err *err)
{
	log_err("stays out of the run", err);
	t->out_of = t->run.id;
	snprintf(t->why_out, sizeof(t->why_out), "%.250s", err->msg);
	t->phase = PHASE_READY;
	trainer_halt(t);
	link_poke(t->link);
	link_take_part(t->link, false);
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
		.steps = {spec->steps, (int)spec->batch, spec->lr,
			  spec->momentum},
		.tally = {.loss = NAN, .accuracy = NAN, .accuracy_alone = NAN},
		.at = -1,
		.fastest = -1,
		.since_ms = clock_ms(),
		.saved_ms = clock_ms(),
	};
	rc = learner_open(&t->run.learner, spec->model, &t->data, spec->seed,
			  rand_mix(spec->seed ^ rand_mix((uint64_t)t->id)),
			  err);
	if (rc)
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

static bool resume_run(struct trainer *t)
{
	char *path = trainer_beside_db(t, "checkpoint");
	struct resume r;
	struct err err;
	int rc = resume_load(path, t->run.id, t->run.learner, &r, &err);

	free(path);
	if (!rc) {
		rc = exchange_load(t->exchange, r.exchange.p, r.exchange.len,
				   &err);
		t->run.tally = r.tally;
		t->run.at = r.round;
		buf_release(&r.exchange);
	}
	if (rc && rc != ERR_NOT_FOUND)
		log_err("checkpoint", &err);
	if (!rc)
		log_info("resumed", "run=%lld round=%lld", (long long)t->run.id,
			 (long long)t->run.at);
	return !rc;
}

static void begin(struct trainer *t, const Gfl__V1__Run *run)
{
	const struct plans *plans = &trainer_state(t)->plans;
	struct err err;

	if (open_run(t, run, &err)) {
		stay_out(t, &err);
		return;
	}
	log_info("run", "id=%lld model=%s parameters=%zu rounds=%lld",
		 (long long)run->id, run->spec->model, t->run.learner->model->n,
		 (long long)run->spec->rounds);
	exchange_begin(t->exchange, run->id, t->run.learner->params,
		       (uint32_t)t->run.learner->model->n,
		       t->run.learner->model->layout);
	t->run.fastest = fastest_reported(run);
	if (resume_run(t))
		trainer_begin_rounds(t, t->run.at);
	else if (pace_fastest(plans, run->id) > PACE_BEHIND ||
		 t->run.fastest > PACE_BEHIND)
		trainer_fetch(t);
	else
		trainer_begin_rounds(t, -1);
}

void trainer_begin_rounds(struct trainer *t, int64_t at)
{
	t->run.at = at;
	t->phase = PHASE_READY;
	exchange_epoch(t->exchange, trainer_state(t)->epoch, clock_ms());
	trainer_drain(t);
	advance(t);
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
	if (t->exchange && t->run.learner) {
		exchange_abandon(t->exchange, "the run is over here");
		exchange_begin(t->exchange, t->run.id + 1, NULL, 0, 0);
	}
	t->phase = PHASE_IDLE;
	trainer_drain(t);
	trainer_pull_close(t);
	learner_free(t->run.learner);
	free(t->run.model_path);
	t->run = (struct trainer_run){0};
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
	trainer_free_work(w);
	close_run(t);
}

/* Save on the way out: the checkpoint when we stop, the model when the run
 * was ended early. */
static void end_run(struct trainer *t)
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
		exchange_abandon(t->exchange, "the run is over here");
		trainer_drain(t); /* its DONE leads on */
	} else if (t->phase != PHASE_WORKING) {
		end_run(t);
	}
}

/* --- round by round ------------------------------------------------------- */

static bool due_to_evaluate(const struct trainer *t)
{
	int64_t done = t->run.at + 1;

	return t->data.test &&
	       (done % t->run.eval_every == 0 || done >= t->run.rounds);
}

static void add_history(struct trainer *t, bool evaluated)
{
	const struct tally *y = &t->run.tally;
	struct history_row row = {
		.run = t->run.id,
		.round = t->run.at + 1,
		.loss = y->loss,
		.accuracy = evaluated ? y->accuracy : (double)NAN,
		.bytes_sent = y->bytes_sent,
		.bytes_received = y->bytes_received,
		.misses = y->misses,
		.compute_s = y->compute_s,
		.wait_s = y->wait_s,
		.peer = t->run.peer,
		.at_ms = clock_wall_ms(),
	};

	history_add(t->history, &row);
}

static void finish(struct trainer *t)
{
	t->run.final = true;
	t->run.model_path = trainer_model_path(t);
	t->phase = PHASE_ENDED;
	log_info("finished", "run=%lld accuracy=%.4f misses=%lld model=%s",
		 (long long)t->run.id, t->run.tally.accuracy,
		 (long long)t->run.tally.misses, t->run.model_path);
	link_poke(t->link);
	trainer_give(t);
}

/* What was due after a round is done: evaluation, checkpoint, model. */
static void settled(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);
	bool model = w->what & WORK_MODEL;
	bool evaluated = !w->err.code && w->what & WORK_EVALUATE;

	if (w->err.code)
		log_err("after the round", &w->err);
	if (evaluated)
		t->run.tally.accuracy = w->accuracy;
	trainer_free_work(w);
	t->phase = PHASE_READY;
	t->run.since_ms = clock_ms();
	add_history(t, evaluated);
	if (t->run.over)
		end_run(t);
	else if (model)
		finish(t);
	else
		advance(t);
}

/* Round run.t is behind us, however it went. */
static void next_round(struct trainer *t)
{
	unsigned what = 0;

	t->run.at = t->run.t;
	t->phase = PHASE_READY;
	t->run.since_ms = clock_ms();
	if (t->run.over) {
		end_run(t);
		return;
	}
	if (due_to_evaluate(t))
		what |= WORK_EVALUATE;
	if (t->run.at >= t->run.rounds - 1)
		what |= WORK_SAVE | WORK_MODEL;
	else if (clock_ms() - t->run.saved_ms >= t->opts.checkpoint_ms)
		what |= WORK_SAVE;
	if (what) {
		trainer_submit(t, what, settled);
	} else {
		add_history(t, false);
		advance(t);
	}
	link_poke(t->link);
}

void trainer_round_done(struct trainer *t, const struct exchange_out *out)
{
	struct tally *y = &t->run.tally;
	bool planned = out->outcome != EXCHANGE_RESTED;

	y->wait_s += (double)(clock_ms() - t->run.since_ms) / 1e3;
	y->exchanges += out->outcome == EXCHANGE_MERGED;
	y->misses += planned && out->outcome != EXCHANGE_MERGED;
	y->lost += out->outcome == EXCHANGE_LOST;
	if (planned && out->outcome != EXCHANGE_MERGED)
		log_info("missed", "round=%lld peer=%lld reason=%s",
			 (long long)out->t, (long long)out->peer, out->text);
	next_round(t);
}

/* The local steps are done; exchange as the newest plan has it. */
static void arrive(struct trainer *t)
{
	const struct state *s = trainer_state(t);
	const struct plan *of = NULL;
	const struct plan_round *r =
		plans_at(&s->plans, t->run.id, s->epoch, t->run.t, &of);
	struct exchange_round at = {.run = t->run.id, .t = t->run.t};

	t->run.peer = 0;
	t->run.since_ms = clock_ms();
	if (r) {
		t->run.peer = plan_partner(r, t->id);
		at.epoch = of->epoch;
		at.peer = t->run.peer;
		at.seed = r->seed;
		at.c = r->c;
		at.deadline_ms = r->deadline_ms;
	}
	t->round = at;
	t->phase = PHASE_EXCHANGE;
	trainer_give(t);
	exchange_arrive(t->exchange, &at, clock_ms());
	trainer_wait_for_peer(t);
	trainer_drain(t);
}

static void trained(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);
	struct err err = w->err;

	t->run.tally.compute_s += w->seconds;
	t->run.tally.loss = w->loss;
	if (!err.code && w->what & WORK_EVALUATE) {
		t->run.tally.accuracy = w->accuracy;
		t->run.tally.accuracy_alone = w->accuracy;
		log_info("alone", "round=%lld accuracy=%.4f",
			 (long long)t->run.t, w->accuracy);
	}
	trainer_free_work(w);
	t->phase = PHASE_READY;
	if (t->run.over)
		end_run(t);
	else if (err.code)
		stay_out(t, &err);
	else
		arrive(t);
}

static struct pace_next next_of(const struct trainer *t)
{
	const struct state *s = trainer_state(t);
	struct pace p = {.plans = &s->plans,
			 .run = t->run.id,
			 .rounds = t->run.rounds,
			 .epoch = s->epoch,
			 .at = t->run.at,
			 .fastest = t->run.fastest};

	return pace_next(&p);
}

/* Rounds that are jumped over are missed where a plan counted on us. */
static void jump(struct trainer *t, int64_t to)
{
	const struct plans *plans = &trainer_state(t)->plans;

	log_info("jumps", "from=%lld to=%lld", (long long)t->run.at + 1,
		 (long long)to);
	for (int64_t i = t->run.at + 1; i < to; i++) {
		const struct plan_round *r = plans_was(plans, t->run.id, i);

		t->run.tally.misses += r && plan_partner(r, t->id);
	}
}

static void train(struct trainer *t, const struct pace_next *next)
{
	unsigned what = WORK_TRAIN;

	if (next->skipped)
		jump(t, next->t);
	t->run.tally.wait_s += (double)(clock_ms() - t->run.since_ms) / 1e3;
	t->run.t = next->t;
	if (t->data.test && isnan(t->run.tally.accuracy_alone) && next->round &&
	    plan_partner(next->round, t->id))
		what |= WORK_EVALUATE;
	trainer_give(t);
	trainer_submit(t, what, trained);
}

static void advance(struct trainer *t)
{
	struct pace_next next;

	if (t->phase != PHASE_READY || t->work || t->failure.code)
		return;
	next = next_of(t);
	if (next.step == PACE_WAIT)
		trainer_give(t);
	else if (next.step != PACE_FINISHED)
		train(t, &next);
	else if (t->run.final)
		t->phase = PHASE_ENDED;
	else
		trainer_submit(t,
			       WORK_MODEL | (t->data.test ? WORK_EVALUATE : 0),
			       settled);
}

/* --- the state has changed ------------------------------------------------ */

static bool is_live(const struct state *s, int64_t id)
{
	const Gfl__V1__Trainer *peer = state_trainer(s, id);

	return peer && peer->liveness == GFL__V1__LIVENESS__LIVE &&
	       !peer->no_runs;
}

static void look_at_run(struct trainer *t, const struct state *s)
{
	const Gfl__V1__Run *run = state_running(s);

	if (t->run.id && !t->run.over && (!run || run->id != t->run.id)) {
		const Gfl__V1__Run *old = state_run(s, t->run.id);

		log_info("run over", "id=%lld state=%s", (long long)t->run.id,
			 old ? old->state : "gone");
		trainer_halt(t);
	}
	if (t->out_of && (!run || run->id != t->out_of)) {
		t->out_of = 0;
		link_take_part(t->link, !t->opts.no_runs);
	}
	if (run && run->id == t->run.id &&
	    fastest_reported(run) > t->run.fastest)
		t->run.fastest = fastest_reported(run);
	if (run && !t->run.id && run->id != t->out_of && !t->opts.no_runs &&
	    !t->stopped && t->exchange)
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
	exchange_epoch(t->exchange, s->epoch, clock_ms());
	if (t->phase == PHASE_EXCHANGE && t->run.peer &&
	    !is_live(s, t->run.peer))
		exchange_abandon(t->exchange, "the peer is down");
	trainer_drain(t);
	advance(t);
}
