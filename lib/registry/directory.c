#include "registry/directory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "proto/node.pb-c.h"
#include "registry/hedge.h"
#include "registry/merge.h"
#include "registry/seen.h"

static int64_t end_of(int64_t timeout_ms)
{
	return timeout_ms ? clock_ms() + timeout_ms : 0;
}

/* What is left until end_ms, 0 being for ever both ways. */
static int64_t left(int64_t end_ms)
{
	int64_t ms = end_ms ? end_ms - clock_ms() : 0;

	return end_ms && ms < 1 ? 1 : ms;
}

static void free_urls(struct opt_list *urls)
{
	for (size_t i = 0; i < urls->n; i++)
		free((char *)urls->at[i]);
}

/* ---- the list of members ---- */

/* Lists of nodes on their way: of gateways, and of members seen last. */
struct lists {
	size_t gateways; /* the first so many that are asked */
	bool all;        /* what all gateways say counts, not just one's */
	size_t n;
	GetNodesResponse *merged; /* NULL: none has come */
};

/* A gateway that has just been set up knows nobody: maybe another does. */
static bool take_list(const ProtobufCMessage *msg, size_t i, void *arg)
{
	const GetNodesResponse *list = (const GetNodesResponse *)msg;
	struct lists *l = arg;

	if (l->merged)
		merge_nodes(l->merged, list);
	else
		l->merged = (GetNodesResponse *)rpc_copy(msg);
	l->n++;
	if (i >= l->gateways || l->n == l->gateways)
		return true;
	return !l->all && list->n_nodes;
}

static int ask_nodes(const struct client_opts *o, const struct opt_list *urls,
		     struct lists *l, int64_t end_ms, struct err *err)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	const struct hedge_opts how = {
		.urls = urls->at,
		.n = urls->n,
		.together = l->all ? l->gateways : 1,
		.spare = urls->n - l->gateways,
		.name = RPC_GATEWAY_GET_NODES,
		.in = &in.base,
		.timeout_ms = left(end_ms),
		.grace_ms = HEDGE_PACE_MS,
		.any_failure = true,
		.tls = &o->tls,
	};

	return hedge_now(&how, take_list, l, err);
}

static void add_seen(struct opt_list *urls, const struct opt_list *seen)
{
	for (size_t i = 0; i < seen->n && urls->n < OPT_LIST_MAX; i++)
		urls->at[urls->n++] = seen->at[i];
}

/* The members seen last are asked while no gateway answers. */
static int nodes_by(const struct client_opts *o, bool all, int64_t end_ms,
		    GetNodesResponse **out, struct err *err)
{
	struct opt_list urls = o->gateways, seen;
	struct lists l = {.gateways = urls.n, .all = all};
	int rc;

	if (!urls.n)
		return err_set(err, ERR_INVALID_ARGUMENT, "no gateway named");
	seen_get(&o->gateways, &seen);
	hedge_shuffle(urls.at, urls.n);
	hedge_shuffle(seen.at, seen.n);
	add_seen(&urls, &seen);
	rc = ask_nodes(o, &urls, &l, end_ms, err);
	free_urls(&seen);
	if (rc && o->gateways.n > 1)
		err_wrap(err, "none of %zu gateways answers", o->gateways.n);
	if (rc == ERR_UNAVAILABLE || rc == ERR_DEADLINE_EXCEEDED)
		err_hint(err, "start gfl-gateway, or name one with -g or "
			      "GFL_GATEWAY");
	if (rc)
		return rc;
	seen_put(&o->gateways, l.merged);
	*out = l.merged;
	return 0;
}

static bool is_url(const char *text)
{
	return strstr(text, "://");
}

static char *ids_of(const GetNodesResponse *nodes)
{
	struct buf ids = BUF_INIT(0);

	for (size_t i = 0; i < nodes->n_nodes && i < 20; i++)
		buf_putf(&ids, "%s%d", i ? "," : "",
			 (int)nodes->nodes[i]->node_id);
	return buf_take(&ids);
}

int directory_id(const char *text, int64_t *id, struct err *err)
{
	char *end;

	*id = strtoll(text, &end, 10);
	if (!*end && *id >= 1)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a node is an id or a URL, not \"%s\"", text);
}

int directory_find(const GetNodesResponse *nodes, int64_t id, char **out,
		   struct err *err)
{
	char *ids;

	for (size_t i = 0; i < nodes->n_nodes; i++) {
		if (nodes->nodes[i]->node_id == id) {
			*out = mem_str(nodes->nodes[i]->url);
			return 0;
		}
	}
	ids = ids_of(nodes);
	err_set(err, ERR_NOT_FOUND,
		"no node %" PRId64 " in the cluster, which has: %s", id,
		*ids ? ids : "none");
	free(ids);
	return ERR_NOT_FOUND;
}

int directory_url(const struct client_opts *o, const char *text, char **out,
		  struct err *err)
{
	GetNodesResponse *nodes;
	int64_t id;
	int rc;

	if (is_url(text)) {
		*out = mem_str(text);
		return 0;
	}
	if (directory_id(text, &id, err) ||
	    nodes_by(o, true, end_of(o->timeout_ms), &nodes, err))
		return (int)err->code;
	rc = directory_find(nodes, id, out, err);
	rpc_free((ProtobufCMessage *)nodes);
	return rc;
}

int directory_nodes(const struct client_opts *o, GetNodesResponse **out,
		    struct err *err)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	char *url;
	int rc;

	if (!o->node)
		return nodes_by(o, true, end_of(o->timeout_ms), out, err);
	if (directory_url(o, o->node, &url, err))
		return (int)err->code;
	rc = client_now(&o->tls, url, RPC_GATEWAY_GET_NODES, &in.base,
			o->timeout_ms, (ProtobufCMessage **)out, err);
	free(url);
	return rc;
}

/* ---- whoever answers ---- */

static void add_url(struct opt_list *urls, const char *url)
{
	if (*url && urls->n < OPT_LIST_MAX)
		urls->at[urls->n++] = mem_str(url);
}

/* Live members, the leader first: that saves a hop to what only it can do. */
static void add_live(struct opt_list *urls, const GetNodesResponse *nodes)
{
	for (int leader = 1; leader >= 0; leader--)
		for (size_t i = 0; i < nodes->n_nodes; i++) {
			const NodeInfo *n = nodes->nodes[i];

			if ((n->node_id == nodes->leader_id) == leader &&
			    !strcmp(n->status, "alive"))
				add_url(urls, n->url);
		}
}

/* all: what every gateway knows, not only the first that answers. */
static int candidates(const struct client_opts *o, bool all, int64_t end_ms,
		      struct opt_list *urls, struct err *err)
{
	GetNodesResponse *nodes;
	char *url;

	urls->n = 0;
	if (o->node) {
		if (directory_url(o, o->node, &url, err))
			return (int)err->code;
		urls->at[urls->n++] = url;
		return 0;
	}
	if (nodes_by(o, all, end_ms, &nodes, err))
		return (int)err->code;
	add_live(urls, nodes);
	rpc_free((ProtobufCMessage *)nodes);
	if (urls->n)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, "no node is alive");
	return err_hint(err, "start one: gfl-node -g %s", o->gateways.at[0]);
}

/* The first answer, and whose it is. */
struct first {
	ProtobufCMessage *out;
	size_t i;
};

static bool take_first(const ProtobufCMessage *out, size_t i, void *arg)
{
	struct first *f = arg;

	f->out = rpc_copy(out);
	f->i = i;
	return true;
}

static int ask_first(const struct client_opts *o, const struct opt_list *urls,
		     int64_t end_ms, enum rpc_name name,
		     const ProtobufCMessage *in, struct first *out,
		     struct err *err)
{
	const struct hedge_opts how = {
		.urls = urls->at,
		.n = urls->n,
		.name = name,
		.in = in,
		.timeout_ms = left(end_ms),
		.tls = &o->tls,
	};

	return hedge_now(&how, take_first, out, err);
}

/* One gateway's list will do, unless nobody in it is there. */
static int call_any(const struct client_opts *o, bool all, int64_t end_ms,
		    enum rpc_name name, const ProtobufCMessage *in,
		    ProtobufCMessage **out, struct err *err)
{
	struct opt_list urls;
	struct first first;
	int rc;

	if (candidates(o, all, end_ms, &urls, err))
		return (int)err->code;
	rc = ask_first(o, &urls, end_ms, name, in, &first, err);
	free_urls(&urls);
	if (!rc)
		*out = first.out;
	return rc;
}

int directory_call(const struct client_opts *o, enum rpc_name name,
		   const ProtobufCMessage *in, ProtobufCMessage **out,
		   struct err *err)
{
	int64_t end_ms = end_of(o->timeout_ms);
	int rc = call_any(o, false, end_ms, name, in, out, err);

	if (rc == ERR_UNAVAILABLE && !o->node && o->gateways.n > 1)
		rc = call_any(o, true, end_ms, name, in, out, err);
	return rc;
}

/* A stream may be silent and well, so it goes to whom a question finds well:
 * *url is then free()d by the caller. */
static int find_any(const struct client_opts *o, char **url, struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	int64_t end_ms = end_of(o->timeout_ms);
	struct first first = {0};
	struct opt_list urls;
	int rc = 0;

	if (candidates(o, o->gateways.n > 1, end_ms, &urls, err))
		return (int)err->code;
	if (!o->node)
		rc = ask_first(o, &urls, end_ms, RPC_NODE_GET_STATUS, &in.base,
			       &first, err);
	rpc_free(first.out);
	if (!rc)
		*url = mem_str(urls.at[first.i]);
	free_urls(&urls);
	return rc;
}

int directory_stream(const struct client_opts *o, enum rpc_name name,
		     const ProtobufCMessage *in, int64_t timeout_ms,
		     rpc_more_fn *each, void *arg, struct err *err)
{
	char *url;
	int rc;

	if (find_any(o, &url, err))
		return (int)err->code;
	rc = client_stream_now(&o->tls, url, name, in, timeout_ms, each, arg,
			       err);
	free(url);
	return rc;
}
