/* What clients have trained: looked at closely, and taken once, or refused
 * with the reason. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/floats.h"
#include "fl/hub_impl.h"

static const struct {
	const char *name;
	enum err_code code;
} reasons[] = {
#define ROW(NAME, text, code) [HUB_##NAME] = {text, ERR_##code},
	HUB_REASONS(ROW)
#undef ROW
};

const char *hub_reason_name(enum hub_reason r)
{
	return reasons[r].name;
}

/* --- refusing --------------------------------------------------------------
 */

static bool refuse(struct hub_look *l, enum hub_reason why, const char *fmt,
		   ...) PRINTF(3, 4);

/* What the client sends can never do. */
static bool ends_part(enum hub_reason why)
{
	return why == HUB_BASE || why == HUB_MALFORMED || why == HUB_VALUES ||
	       why == HUB_HANDLER || why == HUB_UNTRAINED;
}

static bool refuse(struct hub_look *l, enum hub_reason why, const char *fmt,
		   ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hub_refused(l, why, text);
	return false;
}

static bool is_score(const struct hub_look *l)
{
	return l->client && !l->client->given.over &&
	       l->client->given.code == GFL__V1__FL_CODE__EVALUATE_PARAMS;
}

static void part_failed(struct hub_look *l)
{
	struct hub *h = l->hub;

	l->part->state = HUB_FAILED;
	l->client->given.open--;
	if (l->client->here) /* else it is lost already */
		++*(is_score(l) ? &h->scoring.lost : &h->now.lost);
}

void hub_refused(struct hub_look *l, enum hub_reason why, const char *text)
{
	struct hub *h = l->hub;

	err_set(&l->err, reasons[why].code, "%s: %s", reasons[why].name, text);
	if (why == HUB_FULL)
		err_full(&l->err, "%s: %s", reasons[why].name, text);
	h->refused[why]++;
	++*(is_score(l) ? &h->scoring.refused : &h->now.refused);
	if (l->client)
		l->client->refused[why]++;
	hub_changed(h, l->client);
	if (l->part && ends_part(why))
		part_failed(l);
	log_warn("update_refused", "client=%lld round=%lld reason=%s error=%s",
		 (long long)l->update->client_id, (long long)l->update->round,
		 reasons[why].name, text);
}

/* --- looking ---------------------------------------------------------------
 */

static bool is_expected(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub_activation *g;
	struct hub *h = l->hub;
	struct err why;

	l->client =
		hub_client_of(h, l->call, u->client_id, u->session, &l->err);
	if (!l->client) {
		why = l->err;
		return refuse(l,
			      why.code == ERR_NOT_FOUND ? HUB_FOREIGN
							: HUB_SESSION,
			      "%s", why.msg);
	}
	hub_client_heard(l->client);
	g = &l->client->given;
	if (!u->activation && h->counted)
		return hub_carried(l);
	if (u->activation < 1 || u->activation > h->last_activation)
		return refuse(l, HUB_FOREIGN,
			      "nobody was given activation %lld",
			      (long long)u->activation);
	if (u->activation != g->id || g->over)
		return refuse(l, HUB_LATE, "round %lld is over for client %lld",
			      (long long)u->round, (long long)u->client_id);
	l->part = hub_part_of(l->client, u->activation, u->logical);
	if (!l->part)
		return refuse(l, HUB_FOREIGN,
			      "logical client %d of client %lld was not asked",
			      u->logical, (long long)u->client_id);
	return true;
}

static bool is_first(struct hub_look *l)
{
	if (l->part->state == HUB_OPEN)
		return true;
	l->part = NULL; /* which stays as it is */
	return refuse(l, HUB_DOUBLE,
		      "client %lld has sent an update in round %lld before",
		      (long long)l->update->client_id,
		      (long long)l->update->round);
}

static bool is_trained(struct hub_look *l)
{
	return !*l->update->failure ||
	       refuse(l, HUB_UNTRAINED, "client %lld could not train: %s",
		      (long long)l->update->client_id, l->update->failure);
}

static bool fits(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub *h = l->hub;
	const struct hub_activation *g = &l->client->given;

	if (u->round != g->round || u->base_version < g->version ||
	    u->base_version > (h->opts.async ? h->version : g->version))
		return refuse(l, HUB_BASE,
			      "of round %lld and version %lld, expected round "
			      "%lld and version %lld",
			      (long long)u->round, (long long)u->base_version,
			      (long long)g->round, (long long)g->version);
	if (u->code != h->opts.training.code)
		return refuse(l, HUB_MALFORMED, "code %d, expected %d",
			      (int)u->code, (int)h->opts.training.code);
	if (strcmp(u->layout_hash, h->layout) != 0 ||
	    u->parameters != h->model->len)
		return refuse(l, HUB_MALFORMED,
			      "a model of %" PRIu64
			      " values and layout \"%.40s\", "
			      "expected %zu and %s",
			      u->parameters, u->layout_hash, h->model->len,
			      h->layout);
	if (u->dtype != h->opts.training.dtype)
		return refuse(l, HUB_MALFORMED,
			      "values of type %d, expected %d", (int)u->dtype,
			      (int)h->opts.training.dtype);
	return true;
}

static bool has_sense(struct hub_look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	int64_t own = l->client->logical[u->logical].examples;

	if (u->examples < 1 || u->examples > (own ? own : HUB_EXAMPLES_MAX))
		return refuse(l, HUB_MALFORMED,
			      "%lld examples, expected 1 to %lld",
			      (long long)u->examples,
			      (long long)(own ? own : HUB_EXAMPLES_MAX));
	if (u->steps < 1 || (u->_loss_case && !(fabs(u->loss) <= HUB_LOSS_MAX)))
		return refuse(l, HUB_MALFORMED, "%lld steps, loss %g",
			      (long long)u->steps, u->loss);
	if (hub_stage_has(l->hub, HUB_ON_RECEIVE) &&
	    u->values.len != l->hub->model->len * 4)
		return refuse(l, HUB_MALFORMED,
			      "%zu bytes of values, expected %zu",
			      u->values.len, l->hub->model->len * 4);
	if (u->crc32c != crc32c_of(0, u->values.data, u->values.len))
		return refuse(l, HUB_DAMAGED,
			      "the checksum of its values differs: send it "
			      "again");
	if (l->hub->admitting >= HUB_ADMITTING_MAX)
		return refuse(l, HUB_FULL, "%d updates are being admitted",
			      HUB_ADMITTING_MAX);
	return true;
}

/* --- taking ----------------------------------------------------------------
 */

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
	out.version = h->version;
	call_reply(call, &out.base);
}

/* Its update is in this version, or in none yet: in a round, or a buffer. */
static void reply(struct hub *h, struct call *call, int64_t version)
{
	if (h->opts.term && h->opts.async && version)
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
		part->crc = u->crc32c;
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
		refuse(&l, j->why, "%s", j->err.msg);
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
	h->admitting++;
	if (hub_stage_has(h, HUB_ON_RECEIVE))
		receive(j);
	else
		submit(j);
}

static void serve_update(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	struct hub_look l = {.hub = arg,
			     .call = call,
			     .update = (const Gfl__V1__FlUpdateRequest *)in};

	if (!is_expected(&l)) {
		call_fail(call, &l.err);
	} else if (is_score(&l)) {
		hub_score_take(&l, call);
	} else if (l.part->state == HUB_ADMITTED &&
		   l.part->crc == l.update->crc32c) {
		/* asked again for a lost answer */
		reply(l.hub, call, l.hub->version);
	} else if (!is_first(&l) || !is_trained(&l) || !fits(&l) ||
		   !has_sense(&l)) {
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
