/* A trainer's link to a node that is a server in the test's process. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "fl/link.h"
#include "world.h"

static const char cluster[] = "0123456789abcdef0123456789abcdef";

struct bench {
	struct world w;
	struct client *client;
	struct link *link;
	char url[64];       /* of the node */
	struct call *watch; /* the stream to the trainer, or NULL */
	int changes, reports;
};

static void on_attach(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__AttachTrainerResponse out =
		GFL__V1__ATTACH_TRAINER_RESPONSE__INIT;

	(void)in, (void)arg;
	out.trainer_id = 1;
	out.cluster_id = (char *)(uintptr_t)cluster;
	out.heartbeat_ms = 600000; /* tests see what comes sooner */
	call_reply(call, &out.base);
}

static void watch_gone(struct call *call, void *arg)
{
	(void)call;
	((struct bench *)arg)->watch = NULL;
}

static void on_watch(struct call *call, const ProtobufCMessage *in, void *arg)
{
	struct bench *b = arg;

	(void)in;
	b->watch = call;
	call_on_cancel(call, watch_gone, b);
}

static void on_report(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__ReportResponse out = GFL__V1__REPORT_RESPONSE__INIT;

	(void)in;
	((struct bench *)arg)->reports++;
	out.attached = true;
	call_reply(call, &out.base);
}

static void attached(int64_t id, const char *cluster_id, const char *url,
		     void *arg)
{
	(void)id, (void)cluster_id, (void)url, (void)arg;
}

static void changed(unsigned what, void *arg)
{
	(void)what;
	((struct bench *)arg)->changes++;
}

static void fill(Gfl__V1__ReportRequest *r, void *arg)
{
	(void)r, (void)arg;
}

static void reported(bool arrived, void *arg)
{
	(void)arrived, (void)arg;
}

static void refused(const struct err *err, void *arg)
{
	(void)err, (void)arg;
	CHECK(false);
}

static void setup(struct bench *b)
{
	const struct link_hooks hooks = {attached, changed, fill,
					 reported, refused, b};
	const char *nodes[] = {b->url};
	const struct link_opts opts = {
		.nodes = nodes,
		.nnodes = 1,
		.url = "http://127.0.0.1:1",
		.instance_id = cluster,
		.cluster_id = "",
	};
	struct err err;

	*b = (struct bench){0};
	world_open(&b->w, (struct server_opts){0});
	server_handle(b->w.server, RPC_NODE_ATTACH_TRAINER, on_attach, b);
	server_handle(b->w.server, RPC_NODE_WATCH_STATE, on_watch, b);
	server_handle(b->w.server, RPC_NODE_REPORT, on_report, b);
	snprintf(b->url, sizeof(b->url), "http://127.0.0.1:%d",
		 server_port(b->w.server));
	CHECK(!client_open(&b->client, b->w.loop, NULL, &err));
	b->link = link_open(b->w.loop, b->client, &opts, &hooks);
}

static void teardown(struct bench *b)
{
	link_close(b->link);
	client_close(b->client);
	world_close(&b->w);
}

/* The state as a node has it that has applied so many entries. */
static void send_state(struct bench *b, int64_t applied)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	Gfl__V1__State state = GFL__V1__STATE__INIT;
	Gfl__V1__Member node = GFL__V1__MEMBER__INIT;
	Gfl__V1__Trainer us = GFL__V1__TRAINER__INIT;
	Gfl__V1__Member *members[] = {&node};
	Gfl__V1__Trainer *trainers[] = {&us};

	node.id = us.id = us.node_id = 1;
	node.url = b->url;
	us.url = "http://127.0.0.1:1";
	us.instance_id = (char *)(uintptr_t)cluster;
	state.members = members;
	state.trainers = trainers;
	state.n_members = state.n_trainers = 1;
	state.cluster_id = (char *)(uintptr_t)cluster;
	state.applied = applied;
	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_STATE;
	out.state = &state;
	CHECK(!call_send(b->watch, &out.base));
}

static void send_entry(struct bench *b, int64_t index, Gfl__V1__Entry *entry)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	Gfl__V1__LogEntry item = GFL__V1__LOG_ENTRY__INIT;

	item.index = index;
	item.entry = entry;
	item.term = 1;
	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_ENTRY;
	out.entry = &item;
	CHECK(!call_send(b->watch, &out.base));
}

/* A node that came back late has its cluster's past still before it. */
TEST(link_never_goes_back_when_the_next_node_is_behind)
{
	struct bench b;
	int changes;

	setup(&b);
	UNTIL(&b.w, b.watch);
	send_state(&b, 10);
	UNTIL(&b.w, link_state(b.link));
	changes = b.changes;
	call_end(b.watch);
	b.watch = NULL;
	UNTIL(&b.w, b.watch);
	send_state(&b, 8);
	for (int64_t i = 9; i <= 11; i++)
		send_entry(&b, i, NULL);
	while (link_state(b.link)->applied != 11) {
		CHECK_INT(link_state(b.link)->applied, 10);
		UNTIL(&b.w, true);
	}
	CHECK_INT(b.changes, changes);
	call_end(b.watch);
	b.watch = NULL;
	UNTIL(&b.w, b.watch);
	send_state(&b, 12);
	UNTIL(&b.w, link_state(b.link)->applied == 12);
	CHECK_INT(b.changes, changes + 1);
	teardown(&b);
}

/* Others missed us while we were stopped: we attach again as soon as we hear
 * of it, not with the next heartbeat. */
TEST(link_reports_when_the_cluster_takes_it_for_gone)
{
	Gfl__V1__TrainerChange change = GFL__V1__TRAINER_CHANGE__INIT;
	Gfl__V1__Trainer us = GFL__V1__TRAINER__INIT;
	Gfl__V1__Entry entry = GFL__V1__ENTRY__INIT;
	struct bench b;

	setup(&b);
	UNTIL(&b.w, b.watch && b.reports == 1);
	send_state(&b, 10);
	send_entry(&b, 11, NULL);
	UNTIL(&b.w, link_state(b.link) && link_state(b.link)->applied == 11);
	CHECK_INT(b.reports, 1);
	us.id = 1;
	change.trainer = &us;
	change.action = GFL__V1__TRAINER_CHANGE__ACTION__MARK_DOWN;
	entry.kind_case = GFL__V1__ENTRY__KIND_TRAINER;
	entry.trainer = &change;
	send_entry(&b, 12, &entry);
	UNTIL(&b.w, b.reports == 2);
	teardown(&b);
}
