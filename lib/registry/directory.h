/* directory.h - whom a client asks: --node if given, else the gateways, else
 * the members that were seen last.
 *
 * Several gateways are tried in random order; a list is what they say together
 * (merge.h). Whoever is silent for a moment does not hold up the others
 * (hedge.h).
 *
 * After each answer of a gateway or node the members are kept in
 * $XDG_STATE_HOME/gfl/members/CLUSTER.json together with the gateways that
 * were asked for them, so that a cluster is found when its gateways are gone.
 */
#ifndef REGISTRY_DIRECTORY_H
#define REGISTRY_DIRECTORY_H

#include "base/opt.h"
#include "proto/gateway.pb-c.h"
#include "wire/client.h"

/* The members of the cluster, as --node knows them if it is given; rpc_free()
 * the message. Nobody to be reached is
 * UNAVAILABLE, with a hint. */
int directory_nodes(const struct client_opts *o, GetNodesResponse **out,
		    struct err *err) MUST_CHECK;

/* The URL of the node that text names, an id or a URL; free() it. An id that
 * the cluster has not is NOT_FOUND. */
int directory_url(const struct client_opts *o, const char *text, char **out,
		  struct err *err) MUST_CHECK;

/* The id that text is, from 1; anything else is INVALID_ARGUMENT. */
int directory_id(const char *text, int64_t *id, struct err *err) MUST_CHECK;

/* The URL of node id among nodes; free() it. None is NOT_FOUND. */
int directory_find(const GetNodesResponse *nodes, int64_t id, char **out,
		   struct err *err) MUST_CHECK;

/* Call a method of --node, or of a member that answers, the leader first;
 * rpc_free() the answer. All tries share the timeout of o. */
int directory_call(const struct client_opts *o, enum rpc_name name,
		   const ProtobufCMessage *in, ProtobufCMessage **out,
		   struct err *err) MUST_CHECK;

/* The same for a stream, which lasts until its end or until each returns
 * false; timeout_ms bounds it in place of o's (0: for ever). */
int directory_stream(const struct client_opts *o, enum rpc_name name,
		     const ProtobufCMessage *in, int64_t timeout_ms,
		     rpc_more_fn *each, void *arg, struct err *err) MUST_CHECK;

#endif
