/* driver_turn.c - the end of a turn of the loop: what the core has to say is
 * stored, sent, applied and answered. */
#include "raft/driver_impl.h"

#include "base/clock.h"

/* Rounds of outputs and callbacks that cause new ones, in one turn of the
 * loop; then others get theirs. */
enum { ROUNDS = 8, TURN_MS = 10 };

/* A timer that comes so late shows that we slept. */
enum { LATE_MS = 20, LISTEN_MS = 50 };

/* The term in which we lead, or 0. */
static int64_t lead_term(const struct driver *d)
{
	struct raft_status s;

	raft_status(d->raft, &s);
	return s.role == RAFT_LEADER && !s.failed ? s.term : 0;
}

/* A leader knows all that was committed before its time once it has applied an
 * entry of its own term (Raft 8). */
bool driver_leads(const struct driver *d)
{
	int64_t term = lead_term(d);

	return term && term == d->applied_term;
}

static int64_t awake_ms(const struct driver *d)
{
	return clock_ms() - d->slept_ms;
}

/* Where a timer is late the time stands still until it has come: what is read
 * meanwhile is not late, too. */
int64_t driver_now_ms(const struct driver *d)
{
	int64_t now_ms = awake_ms(d);

	return now_ms - LATE_MS >= d->timer_ms ? d->timer_ms : now_ms;
}

static void drain_writes(struct driver *d)
{
	struct raft_write write;

	if (!journal_retry(d->journal))
		return;
	while (journal_room(d->journal) && raft_next_write(d->raft, &write)) {
		if (write.piece)
			driver_take_piece(d, write.piece);
		journal_write(d->journal, &write);
	}
}

static void drain_msgs(struct driver *d)
{
	struct raft_msg msg;

	while (raft_next_msg(d->raft, &msg)) {
		driver_fill_piece(d, &msg);
		transport_send(d->transport, &msg);
	}
	transport_flush(d->transport, d->hurry);
	d->hurry = false;
}

static void drain_applies(struct driver *d)
{
	const struct raft_entry *e;

	while ((e = raft_next_apply(d->raft))) {
		int64_t index = e->index, term = e->term;
		struct driver_result result;
		struct err err;
		int rc;

		d->grown += (int64_t)(sizeof(*e) + e->len + e->conf_len);
		rc = applier_apply(d->applier, e, &result, &err);
		d->applied_term = term;
		if (!waiting_applied(d->waiting, index, term, rc ? &err : NULL,
				     &result))
			d->hurry = true;
	}
}

static void drain_reads(struct driver *d)
{
	struct raft_read read;
	struct err err;

	while (raft_next_read(d->raft, &read)) {
		if (read.refused)
			err_set(&err, ERR_UNAVAILABLE,
				"leadership was lost while reading: read "
				"again");
		waiting_read_done(d->waiting, read.ctx,
				  read.refused ? &err : NULL);
	}
}

/* Tell the host of a new leader or term, and those who wait for a leader that
 * we are no more. */
static void look_at_leader(struct driver *d)
{
	int64_t led = d->lead_term;
	struct raft_status s;
	bool leads;

	raft_status(d->raft, &s);
	d->lead_term = lead_term(d);
	if (led && led != d->lead_term)
		waiting_lost(d->waiting, s.failed ? 0 : s.commit,
			     s.failed ? "the disk failed"
				      : "leadership was lost");
	leads = driver_leads(d);
	if (s.leader == d->leader && s.term == d->term && leads == d->leads &&
	    s.removed == d->removed)
		return;
	d->removed = s.removed;
	d->leader = s.leader;
	d->term = s.term;
	d->leads = leads;
	d->cfg.on_leader(s.leader, s.term, leads, d->cfg.arg);
}

/* While we were stopped, starved or busy we heard nobody, and told nobody that
 * we are there: no time passed, as far as silence goes. A leader speaks at
 * once; who follows one reads first what it sent meanwhile, before it finds
 * that silent. Raft does not mind a clock that is slow. */
static void forget_sleep(struct driver *d)
{
	int64_t late_ms = awake_ms(d) - d->timer_ms;

	if (late_ms >= LATE_MS)
		d->slept_ms += late_ms + (lead_term(d) ? 0 : LISTEN_MS);
}

static void tick(struct driver *d)
{
	forget_sleep(d);
	d->timer_ms = INT64_MAX;
	raft_tick(d->raft, driver_now_ms(d));
}

static void on_timer(void *arg)
{
	struct driver *d = arg;

	tick(d);
	driver_wake(d);
}

/* A timer that fires too early does no harm, setting it does cost. */
static void set_timer(struct driver *d)
{
	int64_t now_ms = driver_now_ms(d), wait_ms;
	int64_t deadline = d->dirty ? now_ms : raft_deadline(d->raft);

	if (deadline >= d->timer_ms)
		return;
	wait_ms = deadline - now_ms;
	d->timer_ms = deadline;
	timer_set(&d->timer, d->cfg.loop, wait_ms > 0 ? wait_ms : 0, on_timer,
		  d);
}

/* Applying comes first, since who is answered often proposes at once: that
 * shares the message that tells the followers of the commit. */
void driver_work(struct driver *d)
{
	d->working = true;
	for (int i = 0; d->dirty && i < ROUNDS; i++) {
		d->dirty = false;
		driver_restore_snapshot(d);
		drain_applies(d);
		driver_save_snapshot(d);
		drain_reads(d);
		waiting_answer_known(d->waiting);
		drain_writes(d);
		drain_msgs(d);
		look_at_leader(d);
	}
	d->working = false;
	set_timer(d);
}

/* Prepare handles run last before the loop waits for new events. */
static void on_turn_end(uv_prepare_t *h)
{
	uv_prepare_stop(h);
	driver_work(h->data);
}

/* A turn with hundreds of requests on a busy machine may be longer than an
 * election: what others wait for leaves in between. No callback runs here. */
static void send_on(struct driver *d)
{
	if (lead_term(d)) {
		tick(d);
		set_timer(d);
	}
	drain_writes(d);
	drain_msgs(d);
}

void driver_wake(struct driver *d)
{
	int64_t now_ms = clock_ms();

	if (d->working) {
		d->dirty = true;
		return;
	}
	if (!d->dirty) {
		d->turn_ms = now_ms;
	} else if (now_ms - d->turn_ms >= TURN_MS) {
		d->turn_ms = now_ms;
		send_on(d);
	}
	d->dirty = true;
	uv_prepare_start(&d->turn_end, on_turn_end);
}

void driver_fail(struct driver *d, const struct err *err)
{
	if (d->failed)
		return;
	d->failed = true;
	raft_write_failed(d->raft, driver_now_ms(d));
	d->cfg.on_failed(err, d->cfg.arg);
	driver_wake(d);
}
