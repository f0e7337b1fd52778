#include "registry/directory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "registry/seen.h"

/* Time for the next of n tries, so that one that hangs leaves some to the
 * others. 0 is for ever. */
static int64_t share(int64_t end_ms, size_t n)
{
	int64_t left_ms;

	if (!end_ms)
		return n > 1 ? 5000 : 0;
	left_ms = end_ms - clock_ms();
	left_ms = n > 1 ? left_ms / (int64_t)n : left_ms;
	return left_ms > 1 ? left_ms : 1;
}

static int64_t end_of(int64_t timeout_ms)
{
	return timeout_ms ? clock_ms() + timeout_ms : 0;
}

/* Might another one answer where this one did not? */
static bool next_may(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED;
}

static int call_first(const struct opt_list *urls, int64_t end_ms,
		      enum rpc_name name, const ProtobufCMessage *in,
		      ProtobufCMessage **out, struct err *err)
{
	for (size_t i = 0; i < urls->n; i++) {
		if (!client_now(urls->at[i], name, in,
				share(end_ms, urls->n - i), out, err))
			return 0;
		if (!next_may(err))
			return (int)err->code;
	}
	return (int)err->code;
}

static int ask_nodes(const struct opt_list *urls, int64_t end_ms,
		     GetNodesResponse **out, struct err *err)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;

	return call_first(urls, end_ms, RPC_GATEWAY_GET_NODES, &in.base,
			  (ProtobufCMessage **)out, err);
}

static void free_urls(struct opt_list *urls)
{
	for (size_t i = 0; i < urls->n; i++)
		free((char *)urls->at[i]);
}

/* The members seen last are asked when no gateway answers. */
static int ask_seen(const struct opt_list *gateways, int64_t end_ms,
		    GetNodesResponse **out)
{
	struct opt_list urls;
	struct err unread;
	int rc = ERR_UNAVAILABLE;

	seen_get(gateways, &urls);
	if (urls.n)
		rc = ask_nodes(&urls, end_ms, out, &unread);
	free_urls(&urls);
	return rc;
}

static int nodes_by(const struct client_opts *o, int64_t end_ms,
		    GetNodesResponse **out, struct err *err)
{
	if (!o->gateways.n)
		return err_set(err, ERR_INVALID_ARGUMENT, "no gateway named");
	if (ask_nodes(&o->gateways, end_ms, out, err)) {
		if (!next_may(err))
			return (int)err->code;
		if (ask_seen(&o->gateways, end_ms, out))
			return err_hint(err,
					"start gfl-gateway, or name one with "
					"-g or GFL_GATEWAY");
	}
	seen_put(&o->gateways, *out);
	return 0;
}

static bool is_url(const char *text)
{
	return strstr(text, "://");
}

int directory_nodes(const struct client_opts *o, GetNodesResponse **out,
		    struct err *err)
{
	struct opt_list one = {.n = 1};

	if (o->node && is_url(o->node)) {
		one.at[0] = o->node;
		return ask_nodes(&one, end_of(o->timeout_ms), out, err);
	}
	return nodes_by(o, end_of(o->timeout_ms), out, err);
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
	    nodes_by(o, end_of(o->timeout_ms), &nodes, err))
		return (int)err->code;
	rc = directory_find(nodes, id, out, err);
	rpc_free((ProtobufCMessage *)nodes);
	return rc;
}

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

static int candidates(const struct client_opts *o, int64_t end_ms,
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
	if (nodes_by(o, end_ms, &nodes, err))
		return (int)err->code;
	add_live(urls, nodes);
	rpc_free((ProtobufCMessage *)nodes);
	if (urls->n)
		return 0;
	err_set(err, ERR_FAILED_PRECONDITION, "no node is alive");
	return err_hint(err, "start one: gfl-node -g %s", o->gateways.at[0]);
}

int directory_call(const struct client_opts *o, enum rpc_name name,
		   const ProtobufCMessage *in, ProtobufCMessage **out,
		   struct err *err)
{
	int64_t end_ms = end_of(o->timeout_ms);
	struct opt_list urls;
	int rc;

	if (candidates(o, end_ms, &urls, err))
		return (int)err->code;
	rc = call_first(&urls, end_ms, name, in, out, err);
	free_urls(&urls);
	return rc;
}

/* Has the stream delivered anything? Then no other member can go on with it. */
struct stream {
	rpc_more_fn *each;
	void *arg;
	bool begun;
};

static bool pass_on(const ProtobufCMessage *out, void *arg)
{
	struct stream *s = arg;

	s->begun = true;
	return s->each(out, s->arg);
}

int directory_stream(const struct client_opts *o, enum rpc_name name,
		     const ProtobufCMessage *in, int64_t timeout_ms,
		     rpc_more_fn *each, void *arg, struct err *err)
{
	struct stream s = {each, arg, false};
	struct opt_list urls;
	int rc = 0;

	if (candidates(o, end_of(o->timeout_ms), &urls, err))
		return (int)err->code;
	for (size_t i = 0; i < urls.n; i++) {
		rc = client_stream_now(urls.at[i], name, in, timeout_ms,
				       pass_on, &s, err);
		if (!rc || s.begun || err->code != ERR_UNAVAILABLE)
			break;
	}
	free_urls(&urls);
	return rc;
}
