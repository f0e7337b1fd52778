/* A member that the leader does not hear is suspect; down it is when others do
 * not reach it either (the indirect probes of SWIM, Das, Gupta and Motivala,
 * 2002): what failed may be the leader's own path to it. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

enum {
	WITNESSES = 3,   /* asked at a time */
	REACH_MS = 1000, /* for a witness to reach the suspect */
};

struct suspect;

struct witness {
	struct suspect *of;
	int64_t id;
	struct rpc *rpc;
};

struct suspect {
	struct node *n;
	int64_t id;
	struct witness witnesses[WITNESSES];
	int asked, left, against; /* witnesses; those who did not reach it */
	int64_t vouched_ms;       /* when one did; 0: none */
	bool said;
	LIST_ENTRY(suspect) entry;
};

struct suspects {
	LIST_HEAD(, suspect) list;
};

void suspects_open(struct node *n)
{
	n->suspects = mem_zero(1, sizeof(*n->suspects));
}

static void drop(struct suspect *s)
{
	for (int i = 0; i < s->asked; i++)
		client_cancel(s->witnesses[i].rpc);
	LIST_REMOVE(s, entry);
	free(s);
}

void suspects_clear(struct node *n, int64_t id)
{
	struct suspect *s, *next;

	for (s = LIST_FIRST(&n->suspects->list); s; s = next) {
		next = LIST_NEXT(s, entry);
		if (!id || s->id == id)
			drop(s);
	}
}

void suspects_close(struct node *n)
{
	if (!n->suspects)
		return;
	suspects_clear(n, 0);
	free(n->suspects);
	n->suspects = NULL;
}

/* ---- what the others say ---- */

static int64_t reach_ms(const struct node *n)
{
	return n->cfg.fail_after_ms / 2 < REACH_MS ? n->cfg.fail_after_ms / 2
						   : REACH_MS;
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct witness *w = arg;
	struct suspect *s = w->of;

	(void)out;
	w->rpc = NULL;
	s->left--;
	if (!err) {
		if (!s->said)
			log_warn("suspect",
				 "node=%" PRId64 " reached_by=%" PRId64, s->id,
				 w->id);
		s->said = true;
		s->vouched_ms = clock_ms();
	} else if (err->code == ERR_ABORTED) {
		s->against++;
	} /* else the witness itself is out of reach, and says nothing */
	if (!s->left)
		node_settle(s->n);
}

static void ask_witness(struct suspect *s, int64_t id)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	struct witness *w = &s->witnesses[s->asked];
	struct node *n = s->n;
	const char *url = node_url_of(n, id);
	const struct rpc_opts opts = {.timeout_ms = 2 * reach_ms(n)};

	if (!url)
		return;
	in.of = s->id;
	*w = (struct witness){.of = s, .id = id};
	w->rpc = client_call(n->client, url, RPC_NODE_GET_STATUS, &in.base,
			     &opts, answered, w);
	s->asked++;
	s->left++;
}

/* Those whom we hear ourselves. */
static void ask_witnesses(struct suspect *s)
{
	const struct state *state = s->n->state;

	s->asked = s->left = s->against = 0;
	for (size_t i = 0; i < state->nmembers && s->asked < WITNESSES; i++) {
		const Gfl__V1__Member *m = state->members[i];

		if (m->id != s->id && m->id != s->n->meta.node_id &&
		    !m->liveness &&
		    steward_silence_ms(s->n, m->id) < s->n->cfg.fail_after_ms)
			ask_witness(s, m->id);
	}
}

static struct suspect *find(const struct node *n, int64_t id)
{
	struct suspect *s;

	LIST_FOREACH (s, &n->suspects->list, entry)
		if (s->id == id)
			break;
	return s;
}

static bool vouched(const struct suspect *s)
{
	return s->vouched_ms &&
	       clock_ms() - s->vouched_ms < s->n->cfg.fail_after_ms;
}

bool suspects_gone(struct node *n, int64_t id)
{
	struct suspect *s = find(n, id);

	if (!s) {
		s = mem_zero(1, sizeof(*s));
		s->n = n;
		s->id = id;
		LIST_INSERT_HEAD(&n->suspects->list, s, entry);
	} else if (s->left || vouched(s)) {
		return false;
	} else if (s->against && !s->vouched_ms) {
		return true;
	}
	s->vouched_ms = 0;
	ask_witnesses(s);
	return !s->asked; /* there is nobody but us */
}

/* ---- to be a witness ---- */

struct relay {
	struct node *n;
	struct call *call;
	struct rpc *rpc;
	int64_t of;
};

static void relayed(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct relay *r = arg;
	struct err why;

	if (err) {
		err_set(&why, ERR_ABORTED,
			"node %" PRId64 " does not reach node %" PRId64 ": %s",
			r->n->meta.node_id, r->of, err->msg);
		call_fail(r->call, &why);
	} else {
		call_reply(r->call, out);
	}
	free(r);
}

static void gone(struct call *call, void *arg)
{
	struct relay *r = arg;

	(void)call;
	client_cancel(r->rpc);
	free(r);
}

void suspects_witness(struct node *n, struct call *call, int64_t id)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = reach_ms(n)};
	const char *url = node_url_of(n, id);
	struct relay *r;
	struct err err;

	if (!url) {
		err_set(&err, ERR_NOT_FOUND, "no node %" PRId64 " is known",
			id);
		call_fail(call, &err);
		return;
	}
	r = mem_zero(1, sizeof(*r));
	*r = (struct relay){.n = n, .call = call, .of = id};
	call_on_cancel(call, gone, r);
	r->rpc = client_call(n->client, url, RPC_NODE_GET_STATUS, &in.base,
			     &opts, relayed, r);
}
