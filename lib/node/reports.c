/* What the trainers attached here say, gathered and sent on to the leader. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum {
	FLUSH_MS = 10,
	SEND_MS = 2000,
	LINKS_MAX = 65536, /* that wait for a leader */
	LAST_MAX = 8192,   /* reports kept for the next leader */
};

/* A repeated field of a batch, as an array that grows. */
struct batch {
	struct node *n;
	Gfl__V1__ReportRequest msg;
	size_t cap_reports, cap_alive, cap_links, cap_misses, cap_bridge;
};

struct reports {
	struct node *n;
	struct batch next, sent; /* sent: waits for the leader's answer */
	struct batch last;       /* the last report of each trainer here */
	struct rpc *rpc;
	struct timer timer;
	bool waits;
};

static void batch_reset(struct batch *b)
{
	for (size_t i = 0; i < b->msg.n_reports; i++)
		rpc_free(&b->msg.reports[i]->base);
	for (size_t i = 0; i < b->msg.n_links; i++)
		rpc_free(&b->msg.links[i]->base);
	for (size_t i = 0; i < b->msg.n_misses; i++)
		rpc_free(&b->msg.misses[i]->base);
	for (size_t i = 0; i < b->msg.n_bridge_links; i++)
		rpc_free(&b->msg.bridge_links[i]->base);
	free(b->msg.reports);
	free(b->msg.alive);
	free(b->msg.links);
	free(b->msg.misses);
	free(b->msg.bridge_links);
	memset(b, 0, sizeof(*b));
	gfl__v1__report_request__init(&b->msg);
}

static bool batch_empty(const struct batch *b)
{
	return !b->msg.n_reports && !b->msg.n_alive && !b->msg.n_links &&
	       !b->msg.n_misses && !b->msg.n_bridge_links;
}

/* A later report of the same trainer in the same run stands for both, but what
 * only the former said is kept. */
static void merge(Gfl__V1__TrainerReport *now,
		  const Gfl__V1__TrainerReport *old)
{
	if (now->run != old->run)
		return;
	if (!now->_accuracy_case && old->_accuracy_case) {
		now->_accuracy_case = old->_accuracy_case;
		now->accuracy = old->accuracy;
	}
	if (!now->_accuracy_alone_case && old->_accuracy_alone_case) {
		now->_accuracy_alone_case = old->_accuracy_alone_case;
		now->accuracy_alone = old->accuracy_alone;
	}
}

static void add_report(struct batch *b, const Gfl__V1__TrainerReport *r)
{
	Gfl__V1__TrainerReport *now =
		(Gfl__V1__TrainerReport *)rpc_copy(&r->base);

	for (size_t i = 0; i < b->msg.n_reports; i++)
		if (b->msg.reports[i]->trainer_id == r->trainer_id &&
		    b->msg.reports[i]->run == r->run) {
			merge(now, b->msg.reports[i]);
			rpc_free(&b->msg.reports[i]->base);
			b->msg.reports[i] = now;
			return;
		}
	b->msg.reports = mem_grow(b->msg.reports, &b->cap_reports,
				  b->msg.n_reports + 1, sizeof(void *));
	b->msg.reports[b->msg.n_reports++] = now;
}

static void add_alive(struct batch *b, int64_t id)
{
	for (size_t i = 0; i < b->msg.n_alive; i++)
		if (b->msg.alive[i] == id)
			return;
	b->msg.alive = mem_grow(b->msg.alive, &b->cap_alive, b->msg.n_alive + 1,
				sizeof(int64_t));
	b->msg.alive[b->msg.n_alive++] = id;
}

static void add_links(Gfl__V1__Link ***to, size_t *n, size_t *cap,
		      Gfl__V1__Link *const *links, size_t nlinks)
{
	for (size_t i = 0; i < nlinks && *n < LINKS_MAX; i++) {
		*to = mem_grow(*to, cap, *n + 1, sizeof(void *));
		(*to)[(*n)++] = (Gfl__V1__Link *)rpc_copy(&links[i]->base);
	}
}

static void add_rest(struct batch *b, const Gfl__V1__ReportRequest *in)
{
	add_links(&b->msg.links, &b->msg.n_links, &b->cap_links, in->links,
		  in->n_links);
	add_links(&b->msg.bridge_links, &b->msg.n_bridge_links, &b->cap_bridge,
		  in->bridge_links, in->n_bridge_links);
	for (size_t i = 0; i < in->n_misses && b->msg.n_misses < LINKS_MAX;
	     i++) {
		b->msg.misses = mem_grow(b->msg.misses, &b->cap_misses,
					 b->msg.n_misses + 1, sizeof(void *));
		b->msg.misses[b->msg.n_misses++] =
			(Gfl__V1__Miss *)rpc_copy(&in->misses[i]->base);
	}
}

static void add_all(struct batch *b, const Gfl__V1__ReportRequest *in)
{
	for (size_t i = 0; i < in->n_reports; i++)
		add_report(b, in->reports[i]);
	for (size_t i = 0; i < in->n_alive; i++)
		add_alive(b, in->alive[i]);
	add_rest(b, in);
}

/* ---- to the leader ---- */

static void flush(void *arg);

static void schedule(struct reports *r)
{
	if (r->waits || r->n->ended)
		return;
	r->waits = true;
	timer_set(&r->timer, r->n->loop, FLUSH_MS, flush, r);
}

/* What did not arrive is said again, but who was alive then may not be now. */
static void sent(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct reports *r = arg;
	struct batch failed = r->sent;

	(void)out;
	r->rpc = NULL;
	memset(&r->sent, 0, sizeof(r->sent));
	batch_reset(&r->sent);
	if (err) {
		struct batch later = r->next;

		r->next = failed;
		r->next.msg.n_alive = 0;
		add_all(&r->next, &later.msg);
		batch_reset(&later);
	} else {
		batch_reset(&failed);
	}
	if (!batch_empty(&r->next))
		schedule(r);
}

static void flush(void *arg)
{
	const struct rpc_opts opts = {
		.timeout_ms = SEND_MS,
		.forwarded = true,
	};
	struct reports *r = arg;
	struct node *n = r->n;
	const char *url;

	r->waits = false;
	if (r->rpc || batch_empty(&r->next))
		return;
	if (n->leads) {
		conductor_heard(n, &r->next.msg);
		batch_reset(&r->next);
		return;
	}
	url = n->leader && n->leader != n->meta.node_id
		      ? node_url_of(n, n->leader)
		      : NULL;
	if (!url) {
		schedule(r);
		return;
	}
	r->sent = r->next;
	memset(&r->next, 0, sizeof(r->next));
	batch_reset(&r->next);
	r->rpc = client_call(n->client, url, RPC_NODE_REPORT, &r->sent.msg.base,
			     &opts, sent, r);
}

void reports_flush(struct node *n)
{
	flush(n->reports);
}

/* ---- from trainers, and from nodes ---- */

/* A batch is for the leader alone. */
static void on_batch(struct node *n, struct call *call,
		     const Gfl__V1__ReportRequest *in)
{
	Gfl__V1__ReportResponse out = GFL__V1__REPORT_RESPONSE__INIT;
	struct err err;

	if (!n->leads) {
		err_set(&err, ERR_UNAVAILABLE, "node %" PRId64 " does not lead",
			n->meta.node_id);
		call_fail(call, &err);
		return;
	}
	conductor_heard(n, in);
	out.attached = true;
	call_reply(call, &out.base);
}

/* A trainer that is down, or attached elsewhere, attaches again. */
static bool attached(const struct node *n, const Gfl__V1__ReportRequest *in)
{
	const Gfl__V1__Trainer *t = state_trainer(n->state, in->trainer_id);

	return t && t->node_id == n->meta.node_id && !t->liveness &&
	       (!*in->instance_id || !strcmp(t->instance_id, in->instance_id));
}

/* Runs that are over need no repeating. */
static void forget_old(struct reports *r)
{
	struct batch kept;

	memset(&kept, 0, sizeof(kept));
	batch_reset(&kept);
	for (size_t i = 0; i < r->last.msg.n_reports; i++) {
		const Gfl__V1__Run *run =
			state_run(r->n->state, r->last.msg.reports[i]->run);

		if (run && !state_run_over(run))
			add_report(&kept, r->last.msg.reports[i]);
	}
	batch_reset(&r->last);
	r->last = kept;
}

static void keep(struct reports *r, const Gfl__V1__TrainerReport *report)
{
	add_report(&r->next, report);
	if (r->last.msg.n_reports >= LAST_MAX)
		forget_old(r);
	if (r->last.msg.n_reports < LAST_MAX)
		add_report(&r->last, report);
}

/* What only the old leader knew, the new one shall know. */
void reports_leader(struct node *n)
{
	struct reports *r = n->reports;
	struct batch later = r->next;

	forget_old(r);
	memset(&r->next, 0, sizeof(r->next));
	batch_reset(&r->next);
	for (size_t i = 0; i < r->last.msg.n_reports; i++)
		add_report(&r->next, r->last.msg.reports[i]);
	add_all(&r->next, &later.msg);
	batch_reset(&later);
	if (!batch_empty(&r->next))
		schedule(r);
}

/* Of the trainer that reports, and of a run that there is. */
static bool sound(const struct node *n, const Gfl__V1__ReportRequest *in,
		  const Gfl__V1__TrainerReport *r)
{
	return r->trainer_id == in->trainer_id && state_report_ok(r) &&
	       state_run(n->state, r->run);
}

static void on_report(struct call *call, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__ReportRequest *in = (const Gfl__V1__ReportRequest *)msg;
	struct node *n = arg;
	struct reports *r = n->reports;
	Gfl__V1__ReportResponse out = GFL__V1__REPORT_RESPONSE__INIT;

	if (!in->trainer_id) {
		on_batch(n, call, in);
		return;
	}
	out.attached = attached(n, in);
	if (out.attached) {
		add_alive(&r->next, in->trainer_id);
		for (size_t i = 0; i < in->n_reports; i++)
			if (sound(n, in, in->reports[i]))
				keep(r, in->reports[i]);
		add_rest(&r->next, in);
		schedule(r);
	}
	call_reply(call, &out.base);
}

/* ---- life ---- */

size_t reports_attached(const struct node *n)
{
	size_t count = 0;

	for (size_t i = 0; i < n->state->ntrainers; i++)
		count += n->state->trainers[i]->node_id == n->meta.node_id &&
			 !n->state->trainers[i]->liveness;
	return count;
}

void reports_open(struct node *n)
{
	struct reports *r = mem_zero(1, sizeof(*r));

	r->n = n;
	batch_reset(&r->next);
	batch_reset(&r->sent);
	batch_reset(&r->last);
	n->reports = r;
}

void reports_serve(struct node *n)
{
	server_handle(n->server, RPC_NODE_REPORT, on_report, n);
}

void reports_close(struct node *n)
{
	struct reports *r = n->reports;

	if (!r)
		return;
	timer_stop(&r->timer);
	client_cancel(r->rpc);
	batch_reset(&r->next);
	batch_reset(&r->sent);
	batch_reset(&r->last);
	free(r);
	n->reports = NULL;
}
