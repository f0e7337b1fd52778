#include "fl/hub.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"
#include "nn/eval.h"

enum {
	JOBS = HUB_ADMITTING_MAX + 8,
	MESSAGE_SLACK = 64 << 10, /* of an update, besides its values */
	MESSAGE_LEAST = 1 << 20,
};

const struct err *hub_failed(const struct hub *h)
{
	return h->failure.code ? &h->failure : NULL;
}

static void ended(struct hub *h)
{
	h->state = HUB_ENDED;
	h->ended(h->ended_arg);
}

void hub_fail(struct hub *h, const struct err *err)
{
	if (h->failure.code || h->state == HUB_ENDED)
		return;
	h->failure = *err;
	ended(h);
}

/* --- the end -------------------------------------------------------------- */

const char *hub_why_ended(const struct hub *h)
{
	return h->why_ended;
}

/* On the worker's thread. */
static void save(void *arg)
{
	struct hub_next *n = arg;

	if (!hub_store_model(n, n->hub->opts.model_out, &n->err))
		n->err.code = ERR_OK;
}

static void saved(void *arg)
{
	struct hub_next n = *(struct hub_next *)arg;

	free(arg);
	hub_model_drop(n.model);
	n.hub->saved = true;
	if (n.err.code)
		hub_fail(n.hub, &n.err);
	else
		log_info("saved", "round=%lld accuracy=%.4f model=%s",
			 (long long)n.row.round, n.row.accuracy,
			 n.hub->opts.model_out);
	if (n.hub->state == HUB_ENDING)
		hub_shut_down(n.hub);
	hub_look(n.hub);
}

/* The newest model, while another one may still take its place. */
static void begin_saving(struct hub *h)
{
	struct hub_next *n = mem_zero(1, sizeof(*n));

	h->saving_last = true;
	n->hub = h;
	n->row.round = h->round;
	n->row.accuracy = h->accuracy;
	n->model = h->given;
	n->model->users++;
	if (worker_submit(h->worker, save, saved, n, &n->err))
		saved(n);
}

void hub_end(struct hub *h, const char *why)
{
	struct hub_client *c, *next;

	h->state = HUB_ENDING;
	h->why_ended = why;
	h->ending_ms = clock_ms();
	log_info("ending", "round=%lld clients=%lld reason=%s",
		 (long long)h->round, (long long)h->present, why);
	hub_scoring_drop(h);
	HASH_ITER (hh, h->clients, c, next) {
		c->given.over = true;
		hub_instruct(c);
	}
}

/* Updates that are being admitted are in the last model; one whose handler
 * hangs is not waited for. */
static void look_at_end(struct hub *h, int64_t now_ms)
{
	bool waited = now_ms - h->ending_ms >= h->opts.ending_ms;

	if (!h->saving_last && !h->ahead && (!h->admitting || waited)) {
		begin_saving(h);
		return;
	}
	if (!h->saved || !h->shut_down || h->ahead || h->scoring.writing ||
	    ((h->present || !hub_let_go(h)) && !waited))
		return;
	if (h->present)
		log_warn("not_told", "clients=%lld reason=%s",
			 (long long)h->present, "they were not heard in time");
	ended(h);
}

void hub_look(struct hub *h)
{
	int64_t now_ms = clock_ms();

	if (h->stopping && h->state < HUB_CLOSING)
		hub_end(h, *h->stop_reason ? h->stop_reason
					   : "the server was stopped");
	if (h->state < HUB_ENDING)
		hub_round_look(h, now_ms);
	if (h->state == HUB_ENDING)
		look_at_end(h, now_ms);
	if (h->alone)
		hub_rest_look(h);
}

void hub_stop(struct hub *h)
{
	h->stopping = true;
	hub_look(h);
}

/* --- life ----------------------------------------------------------------- */

static void tick(void *arg)
{
	struct hub *h = arg;

	hub_clients_tick(h, clock_ms());
	hub_rows_tick(h, clock_ms());
	hub_follow_look(h);
	hub_look(h);
}

/* An index takes 5 bytes at most; zstd adds little to what it cannot pack. */
size_t hub_message_max(const struct model *m, const Gfl__V1__FlTraining *how)
{
	bool indexed = how->scheme == GFL__V1__SCHEME__INDEXED;
	size_t k = how->scheme == GFL__V1__SCHEME__DENSE ? m->len
							 : m->len / how->c + 1;
	/* SCAFFOLD's update is two vectors */
	size_t bytes = k * (indexed ? 9 : 8) + k / 32 + MESSAGE_SLACK;

	return bytes < MESSAGE_LEAST ? MESSAGE_LEAST : bytes;
}

/* A rule for updates of any age, and rounds, do not go together. */
static int check_rule(const struct hub *h, struct err *err)
{
	const struct hub_opts *o = &h->opts;
	const bool stale = h->needs & AGGREGATE_STALENESS;
	size_t least = aggregate_least(h->rule);
	size_t most = aggregate_most(h->rule);

	if (stale != o->async)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       stale ? "%s is for --mode async"
				     : "%s is for --mode sync, for async there "
				       "are fedasync and fedbuff",
			       o->rule);
	if (h->needs & AGGREGATE_CONTROL &&
	    o->training.code != GFL__V1__FL_CODE__PARAMETER_UPDATE)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "what %s needs of its clients does not travel "
			       "compressed",
			       o->rule);
	if (!o->async && (size_t)o->min_participants < least)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s needs at least %zu updates in a round, and "
			       "--min-participants is %lld",
			       o->rule, least, (long long)o->min_participants);
	if (!o->async && (size_t)o->min_participants > most)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"%s takes at most %zu updates of this model in a "
			"round, and --min-participants is %lld",
			o->rule, most, (long long)o->min_participants);
	if (h->needs & AGGREGATE_PROX && !(o->training.prox > 0))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s needs --prox above 0", o->rule);
	return 0;
}

/* What travels compressed, or is mixed into another model than it was made of,
 * is the difference. */
static void choose_code(struct hub *h)
{
	Gfl__V1__FlTraining *t = &h->opts.training;
	bool plain = !t->scheme && !t->dtype && !t->codec;

	t->code = plain && !(h->needs & AGGREGATE_DELTA)
			  ? GFL__V1__FL_CODE__PARAMETER_UPDATE
			  : GFL__V1__FL_CODE__GRADIENT_UPDATE;
}

static void choose_correction(struct hub *h)
{
	Gfl__V1__FlTraining *t = &h->opts.training;

	t->control = h->needs & AGGREGATE_CONTROL;
	t->dyn = h->needs & AGGREGATE_DYN ? h->opts.aggregate.dyn : 0;
}

static int open_rule(struct hub *h, struct err *err)
{
	const struct hub_opts *o = &h->opts;

	if (aggregate_open(&h->rule, o->rule, &o->aggregate, h->model->len,
			   h->model->n, err))
		return (int)err->code;
	h->needs = aggregate_needs(h->rule);
	choose_code(h);
	if (hub_stage_has(h, HUB_ON_RECEIVE) &&
	    (o->training.scheme || o->training.dtype || o->training.codec ||
	     h->needs & AGGREGATE_CONTROL))
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"updates that a handler receives travel as they "
			"are: dense, f32, not packed, and no more than a "
			"model");
	choose_correction(h);
	return check_rule(h, err);
}

static int open_model(struct hub *h, struct err *err)
{
	int rc = hub_model_open(&h->model, h->opts.model, h->opts.init, err);

	if (!rc && h->opts.test)
		rc = eval_fits(h->model, h->opts.test, err) ||
		     net_open(&h->net, h->model, NULL, err);
	if (rc)
		return (int)err->code;
	snprintf(h->layout, sizeof(h->layout), "%016" PRIx64, h->model->layout);
	h->params = mem_zero(h->model->len, sizeof(*h->params));
	h->values = mem_zero(h->model->len + h->model->n, sizeof(*h->values));
	h->some = mem_zero(h->model->len, sizeof(*h->some));
	h->index = mem_zero(h->model->len, sizeof(*h->index));
	if (*h->model->text) /* else init has its values */
		model_init(h->model, h->opts.seed, h->params);
	return open_rule(h, err);
}

static int open_all(struct hub *h, struct err *err)
{
	int rc = open_model(h, err);

	if (!rc)
		rc = worker_open(&h->worker, h->loop, "hub", JOBS, err);
	if (!rc)
		rc = hub_store_open(h, err);
	return rc;
}

int hub_open(struct hub **out, struct loop *loop, struct server *s,
	     const struct hub_opts *opts, loop_fn *ended_fn, void *arg,
	     struct err *err)
{
	struct hub *h = mem_zero(1, sizeof(*h));

	h->loop = loop;
	h->server = s;
	h->opts = *opts;
	h->opened_ms = clock_ms();
	if (opts->term && opts->async)
		h->counted = mem_zero(1, sizeof(*h->counted));
	h->ended = ended_fn;
	h->ended_arg = arg;
	h->kept = (struct hub_kept){.ended_ms = clock_ms(),
				    .loss = (double)NAN,
				    .accuracy = (double)NAN};
	h->accuracy = (double)NAN;
	h->evaluation = (struct hub_evaluation){
		.missing = "", .loss = (double)NAN, .accuracy = (double)NAN};
	h->rand.state = opts->seed;
	if (open_all(h, err)) {
		hub_close(h);
		return (int)err->code;
	}
	h->last_activation = h->round << 20;
	h->made = h->resumed = h->version;
	hub_model_use(h, hub_model_make(h, h->version));
	hub_serve_clients(h);
	hub_serve_updates(h);
	hub_serve_model(h);
	hub_serve_status(h);
	hub_serve_stop(h);
	if (h->opts.term)
		hub_serve_followers(h);
	if (h->opts.async)
		hub_async_begin(h);
	hub_scoring_begin(h, h->evaluation.round < h->round ? h->round : 0);
	h->scoring.waits = true;
	hub_set_up(h);
	timer_every(&h->tick, loop, HUB_TICK_MS, tick, h);
	*out = h;
	return 0;
}

void hub_close(struct hub *h)
{
	if (!h)
		return;
	h->state = HUB_ENDED; /* whatever is done by now leads to nothing */
	timer_stop(&h->tick);
	server_metrics_end(h->server, h);
	hub_stages_close(h);
	if (h->worker)
		worker_close(h->worker);
	if (h->writer)
		hub_rows_post(h);
	writer_close(h->writer);
	hub_scoring_drop(h);
	hub_next_close(h);
	hub_promises_close(h);
	hub_stop_close(h);
	hub_followers_close(h);
	snapshot_drop(h->snapshot);
	hub_clients_close(h);
	hub_model_use(h, NULL);
	db_close(h->db);
	net_close(h->net);
	aggregate_free(h->rule);
	free(h->params);
	free(h->values);
	free(h->some);
	free(h->index);
	free(h->counted);
	model_free(h->model);
	free(h);
}
