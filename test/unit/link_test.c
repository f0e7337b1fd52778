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
	struct call *watch; /* the stream to the trainer, or NULL */
	int changes;
};

static void on_attach(struct call *call, const ProtobufCMessage *in, void *arg)
{
	Gfl__V1__AttachTrainerResponse out =
		GFL__V1__ATTACH_TRAINER_RESPONSE__INIT;

	(void)in, (void)arg;
	out.trainer_id = 1;
	out.cluster_id = (char *)(uintptr_t)cluster;
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

	(void)in, (void)arg;
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
	char url[64];
	const char *nodes[] = {url};
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
	snprintf(url, sizeof(url), "http://127.0.0.1:%d",
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

	state.cluster_id = (char *)(uintptr_t)cluster;
	state.applied = applied;
	out.what_case = GFL__V1__WATCH_STATE_EVENT__WHAT_STATE;
	out.state = &state;
	CHECK(!call_send(b->watch, &out.base));
}

static void send_entry(struct bench *b, int64_t index)
{
	Gfl__V1__WatchStateEvent out = GFL__V1__WATCH_STATE_EVENT__INIT;
	Gfl__V1__LogEntry item = GFL__V1__LOG_ENTRY__INIT;

	item.index = index;
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
		send_entry(&b, i);
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
