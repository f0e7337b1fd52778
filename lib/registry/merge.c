#include "registry/merge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/rpc.h"

static bool is_fresher(const NodeInfo *a, const NodeInfo *than)
{
	bool alive = !strcmp(a->status, "alive");

	if (alive != !strcmp(than->status, "alive"))
		return alive;
	return a->last_seen > than->last_seen;
}

/* By id, of the same id the freshest first. */
static int by_id(const void *a, const void *b)
{
	const NodeInfo *x = *(NodeInfo *const *)a, *y = *(NodeInfo *const *)b;

	if (x->node_id != y->node_id)
		return x->node_id < y->node_id ? -1 : 1;
	return is_fresher(y, x) - is_fresher(x, y);
}

/* Of a sorted list, keep the first of each id. */
static void drop_repeated(GetNodesResponse *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n_nodes; i++) {
		NodeInfo *one = list->nodes[i];

		if (kept && list->nodes[kept - 1]->node_id == one->node_id)
			rpc_free(&one->base);
		else
			list->nodes[kept++] = one;
	}
	list->n_nodes = kept;
}

static void merge_rows(GetNodesResponse *into, const GetNodesResponse *from)
{
	size_t n = into->n_nodes, cap = n;

	if (!from->n_nodes)
		return;
	into->nodes = mem_grow(into->nodes, &cap, n + from->n_nodes,
			       sizeof(*into->nodes));
	for (size_t i = 0; i < from->n_nodes; i++)
		into->nodes[n + i] =
			(NodeInfo *)rpc_copy(&from->nodes[i]->base);
	into->n_nodes += from->n_nodes;
	qsort(into->nodes, into->n_nodes, sizeof(*into->nodes), by_id);
	drop_repeated(into);
}

void merge_nodes(GetNodesResponse *into, const GetNodesResponse *from)
{
	if (*into->cluster_id && *from->cluster_id &&
	    strcmp(into->cluster_id, from->cluster_id) != 0)
		return;
	if (!*into->cluster_id && *from->cluster_id) {
		if (into->cluster_id != protobuf_c_empty_string)
			free(into->cluster_id);
		into->cluster_id = mem_str(from->cluster_id);
	}
	merge_rows(into, from);
	if (from->leader_id &&
	    (from->leader_term > into->leader_term || !into->leader_id)) {
		into->leader_id = from->leader_id;
		into->leader_term = from->leader_term;
	}
	if (from->registry_version > into->registry_version)
		into->registry_version = from->registry_version;
}
