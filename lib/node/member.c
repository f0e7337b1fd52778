/* What Raft tells its member: entries to apply, a snapshot to begin from, who
 * leads. */
#include <inttypes.h>

#include "base/log.h"
#include "node/node_impl.h"
#include "wire/rpc.h"

/* Members that moved are reached at once. */
static void follow_urls(struct node *n, const Gfl__V1__Entry *e)
{
	const Gfl__V1__Membership *m = e ? e->membership : NULL;

	if (!e || e->kind_case != GFL__V1__ENTRY__KIND_MEMBERSHIP ||
	    m->action != GFL__V1__MEMBERSHIP__ACTION__ADD)
		return;
	node_hint(n, m->member->id, m->member->url);
}

static void apply(struct node *n, const struct raft_entry *e,
		  Gfl__V1__Entry *entry, struct driver_result *result)
{
	enum state_config config = raft_entry_joint(e)      ? STATE_JOINT
				   : e->type == RAFT_CONFIG ? STATE_CONFIG
							    : STATE_NO_CONFIG;
	struct state_result res;
	struct err err;

	if (state_apply(n->state, e->index, e->term, config, entry, &res,
			&err)) {
		n->stuck = true;
		node_end(n, &err);
		return;
	}
	result->id = res.id;
	result->refused = res.refused;
	n->changed |= res.changed;
	if (!res.refused.code)
		follow_urls(n, entry);
	if (res.changed & STATE_MEMBER)
		node_note_self(n);
	watch_applied(n, e, entry);
	node_settle(n);
}

static void on_apply(const struct raft_entry *e, bool skip,
		     struct driver_result *result, void *arg)
{
	struct node *n = arg;
	Gfl__V1__Entry *entry = NULL;
	struct err err;

	if (n->stuck || n->ended) {
		err_set(&result->refused, ERR_UNAVAILABLE,
			"node %" PRId64 " stops", n->meta.node_id);
		return;
	}
	if (!skip && e->type != RAFT_NOOP &&
	    state_entry(&entry, e->data, e->len, &err)) {
		err_wrap(&err, "apply entry %" PRId64, e->index);
		n->stuck = true;
		node_end(n, &err);
		return;
	}
	apply(n, e, entry, result);
	if (entry)
		gfl__v1__entry__free_unpacked(entry, NULL);
}

static void on_save(struct buf *b, void *arg)
{
	const struct node *n = arg;
	Gfl__V1__State *s = state_encode(n->state);
	size_t len = gfl__v1__state__get_packed_size(s);

	b->len += gfl__v1__state__pack(s, (uint8_t *)buf_room(b, len));
	gfl__v1__state__free_unpacked(s, NULL);
}

static int on_restore(const void *p, size_t len, void *arg, struct err *err)
{
	struct node *n = arg;
	ProtobufCMessage *msg;
	struct state *s;
	int rc = rpc_unpack(&msg, &gfl__v1__state__descriptor, p, len, err);

	if (rc)
		return rc;
	rc = state_decode(&s, (const Gfl__V1__State *)msg, err);
	rpc_free(msg);
	if (rc)
		return rc;
	state_free(n->state);
	n->state = s;
	for (size_t i = 0; i < s->nmembers; i++)
		node_hint(n, s->members[i]->id, s->members[i]->url);
	n->changed = STATE_ALL;
	node_note_self(n);
	watch_restored(n);
	node_settle(n);
	return 0;
}

/* We lead once the first entry of our term is committed, not as elected. */
static void log_leader(const struct node *n, int64_t leader, int64_t term,
		       bool we_lead)
{
	bool known = n->leader == leader && n->term == term;

	if (!leader && !known)
		log_info("no_leader", "term=%" PRId64, term);
	else if (leader == n->meta.node_id ? we_lead && !n->leads : !known)
		log_info("leader", "term=%" PRId64 " node=%" PRId64, term,
			 leader);
}

static void on_leader(int64_t leader, int64_t term, bool we_lead, void *arg)
{
	struct node *n = arg;
	bool other = false;

	if (n->ended)
		return;
	log_leader(n, leader, term, we_lead);
	if (leader && (leader != n->leader || we_lead != n->leads))
		other = true;
	n->leader = leader;
	n->term = term;
	if (we_lead != n->leads) {
		n->leads = we_lead;
		conductor_leads(n, we_lead);
	}
	watch_leader(n);
	announce_news(n);
	if (leader)
		ask_poke(n);
	if (other)
		reports_leader(n);
	if (leader && n->asked && !n->leaving) { /* still a member */
		n->asked = false;
		life_store(n, NULL);
	}
	membership_leader(n);
	node_settle(n);
}

static void on_failed(const struct err *err, void *arg)
{
	node_end(arg, err);
}

static const char *url_of(int64_t id, void *arg)
{
	return node_url_of(arg, id);
}

int member_become(struct node *n, struct err *err)
{
	const struct driver_config cfg = {
		.loop = n->loop,
		.reader = n->reader,
		.writer = n->writer,
		.client = n->client,
		.server = n->server,
		.node_id = n->meta.node_id,
		.cluster_id = n->meta.cluster_id,
		.joined = n->joined,
		.joined_term = n->joined_term,
		.election_min_ms = n->cfg.election_min_ms,
		.election_max_ms = n->cfg.election_max_ms,
		.heartbeat_ms = n->cfg.heartbeat_ms,
		.snapshot_bytes = n->cfg.snapshot_bytes,
		.on_apply = on_apply,
		.on_save = on_save,
		.on_restore = on_restore,
		.on_leader = on_leader,
		.on_failed = on_failed,
		.url_of = url_of,
		.arg = n,
	};

	if (driver_open(&n->driver, &cfg, err))
		return (int)err->code;
	log_info("member", "cluster=%s node=%" PRId64 " applied=%" PRId64,
		 n->meta.cluster_id, n->meta.node_id, n->state->applied);
	return 0;
}
