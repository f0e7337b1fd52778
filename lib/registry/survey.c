#include "registry/survey.h"

#include <stdlib.h>

#include "base/mem.h"
#include "registry/directory.h"
#include "registry/merge.h"

struct asking {
	struct loop *loop;
	struct survey *s;
	size_t left; /* answers to come */
};

struct question {
	struct asking *all;
	struct survey_node *to;
};

static void on_answer(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct question *q = arg;

	if (!err)
		q->to->status = (Gfl__V1__NodeStatus *)rpc_copy(out);
	if (--q->all->left == 0)
		loop_stop(q->all->loop);
}

static void ask_all(struct client *c, struct question *qs,
		    const GetNodesResponse *list, int64_t timeout_ms)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct rpc_opts opts = {.timeout_ms = timeout_ms};

	for (size_t i = 0; i < list->n_nodes; i++)
		client_call(c, list->nodes[i]->url, RPC_NODE_GET_STATUS,
			    &in.base, &opts, on_answer, &qs[i]);
}

static int ask(struct survey *s, const GetNodesResponse *list,
	       const struct client_opts *o, struct err *err)
{
	struct asking all = {.s = s, .left = s->n};
	struct client *c = NULL;
	struct question *qs;

	if (loop_open(&all.loop, err))
		return (int)err->code;
	if (client_open_files(&c, all.loop, &o->tls, err)) {
		loop_close(all.loop);
		return (int)err->code;
	}
	qs = mem_zero(s->n, sizeof(*qs));
	for (size_t i = 0; i < s->n; i++) {
		s->nodes[i].id = list->nodes[i]->node_id;
		qs[i] = (struct question){&all, &s->nodes[i]};
	}
	ask_all(c, qs, list, o->timeout_ms);
	if (s->n)
		loop_run(all.loop);
	client_close(c);
	loop_close(all.loop);
	free(qs);
	return 0;
}

static int take(struct survey *out, const GetNodesResponse *list,
		const struct client_opts *o, struct err *err)
{
	int rc;

	out->n = list->n_nodes;
	out->nodes = mem_zero(out->n, sizeof(*out->nodes));
	rc = ask(out, list, o, err);
	if (rc)
		survey_release(out);
	return rc;
}

/* The URL of a member that knows of more than are in the list, or NULL. */
static const char *who_knows_more(const struct survey *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const Gfl__V1__NodeStatus *n = s->nodes[i].status;

		if (n && n->members > (int64_t)s->n)
			return n->url;
	}
	return NULL;
}

/* A gateway that has just been set up, or is cut off, does not know all. */
static int complete(struct survey *s, GetNodesResponse *list,
		    const struct client_opts *o, struct err *err)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	const char *url = who_knows_more(s);
	GetNodesResponse *more;

	if (!url || client_now(&o->tls, url, RPC_GATEWAY_GET_NODES, &in.base,
			       o->timeout_ms, (ProtobufCMessage **)&more, err))
		return 0; /* what is known will do */
	merge_nodes(list, more);
	rpc_free(&more->base);
	survey_release(s);
	return take(s, list, o, err);
}

int survey_take(struct survey *out, const struct client_opts *o,
		struct err *err)
{
	GetNodesResponse *list;
	int rc;

	*out = (struct survey){0};
	if (directory_nodes(o, &list, err))
		return (int)err->code;
	rc = take(out, list, o, err);
	if (!rc)
		rc = complete(out, list, o, err);
	rpc_free(&list->base);
	return rc;
}

void survey_release(struct survey *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->nodes[i].status)
			rpc_free(&s->nodes[i].status->base);
	free(s->nodes);
	*s = (struct survey){0};
}

struct survey_sum survey_sum(const struct survey *s)
{
	struct survey_sum sum = {0};
	int64_t least = INT64_MAX, most = 0;

	for (size_t i = 0; i < s->n; i++) {
		const Gfl__V1__NodeStatus *n = s->nodes[i].status;

		if (!n || !*n->cluster_id)
			continue;
		sum.alive++;
		least = n->commit_index < least ? n->commit_index : least;
		most = n->commit_index > most ? n->commit_index : most;
		/* who has applied most knows best */
		if (n->commit_index == most) {
			sum.trainers = n->trainers;
			sum.run = n->run;
			sum.round = n->round;
		}
	}
	sum.lag = sum.alive ? most - least : 0;
	return sum;
}
