/* driver.c - the inputs of a driver: from its disk, its peers and its host. */
#include "raft/driver_impl.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "raft/store.h"

/* A request that takes longer is given up: its peer is as good as away. */
enum { STEP_TIMEOUT_MS = 1000 };

/* ---- disk and network ---- */

static void on_written(int64_t seq, void *arg)
{
	struct driver *d = arg;

	raft_written(d->raft, driver_now_ms(d), seq);
	driver_wake(d);
}

static void on_write_failed(const struct err *err, void *arg)
{
	driver_fail(arg, err);
}

static int on_msg(const struct raft_msg *msg, void *arg, struct err *err)
{
	struct driver *d = arg;
	int rc = driver_check_piece(msg, err);

	if (!rc)
		rc = raft_step(d->raft, driver_now_ms(d), msg, err);
	if (rc == ERR_DATA_LOSS)
		driver_fail(d, err);
	driver_wake(d);
	return rc;
}

static void on_lost(int64_t id, void *arg)
{
	struct driver *d = arg;

	raft_unreachable(d->raft, driver_now_ms(d), id);
	driver_wake(d);
}

static const char *url_of(int64_t id, void *arg)
{
	struct driver *d = arg;

	return d->cfg.url_of(id, d->cfg.arg);
}

/* ---- the host ---- */

int driver_bootstrap(struct driver *d, const void *data, size_t len,
		     struct err *err)
{
	int rc = raft_bootstrap(d->raft, driver_now_ms(d), data, len, err);

	driver_wake(d);
	return rc;
}

static int must_lead(struct driver *d, bool change, struct err *err)
{
	struct raft_status s;

	raft_status(d->raft, &s);
	if (s.failed)
		return err_set(err, ERR_UNAVAILABLE,
			       "node %lld has a disk that failed",
			       (long long)s.id);
	if (s.role != RAFT_LEADER && s.leader)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %lld is not the leader: node %lld is",
			       (long long)s.id, (long long)s.leader);
	if (s.role != RAFT_LEADER)
		return err_set(err, ERR_FAILED_PRECONDITION,
			       "node %lld is not the leader: nobody is",
			       (long long)s.id);
	if (change && s.transfer_to)
		return err_set(err, ERR_UNAVAILABLE,
			       "leadership is being handed to node %lld",
			       (long long)s.transfer_to);
	return 0;
}

static int check_session(const struct driver_proposal *p, struct err *err)
{
	if (p->client < 0 || p->seq < 0 || !p->client != !p->seq)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a session is a client and a number, both "
			       "above 0");
	return 0;
}

/* A repeated proposal whose answer is known needs no entry; true if so. */
static bool answered(struct driver *d, const struct driver_proposal *p,
		     driver_done_fn *done, void *arg)
{
	struct driver_result result;
	struct err err;
	int rc;

	if (!p->client ||
	    !applier_knows(d->applier, p->client, p->seq, &result, &rc, &err))
		return false;
	waiting_known(d->waiting, rc ? &err : NULL, &result, done, arg);
	driver_wake(d);
	return true;
}

static struct raft_entry entry_of(const struct driver_proposal *p)
{
	return (struct raft_entry){
		.type = RAFT_NORMAL,
		.client = p->client,
		.seq = p->seq,
		.data = p->data,
		.len = p->len,
	};
}

int driver_propose(struct driver *d, const struct driver_proposal *p,
		   driver_done_fn *done, void *arg, struct err *err)
{
	struct raft_entry e = entry_of(p);
	int64_t index, term;
	int rc = check_session(p, err);

	if (rc || answered(d, p, done, arg))
		return rc;
	rc = must_lead(d, true, err);
	if (!rc)
		rc = raft_propose(d->raft, driver_now_ms(d), &e, 1, &index,
				  &term, err);
	if (!rc)
		waiting_add(d->waiting, index, term, p, done, arg);
	driver_wake(d);
	return rc;
}

int driver_change_many(struct driver *d, const struct raft_member *to, size_t n,
		       const struct driver_proposal *p, driver_done_fn *done,
		       void *arg, struct err *err)
{
	struct raft_entry e = entry_of(p);
	int64_t index, term;
	int rc = check_session(p, err);

	if (rc || answered(d, p, done, arg))
		return rc;
	rc = must_lead(d, true, err);
	if (!rc)
		rc = raft_change_many(d->raft, driver_now_ms(d), to, n, &e,
				      &index, &term, err);
	if (!rc)
		waiting_add(d->waiting, index, term, p, done, arg);
	driver_wake(d);
	return rc;
}

int driver_change(struct driver *d, int64_t id, enum raft_member_role role,
		  const struct driver_proposal *p, driver_done_fn *done,
		  void *arg, struct err *err)
{
	const struct raft_member to = {.id = id, .role = role};

	return driver_change_many(d, &to, 1, p, done, arg, err);
}

int driver_read(struct driver *d, driver_read_fn *done, void *arg,
		struct err *err)
{
	int64_t ctx;
	int rc = must_lead(d, false, err);

	if (rc)
		return rc;
	ctx = waiting_read(d->waiting, done, arg);
	rc = raft_read(d->raft, driver_now_ms(d), ctx, err);
	if (rc)
		waiting_read_undo(d->waiting, ctx);
	driver_wake(d);
	return rc;
}

int driver_transfer(struct driver *d, int64_t to, struct err *err)
{
	int rc = must_lead(d, false, err);

	if (!rc)
		rc = raft_transfer(d->raft, driver_now_ms(d), to, err);
	driver_wake(d);
	return rc;
}

void driver_url_changed(struct driver *d, int64_t id)
{
	transport_url_changed(d->transport, id);
}

const struct raft *driver_raft(const struct driver *d)
{
	return d->raft;
}

/* ---- life ---- */

static int restore(struct driver *d, struct raft_tail *tail, struct err *err)
{
	const struct driver_config *cfg = &d->cfg;
	struct raft_config raft = {
		.id = cfg->node_id,
		.joined = cfg->joined,
		.joined_term = cfg->joined_term,
		.election_min_ms = cfg->election_min_ms,
		.election_max_ms = cfg->election_max_ms,
		.heartbeat_ms = cfg->heartbeat_ms,
	};
	struct raft_status s;
	int rc = raft_store_hard_state(cfg->reader, &raft, err);

	if (rc)
		return rc;
	rand_os(&raft.seed, sizeof(raft.seed));
	rc = raft_open(&d->raft, &raft, err);
	if (!rc)
		rc = driver_load_snapshots(d, err);
	if (!rc)
		rc = raft_store_load(cfg->reader, d->raft, tail, err);
	if (!rc)
		rc = raft_start(d->raft, driver_now_ms(d), err);
	if (rc)
		return err_wrap(err, "%s", db_path(cfg->reader));
	raft_status(d->raft, &s);
	d->term = s.term;
	return 0;
}

static void open_parts(struct driver *d, const struct raft_tail *tail)
{
	struct journal_config journal = {
		.writer = d->cfg.writer,
		.tail = *tail,
		.on_written = on_written,
		.on_failed = on_write_failed,
		.arg = d,
	};
	struct transport_config transport = {
		.loop = d->cfg.loop,
		.client = d->cfg.client,
		.server = d->cfg.server,
		.node_id = d->cfg.node_id,
		.cluster_id = d->cfg.cluster_id,
		.timeout_ms = STEP_TIMEOUT_MS,
		.on_msg = on_msg,
		.on_lost = on_lost,
		.url_of = url_of,
		.arg = d,
	};

	d->journal = journal_new(&journal);
	d->waiting = waiting_new();
	transport_open(&d->transport, &transport);
	uv_prepare_init(loop_uv(d->cfg.loop), &d->turn_end);
	d->turn_end.data = d;
}

int driver_open(struct driver **out, const struct driver_config *cfg,
		struct err *err)
{
	struct driver *d = mem_zero(1, sizeof(*d));
	struct raft_tail tail;
	int rc;

	d->cfg = *cfg;
	d->timer_ms = INT64_MAX;
	d->applier = applier_new(d->cfg.on_apply, d->cfg.arg);
	rc = restore(d, &tail, err);
	if (rc) {
		driver_drop_snapshots(d);
		applier_free(d->applier);
		raft_close(d->raft);
		free(d);
		return rc;
	}
	open_parts(d, &tail);
	d->dirty = true;
	driver_work(d);
	*out = d;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void driver_close(struct driver *d)
{
	if (!d)
		return;
	timer_stop(&d->timer);
	transport_close(d->transport);
	journal_free(d->journal);
	driver_drop_snapshots(d);
	waiting_free(d->waiting);
	applier_free(d->applier);
	raft_close(d->raft);
	uv_close((uv_handle_t *)&d->turn_end, on_closed);
}
