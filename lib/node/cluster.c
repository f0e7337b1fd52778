/* When to be a member above: while we lead below, and until the others above
 * let us go. */
#include "node/cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/cluster_impl.h"
#include "wire/rpc.h"

enum {
	RETRY_MS = 2000, /* after what went wrong */
	PROBE_MS = 5000,
	LEAVE_MS = 3000, /* for a successor to speak */
};

void cluster_trouble(struct cluster *c, const struct err *err)
{
	if (!c->trouble.code || strcmp(c->trouble.msg, err->msg) != 0)
		log_err("upper_cluster", err);
	c->trouble = *err;
	c->retry_ms = clock_ms() + RETRY_MS;
}

static void turn(struct cluster *c)
{
	c->cfg.on_turn(c->cfg.arg);
}

/* ---- the member above ---- */

static void on_ready(void *arg)
{
	struct cluster *c = arg;

	c->trouble.code = ERR_OK;
	log_info("upper_member", "cluster=%s node=%" PRId64 " url=%s",
		 node_cluster(c->upper), node_id(c->upper), node_url(c->upper));
}

/* Removed is what a succeeded speaker waits for. */
static void on_end(const struct err *err, void *arg)
{
	struct cluster *c = arg;

	c->ended = true;
	if (err && c->upper && !node_removed(c->upper, true))
		cluster_trouble(c, err);
	turn(c);
}

static void open_upper(struct cluster *c)
{
	struct node_config cfg = c->cfg.node;
	struct err err;

	cfg.on_ready = on_ready;
	cfg.on_end = on_end;
	cfg.arg = c;
	memcpy(c->lower_id, node_cluster(c->lower), sizeof(c->lower_id));
	cfg.lower_id = c->lower_id;
	cfg.lower_term = c->lower->term;
	c->ended = false;
	if (node_open(&c->upper, &cfg, &err))
		cluster_trouble(c, &err);
	else
		c->upper->cluster = c;
}

static void close_upper(struct cluster *c)
{
	cluster_hush(c);
	c->upper->cluster = NULL;
	if (c->upper->removed)
		log_info("upper_member_no_more", "cluster=%s node=%" PRId64,
			 node_cluster(c->upper), node_id(c->upper));
	node_close(c->upper);
	c->upper = NULL;
}

/* Its callbacks may run meanwhile, and ask for another turn. */
void cluster_turn(struct cluster *c)
{
	if (!c)
		return;
	if (c->upper && c->ended)
		close_upper(c);
	if (!c->opening || c->upper || c->leaving)
		return;
	c->opening = false;
	open_upper(c);
}

/* ---- is it another cluster than ours? ---- */

static bool told(const ProtobufCMessage *msg, size_t i, void *arg)
{
	const GetNodesResponse *out = (const GetNodesResponse *)msg;
	struct cluster *c = arg;

	(void)i;
	if (*out->cluster_id && strlen(out->cluster_id) < sizeof(c->found))
		memcpy(c->found, out->cluster_id, strlen(out->cluster_id) + 1);
	return *c->found;
}

/* A gateway that knows no cluster is fine: we may be the ones to found it. */
static void probed(const struct err *err, void *arg)
{
	struct cluster *c = arg;
	struct err why;

	c->probe = NULL;
	if (err) {
		cluster_trouble(c, err);
	} else if (!strcmp(c->found, node_cluster(c->lower))) {
		err_set(&why, ERR_FAILED_PRECONDITION,
			"cluster %s cannot be its own upper cluster", c->found);
		err_hint(&why, "--upper names gateways of another cluster");
		cluster_trouble(c, &why);
	} else {
		c->opening = true;
		turn(c);
	}
}

static void probe(struct cluster *c)
{
	const struct node_config *cfg = &c->cfg.node;
	bool joins = cfg->njoins > 0;
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	const struct hedge_opts how = {
		.urls = joins ? cfg->joins : cfg->gateways,
		.n = joins ? cfg->njoins : cfg->ngateways,
		.together = joins ? cfg->njoins : cfg->ngateways,
		.name = RPC_GATEWAY_GET_NODES,
		.in = &in.base,
		.timeout_ms = PROBE_MS,
		.any_failure = true,
	};

	*c->found = '\0';
	c->probe = hedge_call(c->lower->client, c->lower->loop, &how, told,
			      probed, c);
}

/* ---- what the nodes tell ---- */

void cluster_look(struct cluster *c)
{
	if (!c || !c->lower || c->leaving)
		return;
	if (c->upper && c->upper->ready && !c->upper->ended)
		cluster_speak(c);
	else if (!c->upper && !c->probe && !c->opening && c->lower->leads &&
		 c->lower->ready && clock_ms() >= c->retry_ms)
		probe(c);
}

void cluster_open(struct cluster **out, struct node *lower,
		  const struct cluster_config *cfg)
{
	struct cluster *c = mem_zero(1, sizeof(*c));

	c->cfg = *cfg;
	c->lower = lower;
	lower->cluster = c;
	*out = c;
	c->opening = life_is_member(cfg->node.db_path);
	if (c->opening)
		turn(c);
}

/* ---- the end ---- */

static void leave_now(void *arg)
{
	struct cluster *c = arg;

	if (c->upper)
		node_leave(c->upper);
}

void cluster_leave(struct cluster *c, bool last)
{
	bool alone = c->upper && c->upper->state->nmembers < 2;

	c->leaving = true;
	hedge_cancel(c->probe);
	c->probe = NULL;
	c->lower->cluster = NULL;
	cluster_hush(c);
	c->lower = NULL;
	if (!c->upper)
		return;
	timer_set(&c->patience, c->upper->loop, last || alone ? 0 : LEAVE_MS,
		  leave_now, c);
}

bool cluster_left(const struct cluster *c)
{
	return !c->upper;
}

void cluster_close(struct cluster *c)
{
	if (!c)
		return;
	timer_stop(&c->patience);
	hedge_cancel(c->probe);
	if (c->lower)
		c->lower->cluster = NULL;
	if (c->upper)
		close_upper(c);
	free(c);
}

/* ---- for others ---- */

const char *cluster_upper_id(const struct cluster *c)
{
	return c && c->upper ? node_cluster(c->upper) : "";
}

void cluster_status(const struct cluster *c, Gfl__V1__NodeStatus *out)
{
	const struct node *u = c ? c->upper : NULL;

	if (!c || !c->lower)
		return;
	out->upper_error = (char *)(c->trouble.code ? c->trouble.msg : "");
	if (!u)
		return;
	out->upper_cluster_id = (char *)node_cluster(u);
	out->upper_node_id = node_id(u);
	out->upper_url = (char *)node_url(u);
	out->upper_trainer_id = c->trainer;
	if (!c->trouble.code && membership_waits(u))
		out->upper_error = (char *)membership_waits(u);
}
