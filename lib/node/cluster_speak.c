/* What who leads below says above: that it speaks for its cluster, how large
 * that is, and that it lives. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/cluster_impl.h"
#include "wire/rpc.h"

enum {
	CALL_MS = 3000,
	COUNTS_MS = 1000, /* at most one entry in so long for numbers alone */
	HEARTBEAT_MS = 1000,
};

static struct rpc *call(struct cluster *c, enum rpc_name name,
			const ProtobufCMessage *in, rpc_done_fn *done)
{
	const struct rpc_opts opts = {.timeout_ms = CALL_MS};

	return client_call(c->upper->client, node_url(c->upper), name, in,
			   &opts, done, c);
}

/* ---- our place ---- */

static void attached(const struct err *err, const ProtobufCMessage *msg,
		     void *arg)
{
	const Gfl__V1__AttachTrainerResponse *out =
		(const Gfl__V1__AttachTrainerResponse *)msg;
	struct cluster *c = arg;

	c->attach = NULL;
	if (err) {
		log_debug("speak", "error=%s", err->msg);
		return;
	}
	if (c->trainer != out->trainer_id)
		log_info("speaks_above",
			 "cluster=%s trainer=%" PRId64 " term=%" PRId64,
			 node_cluster(c->upper), out->trainer_id, c->term);
	c->trainer = out->trainer_id;
	c->heartbeat_ms = out->heartbeat_ms;
	cluster_look(c);
}

static void attach(struct cluster *c, Gfl__V1__Trainer *self)
{
	Gfl__V1__AttachTrainerRequest in =
		GFL__V1__ATTACH_TRAINER_REQUEST__INIT;

	c->attached_ms = clock_ms();
	c->term = self->term;
	in.trainer = self;
	in.cluster_id = (char *)node_cluster(c->upper);
	c->attach = call(c, RPC_NODE_ATTACH_TRAINER, &in.base, attached);
}

/* A new leader keeps the bridge of the one before. */
static int64_t bridge_so_far(const struct cluster *c)
{
	const Gfl__V1__Bridge *b = c->lower->state->bridge;

	return b ? b->trainer : c->bridge;
}

static void look_at_place(struct cluster *c)
{
	const struct state *above = c->upper->state;
	const struct node *n = c->lower;
	Gfl__V1__Trainer self, *said;
	enum hierarchy_news news;
	int64_t pause_ms = clock_ms() - c->attached_ms;

	if (c->attach)
		return;
	said = state_trainer_of(above, n->meta.cluster_id);
	c->bridge = hierarchy_bridge(n->state, bridge_so_far(c));
	hierarchy_fill(&self, n->state, c->bridge, n->term, node_url(n));
	self.node_id = node_id(c->upper);
	news = hierarchy_news(said, &self);
	if (news == HIERARCHY_PLACE && c->term < n->term)
		attach(c, &self); /* new here: at once */
	else if (news && pause_ms >= COUNTS_MS)
		attach(c, &self);
	else if (!news)
		c->trainer = said->id;
}

/* ---- heartbeats ---- */

static void reported(const struct err *err, const ProtobufCMessage *msg,
		     void *arg)
{
	struct cluster *c = arg;

	(void)msg; /* whether we are attached, the state tells as well */
	c->report = NULL;
	if (err) {
		log_debug("report", "error=%s", err->msg);
		c->said_run = 0;
		return;
	}
	cluster_look(c);
}

/* With how our part of the run above goes, and what our bridge measured. */
static void report(struct cluster *c)
{
	Gfl__V1__ReportRequest in = GFL__V1__REPORT_REQUEST__INIT;
	Gfl__V1__TrainerReport r, *reports[] = {&r};
	Gfl__V1__Link *links[sizeof(c->links) / sizeof(*c->links)];
	Gfl__V1__Run *part = cluster_part(c);

	c->said_ms = clock_ms();
	in.trainer_id = c->trainer;
	in.instance_id = c->lower->meta.cluster_id;
	if (part) {
		hierarchy_report(&r, part, c->trainer, c->bridge);
		r.epoch = c->upper->state->epoch;
		in.reports = reports;
		in.n_reports = 1;
	}
	for (; in.n_links < c->nlinks; in.n_links++)
		links[in.n_links] = &c->links[in.n_links];
	in.links = links;
	c->nlinks = 0;
	c->report = call(c, RPC_NODE_REPORT, &in.base, reported);
	if (part)
		rpc_free(&part->base);
}

static bool due(struct cluster *c)
{
	int64_t every_ms = c->heartbeat_ms ? c->heartbeat_ms : HEARTBEAT_MS;

	if (c->report || !c->trainer)
		return false;
	return cluster_progress(c) || clock_ms() - c->said_ms >= every_ms;
}

void cluster_speak(struct cluster *c)
{
	if (!c->lower->leads || !driver_leads(c->lower->driver)) {
		c->trainer = 0;
		return;
	}
	look_at_place(c);
	cluster_span(c);
	if (due(c))
		report(c);
}

void cluster_hush(struct cluster *c)
{
	client_cancel(c->attach);
	client_cancel(c->report);
	c->attach = c->report = NULL;
	c->trainer = 0;
}
