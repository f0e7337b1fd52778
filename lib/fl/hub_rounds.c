/* Synchronous rounds: a sample is activated, enough of it answers, the worker
 * makes the next model, and the writer keeps it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

enum {
	VOIDS = 20, /* in a row, and repeated at once */
	VOID_MS = 200,
	VOID_MAX_MS = 30000,
};

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
		hub_activate(c, logical, k);
	}
	free(logical);
}

static void free_field(struct field *f)
{
	free(f->candidates);
	free(f->places);
}

/* With those that were picked, or those that we pick. */
static void open_round(struct hub *h, const struct field *f, size_t *picked,
		       size_t n)
{
	const struct hub_opts *o = &h->opts;
	size_t most = aggregate_most(h->rule);
	int64_t now_ms = clock_ms();

	if (!n)
		n = cohort_pick(o->sampler, f->candidates, f->n,
				cohort_size(f->n, o->sample,
					    (size_t)o->min_participants),
				(size_t)o->choices, &h->rand, picked);
	n = n < most ? n : most;
	h->state = HUB_TRAINING;
	h->opening++;
	h->now = (struct hub_now){.round = h->round + 1,
				  .version = h->version,
				  .began_ms = now_ms,
				  .deadline_ms = now_ms + o->deadline_ms,
				  .began_wall_ms = clock_wall_ms()};
	log_debug("round_opened", "round=%lld candidates=%zu activated=%zu",
		  (long long)h->now.round, f->n, n);
	activate_all(f, picked, n);
}

/* The candidate of a line "CLIENT [LOGICAL]", or f->n. */
static size_t place_of(const struct field *f, const char *line)
{
	long long client = 0, logical = 0;
	size_t i = 0;

	if (sscanf(line, "%lld %lld", &client, &logical) < 1)
		return f->n;
	while (i < f->n && (f->places[i].client->id != client ||
			    f->places[i].logical != logical))
		i++;
	return i;
}

static int by_place(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

/* Who is not there any more, or named twice, is left out. */
static size_t read_chosen(const struct field *f, const char *out, size_t len,
			  size_t *picked)
{
	char *text = mem_dup(out, len), *rest = NULL;
	size_t n = 0, kept = 0;

	for (char *line = strtok_r(text, "\n", &rest); line && n < f->n;
	     line = strtok_r(NULL, "\n", &rest)) {
		picked[n] = place_of(f, line);
		if (picked[n] < f->n)
			n++;
		else
			log_warn("not_chosen", "line=%s reason=%s", line,
				 "no such client is there");
	}
	free(text);
	qsort(picked, n, sizeof(*picked), by_place);
	for (size_t i = 0; i < n; i++)
		if (!i || picked[i] != picked[i - 1])
			picked[kept++] = picked[i];
	return kept;
}

static void chosen(const struct err *err, const char *out, size_t len,
		   void *arg)
{
	struct hub *h = arg;
	struct field f = {0};
	size_t *picked, n = 0;

	if (h->state != HUB_CHOOSING)
		return;
	if (err)
		log_warn("round_handler", "round=%lld error=%s",
			 (long long)h->round + 1, err->msg);
	gather(h, &f);
	picked = mem_zero(f.n + 1, sizeof(*picked));
	if (len)
		n = read_chosen(&f, out, len, picked);
	if (f.n && !h->alone) /* it rests by now, maybe */
		open_round(h, &f, picked, n);
	else
		h->state = HUB_WAITING;
	free(picked);
	free_field(&f);
	hub_look(h);
}

static void list_candidates(const struct field *f, struct buf *out)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct cohort_candidate *c = &f->candidates[i];

		buf_putf(out,
			 "{\"client\":%" PRId64 ",\"logical\":%" PRId32
			 ",\"examples\":%" PRId64 ",\"loss\":",
			 f->places[i].client->id, f->places[i].logical,
			 c->examples);
		if (isnan(c->loss))
			buf_puts(out, "null}\n");
		else
			buf_putf(out, "%.9g}\n", c->loss);
	}
}

static void choose(struct hub *h)
{
	struct buf in = BUF_INIT(0);
	struct facts facts = {0};
	struct field f = {0};

	gather(h, &f);
	if (hub_stage_has(h, HUB_ON_ROUND)) {
		h->state = HUB_CHOOSING;
		list_candidates(&f, &in);
		hub_stage_call(h, HUB_ON_ROUND, &facts, &in, chosen, h);
	} else {
		size_t *picked = mem_zero(f.n + 1, sizeof(*picked));

		open_round(h, &f, picked, 0);
		free(picked);
	}
	buf_release(&in);
	free_field(&f);
}

/* --- closing ---------------------------------------------------------------
 */

/* On the worker's thread. */
static void make(void *arg)
{
	hub_next_make(arg);
}

static void made(void *arg)
{
	struct hub_next *n = arg;
	struct hub *h = n->hub;

	if (h->state == HUB_CLOSING)
		h->state = HUB_WAITING;
	hub_next_made(n);
	hub_look(h);
}

static void close_round(struct hub *h, int64_t now_ms)
{
	struct hub_next *j = mem_zero(1, sizeof(*j));
	const struct hub_now *n = &h->now;

	j->hub = h;
	j->evaluate = hub_next_due(h, n->round);
	j->row = (struct hub_round){
		.round = n->round,
		.activated = n->activated,
		.admitted = n->admitted,
		.refused = n->refused,
		.examples = n->examples,
		.loss = n->loss / (double)n->judged,
		.bytes_sent = n->bytes_sent,
		.bytes_received = n->bytes_received,
		.began_ms = n->began_wall_ms,
		.ended_ms = clock_wall_ms(),
		.seconds = (double)(now_ms - n->began_ms) / 1e3,
	};
	j->missing = hub_end_training(h, &j->row.missed);
	j->row.missing = j->missing;
	h->state = HUB_CLOSING;
	if (worker_submit(h->worker, make, made, j, &j->err))
		made(j);
}

/* What has made so many void will make the next one so, and clients train for
 * nothing: they begin ever less often. The seconds until then. */
static double put_off(struct hub *h)
{
	int64_t ms = VOID_MS;

	h->voided++;
	if (h->voids++ < VOIDS)
		return 0;
	for (int i = VOIDS + 1; i < h->voids && ms < VOID_MAX_MS; i++)
		ms *= 2;
	h->again_ms = clock_ms() + ms;
	return (double)ms / 1000;
}

static void void_round(struct hub *h)
{
	int64_t missed = 0;
	char *missing = hub_end_training(h, &missed);

	log_warn("round_void",
		 "round=%lld activated=%lld admitted=%lld needed=%lld "
		 "missing=%s reason=%s again_in_s=%.1f",
		 (long long)h->now.round, (long long)h->now.activated,
		 (long long)h->now.admitted,
		 (long long)h->opts.min_participants, missing,
		 "too few updates: it is repeated", put_off(h));
	h->missed += missed;
	free(missing);
	h->state = HUB_WAITING;
}

/* Nobody is to blame: each update was within its bounds. */
void hub_round_unmade(struct hub *h, const struct hub_next *n)
{
	log_warn("round_void",
		 "round=%lld activated=%lld admitted=%lld reason=%s "
		 "again_in_s=%.1f",
		 (long long)n->row.round, (long long)n->row.activated,
		 (long long)n->row.admitted, n->err.msg, put_off(h));
	h->missed += n->row.missed;
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

	if (h->admitting || h->ahead >= HUB_AHEAD)
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
	if (*(h->opts.test ? &h->accuracy : &h->evaluation.accuracy) >=
	    h->opts.target)
		return "the target accuracy is reached";
	return NULL;
}

/* In sync nothing else goes on while clients evaluate; nor does it after the
 * last round. */
static bool waits_for_scores(struct hub *h, const char *done)
{
	if (!h->scoring.round || (h->opts.async && !done))
		return false;
	if (h->opts.async && h->state == HUB_TRAINING) {
		int64_t missed = 0;

		free(hub_end_training(h, &missed));
		h->state = HUB_WAITING;
	}
	return true;
}

void hub_round_look(struct hub *h, int64_t now_ms)
{
	const char *done = is_done(h);

	hub_scoring_look(h, now_ms);
	if (waits_for_scores(h, done))
		return;
	if (done && (h->state == HUB_WAITING || h->opts.async)) {
		if (!h->ahead) /* it may yet be lost, or be another's */
			hub_end(h, done);
		return;
	}
	if (h->opts.async) {
		hub_async_look(h);
		return;
	}
	if (h->state == HUB_WAITING && h->here >= h->opts.min_participants &&
	    now_ms >= h->again_ms && !h->alone && hub_followed(h))
		choose(h);
	if (h->state == HUB_TRAINING)
		look_at_updates(h, now_ms);
}
