/* recover.c - a disk lost what only others can send again, and nothing on it
 * names one of them: the gateways are asked, and the members to join by.
 * Nothing is given up before one of them knows another voter. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/membership_impl.h"
#include "store/rebuild.h"
#include "wire/rpc.h"

struct mending {
	struct node *n;
	int64_t id;
	struct raft_mended what;
};

static void tell(const struct raft_mended *m)
{
	if (m->why.code)
		log_warn("log_damaged", "error=%s kept=%lld lost_to=%lld",
			 m->why.msg, (long long)m->kept, (long long)m->last);
}

/* Where the others were: the state that says so may be lost, the rows that were
 * made of it are not. */
static int hint_members(struct node *n, struct err *err)
{
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(n->db, &s, "SELECT id, url FROM member", err);

	if (rc)
		return rc;
	while (!(rc = db_next(n->db, s, &row, err)) && row) {
		const char *url = (const char *)sqlite3_column_text(s, 1);

		if (url)
			node_hint(n, sqlite3_column_int64(s, 0), url);
	}
	return rc;
}

/* Without what SQLite finds fault with nothing could be written. What was in
 * the file is kept, for a person to look at. */
static int rebuild(struct node *n, struct err *err)
{
	const struct rebuild how = {DB_NODE, node_steps, NODE_STEPS,
				    raft_store_partly};
	struct err why = *err;

	db_close(n->db);
	n->db = NULL;
	if (db_rebuild(n->cfg.db_path, &how, err))
		return (int)err->code;
	log_warn("file_made_anew", "error=%s kept=%s.damaged", why.msg,
		 n->cfg.db_path);
	return db_open(&n->db, n->cfg.db_path, DB_NODE, err);
}

int recover_open(struct node *n, struct err *err)
{
	struct raft_mended m;
	int rc = raft_store_mend(n->db, n->meta.node_id, false, &m, err);

	if (rc == ERR_DATA_LOSS && m.unsound && !(rc = rebuild(n, err)))
		rc = raft_store_mend(n->db, n->meta.node_id, false, &m, err);
	if (rc && !m.alone)
		return rc;
	if (rc)
		n->damage = *err;
	else
		tell(&m);
	return rc || m.why.code ? hint_members(n, err) : 0;
}

/* ---- somebody is there ---- */

/* On the writer's thread. */
static int mend(struct db *db, void *arg, struct err *err)
{
	struct mending *g = arg;

	return raft_store_mend(db, g->id, true, &g->what, err);
}

static void mended(const struct err *err, void *arg)
{
	struct mending g = *(struct mending *)arg;
	struct err why;

	free(arg);
	if (!g.n->membership || g.n->leaving || g.n->ended)
		return;
	if (err) {
		node_end(g.n, err);
		return;
	}
	tell(&g.what);
	g.n->damage.code = ERR_OK;
	if (membership_start(g.n, &why))
		node_end(g.n, &why);
}

static void give_up_what_is_lost(struct node *n)
{
	struct mending *g = mem_zero(1, sizeof(*g));
	struct err err;

	g->n = n;
	g->id = n->meta.node_id;
	if (!writer_post(n->writer, mend, mended, g, &err))
		return;
	free(g);
	node_end(n, &err);
}

/* ---- is somebody there? ---- */

/* Its own cluster's other voters are alive; others of it know where they are.
 */
static bool can_help(const struct node *n, const NodeInfo *who)
{
	return !strcmp(who->status, "alive") &&
	       (!strcmp(who->role, "leader") || !strcmp(who->role, "voter")) &&
	       who->node_id != n->meta.node_id;
}

static bool told(const ProtobufCMessage *msg, size_t i, void *arg)
{
	const GetNodesResponse *out = (const GetNodesResponse *)msg;
	struct membership *m = arg;

	(void)i;
	for (size_t k = 0; k < out->n_nodes; k++) {
		const NodeInfo *who = out->nodes[k];

		if (strcmp(who->cluster_id, m->n->meta.cluster_id) != 0)
			continue;
		node_hint(m->n, who->node_id, who->url);
		m->found |= can_help(m->n, who);
	}
	return m->found;
}

static void refuse(struct node *n)
{
	n->damage.hint[0] = '\0';
	err_hint(&n->damage,
		 "no other voter is known that could send it again: name one "
		 "with --join=URL, or a gateway that knows one with -g; a "
		 "node that was alone needs a copy of its file");
	node_end(n, &n->damage);
}

static void asked(const struct err *err, void *arg)
{
	struct membership *m = arg;

	m->hedge = NULL;
	if (m->found) {
		give_up_what_is_lost(m->n);
		return;
	}
	if (err)
		log_warn("no_other_voter", "error=%s", err->msg);
	refuse(m->n);
}

void recover_begin(struct membership *m)
{
	GetNodesRequest in = GET_NODES_REQUEST__INIT;
	const struct node_config *cfg = &m->n->cfg;
	size_t n = cfg->ngateways + cfg->njoins;
	const char **urls = mem_zero(n + 1, sizeof(*urls));
	const struct hedge_opts how = {.together = n, .any_failure = true};

	for (size_t i = 0; i < n; i++)
		urls[i] = i < cfg->njoins ? cfg->joins[i]
					  : cfg->gateways[i - cfg->njoins];
	membership_wait_for(m, "another voter of cluster %s: %s",
			    m->n->meta.cluster_id, m->n->damage.msg);
	m->found = false;
	membership_ask_all(m, urls, n, RPC_GATEWAY_GET_NODES, &in.base, &how,
			   told, asked);
	free(urls);
}
