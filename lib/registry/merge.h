/* merge.h - what several gateways tell of one cluster, as one list. Pure.
 *
 * Each gateway hears the nodes for itself, so one that was cut off knows less
 * or older things than the others. */
#ifndef REGISTRY_MERGE_H
#define REGISTRY_MERGE_H

#include "proto/gateway.pb-c.h"

/* Bring what from knows better into into, which stays sorted by id: a node
 * that is alive in either is alive, and of two that are alike the one seen
 * later counts, with its URL and instance; of two leaders the one of the
 * higher term. A list of another cluster is passed over. Copies. */
void merge_nodes(GetNodesResponse *into, const GetNodesResponse *from);

#endif
