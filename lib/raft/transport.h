/* transport.h - the core's messages on their way between members.
 *
 * Each member has a stream to each other one, which carries one request per
 * turn of the loop with all that the turn brought; and a second one, while the
 * first is at something large, for what shows that we are there. Messages may
 * be lost (a full queue, a peer that cannot be reached): Raft asks again. */
#ifndef RAFT_TRANSPORT_H
#define RAFT_TRANSPORT_H

#include <stdint.h>

#include "base/loop.h"
#include "raft/raft.h"
#include "wire/client.h"
#include "wire/server.h"

struct transport;

struct transport_config {
	struct loop *loop;
	struct client *client;
	struct server *server;
	int64_t node_id;
	const char *cluster_id; /* copied */
	int64_t timeout_ms; /* a peer that takes nothing for so long is lost */

	/* A message came; what it returns, the sender is told. */
	int (*on_msg)(const struct raft_msg *msg, void *arg, struct err *err);
	/* What was on its way to a member may be lost. */
	void (*on_lost)(int64_t id, void *arg);
	/* The URL of a member, or NULL; asked when the one from which it last
	 * spoke to us is not known or does not answer. */
	const char *(*url_of)(int64_t id, void *arg);
	void *arg;
};

/* Also serves RAFT_STEP. *out is freed by transport_close(). */
void transport_open(struct transport **out, const struct transport_config *cfg);

/* Stop sending; callbacks run no more. The server is closed before, and the
 * client after. NULL is nothing. */
void transport_close(struct transport *t);

/* Queue a copy of msg for msg->to; transport_flush() sends what is queued.
 * Unless in a hurry, what tells of a commit and no more waits a moment for
 * company: of the messages that a lone proposal needs it is a third. */
void transport_send(struct transport *t, const struct raft_msg *msg);
void transport_flush(struct transport *t, bool hurry);

/* Try the member's present URL at once. */
void transport_url_changed(struct transport *t, int64_t id);

#endif
