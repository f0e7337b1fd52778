#include "node/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/inbox_impl.h"
#include "node/node_impl.h"
#include "store/schema.h"

enum { WRITER_JOBS = 65536, TICK_MS = 200, DRAIN_MS = 1000 };

const char *const node_steps[NODE_STEPS] = {
	raft_store_schema, life_schema,          inbox_schema, tables_schema,
	box_schema,        raft_snapshot_schema, graph_schema, raft_tail_schema,
	joined_schema,     raft_conf_schema,
};

void node_draw_id(char out[RAFT_STORE_ID + 1])
{
	unsigned char raw[RAFT_STORE_ID / 2];

	rand_os(raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

int64_t node_id(const struct node *n)
{
	return n->meta.cluster_id[0] ? n->meta.node_id : 0;
}

const char *node_url(const struct node *n)
{
	return server_url(n->server);
}

const char *node_cluster(const struct node *n)
{
	return n->meta.cluster_id;
}

struct server *node_server(const struct node *n)
{
	return n->server;
}

bool node_settled(const struct node *n)
{
	return n->leader && state_member(n->state, n->meta.node_id);
}

bool node_alone(const struct node *n)
{
	for (size_t i = 0; i < n->state->nmembers; i++)
		if (n->state->members[i]->id != n->meta.node_id)
			return false;
	return true;
}

bool node_removed(const struct node *n, bool anyhow)
{
	return n->removed && (anyhow || n->asked);
}

/* ---- who is where ---- */

static void move(struct node *n, struct hint *h, const char *url)
{
	if (!strcmp(h->url, url))
		return;
	free(h->url);
	h->url = mem_str(url);
	if (n->driver)
		driver_url_changed(n->driver, h->id);
}

void node_hint(struct node *n, int64_t id, const char *url)
{
	struct hint *h = n->hints;

	if (id < 1 || !*url || id == n->meta.node_id)
		return;
	for (size_t i = 0; i < n->nhints; i++, h++)
		if (h->id == id) {
			move(n, h, url);
			return;
		}
	if (n->nhints >= STATE_MEMBERS_MAX)
		return;
	n->hints = mem_grow(n->hints, &n->hints_cap, n->nhints + 1,
			    sizeof(*n->hints));
	n->hints[n->nhints++] = (struct hint){id, mem_str(url)};
	if (n->driver)
		driver_url_changed(n->driver, id);
}

/* The state is right once we have caught up with a move; until a leader is
 * heard, what gateways and members said lately is newer. */
const char *node_url_of(const struct node *n, int64_t id)
{
	const Gfl__V1__Member *m = state_member(n->state, id);

	if (m && *m->url && n->leader)
		return m->url;
	for (size_t i = 0; i < n->nhints; i++)
		if (n->hints[i].id == id)
			return n->hints[i].url;
	return m && *m->url ? m->url : NULL;
}

/* ---- what goes on ---- */

void node_end(struct node *n, const struct err *err)
{
	if (n->ended)
		return;
	n->ended = true;
	server_ready(n->server, false);
	n->cfg.on_end(err, n->cfg.arg);
}

static void check_ready(struct node *n)
{
	if (n->ready || n->ended || !n->driver)
		return;
	if (!n->resumed && !state_member(n->state, n->meta.node_id))
		return;
	n->ready = true;
	server_ready(n->server, true);
	announce_start(n);
	outbox_start(n);
	n->cfg.on_ready(n->cfg.arg);
	handler_wake(n);
}

static void settle(void *arg)
{
	struct node *n = arg;
	unsigned changed = n->changed;

	n->changed = 0;
	if (n->ended)
		return;
	tables_changed(n, changed);
	ask_applied(n);
	if (changed & STATE_MEMBER)
		announce_news(n);
	check_ready(n);
	outbox_look(n);
	steward_look(n);
	conductor_look(n);
	hook_look(n);
	cluster_look(n->cluster);
}

void node_settle(struct node *n)
{
	if (!n->ended)
		timer_set(&n->settle, n->loop, 0, settle, n);
}

/* ---- life ---- */

void node_note_self(struct node *n)
{
	const Gfl__V1__Member *m = state_member(n->state, n->meta.node_id);

	if (m && !strcmp(m->instance_id, n->meta.instance_id))
		n->known = true;
}

/* A life that is not in the state yet has to be told for a while: so does one
 * whose removal came before the entry that made it a member. */
static bool is_removed(struct node *n, const struct raft_status *s)
{
	if (!s->removed)
		n->removed_ms = 0;
	else if (!n->removed_ms)
		n->removed_ms = clock_ms();
	return s->removed &&
	       (n->known || clock_ms() - n->removed_ms >= n->cfg.fail_after_ms);
}

static void on_tick(void *arg)
{
	struct node *n = arg;
	struct raft_status s;

	if (n->ended || !n->driver)
		return;
	raft_status(driver_raft(n->driver), &s);
	if (is_removed(n, &s) && !n->leaving && !n->removed)
		membership_removed(n);
	membership_look(n);
	steward_look(n);
	conductor_look(n);
	pairs_look(n);
	cluster_look(n->cluster);
}

static int open_store(struct node *n, struct err *err)
{
	if (!db_open(&n->db, n->cfg.db_path, DB_NODE, err) &&
	    !schema_apply(n->db, node_steps, NODE_STEPS, err) &&
	    !life_load(n, err) && !recover_open(n, err) &&
	    !db_open_to_read(&n->reader, n->cfg.db_path, DB_NODE, err) &&
	    !writer_open(&n->writer, n->loop, n->db, WRITER_JOBS, err))
		return 0;
	if (err->code == ERR_DATA_LOSS)
		err_hint(err, "if there are other voters, move the file away: "
			      "the node joins again as a new member, without "
			      "the messages that were queued in it");
	return (int)err->code;
}

static void open_parts(struct node *n)
{
	tables_open(n);
	steward_open(n);
	suspects_open(n);
	announce_open(n);
	membership_open(n);
	reports_open(n);
	conductor_open(n);
	pairs_open(n);
	handler_open(n);
	hook_open(n);
}

static void serve(struct node *n)
{
	handlers_serve(n);
	read_serve(n);
	registry_serve(n);
	reports_serve(n);
	attach_serve(n);
	watch_serve(n);
	upkeep_serve(n);
	mail_serve(n);
	server_metrics(n->server, node_metrics, n);
	timer_every(&n->tick, n->loop, TICK_MS, on_tick, n);
}

static int start(struct node *n, struct err *err)
{
	if (open_store(n, err) ||
	    client_open(&n->client, n->loop, n->cfg.server.tls, err) ||
	    server_open(&n->server, n->loop, &n->cfg.server, err))
		return (int)err->code;
	client_bind(n->client, n->cfg.bind);
	open_parts(n);
	if (inbox_open(n, err) || outbox_open(n, err))
		return (int)err->code;
	serve(n);
	return membership_start(n, err);
}

int node_open(struct node **out, const struct node_config *cfg, struct err *err)
{
	struct node *n = mem_zero(1, sizeof(*n));

	n->cfg = *cfg;
	n->loop = cfg->loop;
	n->started_ms = clock_ms();
	n->state = state_new();
	if (start(n, err)) {
		node_close(n);
		return (int)err->code;
	}
	*out = n;
	return 0;
}

bool node_handle(struct node *n, const struct node_handler *handlers,
		 size_t nhandlers, const struct node_hook *hooks, size_t nhooks)
{
	bool idle = handler_pause(n);

	if (!hook_pause(n) || !idle)
		return false;
	n->cfg.handlers = handlers;
	n->cfg.nhandlers = nhandlers;
	n->cfg.hooks = hooks;
	n->cfg.nhooks = nhooks;
	handler_swap(n);
	hook_swap(n);
	inbox_wake(n);
	return true;
}

void node_facts(const struct node *n, struct facts *f)
{
	facts_add(f, "GFL_NODE_ID", "%" PRId64, n->meta.node_id);
	facts_add(f, "GFL_NODE", "%s", node_url(n));
	facts_add(f, "GFL_GATEWAY", "%s", node_url(n)); /* for other nodes */
	if (n->cfg.facts)
		facts_join(f, n->cfg.facts);
}

/* The commands end first: they may want to send something yet. */
void node_check_idle(struct node *n)
{
	if (!n->stopping || n->leaving || n->ended || handler_running(n) ||
	    hook_running(n))
		return;
	n->leaving = true;
	membership_leave(n);
}

void node_leave(struct node *n)
{
	if (n->stopping || n->ended)
		return;
	n->stopping = true;
	server_ready(n->server, false);
	handler_stop(n);
	hook_stop(n);
	node_check_idle(n);
}

/* In reverse; the server first, so that no call comes in any more. */
void node_close(struct node *n)
{
	if (!n)
		return;
	n->ended = true;
	if (n->handlers)
		handler_drop(n);
	hook_close(n);
	control_close(n);
	timer_stop(&n->tick);
	timer_stop(&n->settle);
	membership_close(n);
	announce_close(n);
	steward_close(n);
	suspects_close(n);
	watch_close(n);
	if (n->server)
		server_close(n->server, DRAIN_MS);
	driver_close(n->driver);
	writer_close(n->writer);
	ask_close(n);
	pairs_close(n);
	conductor_close(n);
	reports_close(n);
	outbox_close(n);
	inbox_close(n);
	handler_close(n);
	tables_close(n);
	client_close(n->client);
	db_close(n->reader);
	db_close(n->db);
	state_free(n->state);
	for (size_t i = 0; i < n->nhints; i++)
		free(n->hints[i].url);
	free(n->hints);
	free(n);
}
