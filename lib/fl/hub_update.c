/* What clients have trained is taken, once. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "fl/floats.h"
#include "fl/hub_impl.h"

/* On the worker's thread. */
static int admit_to_rule(struct hub_job *j, struct err *err)
{
	struct hub *h = j->hub;
	struct aggregate_update u;

	if (h->opts.async) {
		j->opening = h->buffered ? h->begun : h->begun + 1;
		j->staleness = h->made - j->update->base_version;
	}
	j->why = HUB_MALFORMED;
	if (hub_values(j, &u, err))
		return (int)err->code;
	j->why = HUB_VALUES;
	if (j->opening != h->begun)
		aggregate_begin(h->rule, h->params);
	h->begun = j->opening;
	return aggregate_admit(h->rule, &u, err);
}

static void admit(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;

	j->again = h->counted && counted_has(h->counted, j->update->update_id);
	if (j->again) {
		j->err.code = ERR_OK;
		return;
	}
	j->why = HUB_LATE;
	if (h->opts.rounds && h->made >= h->opts.rounds) {
		err_set(&j->err, ERR_FAILED_PRECONDITION,
			"all rounds are done");
		return;
	}
	if (admit_to_rule(j, &j->err))
		return;
	j->err.code = ERR_OK;
	if (h->counted && j->update->update_id)
		counted_add(h->counted, j->update->update_id);
	if (h->opts.async)
		hub_async_count(j);
}

static double loss_of(const Gfl__V1__FlUpdateRequest *u)
{
	return u->_loss_case ? u->loss : (double)NAN;
}

void hub_update_reply(struct hub *h, struct call *call)
{
	Gfl__V1__FlUpdateResponse out;

	gfl__v1__fl_update_response__init(&out);
	out.version = h->kept.round;
	call_reply(call, &out.base);
}

/* Its update is in this version, or in none yet: in a round, or a buffer. */
static void reply(struct hub *h, struct call *call, int64_t version)
{
	if (h->opts.async && version)
		hub_promise(h, call, version);
	else
		hub_update_reply(h, call);
}

/* Of one that did not know before it trained. */
static void learn_examples(struct hub_client *c, struct hub_logical *l,
			   int64_t examples)
{
	if (l->examples)
		return;
	l->examples = examples;
	c->examples += examples;
}

/* The part is NULL when the client has left, or set up as another, meanwhile;
 * then, as if it is just not heard, the part counts as lost. */
static void count(struct hub *h, const struct hub_job *j, struct hub_part *part)
{
	const Gfl__V1__FlUpdateRequest *u = j->update;
	struct hub_client *c = j->client;
	struct hub_now *n = &h->now;

	if (part) {
		part->state = HUB_ADMITTED;
		c->given.open--;
		c->logical[part->logical].loss = loss_of(u);
		learn_examples(c, &c->logical[part->logical], u->examples);
	}
	if (!part || !c->here)
		n->lost--;
	if (!c->known)
		hub_table_know(c);
	hub_changed(h, c);
	c->accepted++;
	c->round = u->round;
	h->accepted++;
	n->admitted++;
	n->examples += u->examples;
	if (u->_loss_case) {
		n->judged += u->examples;
		n->loss += u->loss * (double)u->examples;
	}
	n->staleness += (double)j->staleness;
}

static void admitted(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;
	struct hub_look l = {
		.hub = h, .update = j->update, .client = j->client};

	h->admitting--;
	j->client->jobs--;
	l.part = hub_part_of(j->client, j->update->activation,
			     j->update->logical);
	if (j->err.code) {
		hub_refused(&l, j->why, j->err.msg);
		call_fail(j->call, &l.err);
		if (j->voids)
			hub_async_void(j);
	} else if (j->again) {
		if (l.part) {
			l.part->state = HUB_ADMITTED;
			j->client->given.open--;
		}
		reply(h, j->call, h->version);
	} else {
		const int64_t version = j->next ? j->next->row.round : 0;

		count(h, j, l.part);
		if (j->next)
			hub_async_made(j);
		reply(h, j->call, version);
	}
	rpc_free(&j->update->base);
	free(j);
	hub_look(h);
}

static void submit(struct hub_job *j)
{
	if (worker_submit(j->hub->worker, admit, admitted, j, &j->err))
		admitted(j);
}

/* What the handler has put out takes the place of the values. */
static int replace_values(struct hub_job *j, const char *out, size_t len,
			  struct err *err)
{
	const struct hub *h = j->hub;
	float *values = mem_zero(h->model->len, sizeof(*values));
	ProtobufCBinaryData *to = &j->update->values;
	int rc = hub_stage_unpack(h, out, len, "what the handler put out",
				  values, err);

	if (!rc)
		floats_pack(to->data, values, h->model->len);
	free(values);
	return rc;
}

static void received(const struct err *err, const char *out, size_t len,
		     void *arg)
{
	struct hub_job *j = arg;

	j->why = HUB_HANDLER;
	if (err)
		j->err = *err;
	if (err || (len && replace_values(j, out, len, &j->err)))
		admitted(j);
	else
		submit(j);
}

/* on_receive(sender, code, payload): a handler looks first. */
static void receive(struct hub_job *j)
{
	const Gfl__V1__FlUpdateRequest *u = j->update;
	const struct hub *h = j->hub;
	float *room = mem_zero(h->model->len, sizeof(*room));
	struct buf in = BUF_INIT(0);
	struct facts f = {0};

	hub_stage_pack(h, floats_view(u->values.data, h->model->len, room),
		       &in);
	facts_add(&f, "GFL_SENDER", "%" PRId64, u->client_id);
	facts_add(&f, "GFL_LOGICAL", "%" PRId32, u->logical);
	facts_add(&f, "GFL_CODE", "%d", (int)u->code);
	facts_add(&f, "GFL_BASE_VERSION", "%" PRId64, u->base_version);
	facts_add(&f, "GFL_EXAMPLES", "%" PRId64, u->examples);
	if (u->_loss_case)
		facts_add(&f, "GFL_LOSS", "%.9g", u->loss);
	hub_stage_call(j->hub, HUB_ON_RECEIVE, &f, &in, received, j);
	buf_release(&in);
	free(room);
}

static void take(struct hub_look *l, struct call *call)
{
	struct hub_job *j = mem_zero(1, sizeof(*j));
	struct hub *h = l->hub;
	uint64_t bytes;
	int64_t us;

	call_timing(call, &bytes, &us);
	l->client->bytes_received += (int64_t)bytes;
	h->now.bytes_received += (int64_t)bytes;
	j->hub = h;
	j->client = l->client;
	j->client->jobs++;
	j->call = call;
	j->update = (Gfl__V1__FlUpdateRequest *)call_take(call);
	j->update->activation = l->client->given.id; /* also of one carried */
	j->weight = h->opts.uniform ? 1 : (double)j->update->examples;
	j->opening = h->opening;
	l->part->state = HUB_ADMITTING;
	l->part->crc = j->update->crc32c;
	h->admitting++;
	if (hub_stage_has(h, HUB_ON_RECEIVE))
		receive(j);
	else
		submit(j);
}

/* The same came before, and there is no answer to it yet, or that was lost. */
static bool came_before(const struct hub_look *l, enum hub_part_state state)
{
	return l->part->state == state && l->part->crc == l->update->crc32c;
}

static void serve_update(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	struct hub_look l = {.hub = arg,
			     .call = call,
			     .update = (const Gfl__V1__FlUpdateRequest *)in};

	if (!hub_look_expected(&l)) {
		call_fail(call, &l.err);
	} else if (hub_look_scores(&l)) {
		hub_score_take(&l, call);
	} else if (came_before(&l, HUB_ADMITTED)) {
		reply(l.hub, call, l.hub->version);
	} else if (came_before(&l, HUB_ADMITTING)) {
		hub_again(&l, call);
	} else if (!hub_look_sound(&l)) {
		call_fail(call, &l.err);
		hub_look(l.hub);
	} else {
		take(&l, call);
	}
}

void hub_serve_updates(struct hub *h)
{
	server_handle(h->server, RPC_FL_UPDATE, serve_update, h);
}
