#include "test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "registry/merge.h"
#include "wire/rpc.h"

#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static GetNodesResponse *list(const char *cluster, int leader, int64_t term)
{
	GetNodesResponse *l = mem_zero(1, sizeof(*l));

	get_nodes_response__init(l);
	l->nodes = mem_zero(8, sizeof(*l->nodes));
	l->cluster_id = mem_str(cluster);
	l->leader_id = leader;
	l->leader_term = term;
	return l;
}

static void add(GetNodesResponse *l, int id, const char *url, bool alive,
		double seen)
{
	NodeInfo *n = mem_zero(1, sizeof(*n));

	node_info__init(n);
	n->node_id = id;
	n->url = mem_str(url);
	n->status = mem_str(alive ? "alive" : "dead");
	n->last_seen = seen;
	l->nodes[l->n_nodes++] = n;
}

/* into, merged with from, as "1 url alive;". */
static void check(GetNodesResponse *into, GetNodesResponse *from,
		  const char *want)
{
	struct buf text = BUF_INIT(0);

	merge_nodes(into, from);
	buf_puts(&text, "");
	for (size_t i = 0; i < into->n_nodes; i++)
		buf_putf(&text, "%d %s %s;", (int)into->nodes[i]->node_id,
			 into->nodes[i]->url, into->nodes[i]->status);
	CHECK_STR(text.p, want);
	buf_release(&text);
	rpc_free(&from->base);
	rpc_free(&into->base);
}

TEST(merge_keeps_all_of_both_by_id)
{
	GetNodesResponse *a = list(OURS, 0, 0), *b = list(OURS, 0, 0);

	add(a, 2, "b", true, 1);
	add(b, 1, "a", true, 1);
	add(b, 3, "c", false, 1);
	check(a, b, "1 a alive;2 b alive;3 c dead;");
}

TEST(merge_takes_who_is_alive_in_either_for_alive)
{
	GetNodesResponse *a = list(OURS, 0, 0), *b = list(OURS, 0, 0);

	add(a, 1, "old", false, 9);
	add(b, 1, "new", true, 1);
	add(a, 2, "here", true, 1);
	add(b, 2, "gone", false, 9);
	check(a, b, "1 new alive;2 here alive;");
}

TEST(merge_lets_no_stale_gateway_hide_a_newer_address)
{
	GetNodesResponse *a = list(OURS, 0, 0), *b = list(OURS, 0, 0);

	add(a, 1, "old", true, 1);
	add(b, 1, "new", true, 2);
	add(a, 2, "new", true, 2);
	add(b, 2, "old", true, 1);
	check(a, b, "1 new alive;2 new alive;");
}

TEST(merge_knows_the_leader_of_the_highest_term)
{
	GetNodesResponse *a = list("", 1, 4), *b = list(OURS, 2, 5);

	merge_nodes(a, b);
	CHECK_INT(a->leader_id, 2);
	CHECK_INT(a->leader_term, 5);
	CHECK_STR(a->cluster_id, OURS);
	rpc_free(&b->base);
	b = list(OURS, 0, 6); /* which knows of no leader */
	merge_nodes(a, b);
	CHECK_INT(a->leader_id, 2);
	rpc_free(&b->base);
	rpc_free(&a->base);
}

TEST(merge_passes_over_another_cluster)
{
	GetNodesResponse *a = list(OURS, 1, 1), *b = list(OTHER, 2, 2);

	add(a, 1, "a", true, 1);
	add(b, 2, "b", true, 1);
	check(a, b, "1 a alive;");
}
