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

/* An update that is looked at: of c, unless that is nobody; for part, unless
 * that is none of its own. */
struct look {
	struct hub *hub;
	const Gfl__V1__FlUpdateRequest *update;
	struct hub_client *client;
	struct hub_part *part;
	struct err err;
};

static bool refuse(struct look *l, enum hub_reason why, const char *fmt, ...)
	PRINTF(3, 4);

/* The part has failed where what the client sends can never do. */
static bool refuse(struct look *l, enum hub_reason why, const char *fmt, ...)
{
	struct hub *h = l->hub;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&l->err, reasons[why].code, "%s: %s", reasons[why].name, text);
	if (why == HUB_FULL)
		err_full(&l->err, "%s: %s", reasons[why].name, text);
	h->refused[why]++;
	h->now.refused++;
	if (l->client)
		l->client->refused++;
	if (l->part &&
	    (why == HUB_BASE || why == HUB_MALFORMED || why == HUB_VALUES)) {
		l->part->state = HUB_FAILED;
		l->client->given.open--;
		h->now.lost++;
	}
	log_warn("update_refused", "client=%lld round=%lld reason=%s error=%s",
		 (long long)l->update->client_id, (long long)l->update->round,
		 reasons[why].name, text);
	return false;
}

/* --- looking ---------------------------------------------------------------
 */

static struct hub_part *part_of(struct hub_client *c, int64_t activation,
				int32_t logical)
{
	struct hub_activation *g = &c->given;

	for (size_t i = 0; g->id == activation && !g->over && i < g->n; i++)
		if (g->parts[i].logical == logical)
			return &g->parts[i];
	return NULL;
}

static bool is_expected(struct look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub_activation *g;
	struct hub *h = l->hub;

	l->client = hub_client_of(h, u->client_id, u->session, &l->err);
	if (!l->client)
		return refuse(l, HUB_FOREIGN,
			      "client %lld is not known to this start of the "
			      "server",
			      (long long)u->client_id);
	hub_client_heard(l->client);
	g = &l->client->given;
	if (u->activation < 1 || u->activation > h->last_activation)
		return refuse(l, HUB_FOREIGN,
			      "nobody was given activation %lld",
			      (long long)u->activation);
	if (u->activation != g->id || g->over)
		return refuse(l, HUB_LATE, "round %lld is over for client %lld",
			      (long long)u->round, (long long)u->client_id);
	l->part = part_of(l->client, u->activation, u->logical);
	if (!l->part)
		return refuse(l, HUB_FOREIGN,
			      "logical client %d of client %lld was not asked",
			      u->logical, (long long)u->client_id);
	return true;
}

static bool is_first(struct look *l)
{
	if (l->part->state == HUB_OPEN)
		return true;
	l->part = NULL; /* which stays as it is */
	return refuse(l, HUB_DOUBLE,
		      "client %lld has sent an update in round %lld before",
		      (long long)l->update->client_id,
		      (long long)l->update->round);
}

static bool fits(struct look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub *h = l->hub;
	const struct hub_activation *g = &l->client->given;

	if (u->round != g->round || u->base_version != g->version)
		return refuse(l, HUB_BASE,
			      "of round %lld and version %lld, expected round "
			      "%lld and version %lld",
			      (long long)u->round, (long long)u->base_version,
			      (long long)g->round, (long long)g->version);
	if (u->code != GFL__V1__FL_CODE__PARAMETER_UPDATE)
		return refuse(l, HUB_MALFORMED, "code %d, expected %d",
			      (int)u->code,
			      (int)GFL__V1__FL_CODE__PARAMETER_UPDATE);
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

static bool has_sense(struct look *l)
{
	const Gfl__V1__FlUpdateRequest *u = l->update;
	const struct hub *h = l->hub;
	size_t size = h->model->len * 4;
	int64_t own = l->client->logical[u->logical].examples;

	if (u->values.len != size)
		return refuse(l, HUB_MALFORMED,
			      "%zu bytes of values, expected %zu",
			      u->values.len, size);
	if (u->examples < 1 || u->examples > own)
		return refuse(l, HUB_MALFORMED,
			      "%lld examples, expected 1 to %lld",
			      (long long)u->examples, (long long)own);
	if (u->steps < 1 || !isfinite(u->loss))
		return refuse(l, HUB_MALFORMED, "%lld steps, loss %g",
			      (long long)u->steps, u->loss);
	if (u->crc32c != crc32c_of(0, u->values.data, u->values.len))
		return refuse(l, HUB_DAMAGED,
			      "the checksum of its values differs: send it "
			      "again");
	if (h->now.admitting >= HUB_ADMITTING_MAX)
		return refuse(l, HUB_FULL, "%d updates are being admitted",
			      HUB_ADMITTING_MAX);
	return true;
}

/* --- taking ----------------------------------------------------------------
 */

/* On the worker's thread. */
static void admit(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;
	const struct aggregate_update u = {
		.client = j->client->id,
		.values = floats_view(j->update->values.data, h->model->len,
				      h->values),
		.n = h->model->len,
		.weight = j->weight,
		.steps = j->update->steps,
		.loss = j->update->loss,
	};

	if (j->first)
		aggregate_begin(h->rule, h->params);
	if (!aggregate_admit(h->rule, &u, &j->err))
		j->err.code = ERR_OK;
}

static void reply(struct hub *h, struct call *call)
{
	Gfl__V1__FlUpdateResponse out;

	gfl__v1__fl_update_response__init(&out);
	out.version = h->version;
	call_reply(call, &out.base);
}

static void count(struct hub *h, struct hub_client *c, struct hub_part *part,
		  const Gfl__V1__FlUpdateRequest *u)
{
	struct hub_now *n = &h->now;

	part->state = HUB_ADMITTED;
	part->crc = u->crc32c;
	c->given.open--;
	c->accepted++;
	c->round = u->round;
	c->logical[part->logical].loss = u->loss;
	h->accepted++;
	n->admitted++;
	n->examples += u->examples;
	n->loss += u->loss * (double)u->examples;
}

static void admitted(void *arg)
{
	struct hub_job *j = arg;
	struct hub *h = j->hub;
	struct look l = {.hub = h, .update = j->update, .client = j->client};

	h->now.admitting--;
	l.part = part_of(j->client, j->update->activation, j->update->logical);
	if (j->err.code) {
		refuse(&l, HUB_VALUES, "%s", j->err.msg);
		call_fail(j->call, &l.err);
	} else {
		if (l.part)
			count(h, j->client, l.part, j->update);
		reply(h, j->call);
	}
	rpc_free(&j->update->base);
	free(j);
	hub_look(h);
}

static void take(struct look *l, struct call *call)
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
	j->call = call;
	j->update = (Gfl__V1__FlUpdateRequest *)call_take(call);
	j->weight = h->opts.uniform ? 1 : (double)j->update->examples;
	j->first = !h->now.admitted && !h->now.admitting;
	l->part->state = HUB_ADMITTING;
	h->now.admitting++;
	if (worker_submit(h->worker, admit, admitted, j, &j->err))
		admitted(j);
}

static void serve_update(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	struct look l = {.hub = arg,
			 .update = (const Gfl__V1__FlUpdateRequest *)in};

	if (!is_expected(&l)) {
		call_fail(call, &l.err);
	} else if (l.part->state == HUB_ADMITTED &&
		   l.part->crc == l.update->crc32c) {
		reply(l.hub, call); /* asked again for a lost answer */
	} else if (!is_first(&l) || !fits(&l) || !has_sense(&l)) {
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
