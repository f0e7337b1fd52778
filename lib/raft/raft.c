/* raft.c - the server as a whole: its life, its terms, who gets an input. */
#include "core.h"

#include <stdlib.h>

static void defaults(struct raft_config *c)
{
	if (!c->election_min_ms)
		c->election_min_ms = 150;
	if (!c->election_max_ms)
		c->election_max_ms = 300;
	if (!c->heartbeat_ms)
		c->heartbeat_ms = 50;
	if (!c->max_entry)
		c->max_entry = 1 << 20;
	if (!c->max_uncommitted)
		c->max_uncommitted = 64 << 20;
	if (!c->max_append)
		c->max_append = 1 << 20;
	if (!c->max_inflight)
		c->max_inflight = 16;
	if (!c->max_reads)
		c->max_reads = 65536;
	if (!c->piece_ms)
		c->piece_ms = 1000;
}

static int wrong(struct err *err, const char *field, int64_t value)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "raft: %s %lld is wrong",
		       field, (long long)value);
}

static int check(const struct raft_config *c, struct err *err)
{
	if (c->id < 1)
		return wrong(err, "id", c->id);
	if (c->heartbeat_ms < 1)
		return wrong(err, "heartbeat_ms", c->heartbeat_ms);
	if (c->election_min_ms <= 2 * c->heartbeat_ms)
		return wrong(err, "election_min_ms", c->election_min_ms);
	if (c->election_max_ms < c->election_min_ms ||
	    c->election_max_ms > INT64_C(86400000))
		return wrong(err, "election_max_ms", c->election_max_ms);
	if (c->max_inflight < 1 || c->max_inflight > 4096)
		return wrong(err, "max_inflight", c->max_inflight);
	if (c->max_reads < 1)
		return wrong(err, "max_reads", c->max_reads);
	if (c->piece_ms < 1)
		return wrong(err, "piece_ms", c->piece_ms);
	if (c->max_entry > c->max_uncommitted)
		return wrong(err, "max_entry", (int64_t)c->max_entry);
	if (c->floor_index < 0 || c->floor_term < 0)
		return wrong(err, "floor", c->floor_index);
	if (c->term < 0 || c->vote < 0 || c->commit < 0 || c->applied < 0)
		return wrong(err, "stored term", c->term);
	if (c->joined < 0 || c->joined_term < 0)
		return wrong(err, "joined", c->joined);
	return 0;
}

int raft_open(struct raft **out, const struct raft_config *cfg, struct err *err)
{
	struct raft_config c = *cfg;
	struct raft *r;
	int rc;

	defaults(&c);
	rc = check(&c, err);
	if (rc)
		return rc;
	r = mem_zero(1, sizeof(*r));
	r->cfg = c;
	r->rand.state = c.seed;
	r->term = c.term;
	r->vote = c.vote;
	r->applied = c.applied;
	r->commit = c.commit > c.applied ? c.commit : c.applied;
	*out = r;
	return 0;
}

int raft_load(struct raft *r, const struct raft_entry *e, struct err *err)
{
	int64_t last = raft_log_last(&r->log);

	if (e->index != last + 1 || e->term < 1 ||
	    e->term < raft_log_term(&r->log, last))
		return err_set(err, ERR_DATA_LOSS,
			       "raft: stored entry %lld of term %lld follows "
			       "entry %lld of term %lld",
			       (long long)e->index, (long long)e->term,
			       (long long)last,
			       (long long)raft_log_term(&r->log, last));
	if (e->type == RAFT_CONFIG && raft_conf_push(r, e, err)) {
		err_wrap(err, "raft: stored entry %lld", (long long)e->index);
		return ERR_DATA_LOSS;
	}
	if (e->type == RAFT_CONFIG && e->index <= r->applied)
		raft_conf_applied(r, e->conf, e->conf_len);
	raft_log_add(&r->log, e);
	return 0;
}

int raft_start(struct raft *r, int64_t now_ms, struct err *err)
{
	int64_t last = raft_log_last(&r->log);

	if (last < r->commit)
		return err_set(err, ERR_DATA_LOSS,
			       "raft: the stored log ends at entry %lld, "
			       "before entry %lld, which was committed",
			       (long long)last, (long long)r->commit);
	if (raft_log_term(&r->log, last) > r->term)
		return err_set(err, ERR_DATA_LOSS,
			       "raft: stored entry %lld is of term %lld, after "
			       "the stored term %lld",
			       (long long)last,
			       (long long)raft_log_term(&r->log, last),
			       (long long)r->term);
	r->log.durable = r->log.given_last = last;
	r->now_ms = now_ms;
	r->started = true;
	raft_conf_committed(r);
	raft_timer_reset(r);
	return 0;
}

void raft_close(struct raft *r)
{
	if (!r)
		return;
	raft_log_release(&r->log);
	raft_snapshot_release(r);
	raft_peers_release(r);
	for (size_t i = 0; i < r->n_confs; i++)
		raft_conf_release(&r->conf[i].conf);
	free(r->conf);
	free(r->read);
	free(r->ready.m);
	free(r->held.m);
	free(r);
}

int raft_bootstrap(struct raft *r, int64_t now_ms, const void *data, size_t len,
		   struct err *err)
{
	struct raft_member self = {.id = r->cfg.id, .role = RAFT_VOTER};
	struct raft_conf conf = {&self, 1};
	struct raft_entry e = {.index = 1, .term = 1, .type = RAFT_CONFIG};
	void *bytes;
	int rc;

	raft_clock(r, now_ms);
	if (r->term || raft_log_last(&r->log))
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "server %lld is part of a cluster already",
			       (long long)r->cfg.id);
	e.conf_len = raft_conf_encode(&conf, &bytes);
	e.conf = bytes;
	e.data = data;
	e.len = len;
	raft_log_add(&r->log, &e);
	rc = raft_conf_push(r, &e, err);
	free(bytes);
	if (rc)
		return rc;
	raft_set_term(r, 1, 0);
	raft_campaign(r, false);
	return 0;
}

/* ---- time and terms ---- */

void raft_clock(struct raft *r, int64_t now_ms)
{
	if (now_ms > r->now_ms)
		r->now_ms = now_ms;
}

/* Term and vote are one record, stored in one write. */
void raft_set_term(struct raft *r, int64_t term, int64_t vote)
{
	if (term != r->term)
		r->verified = 0;
	r->term = term;
	r->vote = vote;
	r->log.hard_dirty = true;
}

/* Be a follower in this term. The election timer goes on, or a fast clock
 * elsewhere could keep everybody from ever standing; only who led needs a new
 * one. */
void raft_follow(struct raft *r, int64_t term, int64_t leader)
{
	bool led = r->role == RAFT_LEADER;

	if (term > r->term)
		raft_set_term(r, term, 0);
	r->role = RAFT_FOLLOWER;
	r->leader = leader;
	if (led) {
		r->transfer_to = 0;
		raft_reads_refuse(r);
		raft_peers_follow(r, raft_conf(r));
		raft_timer_reset(r);
	}
}

static void tick_leader(struct raft *r)
{
	if (r->transfer_to && r->now_ms >= r->transfer_ms)
		r->transfer_to = 0;
	if (r->now_ms < r->heartbeat_ms)
		return;
	raft_check_quorum(r);
	if (r->role == RAFT_LEADER)
		raft_heartbeat_all(r);
}

void raft_tick(struct raft *r, int64_t now_ms)
{
	raft_clock(r, now_ms);
	if (r->failed || !r->started)
		return;
	if (r->role == RAFT_LEADER)
		tick_leader(r);
	else if (r->now_ms >= r->election_ms && raft_may_campaign(r))
		raft_precampaign(r);
	else if (r->now_ms >= r->election_ms)
		r->leader = 0; /* all that who has no vote can do */
}

int64_t raft_deadline(const struct raft *r)
{
	if (r->failed || !r->started)
		return INT64_MAX;
	if (r->role == RAFT_LEADER && r->transfer_to &&
	    r->transfer_ms < r->heartbeat_ms)
		return r->transfer_ms;
	if (r->role == RAFT_LEADER)
		return r->heartbeat_ms;
	return raft_may_campaign(r) || r->leader ? r->election_ms : INT64_MAX;
}

/* A COMMIT that failed may or may not be there after a restart, so nothing
 * may be said or promised any more. */
void raft_write_failed(struct raft *r, int64_t now_ms)
{
	raft_clock(r, now_ms);
	raft_follow(r, r->term, 0);
	r->failed = true;
	r->held.n = 0;
}

int raft_propose(struct raft *r, int64_t now_ms, const struct raft_entry *e,
		 size_t n, int64_t *index, int64_t *term, struct err *err)
{
	size_t cost = 0;

	raft_clock(r, now_ms);
	if (r->role != RAFT_LEADER)
		return err_set(err, ERR_UNAVAILABLE,
			       "server %lld is not the leader",
			       (long long)r->cfg.id);
	if (r->transfer_to)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "leadership is being handed to server %lld",
			       (long long)r->transfer_to);
	for (size_t i = 0; i < n; i++) {
		cost += raft_entry_cost(&e[i]);
		if (e[i].type != RAFT_NORMAL || e[i].conf_len ||
		    e[i].len > r->cfg.max_entry)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "an entry of %zu bytes is above %zu, "
				       "or of type %d",
				       e[i].len, r->cfg.max_entry,
				       (int)e[i].type);
	}
	if (r->uncommitted && r->uncommitted + cost > r->cfg.max_uncommitted)
		return err_full(err, "%zu bytes wait to be committed already",
				r->uncommitted);
	*index = raft_log_last(&r->log) + 1;
	*term = r->term;
	for (size_t i = 0; i < n; i++)
		raft_append_own(r, &e[i]);
	return 0;
}
