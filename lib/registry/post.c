#include "registry/post.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "registry/directory.h"
#include "registry/post_impl.h"

/* Whichever node answers. */
static int any_node(const struct client_opts *o, char **url, struct err *err)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct client_opts any = *o;
	Gfl__V1__NodeStatus *status;

	any.node = NULL;
	if (directory_call(&any, RPC_NODE_GET_STATUS, &in.base,
			   (ProtobufCMessage **)&status, err))
		return err_wrap(err, "find a node that sends");
	*url = mem_str(status->url);
	rpc_free(&status->base);
	return 0;
}

static int find_via(struct post *p, struct err *err)
{
	const char *via = p->opts.via;

	if (!via)
		return 0;
	if (strcmp(via, "any"))
		return directory_url(&p->client, via, &p->via, err);
	return any_node(&p->client, &p->via, err);
}

int post_open(struct post **out, const struct post_opts *o, struct err *err)
{
	struct post *p = mem_zero(1, sizeof(*p));

	p->opts = *o;
	p->client = *o->client;
	p->origin = rand_id();
	snprintf(p->prefix, sizeof(p->prefix), "%016" PRIx64, p->origin);
	if (find_via(p, err) || loop_open(&p->loop, err) ||
	    client_open_files(&p->calls, p->loop, &p->client.tls, err)) {
		post_close(p);
		return (int)err->code;
	}
	if (p->via)
		p->client.node = p->via;
	*out = p;
	return 0;
}

static void drop_batch(struct post *p)
{
	for (size_t i = 0; i < p->nbatch; i++) {
		free(p->batch[i].id);
		free(p->batch[i].payload);
	}
	p->nbatch = p->bytes = 0;
}

static void receiver_free(struct post_receiver *r)
{
	for (size_t i = 0; i < r->nnamed; i++)
		free(r->named[i]);
	free(r->named);
	free(r->name);
	free(r->url);
	free(r->reply);
	free(r);
}

void post_close(struct post *p)
{
	if (!p)
		return;
	client_close(p->calls);
	loop_close(p->loop);
	drop_batch(p);
	for (size_t i = 0; i < p->n; i++)
		receiver_free(p->all[i]);
	free(p->all);
	free(p->via);
	rpc_free((ProtobufCMessage *)p->nodes);
	free(p);
}

/* ---- receivers ---- */

/* Takes url. */
static struct post_receiver *add(struct post *p, const char *name, int64_t id,
				 char *url)
{
	struct post_receiver *r = mem_zero(1, sizeof(*r));

	r->name = mem_str(name);
	r->id = id;
	r->url = url;
	p->all = mem_grow(p->all, &p->cap, p->n + 1, sizeof(*p->all));
	r->index = p->n;
	p->all[p->n++] = r;
	return r;
}

static int look_up(struct post *p, struct err *err)
{
	return p->nodes ? 0 : directory_nodes(&p->client, &p->nodes, err);
}

/* Whom to call for node id: who passes it on, or itself. */
static int url_for(struct post *p, int64_t id, char **out, struct err *err)
{
	if (p->via) {
		*out = mem_str(p->via);
		return 0;
	}
	if (look_up(p, err))
		return (int)err->code;
	return directory_find(p->nodes, id, out, err);
}

static int add_named(struct post *p, const char *name,
		     struct post_receiver **out, struct err *err)
{
	int64_t id = 0;
	char *url;

	if (strstr(name, "://") && !p->via)
		url = mem_str(name);
	else if (directory_id(name, &id, err) || url_for(p, id, &url, err))
		return (int)err->code;
	*out = add(p, name, id, url);
	return 0;
}

int post_to(struct post *p, const char *name, struct post_receiver **out,
	    struct err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		*out = p->all[i];
		if (!strcmp((*out)->name, name))
			return 0;
	}
	if (add_named(p, name, out, err))
		return err_wrap(err, "send to %s", name);
	return 0;
}

static void add_node(struct post *p, const NodeInfo *node)
{
	char *name = mem_fmt("%d", (int)node->node_id);

	add(p, name, node->node_id, mem_str(p->via ? p->via : node->url));
	free(name);
}

int post_to_all(struct post *p, const char *role, struct err *err)
{
	if (look_up(p, err))
		return err_wrap(err, "send to all");
	for (size_t i = 0; i < p->nodes->n_nodes; i++) {
		const NodeInfo *node = p->nodes->nodes[i];

		if (!strcmp(node->status, "alive") &&
		    (!role || !strcmp(node->role, role)))
			add_node(p, node);
	}
	if (p->n)
		return 0;
	if (role)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "no node that is alive is a %s", role);
	return err_set(err, ERR_FAILED_PRECONDITION, "no node is alive");
}

size_t post_receivers(const struct post *p, struct post_receiver *const **out)
{
	*out = p->all;
	return p->n;
}

/* ---- the batch ---- */

bool post_add(struct post *p, struct post_receiver *one,
	      const struct post_message *m)
{
	struct post_copy *c = &p->batch[p->nbatch++];

	c->to = one;
	c->named = m->id != NULL;
	c->seq = ++p->seq;
	c->id = m->id ? mem_str(m->id)
		      : mem_fmt("%s%016" PRIx64, p->prefix, (uint64_t)c->seq);
	c->type = m->type;
	c->payload = mem_dup(m->payload, m->len);
	c->len = m->len;
	c->sent_ms = clock_wall_ms();
	p->bytes += m->len;
	return p->nbatch < POST_BATCH_MAX && p->bytes < POST_BATCH_BYTES;
}

void post_flush(struct post *p)
{
	if (p->nbatch)
		post_send_batch(p);
	drop_batch(p);
}
