#include "fl/mandate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "proto/node.pb-c.h"

enum { POLL_MS = 200, ASK_MS = 5000 };

struct mandate {
	struct client *client;
	const char *url;
	int64_t term; /* that was told */
	struct rpc *asking, *claiming;
	struct timer again;
	/* as the node believes: its id, who leads, the term and since when */
	int64_t node, leader, reign, since_ms;
	loop_fn *yes; /* NULL: nobody waits */
	void *yes_arg;
	bool silent; /* it does not answer, and that was said */
	mandate_fn *changed;
	void *arg;
};

static void ask(struct mandate *m, bool linearizable);

static void ask_plainly(void *arg)
{
	ask(arg, false);
}

static void tell(struct mandate *m, int64_t term)
{
	m->term = term;
	m->yes = NULL;
	m->changed(term, m->arg);
}

static int64_t term_of(struct mandate *m, const struct err *err,
		       const ProtobufCMessage *out)
{
	const Gfl__V1__NodeStatus *s = (const Gfl__V1__NodeStatus *)out;

	if (err && !m->silent)
		log_warn("node_away", "node=%s error=%s", m->url, err->msg);
	m->silent = err;
	if (!err && (s->term != m->reign || s->leader_id != m->leader))
		m->since_ms = clock_ms();
	m->node = err ? 0 : s->node_id;
	m->leader = err ? 0 : s->leader_id;
	m->reign = err ? 0 : s->term;
	return !err && !strcmp(s->role, "leader") ? s->term : 0;
}

static void confirmed(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	struct mandate *m = arg;
	int64_t term = term_of(m, err, out);
	loop_fn *yes = m->yes;

	m->asking = NULL;
	timer_set(&m->again, client_loop(m->client), POLL_MS, ask_plainly, m);
	m->yes = NULL;
	if (term != m->term)
		tell(m, m->term ? 0 : term);
	else if (term && yes)
		yes(m->yes_arg);
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct mandate *m = arg;
	int64_t term = term_of(m, err, out);

	m->asking = NULL;
	if (term && !m->term) {
		ask(m, true);
		return;
	}
	timer_set(&m->again, client_loop(m->client), POLL_MS, ask_plainly, m);
	if (term != m->term)
		tell(m, 0);
}

static void ask(struct mandate *m, bool linearizable)
{
	const struct rpc_opts opts = {.timeout_ms = ASK_MS};
	Gfl__V1__NodeStatusRequest in;

	client_cancel(m->asking);
	timer_stop(&m->again);
	gfl__v1__node_status_request__init(&in);
	in.linearizable = linearizable;
	m->asking =
		client_call(m->client, m->url, RPC_NODE_GET_STATUS, &in.base,
			    &opts, linearizable ? confirmed : answered, m);
}

void mandate_confirm(struct mandate *m, loop_fn *yes, void *arg)
{
	m->yes = yes;
	m->yes_arg = arg;
	ask(m, true);
}

static void claimed(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct mandate *m = arg;

	(void)out;
	m->claiming = NULL;
	if (err)
		log_info("not_claimed", "term=%lld error=%s",
			 (long long)m->reign, err->msg);
}

void mandate_claim(struct mandate *m, int64_t term, int64_t patience_ms)
{
	const struct rpc_opts opts = {.timeout_ms = ASK_MS};
	Gfl__V1__TransferRequest in;

	if (!m->leader || m->leader == m->node || m->claiming ||
	    (term && term != m->reign) ||
	    clock_ms() - m->since_ms < patience_ms)
		return;
	log_warn("claims", "leader=%lld term=%lld reason=%s",
		 (long long)m->leader, (long long)m->reign,
		 "there is no active server beside it");
	gfl__v1__transfer_request__init(&in);
	in.to = m->node;
	in.term = m->reign;
	m->claiming = client_call(m->client, m->url, RPC_NODE_TRANSFER,
				  &in.base, &opts, claimed, m);
}

struct mandate *mandate_open(struct client *client, const char *url,
			     mandate_fn *changed, void *arg)
{
	struct mandate *m = mem_zero(1, sizeof(*m));

	*m = (struct mandate){
		.client = client, .url = url, .changed = changed, .arg = arg};
	ask(m, false);
	return m;
}

void mandate_close(struct mandate *m)
{
	if (!m)
		return;
	client_cancel(m->asking);
	client_cancel(m->claiming);
	timer_stop(&m->again);
	free(m);
}
