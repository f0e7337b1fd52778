/* seen.h - the members seen last, kept for when no gateway answers. */
#ifndef REGISTRY_SEEN_H
#define REGISTRY_SEEN_H

#include "base/opt.h"
#include "proto/gateway.pb-c.h"

/* Keep who was seen, as found through the gateways; what cannot be written is
 * not kept. Lists without a cluster id are not kept either. */
void seen_put(const struct opt_list *gateways, const GetNodesResponse *nodes);

/* URLs of the live members of the newest list that was found through one of
 * these gateways; free() each. */
void seen_get(const struct opt_list *gateways, struct opt_list *out);

#endif
