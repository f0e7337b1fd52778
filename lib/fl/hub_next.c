/* The next model: made of what the rule has, given to whoever asks, and written
 * with its round. What is made while the disk is busy, or soon after, is written
 * together, the newest model alone; nobody is told of a round before. */
#include <math.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"
#include "nn/eval.h"

bool hub_next_due(const struct hub *h, int64_t round)
{
	return h->opts.test &&
	       (round % h->opts.eval_every == 0 || round == h->opts.rounds);
}

void hub_next_make(struct hub_next *n)
{
	struct hub *h = n->hub;
	struct net_score score = {0};

	if (aggregate_finish(h->rule, h->params, NULL, &n->err))
		return;
	n->row.accuracy = (double)NAN;
	if (n->evaluate) {
		if (eval_run(h->net, h->params, h->opts.test, NULL, 0, &score,
			     &n->err))
			return;
		n->row.accuracy = (double)score.correct / (double)score.n;
	}
	aggregate_save(h->rule, &n->state);
	if (h->counted)
		counted_save(h->counted, &n->state);
	h->made = n->row.round;
	n->model = hub_model_make(h, h->made);
	n->err.code = ERR_OK;
}

/* --- to the disk -----------------------------------------------------------
 */

static void write_next(struct hub *h);

static void forget_model(struct hub_next *n)
{
	if (n->model)
		hub_model_drop(n->model);
	n->model = NULL;
	tensors_release(&n->state);
}

void hub_next_free(struct hub_next *n)
{
	forget_model(n);
	snapshot_drop(n->snapshot);
	hub_rows_free(n->rows);
	free(n->missing);
	free(n->silent);
	free(n);
}

static void log_round(const struct hub *h, const struct hub_round *r)
{
	log_write(h->opts.shown ? LEVEL_DEBUG : LEVEL_INFO, "round",
		  " round=%lld activated=%lld admitted=%lld missed=%lld "
		  "missing=%s examples=%lld loss=%.6f accuracy=%.4f "
		  "bytes_sent=%lld bytes_received=%lld seconds=%.4f "
		  "staleness=%.2f",
		  (long long)r->round, (long long)r->activated,
		  (long long)r->admitted, (long long)r->missed, r->missing,
		  (long long)r->examples, r->loss, r->accuracy,
		  (long long)r->bytes_sent, (long long)r->bytes_received,
		  r->seconds, r->staleness);
}

/* In order; that which clients evaluate, and those behind it, later. */
void hub_next_tell(struct hub *h)
{
	const struct hub_scoring *s = &h->scoring;

	while (h->untold && (!s->round || h->untold->row.round < s->round)) {
		struct hub_next *n = h->untold;

		DL_DELETE(h->untold, n);
		log_round(h, &n->row);
		if (h->opts.on_round)
			h->opts.on_round(&n->row, h->opts.on_round_arg);
		hub_next_free(n);
	}
}

static struct hub_next *find(struct hub_next *all, int64_t round)
{
	struct hub_next *n;

	DL_SEARCH_SCALAR(all, n, row.round, round);
	return n;
}

struct hub_next *hub_next_find(struct hub *h, int64_t round)
{
	struct hub_next *n = find(h->untold, round);

	n = n ? n : find(h->saving, round);
	return n ? n : find(h->unsaved, round);
}

static void keep(struct hub *h, const struct hub_round *r)
{
	h->kept.round = r->round;
	h->kept.ended_ms = clock_ms();
	h->kept.loss = r->loss;
	if (!isnan(r->accuracy))
		h->kept.accuracy = r->accuracy;
	h->missed += r->missed;
}

static void written(const struct err *err, void *arg)
{
	struct hub *h = arg;
	struct hub_next *n, *after;

	h->writing = false;
	if (err)
		hub_fail(h, err);
	DL_FOREACH_SAFE(h->saving, n, after)
	{
		DL_DELETE(h->saving, n);
		h->ahead--;
		if (err) {
			hub_next_free(n);
			continue;
		}
		if (n->snapshot) {
			snapshot_drop(h->snapshot);
			h->snapshot = n->snapshot;
			n->snapshot = NULL;
		}
		forget_model(n);
		keep(h, &n->row);
		DL_APPEND(h->untold, n);
	}
	hub_next_tell(h);
	write_next(h);
	hub_follow_look(h);
	hub_look(h);
}

static int write_all(struct db *db, void *arg, struct err *err)
{
	return hub_store_rounds(db, ((struct hub *)arg)->saving, err);
}

static void write_saving(struct hub *h)
{
	struct err err;

	h->writing = true;
	h->wrote_ms = clock_ms();
	h->saving->prev->rows = hub_rows_take(h); /* of the last one */
	if (writer_post(h->writer, write_all, written, h, &err))
		written(&err, h);
}

/* Somebody waits for it, or nothing else is made before it is durable. */
static bool is_waited_for(const struct hub *h)
{
	return h->opts.async || h->opts.term || h->scoring.round ||
	       h->ahead >= HUB_TOGETHER;
}

/* Where rounds are short they are written several together: a model costs the
 * disk the same however many rounds have made it. Who follows waits for it. */
static int64_t time_left(const struct hub *h)
{
	int64_t left = h->wrote_ms + HUB_TOGETHER_MS - clock_ms();

	return is_waited_for(h) || left < 0 ? 0 : left;
}

static void write_later(void *arg)
{
	write_next(arg);
}

static void write_next(struct hub *h)
{
	int64_t left = time_left(h);

	if (h->saving || !h->unsaved || h->failure.code ||
	    h->state == HUB_ENDED)
		return;
	if (left) {
		timer_set(&h->later, h->loop, left, write_later, h);
		return;
	}
	h->saving = h->unsaved;
	h->unsaved = NULL;
	if (h->opts.term)
		h->opts.confirm(h->opts.confirm_arg);
	else
		write_saving(h);
}

void hub_confirmed(struct hub *h)
{
	if (h->saving && !h->writing && !h->failure.code)
		write_saving(h);
	hub_stop_confirmed(h);
}

void hub_next_made(struct hub_next *n)
{
	struct hub *h = n->hub;

	if (n->err.code) {
		if (n->err.code == ERR_ABORTED)
			hub_round_unmade(h, n);
		else
			hub_fail(h, &n->err);
		hub_next_free(n);
		return;
	}
	h->round = h->version = n->row.round;
	h->voids = 0;
	if (!isnan(n->row.accuracy))
		h->accuracy = n->row.accuracy;
	n->model->users++;
	hub_model_use(h, n->model);
	if (h->unsaved)
		forget_model(h->unsaved->prev); /* the last one */
	DL_APPEND(h->unsaved, n);
	h->ahead++;
	hub_scoring_begin(h, h->round);
	write_next(h);
}

/* What is being written has been by now, unless nobody confirmed it. */
void hub_next_close(struct hub *h)
{
	struct hub_next *n, *after;

	timer_stop(&h->later);
	DL_CONCAT(h->saving, h->unsaved);
	DL_CONCAT(h->saving, h->untold);
	h->unsaved = h->untold = NULL;
	DL_FOREACH_SAFE(h->saving, n, after)
	{
		DL_DELETE(h->saving, n);
		hub_next_free(n);
	}
}
