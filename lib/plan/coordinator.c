#include "plan/coordinator_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

const struct coordinator_opts coordinator_defaults = {
	.fail_after_ms = 5000,
	.give_up_ms = 300000,
	.bandwidth_ms = 10000,
	.misses = 3,
};

enum { WITNESSES = 2 };

struct coordinator *coordinator_new(const struct coordinator_opts *opts,
				    int64_t now_ms)
{
	struct coordinator *c = mem_zero(1, sizeof(*c));

	c->opts = opts ? *opts : coordinator_defaults;
	c->since_ms = c->bandwidth_ms = c->enough_ms = now_ms;
	return c;
}

void coordinator_free(struct coordinator *c)
{
	if (!c)
		return;
	meter_release(&c->meter);
	free(c->known);
	free(c->missed);
	free(c);
}

static struct known *know(struct coordinator *c, int64_t id)
{
	struct known *k = coordinator_find(c, id);

	if (k)
		return k;
	c->known = mem_grow(c->known, &c->known_cap, c->nknown + 1,
			    sizeof(*c->known));
	k = &c->known[c->nknown++];
	*k = (struct known){.id = id,
			    .heard_ms = c->since_ms,
			    .round = -1,
			    .accuracy = NAN};
	return k;
}

void coordinator_slept(struct coordinator *c, int64_t slept_ms)
{
	c->since_ms += slept_ms;
	c->enough_ms += slept_ms;
	c->slowest_ms += slept_ms;
	for (size_t i = 0; i < c->nknown; i++)
		c->known[i].heard_ms += slept_ms;
}

void coordinator_heard(struct coordinator *c, int64_t trainer, int64_t now_ms)
{
	know(c, trainer)->heard_ms = now_ms;
}

void coordinator_reported(struct coordinator *c, int64_t run, int64_t trainer,
			  int64_t round, double accuracy)
{
	struct known *k = know(c, trainer);

	if (run < k->run || (run == k->run && round < k->round))
		return;
	if (run > k->run)
		k->accuracy = NAN;
	k->run = run;
	k->round = round;
	if (isfinite(accuracy))
		k->accuracy = accuracy;
}

static struct missed *missed_of(struct coordinator *c, int64_t trainer,
				int64_t peer)
{
	struct missed *m = c->missed;

	for (size_t i = 0; i < c->nmissed; i++, m++)
		if (m->trainer == trainer && m->peer == peer)
			return m;
	c->missed = mem_grow(c->missed, &c->missed_cap, c->nmissed + 1,
			     sizeof(*c->missed));
	m = &c->missed[c->nmissed++];
	*m = (struct missed){trainer, peer, 0};
	return m;
}

void coordinator_exchanged(struct coordinator *c, int64_t trainer, int64_t peer,
			   bool missed)
{
	struct missed *m = missed_of(c, trainer, peer);

	m->times = missed ? m->times + 1 : 0;
	if (!missed) /* who answers others is alive */
		for (size_t i = 0; i < c->nmissed; i++)
			if (c->missed[i].peer == peer)
				c->missed[i].times = 0;
}

void coordinator_measured(struct coordinator *c, int64_t from, int64_t to,
			  double bps)
{
	meter_measured(&c->meter, from, to, bps);
	c->measured = true;
}

/* --- who is down --------------------------------------------------------- */

static void because(struct coordinator_act *act, const char *fmt, ...)
	PRINTF(2, 3);

static void because(struct coordinator_act *act, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(act->why, sizeof(act->why), fmt, ap);
	va_end(ap);
}

/* Misses in a row that all peers together saw, if two of them or more did. */
static int misses_seen(const struct coordinator *c,
		       const struct coordinator_view *v, int64_t id)
{
	int peers = 0, times = 0;

	for (size_t i = 0; i < c->nmissed; i++) {
		const struct missed *m = &c->missed[i];

		if (m->peer != id || !m->times)
			continue;
		for (size_t j = 0; j < v->ntrainers; j++)
			if (v->trainers[j].id == m->trainer) {
				peers++;
				times += m->times;
			}
	}
	return peers >= WITNESSES ? times : 0;
}

static int64_t silence(const struct coordinator *c, int64_t id, int64_t now_ms)
{
	const struct known *k = coordinator_find(c, id);

	return now_ms - (k ? k->heard_ms : c->since_ms);
}

/* The clock of a trainer that came (back) into the set starts now. */
static void note_arrivals(struct coordinator *c,
			  const struct coordinator_view *v, int64_t now_ms)
{
	for (size_t i = 0; i < c->nknown; i++) {
		bool live = false;

		for (size_t j = 0; j < v->ntrainers; j++)
			live |= v->trainers[j].id == c->known[i].id;
		c->known[i].live &= live;
	}
	for (size_t j = 0; j < v->ntrainers; j++) {
		struct known *k = know(c, v->trainers[j].id);

		if (!k->live)
			k->heard_ms = now_ms;
		k->live = true;
	}
}

static void forget_misses(struct coordinator *c, int64_t id)
{
	for (size_t i = 0; i < c->nmissed; i++)
		if (c->missed[i].peer == id)
			c->missed[i].times = 0;
}

static bool look_for_down(struct coordinator *c,
			  const struct coordinator_view *v, int64_t now_ms,
			  struct coordinator_act *act)
{
	for (size_t i = 0; i < v->ntrainers; i++) {
		int64_t id = v->trainers[i].id;
		int64_t quiet_ms = silence(c, id, now_ms);
		int misses = misses_seen(c, v, id);

		if (quiet_ms >= c->opts.fail_after_ms)
			because(act, "not heard for %lld ms",
				(long long)quiet_ms);
		else if (misses >= c->opts.misses)
			because(act, "missed %d exchanges in a row", misses);
		else
			continue;
		forget_misses(c, id);
		act->trainer = id;
		act->kind = COORDINATOR_TRAINER_DOWN;
		return true;
	}
	return false;
}

/* --- the run's end ------------------------------------------------------- */

static bool all_at_end(const struct coordinator *c,
		       const struct coordinator_view *v)
{
	for (size_t i = 0; i < v->ntrainers; i++)
		if (v->trainers[i].runs &&
		    coordinator_round_of(c, v->run->id, v->trainers[i].id) <
			    v->run->rounds - 1)
			return false;
	return coordinator_runners(v) > 0;
}

/* The mean of the last accuracies; NAN unless every trainer has one. */
static double mean_accuracy(const struct coordinator *c,
			    const struct coordinator_view *v)
{
	double sum = 0;

	for (size_t i = 0; i < v->ntrainers; i++) {
		const struct known *k = coordinator_find(c, v->trainers[i].id);

		if (!v->trainers[i].runs)
			continue;
		if (!k || k->run != v->run->id)
			return NAN;
		sum += k->accuracy;
	}
	return sum / (double)coordinator_runners(v);
}

/* Enough trainers were there, and all of them have failed: nobody is left who
 * could go on, or come back. */
static bool none_is_left(const struct coordinator_view *v)
{
	return !coordinator_runners(v) && !v->away && v->nfailed >= 2 &&
	       v->nfailed >= (size_t)v->run->min_trainers;
}

static void because_all_failed(const struct coordinator_view *v,
			       struct coordinator_act *act)
{
	bool alike = true;

	for (size_t i = 1; i < v->nfailed; i++)
		alike &= !strcmp(v->failed[i].reason, v->failed[0].reason);
	if (alike)
		because(act, "all %zu trainers failed: %s", v->nfailed,
			v->failed[0].reason);
	else
		because(act, "all %zu trainers failed, trainer %lld with: %s",
			v->nfailed, (long long)v->failed[0].id,
			v->failed[0].reason);
}

static bool look_for_end(struct coordinator *c,
			 const struct coordinator_view *v, int64_t now_ms,
			 struct coordinator_act *act)
{
	double accuracy = mean_accuracy(c, v);
	int64_t give_up_ms =
		v->run->give_up_ms ? v->run->give_up_ms : c->opts.give_up_ms;

	act->run = v->run->id;
	if (all_at_end(c, v)) {
		because(act, "all %lld rounds done", (long long)v->run->rounds);
		act->kind = COORDINATOR_RUN_FINISHED;
	} else if (v->run->target_accuracy > 0 &&
		   accuracy >= v->run->target_accuracy) {
		because(act, "mean accuracy %.4f reached", accuracy);
		act->kind = COORDINATOR_RUN_FINISHED;
	} else if (none_is_left(v)) {
		because_all_failed(v, act);
		act->kind = COORDINATOR_RUN_FAILED;
	} else if (now_ms - c->enough_ms >= give_up_ms) {
		because(act, "fewer than 2 trainers for %lld s",
			(long long)(now_ms - c->enough_ms) / 1000);
		act->kind = COORDINATOR_RUN_FAILED;
	}
	return act->kind != COORDINATOR_NOTHING;
}

/* --- plans --------------------------------------------------------------- */

static bool look_for_plan(struct coordinator *c,
			  const struct coordinator_view *v, int64_t now_ms,
			  struct coordinator_act *act)
{
	int64_t t0 = coordinator_round_to_plan(c, v, now_ms);

	if (t0 < 0)
		return false;
	act->plan = coordinator_plan(v, t0);
	act->run = v->run->id;
	act->kind = COORDINATOR_PLAN;
	because(act, "rounds %lld to %lld, epoch %lld", (long long)t0,
		(long long)t0 + (long long)act->plan->nrounds - 1,
		(long long)act->plan->epoch);
	return true;
}

static bool is_live(const struct coordinator_view *v, int64_t id)
{
	for (size_t i = 0; i < v->ntrainers; i++)
		if (v->trainers[i].id == id)
			return true;
	return false;
}

size_t coordinator_keep_live(const struct coordinator_view *v,
			     struct bandwidth_cell *cells, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (is_live(v, cells[i].from) && is_live(v, cells[i].to))
			cells[kept++] = cells[i];
	return kept;
}

static bool look_for_bandwidth(struct coordinator *c,
			       const struct coordinator_view *v, int64_t now_ms,
			       struct coordinator_act *act)
{
	if (now_ms - c->bandwidth_ms < c->opts.bandwidth_ms)
		return false;
	c->bandwidth_ms = now_ms;
	act->ncells = meter_delta(&c->meter, v->bandwidth, &act->cells);
	act->ncells = coordinator_keep_live(v, act->cells, act->ncells);
	if (act->ncells)
		act->kind = COORDINATOR_BANDWIDTH;
	because(act, "%zu links measured", act->ncells);
	return act->ncells > 0;
}

enum coordinator_kind coordinator_next(struct coordinator *c,
				       const struct coordinator_view *v,
				       int64_t now_ms,
				       struct coordinator_act *act)
{
	*act = (struct coordinator_act){0};
	note_arrivals(c, v, now_ms);
	coordinator_note_slowest(c, v, now_ms);
	if (coordinator_runners(v) >= 2 || !v->run)
		c->enough_ms = now_ms;
	if (!look_for_down(c, v, now_ms, act) &&
	    !(v->run && look_for_end(c, v, now_ms, act)) &&
	    !(v->run && look_for_plan(c, v, now_ms, act)) &&
	    !(v->run && coordinator_look_for_slow(c, v, now_ms, act)))
		(void)look_for_bandwidth(c, v, now_ms, act);
	return act->kind;
}

void coordinator_act_release(struct coordinator_act *act)
{
	plan_free(act->plan);
	free(act->cells);
	*act = (struct coordinator_act){0};
}
