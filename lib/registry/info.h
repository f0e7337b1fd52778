/* info.h - a member of the registry as GatewayService shows it. */
#ifndef REGISTRY_INFO_H
#define REGISTRY_INFO_H

#include "proto/gateway.pb-c.h"
#include "registry/lease.h"

/* A message with copies of all; part of a message to rpc_free(). now_ms is
 * the lease's clock. */
NodeInfo *info_of(const struct member *m, int64_t now_ms);

/* The whole list, by ascending id, for a response's two fields. */
NodeInfo **info_all(const struct lease *l, int64_t now_ms, size_t *n);

/* What a registrant says of itself, in a row whose strings are the caller's to
 * free by info_release(). The url is given, or made of ip and port; neither is
 * INVALID_ARGUMENT, as is what is too long. */
int info_parse(struct member *out, const RegisterNodeRequest *in,
	       struct err *err) MUST_CHECK;
void info_release(struct member *m);

#endif
