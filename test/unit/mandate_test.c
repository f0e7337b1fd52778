/* A server's questions to the node beside it. */
#include "test.h"

#include "fl/mandate.h"
#include "proto/node.pb-c.h"
#include "world.h"

struct beside {
	struct world w;
	struct client *client;
	struct mandate *m;
	int asked, claims;
	int64_t term; /* of the last claim */
};

/* Node 2 follows node 3, which leads in term 7. */
static void serve_status(struct call *call, const ProtobufCMessage *in,
			 void *arg)
{
	Gfl__V1__NodeStatus out = GFL__V1__NODE_STATUS__INIT;

	(void)in;
	((struct beside *)arg)->asked++;
	out.node_id = 2;
	out.leader_id = 3;
	out.term = 7;
	out.role = (char *)"follower";
	call_reply(call, &out.base);
}

static void serve_transfer(struct call *call, const ProtobufCMessage *in,
			   void *arg)
{
	Gfl__V1__TransferResponse out = GFL__V1__TRANSFER_RESPONSE__INIT;
	struct beside *b = arg;

	b->claims++;
	b->term = ((const Gfl__V1__TransferRequest *)in)->term;
	call_reply(call, &out.base);
}

static void changed(int64_t term, void *arg)
{
	(void)arg;
	CHECK_INT(term, 0);
}

/* Until it knows what the node answers: it has asked once more. */
static void look(struct beside *b)
{
	const int enough = b->asked + 2;

	UNTIL(&b->w, b->asked >= enough);
}

TEST(the_lead_is_claimed_of_who_has_it_in_the_term_that_is_meant)
{
	struct beside b = {0};

	world_open(&b.w, (struct server_opts){0});
	server_handle(b.w.server, RPC_NODE_GET_STATUS, serve_status, &b);
	server_handle(b.w.server, RPC_NODE_TRANSFER, serve_transfer, &b);
	CHECK(!client_open(&b.client, b.w.loop, b.w.client_tls, NULL));
	b.m = mandate_open(b.client, server_url(b.w.server), changed, &b);
	look(&b);
	mandate_claim(b.m, 6, 0); /* whose leader has handed over by now */
	look(&b);
	CHECK_INT(b.claims, 0);
	mandate_claim(b.m, 7, 3600000); /* which is new */
	look(&b);
	CHECK_INT(b.claims, 0);
	mandate_claim(b.m, 7, 0);
	UNTIL(&b.w, b.claims == 1);
	CHECK_INT(b.term, 7);
	look(&b);
	mandate_claim(b.m, 0, 0); /* whoever it is */
	UNTIL(&b.w, b.claims == 2);
	mandate_close(b.m);
	client_close(b.client);
	world_close(&b.w);
}
