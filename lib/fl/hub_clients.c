/* Who is there: set-up, held requests, and how clients go. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fl/hub_impl.h"

void hub_client_here(struct hub_client *c, bool here, const char *why)
{
	struct hub *h = c->hub;

	if (c->here == here)
		return;
	c->here = here;
	h->present += here ? 1 : -1;
	h->here += here ? (int64_t)c->nlogical : -(int64_t)c->nlogical;
	hub_round_lost(c, !here);
	log_info(here ? "client_here" : "client_gone",
		 "client=%lld logical=%zu examples=%lld reason=%s",
		 (long long)c->id, c->nlogical, (long long)c->examples, why);
}

void hub_client_heard(struct hub_client *c)
{
	c->seen_ms = clock_ms();
	hub_client_here(c, true, "heard");
}

/* --- instructions ----------------------------------------------------------
 */

/* Something is asked of it that is not here yet, nor being admitted. */
static bool owes(const struct hub_activation *g)
{
	for (size_t i = 0; g->id && !g->over && i < g->n; i++)
		if (g->parts[i].state == HUB_OPEN)
			return true;
	return false;
}

static void instruction(struct hub_client *c, Gfl__V1__FlInstruction *out,
			int32_t **logical)
{
	struct hub *h = c->hub;
	struct hub_activation *g = &c->given;

	gfl__v1__fl_instruction__init(out);
	out->code = GFL__V1__FL_CODE__PARAMETER_REQUEST;
	if (h->state >= HUB_ENDING) {
		out->code = GFL__V1__FL_CODE__EXIT;
		out->reason = (char *)(uintptr_t)hub_why_ended(h);
		return;
	}
	if (!owes(g))
		return;
	out->activation = g->id;
	out->round = g->round;
	out->version = g->version;
	*logical = mem_zero(g->n, sizeof(**logical));
	for (size_t i = 0; i < g->n; i++)
		if (g->parts[i].state == HUB_OPEN)
			(*logical)[out->n_logical++] = g->parts[i].logical;
	out->logical = *logical;
	if (out->n_logical)
		out->code = g->code;
}

static void answer(struct hub_client *c, struct call *call)
{
	Gfl__V1__FlInstruction out;
	int32_t *logical = NULL;

	instruction(c, &out, &logical);
	c->told = out.activation;
	call_reply(call, &out.base);
	free(logical);
}

static struct call *take_held(struct hub_client *c)
{
	struct call *call = c->held;

	c->held = NULL;
	c->seen_ms = clock_ms();
	call_on_cancel(call, NULL, NULL);
	return call;
}

static bool has_news(const struct hub_client *c)
{
	const struct hub_activation *g = &c->given;

	return c->hub->state >= HUB_ENDING || (g->id != c->told && owes(g));
}

void hub_instruct(struct hub_client *c)
{
	if (c->held && has_news(c))
		answer(c, take_held(c));
}

static void held_gone(struct call *call, void *arg)
{
	struct hub_client *c = arg;

	(void)call;
	c->held = NULL;
	c->seen_ms = clock_ms();
}

static void serve_await(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	const Gfl__V1__FlAwaitRequest *r = (const Gfl__V1__FlAwaitRequest *)in;
	struct hub_client *c;
	struct err err;

	c = hub_client_of(arg, call, r->client_id, r->session, &err);
	if (!c) {
		call_fail(call, &err);
		return;
	}
	if (c->held) /* its connection broke, and we have yet to hear of it */
		answer(c, take_held(c));
	hub_client_heard(c);
	c->told = r->busy; /* what was told and did not arrive is told again */
	c->held = call;
	c->held_ms = c->seen_ms;
	c->hold_ms = r->hold_ms > 0 && r->hold_ms < HUB_ASK_AGAIN_MS
			     ? r->hold_ms
			     : HUB_ASK_AGAIN_MS;
	call_on_cancel(call, held_gone, c);
	hub_asked(c);
	hub_instruct(c);
	hub_look(c->hub);
}

/* --- set-up ----------------------------------------------------------------
 */

/* Of a model that only clients compute, all that they have to know of it. The
 * caller frees out->tensors, and what is returned. */
static Gfl__V1__FlTensor *describe(const struct model *m,
				   Gfl__V1__FlSetUpResponse *out)
{
	const size_t n = *m->text ? 0 : (size_t)m->n_params;
	Gfl__V1__FlTensor *rows = mem_zero(n + 1, sizeof(*rows));

	out->tensors = mem_zero(n + 1, sizeof(*out->tensors));
	out->n_tensors = n;
	for (size_t i = 0; i < n; i++) {
		const struct param *p = &m->params[i];

		gfl__v1__fl_tensor__init(&rows[i]);
		rows[i].name = (char *)(uintptr_t)p->name;
		rows[i].n_shape = (size_t)p->dims;
		rows[i].shape = (int64_t *)(uintptr_t)p->dim;
		out->tensors[i] = &rows[i];
	}
	return rows;
}

static void reply_set_up(struct hub_client *c, struct call *call)
{
	struct hub *h = c->hub;
	Gfl__V1__FlSetUpResponse out;
	Gfl__V1__FlTensor *rows;

	gfl__v1__fl_set_up_response__init(&out);
	out.code = GFL__V1__FL_CODE__SET_UP;
	out.client_id = c->id;
	out.session = c->session;
	out.term = h->counted ? h->opts.term : 0;
	out.model = (char *)(uintptr_t)hub_model_name(h);
	out.layout_hash = h->layout;
	out.seed = h->opts.seed;
	out.training = &h->opts.training;
	rows = describe(h->model, &out);
	call_reply(call, &out.base);
	free(out.tensors);
	free(rows);
	hub_client_heard(c);
	hub_look(h);
}

static int check_set_up(const Gfl__V1__FlSetUpRequest *r, struct err *err)
{
	if (!str_is_id(r->instance_id))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "an instance id has 32 hex digits");
	if (r->n_examples < 1 || r->n_examples > HUB_LOGICAL_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%zu logical clients, expected 1 to %d",
			       r->n_examples, HUB_LOGICAL_MAX);
	if (r->n_test_examples && r->n_test_examples != r->n_examples)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "test data of %zu logical clients, of %zu",
			       r->n_test_examples, r->n_examples);
	for (size_t i = 0; i < r->n_test_examples; i++)
		if (r->test_examples[i] < -1 ||
		    r->test_examples[i] > HUB_EXAMPLES_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "logical client %zu has %lld test "
				       "examples, expected -1 to %lld",
				       i, (long long)r->test_examples[i],
				       (long long)HUB_EXAMPLES_MAX);
	for (size_t i = 0; i < r->n_examples; i++)
		if (r->examples[i] < 0 || r->examples[i] > HUB_EXAMPLES_MAX)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "logical client %zu has %lld examples, "
				       "expected 0 to %lld",
				       i, (long long)r->examples[i],
				       (long long)HUB_EXAMPLES_MAX);
	return 0;
}

/* Who holds a request with the session that was learns that it is over. */
static void end_session(struct hub_client *c)
{
	struct err err;

	err_set(&err, ERR_UNAUTHENTICATED, "client %lld was set up anew",
		(long long)c->id);
	hub_client_dismiss(c, &err);
}

/* One that has started again may host others than before. */
static void take_set_up(struct hub_client *c, const Gfl__V1__FlSetUpRequest *r,
			const struct peer *peer)
{
	end_session(c);
	hub_client_here(c, false, "sets_up");
	if (c->nlogical != r->n_examples)
		hub_forget_given(c);
	hub_table_host(c, r->n_examples, peer);
	c->examples = 0;
	for (size_t i = 0; i < c->nlogical; i++) {
		c->logical[i].examples = r->examples[i];
		c->logical[i].loss = (double)NAN;
		c->logical[i].tests =
			r->n_test_examples ? r->test_examples[i] : 0;
		c->examples += r->examples[i];
	}
	c->active = r->active;
	str_new_id(c->session);
}

static void serve_set_up(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	const Gfl__V1__FlSetUpRequest *r = (const Gfl__V1__FlSetUpRequest *)in;
	const struct peer *peer = call_peer(call);
	struct hub_client *c;
	struct hub *h = arg;
	struct err err;

	if (check_set_up(r, &err) ||
	    hub_table_admit(h, &c, r->instance_id, r->n_examples, peer, &err)) {
		call_fail(call, &err);
		return;
	}
	take_set_up(c, r, peer);
	reply_set_up(c, call);
}

/* --- going -----------------------------------------------------------------
 */

static void serve_leave(struct call *call, const ProtobufCMessage *in,
			void *arg)
{
	const Gfl__V1__FlLeaveRequest *r = (const Gfl__V1__FlLeaveRequest *)in;
	Gfl__V1__FlLeaveResponse out;
	struct hub *h = arg;
	struct hub_client *c;
	char why[200]; /* of it, for the log */
	struct err err;

	c = hub_client_of(h, call, r->client_id, r->session, &err);
	if (!c) {
		call_fail(call, &err);
		return;
	}
	gfl__v1__fl_leave_response__init(&out);
	if (c->held)
		answer(c, take_held(c));
	hub_forget_given(c);
	str_copy(why, sizeof(why), r->reason);
	hub_client_here(c, false, why);
	call_reply(call, &out.base);
	hub_look(h);
}

/* An active client asks when it has done what it was given, and is not heard
 * before; at the end, too, of what nobody wants any more. Without rounds nothing
 * ends that but the deadline. */
static bool is_away(const struct hub_client *c, int64_t now_ms)
{
	const struct hub_activation *g = &c->given;
	const struct hub_opts *o = &c->hub->opts;
	const int64_t silent_ms = now_ms - c->seen_ms;

	if (c->held || !c->here || silent_ms < o->silence_ms)
		return false;
	return !c->active || !g->id || !g->open ||
	       (g->over && c->hub->state < HUB_ENDING) ||
	       (o->async && silent_ms >= o->deadline_ms);
}

void hub_clients_tick(struct hub *h, int64_t now_ms)
{
	struct hub_client *c, *next;

	HASH_ITER (hh, h->clients, c, next) {
		if (c->held && now_ms - c->held_ms >= c->hold_ms)
			answer(c, take_held(c));
		if (is_away(c, now_ms))
			hub_client_here(c, false, "not_heard");
		if (hub_table_expired(c, now_ms))
			hub_table_drop(c, "never sent an update");
	}
}

void hub_serve_clients(struct hub *h)
{
	server_handle(h->server, RPC_FL_SET_UP, serve_set_up, h);
	server_handle(h->server, RPC_FL_AWAIT, serve_await, h);
	server_handle(h->server, RPC_FL_LEAVE, serve_leave, h);
}

/* At the end of all it is told so; where another server goes on it is not. */
static void let_go(struct hub_client *c)
{
	struct err err;

	if (!c->hub->opts.term || c->hub->why_ended) {
		answer(c, take_held(c));
		return;
	}
	err_set(&err, ERR_UNAVAILABLE, "this server is not the active one");
	call_fail(take_held(c), &err);
}

void hub_client_dismiss(struct hub_client *c, const struct err *err)
{
	if (c->held)
		call_fail(take_held(c), err);
}

void hub_clients_close(struct hub *h)
{
	struct hub_client *c, *next;

	HASH_ITER (hh, h->clients, c, next)
		if (c->held)
			let_go(c);
	hub_table_close(h);
}
