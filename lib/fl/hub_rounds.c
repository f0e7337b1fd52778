/* Synchronous rounds: a sample is activated, enough of it answers, the worker
 * makes the next model, and the writer keeps it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"
#include "nn/eval.h"

/* --- activations -----------------------------------------------------------
 */

void hub_asked(struct hub_client *c)
{
	(void)c;
}

void hub_round_lost(struct hub_client *c, bool lost)
{
	const struct hub_activation *g = &c->given;
	int64_t open = (int64_t)g->open;

	if (g->id && !g->over && g->code == GFL__V1__FL_CODE__ACTIVATION)
		c->hub->now.lost += lost ? open : -open;
}

void hub_forget_given(struct hub_client *c)
{
	if (c->here)
		hub_round_lost(c, true);
	c->given.over = true;
}

/* Ask the client for the logical ones at picked[0..n-1], its own. */
static void activate(struct hub_client *c, const int32_t *logical, size_t n)
{
	struct hub *h = c->hub;
	struct hub_activation *g = &c->given;

	free(g->parts);
	*g = (struct hub_activation){
		.id = ++h->last_activation,
		.code = GFL__V1__FL_CODE__ACTIVATION,
		.round = h->now.round,
		.version = h->version,
		.parts = mem_zero(n, sizeof(*g->parts)),
		.n = n,
		.open = n,
	};
	for (size_t i = 0; i < n; i++)
		g->parts[i].logical = logical[i];
	h->now.activated += (int64_t)n;
	hub_instruct(c);
}

/* --- opening ---------------------------------------------------------------
 */

/* All logical clients that are here, as candidates, and whose they are. */
struct field {
	struct cohort_candidate *candidates;
	struct place {
		struct hub_client *client;
		int32_t logical;
	} * places;
	size_t n;
};

static void gather(struct hub *h, struct field *f)
{
	struct hub_client *c, *next;

	f->candidates = mem_zero((size_t)h->here + 1, sizeof(*f->candidates));
	f->places = mem_zero((size_t)h->here + 1, sizeof(*f->places));
	HASH_ITER (hh, h->clients, c, next) {
		for (size_t i = 0; c->here && i < c->nlogical; i++) {
			f->candidates[f->n] = (struct cohort_candidate){
				c->logical[i].examples, c->logical[i].loss};
			f->places[f->n++] = (struct place){c, (int32_t)i};
		}
	}
}

/* Those of one client lie side by side, and picks ascend. */
static void activate_all(const struct field *f, const size_t *picked, size_t n)
{
	int32_t *logical = mem_zero(n + 1, sizeof(*logical));

	for (size_t i = 0; i < n;) {
		struct hub_client *c = f->places[picked[i]].client;
		size_t k = 0;

		for (; i < n && f->places[picked[i]].client == c; i++)
			logical[k++] = f->places[picked[i]].logical;
		activate(c, logical, k);
	}
	free(logical);
}

static void open_round(struct hub *h, int64_t now_ms)
{
	const struct hub_opts *o = &h->opts;
	struct field f = {0};
	size_t *picked, n, most = aggregate_most(h->rule);

	gather(h, &f);
	picked = mem_zero(f.n + 1, sizeof(*picked));
	n = cohort_pick(
		o->sampler, f.candidates, f.n,
		cohort_size(f.n, o->sample, (size_t)o->min_participants),
		(size_t)o->choices, &h->rand, picked);
	n = n < most ? n : most;
	h->state = HUB_TRAINING;
	h->now = (struct hub_now){.round = h->round + 1,
				  .version = h->version,
				  .began_ms = now_ms,
				  .deadline_ms = now_ms + o->deadline_ms,
				  .began_wall_ms = clock_wall_ms()};
	log_debug("round_opened", "round=%lld candidates=%zu activated=%zu",
		  (long long)h->now.round, f.n, n);
	activate_all(&f, picked, n);
	free(picked);
	free(f.candidates);
	free(f.places);
}

/* --- closing ---------------------------------------------------------------
 */

/* No update of this round is taken any more; who owes one is in *missing. */
static char *end_activations(struct hub *h, int64_t *missed)
{
	struct buf ids = BUF_INIT(0);
	struct hub_client *c, *next;

	buf_puts(&ids, "");
	HASH_ITER (hh, h->clients, c, next) {
		struct hub_activation *g = &c->given;
		int64_t left = 0;

		if (!g->id || g->over ||
		    g->code != GFL__V1__FL_CODE__ACTIVATION)
			continue;
		for (size_t i = 0; i < g->n; i++)
			left += g->parts[i].state != HUB_ADMITTED;
		g->over = true;
		c->missed += left;
		*missed += left;
		if (left)
			buf_putf(&ids, "%s%" PRId64, ids.len ? "," : "", c->id);
	}
	return buf_take(&ids);
}

static void log_round(const struct hub_round *r)
{
	log_info("round",
		 "round=%lld activated=%lld admitted=%lld missed=%lld "
		 "missing=%s examples=%lld loss=%.6f accuracy=%.4f "
		 "bytes_sent=%lld bytes_received=%lld seconds=%.4f",
		 (long long)r->round, (long long)r->activated,
		 (long long)r->admitted, (long long)r->missed, r->missing,
		 (long long)r->examples, r->loss, r->accuracy,
		 (long long)r->bytes_sent, (long long)r->bytes_received,
		 r->seconds);
}

static void free_job(struct hub_job *j)
{
	buf_release(&j->file);
	free(j->missing);
	free(j);
}

static void committed(const struct err *err, void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;

	h->committing = false;
	if (err) {
		hub_fail(h, err);
	} else {
		log_round(&j->row);
		if (h->opts.on_round)
			h->opts.on_round(&j->row, h->opts.on_round_arg);
	}
	free_job(j);
	hub_look(h);
}

/* On the worker's thread. */
static void make_next(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;
	struct net_score score = {0};

	if (aggregate_finish(h->rule, h->params, NULL, &j->err))
		return;
	j->row.accuracy = (double)NAN;
	if (j->evaluate) {
		if (eval_run(h->net, h->params, h->opts.test, NULL, 0, &score,
			     &j->err))
			return;
		j->row.accuracy = (double)score.correct / (double)score.n;
	}
	hub_store_encode(h, j->row.round, j->row.accuracy, true, &j->file);
	j->model = hub_model_make(h, j->row.round);
	j->err.code = ERR_OK;
}

static void next_made(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;

	if (j->err.code) {
		hub_fail(h, &j->err);
		free_job(j);
		return;
	}
	h->round = h->version = j->row.round;
	h->loss = j->row.loss;
	if (!isnan(j->row.accuracy))
		h->accuracy = j->row.accuracy;
	hub_model_use(h, j->model);
	h->missed += j->row.missed;
	if (h->state == HUB_CLOSING)
		h->state = HUB_WAITING;
	h->committing = true;
	hub_store_round(h, j, committed);
	hub_look(h);
}

static bool due_to_evaluate(const struct hub *h, int64_t round)
{
	return h->opts.test &&
	       (round % h->opts.eval_every == 0 || round == h->opts.rounds);
}

static void close_round(struct hub *h, int64_t now_ms)
{
	struct hub_job *j = mem_zero(1, sizeof(*j));
	const struct hub_now *n = &h->now;

	j->hub = h;
	j->evaluate = due_to_evaluate(h, n->round);
	j->row = (struct hub_round){
		.round = n->round,
		.activated = n->activated,
		.admitted = n->admitted,
		.refused = n->refused,
		.examples = n->examples,
		.loss = n->loss / (double)n->examples,
		.bytes_sent = n->bytes_sent,
		.bytes_received = n->bytes_received,
		.began_ms = n->began_wall_ms,
		.ended_ms = clock_wall_ms(),
		.seconds = (double)(now_ms - n->began_ms) / 1e3,
	};
	j->missing = end_activations(h, &j->row.missed);
	j->row.missing = j->missing;
	h->state = HUB_CLOSING;
	if (worker_submit(h->worker, make_next, next_made, j, &j->err))
		next_made(j);
}

static void void_round(struct hub *h)
{
	int64_t missed = 0;
	char *missing = end_activations(h, &missed);

	log_warn("round_void",
		 "round=%lld activated=%lld admitted=%lld needed=%lld "
		 "missing=%s reason=%s",
		 (long long)h->now.round, (long long)h->now.activated,
		 (long long)h->now.admitted,
		 (long long)h->opts.min_participants, missing,
		 "too few updates: it is repeated");
	h->missed += missed;
	h->voided++;
	free(missing);
	h->state = HUB_WAITING;
}

static void look_at_updates(struct hub *h, int64_t now_ms)
{
	const struct quorum q = {
		.least = h->opts.min_participants,
		.fraction = h->opts.fraction,
		.activated = h->now.activated,
		.admitted = h->now.admitted,
		.lost = h->now.lost,
		.late = now_ms >= h->now.deadline_ms,
	};

	if (h->now.admitting || h->committing)
		return;
	switch (quorum_verdict(&q)) {
	case QUORUM_CLOSE:
		close_round(h, now_ms);
		break;
	case QUORUM_VOID:
		void_round(h);
		break;
	case QUORUM_WAIT:
		break;
	}
}

/* The reason to end, or NULL. */
static const char *is_done(const struct hub *h)
{
	if (h->opts.rounds && h->round >= h->opts.rounds)
		return "all rounds are done";
	if (h->accuracy >= h->opts.target)
		return "the target accuracy is reached";
	return NULL;
}

void hub_round_look(struct hub *h, int64_t now_ms)
{
	const char *done = is_done(h);

	if (h->state == HUB_WAITING && done) {
		hub_end(h, done);
		return;
	}
	if (h->state == HUB_WAITING && h->here >= h->opts.min_participants)
		open_round(h, now_ms);
	if (h->state == HUB_TRAINING)
		look_at_updates(h, now_ms);
}
