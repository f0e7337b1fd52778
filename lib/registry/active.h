/* active.h - the gfl-server that is meant: of several, of which all but one stand
 * by (gfl-server --on-leader), the active one. */
#ifndef REGISTRY_ACTIVE_H
#define REGISTRY_ACTIVE_H

#include "base/opt.h"
#include "proto/server.pb-c.h"
#include "wire/client.h"

/* Whom to ask, and how; opts' timeout bounds it. */
struct active {
	const struct client_opts *opts;
	const struct opt_list *servers; /* their URLs */
};

/* What the first of them says that answers; rpc_free() it. Nobody is
 * UNAVAILABLE, with a hint. */
int active_call(const struct active *a, enum rpc_name name,
		const ProtobufCMessage *in, ProtobufCMessage **out,
		struct err *err) MUST_CHECK;

/* The status of the active one, or of one that stands by where no active one
 * answers; active_standby() is that as a failure. */
int active_look(const struct active *a, Gfl__V1__FlStatus **out,
		struct err *err) MUST_CHECK;
bool active_stands_by(const Gfl__V1__FlStatus *s);
int active_standby(const Gfl__V1__FlStatus *s, struct err *err);

/* The status of a server that trains a model; of one that stands by, or that
 * leads participants: FAILED_PRECONDITION. */
int active_status(const struct active *a, Gfl__V1__FlStatus **out,
		  struct err *err) MUST_CHECK;

#endif
