/* EvaluateParams: after a round some of the clients say how good its model is on
 * test data of their own. Who is asked, and what comes of it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

/* --- who is asked ----------------------------------------------------------
 */

static bool is_due(const struct hub *h, int64_t round)
{
	const int64_t every = h->opts.clients_eval_every;

	return every && round &&
	       (round % every == 0 || round == h->opts.rounds);
}

/* In async a model that becomes due while another one is evaluated is not. */
void hub_scoring_begin(struct hub *h, int64_t round)
{
	struct hub_scoring *s = &h->scoring;

	if (!is_due(h, round) || s->round)
		return;
	*s = (struct hub_scoring){
		.round = round,
		.model = h->given,
		.deadline_ms = clock_ms() + h->opts.eval_deadline_ms,
		.told = {.round = round, .began_ms = clock_wall_ms()},
	};
	s->model->users++;
}

/* All logical clients that are here and can: as candidates, and whose they
 * are. */
static size_t gather(struct hub *h, struct cohort_candidate *all,
		     struct hub_client **of, int32_t *logical)
{
	struct hub_client *c, *next;
	size_t n = 0;

	HASH_ITER (hh, h->clients, c, next) {
		for (size_t i = 0; c->here && i < c->nlogical; i++) {
			if (!c->logical[i].tests)
				continue;
			all[n] = (struct cohort_candidate){c->logical[i].tests,
							   (double)NAN};
			of[n] = c;
			logical[n++] = (int32_t)i;
		}
	}
	return n;
}

static void ask_for(struct hub_client *c, int32_t logical)
{
	if (!c->to_score)
		c->to_score = mem_zero(c->nlogical, sizeof(*c->to_score));
	c->to_score[c->nto_score++] = logical;
}

/* The sample is a matter of seed and round alone, so that whom to train is not
 * drawn otherwise for it. */
static void sample(struct hub *h)
{
	const size_t room = (size_t)h->here + 1;
	struct cohort_candidate *all = mem_zero(room, sizeof(*all));
	struct hub_client **of = mem_zero(room, sizeof(struct hub_client *));
	int32_t *logical = mem_zero(room, sizeof(*logical));
	size_t *picked = mem_zero(room, sizeof(*picked));
	struct rand r = {.state = h->opts.seed ^
				  rand_mix((uint64_t)h->scoring.round)};
	size_t n = gather(h, all, of, logical);

	n = cohort_pick(COHORT_UNIFORM, all, n,
			n ? cohort_size(n, h->opts.eval_sample, 1) : 0, 0, &r,
			picked);
	for (size_t i = 0; i < n; i++)
		ask_for(of[picked[i]], logical[picked[i]]);
	h->scoring.told.asked = (int64_t)n;
	free(picked);
	free(logical);
	free(of);
	free(all);
}

static void open_scoring(struct hub *h)
{
	struct hub_client *c, *next;

	h->scoring.open = true;
	sample(h);
	log_debug("scoring_opened", "round=%lld asked=%lld",
		  (long long)h->scoring.round,
		  (long long)h->scoring.told.asked);
	HASH_ITER (hh, h->clients, c, next)
		hub_scoring_asked(c);
}

bool hub_scoring_asked(struct hub_client *c)
{
	const struct hub_scoring *s = &c->hub->scoring;
	const struct hub_activation what = {
		.code = GFL__V1__FL_CODE__EVALUATE_PARAMS,
		.round = s->round,
		.version = s->model ? s->model->version : 0,
	};
	size_t n = c->nto_score;

	if (!n || (c->given.id && !c->given.over && c->given.open))
		return false;
	c->nto_score = 0;
	hub_give(c, &what, c->to_score, n);
	return true;
}

void hub_scoring_again(struct hub_client *c)
{
	const struct hub_activation *g = &c->given;

	if (!g->id || g->over || g->code != GFL__V1__FL_CODE__EVALUATE_PARAMS)
		return;
	for (size_t i = 0; i < g->n; i++)
		if (g->parts[i].state == HUB_OPEN ||
		    g->parts[i].state == HUB_ADMITTING)
			ask_for(c, g->parts[i].logical);
}

int64_t hub_scoring_owed(const struct hub_client *c)
{
	const struct hub_activation *g = &c->given;
	const bool asked = g->id && !g->over &&
			   g->code == GFL__V1__FL_CODE__EVALUATE_PARAMS;

	return (int64_t)(c->nto_score + (asked ? g->open : 0));
}

/* --- the end ---------------------------------------------------------------
 */

/* Nobody is asked any more; whose answer is not here is in the text. */
static char *end_asking(struct hub *h)
{
	struct buf ids = BUF_INIT(0);
	struct hub_client *c, *next;

	buf_puts(&ids, "");
	HASH_ITER (hh, h->clients, c, next) {
		struct hub_activation *g = &c->given;
		int64_t left = (int64_t)c->nto_score;

		c->nto_score = 0;
		free(c->to_score); /* it may host others by then */
		c->to_score = NULL;
		if (g->id && !g->over &&
		    g->code == GFL__V1__FL_CODE__EVALUATE_PARAMS) {
			for (size_t i = 0; i < g->n; i++)
				left += g->parts[i].state != HUB_ADMITTED;
			g->over = true;
		}
		if (left)
			buf_putf(&ids, "%s%" PRId64, ids.len ? "," : "", c->id);
	}
	return buf_take(&ids);
}

static void forget(struct hub *h)
{
	if (h->scoring.model)
		hub_model_drop(h->scoring.model);
	free(h->scoring.missing);
	h->scoring = (struct hub_scoring){0};
}

static void log_evaluation(const struct hub_evaluation *e)
{
	log_info("evaluation",
		 "round=%lld asked=%lld answered=%lld refused=%lld "
		 "missing=%s examples=%lld loss=%.6f accuracy=%.4f",
		 (long long)e->round, (long long)e->asked,
		 (long long)e->answered, (long long)e->refused, e->missing,
		 (long long)e->examples, e->loss, e->accuracy);
}

static void written(const struct err *err, void *arg)
{
	struct hub *h = arg;
	struct hub_scoring *s = &h->scoring;
	struct hub_next *n = hub_next_find(h, s->round);

	if (err) {
		forget(h);
		hub_fail(h, err);
		return;
	}
	log_evaluation(&s->told);
	h->evaluation = s->told;
	h->evaluation.missing = "";
	if (n) {
		n->row.evaluation = s->told;
		n->row.evaluation.missing = n->silent = s->missing;
		s->missing = NULL;
	}
	forget(h);
	hub_next_tell(h);
	hub_look(h);
}

static void close_scoring(struct hub *h)
{
	struct hub_scoring *s = &h->scoring;
	struct hub_evaluation *e = &s->told;

	s->missing = end_asking(h);
	e->answered = s->scores.n;
	e->refused = s->refused;
	e->missing = s->missing;
	e->examples = s->scores.examples;
	e->loss = scores_loss(&s->scores);
	e->accuracy = scores_accuracy(&s->scores);
	e->ended_ms = clock_wall_ms();
	s->writing = true;
	hub_store_evaluation(h, written);
}

static bool is_over(const struct hub *h, int64_t now_ms)
{
	const struct hub_scoring *s = &h->scoring;
	const struct quorum q = {
		.least = 1,
		.fraction = 1,
		.activated = s->told.asked,
		.admitted = s->scores.n,
		.lost = s->lost,
		.late = now_ms >= s->deadline_ms,
	};

	return s->open ? quorum_verdict(&q) != QUORUM_WAIT : q.late;
}

void hub_scoring_look(struct hub *h, int64_t now_ms)
{
	const struct hub_scoring *s = &h->scoring;

	if (!s->round || s->writing || h->state == HUB_SETTING_UP)
		return;
	if (!s->open && (!s->waits || h->here >= h->opts.min_participants))
		open_scoring(h);
	if (s->round <= h->kept.round && is_over(h, now_ms))
		close_scoring(h);
}

/* What is being written takes its course. */
void hub_scoring_drop(struct hub *h)
{
	if (!h->scoring.round || h->scoring.writing)
		return;
	free(end_asking(h));
	forget(h);
	hub_next_tell(h);
}
