/* gateway.h - GatewayService on a server: the registry as others see it.
 *
 * What a reply speaks of is durable before it leaves: an answer to a change
 * waits for its commit, and so does one that reads what is being committed.
 * Heartbeats only renew leases in memory; after a restart all who lived have
 * two heartbeats' time. */
#ifndef REGISTRY_GATEWAY_H
#define REGISTRY_GATEWAY_H

#include "registry/lease.h"
#include "store/writer.h"
#include "wire/server.h"

struct gateway;

/* Load the registry from db (before w owns it) and serve it on s. failed(arg)
 * runs when the file cannot be written any more: the daemon must stop. All is
 * borrowed until gateway_close(). */
int gateway_open(struct gateway **out, struct loop *loop, struct server *s,
		 struct db *db, const struct lease_config *config,
		 loop_fn *failed, void *arg, struct err *err) MUST_CHECK;

/* Why it failed, or NULL. */
const struct err *gateway_failed(const struct gateway *g);

/* Finish what is being written, end the watchers. NULL is nothing. */
void gateway_close(struct gateway *g);

#endif
