#include "registry/post.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"

enum { AT_ONCE = 64 }; /* calls under way, so that descriptors suffice */

struct post {
	struct client_opts client; /* with via as the node to ask */
	struct loop *loop;
	struct client *calls;
	char *via;               /* URL, or NULL */
	GetNodesResponse *nodes; /* NULL: not asked yet */
	struct post_receiver **all;
	size_t n, cap;

	const struct post_message *message; /* being sent, to all */
	size_t next, under_way;
};

int post_open(struct post **out, const struct client_opts *o, const char *via,
	      struct err *err)
{
	struct post *p = mem_zero(1, sizeof(*p));

	p->client = *o;
	if ((via && directory_url(o, via, &p->via, err)) ||
	    loop_open(&p->loop, err) ||
	    client_open_files(&p->calls, p->loop, &o->tls, err)) {
		post_close(p);
		return (int)err->code;
	}
	if (p->via)
		p->client.node = p->via;
	*out = p;
	return 0;
}

void post_close(struct post *p)
{
	if (!p)
		return;
	client_close(p->calls);
	loop_close(p->loop);
	for (size_t i = 0; i < p->n; i++) {
		free(p->all[i]->name);
		free(p->all[i]->url);
		free(p->all[i]->message);
		free(p->all[i]);
	}
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
	r->post = p;
	p->all = mem_grow(p->all, &p->cap, p->n + 1, sizeof(*p->all));
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

/* ---- sending ---- */

struct sending {
	struct post_receiver *to;
	char id[STR_ID]; /* where the message has none */
	const char *named;
};

static void send_rest(struct post *p);

static void on_sent(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct sending *s = arg;
	struct post_receiver *r = s->to;

	if (err) {
		r->failed = *err;
		err_wrap(&r->failed, "send to %s", r->name);
	} else {
		r->sent++;
		r->cursor = ((const Gfl__V1__SendMessageResponse *)out)->cursor;
		free(r->message);
		r->message = mem_str(s->named);
	}
	free(s);
	r->post->under_way--;
	send_rest(r->post);
	if (!r->post->under_way)
		loop_stop(r->post->loop);
}

/* One that had a message before may be restarting: it is tried again. */
static void send_one(struct post_receiver *r, const struct post_message *m)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem item = GFL__V1__MESSAGE_ITEM__INIT;
	const int64_t timeout_ms = r->post->client.timeout_ms;
	const struct rpc_opts opts = {
		.timeout_ms = timeout_ms,
		.retry = timeout_ms && r->sent,
	};
	struct sending *s = mem_zero(1, sizeof(*s));

	str_new_id(s->id);
	s->to = r;
	s->named = m->id ? m->id : s->id;
	item.id = (char *)s->named;
	item.to = r->id;
	item.type = m->type;
	item.payload.data = (uint8_t *)m->payload;
	item.payload.len = m->len;
	item.sent_ms = clock_wall_ms();
	in.message = &item;
	r->post->under_way++;
	client_call(r->post->calls, r->url, RPC_NODE_SEND_MESSAGE, &in.base,
		    &opts, on_sent, s);
}

static void send_rest(struct post *p)
{
	while (p->next < p->n && p->under_way < AT_ONCE) {
		struct post_receiver *r = p->all[p->next++];

		if (!r->failed.code)
			send_one(r, p->message);
	}
}

void post_send(struct post *p, struct post_receiver *one,
	       const struct post_message *m)
{
	p->message = m;
	p->next = one ? p->n : 0;
	if (one && !one->failed.code)
		send_one(one, m);
	else
		send_rest(p);
	if (p->under_way)
		loop_run(p->loop);
}
