/* What a client says of a model: taken once, or refused with the reason. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc.h"
#include "base/mem.h"
#include "fl/contract.h"
#include "fl/hub_impl.h"

struct answer {
	struct hub *hub;
	struct hub_client *client;
	struct call *call;
	Gfl__V1__FlUpdateRequest *update;
	struct score score;
};

static void reply(const struct hub *h, struct call *call)
{
	Gfl__V1__FlUpdateResponse out;

	gfl__v1__fl_update_response__init(&out);
	out.version = h->kept.round;
	call_reply(call, &out.base);
}

static struct score score_of(const Gfl__V1__FlScore *s)
{
	const bool loss = s->_loss_case == GFL__V1__FL_SCORE___LOSS_LOSS;
	const bool accuracy =
		s->_accuracy_case == GFL__V1__FL_SCORE___ACCURACY_ACCURACY;

	return (struct score){s->examples, loss ? s->loss : (double)NAN,
			      accuracy ? s->accuracy : (double)NAN};
}

static void count(struct hub *h, const struct answer *a, struct hub_part *part)
{
	struct hub_client *c = a->client;

	scores_add(&h->scoring.scores, &a->score);
	part->state = HUB_ADMITTED;
	c->given.open--;
	if (!c->here)
		h->scoring.lost--;
	if (!isnan(a->score.loss))
		c->logical[part->logical].loss = a->score.loss;
	c->accepted++;
	hub_changed(h, c);
}

/* It may have been over while a handler looked. */
static void admit(struct answer *a, const struct err *why)
{
	struct hub *h = a->hub;
	const Gfl__V1__FlUpdateRequest *u = a->update;
	struct hub_look l = {.hub = h, .update = u, .client = a->client};

	a->client->jobs--;
	l.part = hub_part_of(a->client, u->activation, u->logical);
	if (!l.part)
		hub_refused(&l, HUB_LATE, "the evaluation is over");
	else if (why)
		hub_refused(&l, HUB_HANDLER, why->msg);
	else
		count(h, a, l.part);
	if (!l.part || why)
		call_fail(a->call, &l.err);
	else
		reply(h, a->call);
	rpc_free(&a->update->base);
	free(a);
	hub_look(h);
}

static int64_t most_of(const struct hub_client *c, int32_t logical)
{
	const int64_t tests = c->logical[logical].tests;

	return tests < 0 ? HUB_EXAMPLES_MAX : tests;
}

/* What the handler has put out takes the place of the score. */
static int replace(struct answer *a, const char *out, size_t len,
		   struct err *err)
{
	struct contract said = {0};
	int rc = contract_feed(&said, out, len, err);

	if (!rc)
		rc = contract_end(&said, err);
	if (!rc && !said.result)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no result");
	if (!rc) {
		a->score.loss = said.loss;
		a->score.accuracy = said.accuracy;
		if (said.num_examples)
			a->score.examples = said.num_examples;
		rc = scores_check(&a->score,
				  most_of(a->client, a->update->logical), err);
	}
	contract_release(&said);
	return rc ? err_wrap(err, "what the handler put out") : 0;
}

static void received(const struct err *err, const char *out, size_t len,
		     void *arg)
{
	struct answer *a = arg;
	struct err why;

	if (!err && len && replace(a, out, len, &why))
		err = &why;
	admit(a, err);
}

/* on_receive(sender, code, payload): a handler looks first. */
static void receive(struct answer *a)
{
	const Gfl__V1__FlUpdateRequest *u = a->update;
	const struct score *s = &a->score;
	struct buf in = BUF_INIT(0);
	struct facts f = {0};

	facts_add(&f, "GFL_SENDER", "%" PRId64, u->client_id);
	facts_add(&f, "GFL_LOGICAL", "%" PRId32, u->logical);
	facts_add(&f, "GFL_CODE", "%d", (int)u->code);
	facts_add(&f, "GFL_BASE_VERSION", "%" PRId64, u->base_version);
	facts_add(&f, "GFL_EXAMPLES", "%" PRId64, s->examples);
	buf_putf(&in,
		 "{\"type\":\"result\",\"num_examples\":%" PRId64
		 ",\"metrics\":{",
		 s->examples);
	if (!isnan(s->loss)) {
		facts_add(&f, "GFL_LOSS", "%.9g", s->loss);
		buf_putf(&in, "\"loss\":%.9g", s->loss);
	}
	if (!isnan(s->accuracy)) {
		facts_add(&f, "GFL_ACCURACY", "%.9g", s->accuracy);
		buf_putf(&in, "%s\"accuracy\":%.9g", isnan(s->loss) ? "" : ",",
			 s->accuracy);
	}
	buf_puts(&in, "}}\n");
	hub_stage_call(a->hub, HUB_ON_RECEIVE, &f, &in, received, a);
	buf_release(&in);
}

static bool refuse(struct hub_look *l, enum hub_reason why,
		   const struct err *err)
{
	hub_refused(l, why, err->msg);
	return false;
}

static bool is_good(struct hub_look *l, struct score *s)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub_activation *g = &l->client->given;
	struct err err;

	if (*u->failure) {
		err_set(&err, ERR_ABORTED, "client %lld could not evaluate: %s",
			(long long)u->client_id, u->failure);
		return refuse(l, HUB_UNTRAINED, &err);
	}
	if (u->code != g->code || !u->score) {
		err_set(&err, ERR_INVALID_ARGUMENT,
			"code %d%s, expected %d and a score", (int)u->code,
			u->score ? "" : " without a score", (int)g->code);
		return refuse(l, HUB_MALFORMED, &err);
	}
	if (u->round != g->round || u->base_version != g->version) {
		err_set(&err, ERR_FAILED_PRECONDITION,
			"of round %lld and version %lld, expected round %lld "
			"and version %lld",
			(long long)u->round, (long long)u->base_version,
			(long long)g->round, (long long)g->version);
		return refuse(l, HUB_BASE, &err);
	}
	if (isnan(u->score->loss) || isnan(u->score->accuracy)) {
		err_set(&err, ERR_INVALID_ARGUMENT, "loss %g, accuracy %g",
			u->score->loss, u->score->accuracy);
		return refuse(l, HUB_VALUES, &err);
	}
	*s = score_of(u->score);
	if (scores_check(s, most_of(l->client, u->logical), &err))
		return refuse(l, HUB_VALUES, &err);
	return true;
}

/* A second one is answered like the first where it is the same. */
static void again(struct hub_look *l, uint32_t crc, struct call *call)
{
	char text[96];

	if (l->part->state == HUB_ADMITTED && l->part->crc == crc) {
		reply(l->hub, call);
		return;
	}
	if (l->part->state == HUB_ADMITTING && l->part->crc == crc) {
		hub_again(l, call);
		return;
	}
	l->part = NULL; /* which stays as it is */
	snprintf(text, sizeof(text),
		 "client %lld has evaluated round %lld before",
		 (long long)l->update->client_id, (long long)l->update->round);
	hub_refused(l, HUB_DOUBLE, text);
	call_fail(call, &l->err);
}

void hub_score_take(struct hub_look *l, struct call *call)
{
	struct hub *h = l->hub;
	struct answer *a;
	struct score s = {0};
	uint32_t crc;

	if (l->update->score)
		s = score_of(l->update->score);
	crc = crc32c_of(0, &s, sizeof(s));
	if (l->part->state != HUB_OPEN) {
		again(l, crc, call);
		return;
	}
	if (!is_good(l, &s)) {
		call_fail(call, &l->err);
		hub_look(h);
		return;
	}
	a = mem_zero(1, sizeof(*a));
	*a = (struct answer){h, l->client, call, NULL, s};
	a->update = (Gfl__V1__FlUpdateRequest *)call_take(call);
	l->part->state = HUB_ADMITTING;
	l->part->crc = crc;
	l->client->jobs++;
	if (hub_stage_has(h, HUB_ON_RECEIVE))
		receive(a);
	else
		admit(a, NULL);
}
