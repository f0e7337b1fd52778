/* Which node to attach to: one of those that were given, or of the members as
 * last known, whichever answers first; if none does, those that the gateways
 * tell. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "fl/link_impl.h"
#include "proto/gateway.pb-c.h"

enum {
	FIND_MS = 1500, /* for all that are asked at a time */
	RETRY_MS = 100, /* between attempts at all URLs, doubling */
	RETRY_MAX_MS = 1000,
};

static void find(void *arg);

/* ---- candidates ---- */

static void release_urls(struct opt_list *urls)
{
	for (size_t i = 0; i < urls->n; i++)
		free((char *)(uintptr_t)urls->at[i]);
	urls->n = 0;
}

static void add(struct opt_list *urls, const char *url)
{
	for (size_t i = 0; i < urls->n; i++)
		if (!strcmp(urls->at[i], url))
			return;
	if (*url && urls->n < OPT_LIST_MAX)
		urls->at[urls->n++] = mem_str(url);
}

static void add_all(struct opt_list *urls, const struct opt_list *more)
{
	for (size_t i = 0; i < more->n; i++)
		add(urls, more->at[i]);
}

/* All there are, another one first with each attempt. */
static void list_candidates(const struct link *l, struct opt_list *out)
{
	const struct link_search *s = &l->search;
	struct opt_list all = {0};

	add_all(&all, &s->given);
	for (size_t i = 0; l->state && i < l->state->nmembers; i++)
		add(&all, l->state->members[i]->url);
	add_all(&all, &s->told);
	release_urls(out);
	for (size_t i = 0; i < all.n; i++)
		out->at[out->n++] = all.at[(s->at + i) % all.n];
}

/* ---- the gateways, where no node answers ---- */

static bool take_nodes(const ProtobufCMessage *out, size_t i, void *arg)
{
	const GetNodesResponse *list = (const GetNodesResponse *)out;
	struct link *l = arg;

	(void)i;
	if (*l->cluster_id && strcmp(l->cluster_id, list->cluster_id) != 0)
		return false;
	release_urls(&l->search.told);
	for (size_t k = 0; k < list->n_nodes; k++)
		if (!strcmp(list->nodes[k]->status, "alive"))
			add(&l->search.told, list->nodes[k]->url);
	return l->search.told.n > 0;
}

static void told(const struct err *err, void *arg)
{
	struct link *l = arg;

	l->search.hedge = NULL;
	if (err)
		link_trouble(l, l->search.gateways.at[0], err);
	l->search.at = 0;
	link_find_later(l);
}

static void ask_gateways(struct link *l)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	struct link_search *s = &l->search;
	const struct hedge_opts how = {
		.urls = s->gateways.at,
		.n = s->gateways.n,
		.name = RPC_GATEWAY_GET_NODES,
		.in = &in.base,
		.timeout_ms = FIND_MS,
		.any_failure = true,
	};

	hedge_shuffle(s->gateways.at, s->gateways.n);
	s->hedge = hedge_call(l->client, l->loop, &how, take_nodes, told, l);
}

/* ---- the search ---- */

/* A node that waits for a cluster itself is of no use; one of another cluster is
 * so if there is none of ours: it says which, and that is the end. */
static bool is_member(const ProtobufCMessage *out, size_t i, void *arg)
{
	const char *cluster = ((const Gfl__V1__NodeStatus *)out)->cluster_id;
	struct link *l = arg;

	if (!*cluster)
		return false;
	l->search.chosen = i;
	l->search.found = true;
	return !*l->cluster_id || !strcmp(cluster, l->cluster_id);
}

static void found(const struct err *err, void *arg)
{
	struct link *l = arg;
	struct link_search *s = &l->search;

	s->hedge = NULL;
	if (s->found) {
		link_attach(l, s->asked.at[s->chosen]);
		return;
	}
	if (err)
		link_trouble(l, s->asked.n ? s->asked.at[0] : "nobody", err);
	s->tried += s->asked.n - 1;
	if (s->gateways.n)
		ask_gateways(l);
	else
		link_find_later(l);
}

/* One that takes its time to take us in does not hang, so who hangs is found
 * out by a question that each answers at once. */
static void find(void *arg)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct link *l = arg;
	struct link_search *s = &l->search;
	struct hedge_opts how = {
		.urls = s->asked.at,
		.name = RPC_NODE_GET_STATUS,
		.in = &in.base,
		.timeout_ms = FIND_MS,
		.any_failure = true,
	};

	list_candidates(l, &s->asked);
	how.n = s->asked.n;
	s->at++;
	s->tried++;
	s->found = false;
	if (s->asked.n == 1 && !s->gateways.n)
		link_attach(l, s->asked.at[0]);
	else
		s->hedge = hedge_call(l->client, l->loop, &how, is_member,
				      found, l);
}

/* Pause only when every URL was tried. */
void link_find_later(struct link *l)
{
	struct link_search *s = &l->search;
	struct rand r = {(uint64_t)clock_us()};
	int64_t wait_ms = 0;

	if (s->tried >= s->asked.n) {
		s->tried = 0;
		wait_ms = s->retry_ms / 2 +
			  (int64_t)rand_below(&r, (uint64_t)s->retry_ms);
		if (s->retry_ms < RETRY_MAX_MS)
			s->retry_ms *= 2;
	}
	timer_set(&s->retry, l->loop, wait_ms, find, l);
}

void link_find_well(struct link *l)
{
	l->search.tried = 0;
	l->search.retry_ms = RETRY_MS;
}

void link_find_begin(struct link *l, const struct link_opts *opts)
{
	struct link_search *s = &l->search;

	for (size_t i = 0; i < opts->nnodes; i++)
		add(&s->given, opts->nodes[i]);
	if (opts->gateways)
		add_all(&s->gateways, opts->gateways);
	link_find_well(l);
	timer_set(&s->retry, l->loop, 0, find, l);
}

void link_find_end(struct link *l)
{
	timer_stop(&l->search.retry);
	hedge_cancel(l->search.hedge);
	l->search.hedge = NULL;
}

void link_find_release(struct link *l)
{
	release_urls(&l->search.given);
	release_urls(&l->search.gateways);
	release_urls(&l->search.told);
	release_urls(&l->search.asked);
}
