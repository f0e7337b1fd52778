/* A trainer's way through a run: which round, local steps, exchange, what has
 * to be evaluated and saved. */
#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "fl/trainer_impl.h"

static bool due_to_evaluate(const struct trainer *t)
{
	int64_t done = t->run.at + 1;

	return trainer_tests(t) &&
	       (done % t->run.eval_every == 0 || done >= t->run.rounds);
}

static bool due_to_save(const struct trainer *t)
{
	int64_t every = t->opts.checkpoint_rounds;

	return (every && (t->run.at + 1) % every == 0) ||
	       clock_ms() - t->run.saved_ms >= t->opts.checkpoint_ms;
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
	log_info("finished",
		 "trainer=%lld run=%lld accuracy=%.4f misses=%lld model=%s",
		 (long long)t->id, (long long)t->run.id, t->run.tally.accuracy,
		 (long long)t->run.tally.misses, t->run.model_path);
	link_poke(t->link);
	trainer_give(t);
}

/* What was due after a round is done: evaluation, checkpoint, model. */
static void settled(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);
	bool model = w->what & WORK_MODEL, saved = w->what & WORK_SAVE;
	bool evaluated = !w->err.code && w->what & WORK_EVALUATE;

	if (w->err.code && t->exec && !t->run.over)
		trainer_exec_note(t, "evaluation", &w->err);
	else if (w->err.code)
		log_err("after_the_round", &w->err);
	if (evaluated)
		t->run.tally.accuracy = w->accuracy;
	trainer_free_work(w);
	t->phase = PHASE_READY;
	t->run.since_ms = clock_ms();
	add_history(t, evaluated);
	if (saved)
		history_flush(t->history);
	if (t->run.over)
		trainer_end_run(t);
	else if (model)
		finish(t);
	else
		trainer_advance(t);
}

/* Round run.t is behind us, however it went. */
void trainer_round_over(struct trainer *t)
{
	unsigned what = 0;

	t->run.at = t->run.t;
	t->phase = PHASE_READY;
	t->run.since_ms = clock_ms();
	if (t->run.over) {
		trainer_end_run(t);
		return;
	}
	if (due_to_evaluate(t))
		what |= WORK_EVALUATE;
	if (t->run.at >= t->run.rounds - 1)
		what |= WORK_SAVE | WORK_MODEL;
	else if (due_to_save(t))
		what |= WORK_SAVE;
	if (what) {
		trainer_submit(t, what, settled);
	} else {
		add_history(t, false);
		trainer_advance(t);
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
	t->run.since_ms = clock_ms();
	if (!t->run.over && trainer_meet_next(t))
		return;
	if (!trainer_bridge_begin(t))
		trainer_round_over(t);
}

/* The local steps are done; exchange as the newest plan has it. */
static void arrive(struct trainer *t)
{
	const struct state *s = trainer_state(t);
	const struct plan *of = NULL;
	const struct plan_round *r =
		plans_at(&s->plans, t->run.id, s->epoch, t->run.t, &of);

	t->run.peer = 0;
	t->run.since_ms = clock_ms();
	t->phase = PHASE_EXCHANGE;
	trainer_give(t);
	trainer_meet_begin(t, r, r ? of->epoch : 0);
}

static void trained(void *arg)
{
	struct trainer *t = arg;
	struct work *w = trainer_take_work(t);
	struct err err = w->err;
	bool goes_on = true;

	t->run.tally.compute_s += w->seconds;
	t->run.tally.loss = w->loss;
	if (!err.code && w->what & WORK_EVALUATE) {
		t->run.tally.accuracy = w->accuracy;
		t->run.tally.accuracy_alone = w->accuracy;
		log_info("alone", "trainer=%lld round=%lld accuracy=%.4f",
			 (long long)t->id, (long long)t->run.t, w->accuracy);
	}
	t->phase = PHASE_READY;
	if (t->exec && !t->run.over)
		goes_on = trainer_exec_goes_on(t, w);
	trainer_free_work(w);
	if (!goes_on)
		return;
	if (t->run.over)
		trainer_end_run(t);
	else if (err.code && !t->exec)
		trainer_stay_out(t, &err);
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
			 .fastest = t->run.fastest,
			 .alone = t->run.alone,
			 .graph = s->graph.n > 0};

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

		t->run.tally.misses += trainer_meet_planned(t, r);
	}
}

static void train(struct trainer *t, const struct pace_next *next)
{
	unsigned what = WORK_TRAIN;

	if (next->skipped)
		jump(t, next->t);
	t->run.tally.wait_s += (double)(clock_ms() - t->run.since_ms) / 1e3;
	t->run.t = next->t;
	if (trainer_tests(t) && isnan(t->run.tally.accuracy_alone) &&
	    trainer_meet_planned(t, next->round))
		what |= WORK_EVALUATE;
	trainer_give(t);
	trainer_meet_before(t);
	trainer_submit(t, what, trained);
}

void trainer_advance(struct trainer *t)
{
	struct pace_next next;

	if (t->phase != PHASE_READY || t->run.pauses || t->work ||
	    t->failure.code)
		return;
	next = next_of(t);
	if (next.step == PACE_WAIT)
		trainer_give(t);
	else if (next.step != PACE_FINISHED)
		train(t, &next);
	else if (t->run.final)
		t->phase = PHASE_ENDED;
	else
		trainer_submit(
			t, WORK_MODEL | (trainer_tests(t) ? WORK_EVALUATE : 0),
			settled);
}
