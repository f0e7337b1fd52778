#include "registry/survey.h"

#include <stdlib.h>

#include "base/mem.h"
#include "registry/directory.h"

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

int survey_take(struct survey *out, const struct client_opts *o,
		struct err *err)
{
	GetNodesResponse *list;
	int rc;

	*out = (struct survey){0};
	if (directory_nodes(o, &list, err))
		return (int)err->code;
	out->n = list->n_nodes;
	out->nodes = mem_zero(out->n, sizeof(*out->nodes));
	rc = ask(out, list, o, err);
	rpc_free(&list->base);
	if (rc)
		survey_release(out);
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
