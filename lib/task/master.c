#include "task/master_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WRITER_JOBS = 65536,
	TICK_MS = 1000,
	PRUNE_MS = 60000,
	DISMISS_MS = 3600 * 1000, /* a worker that is gone is shown so long */
};

struct instant master_now(void)
{
	return (struct instant){clock_ms(), clock_wall_ms()};
}

/* ---- a step ---- */

/* What a step has changed, and what waits for it to be durable. */
struct step {
	struct master *m;
	struct farm_changes changes;
	struct replies replies;
	struct pushes pushes;
};

void master_fail(struct master *m, const struct err *err)
{
	if (m->error.code)
		return;
	m->error = *err;
	m->failed(m->failed_arg);
}

static int store(struct db *db, void *arg, struct err *err)
{
	return queue_store(db, &((struct step *)arg)->changes, err);
}

static void gone(struct call *call, void *arg)
{
	(void)call;
	((struct reply *)arg)->call = NULL;
}

struct reply *master_answer(struct master *m, struct call *call,
			    ProtobufCMessage *msg)
{
	struct reply *r = mem_zero(1, sizeof(*r));

	*r = (struct reply){.m = m, .call = call, .msg = msg};
	if (call)
		call_on_cancel(call, gone, r);
	STAILQ_INSERT_TAIL(&m->replies, r, next);
	return r;
}

/* It is not known what the disk has; once we were started anew, it is. */
static void fail(const struct reply *r, const struct err *err)
{
	struct err away;

	if (r->to_worker)
		err_set(&away, ERR_UNAVAILABLE, "the master ends: %s",
			err->msg);
	call_fail(r->call, r->to_worker ? &away : err);
}

static void reply(struct reply *r, const struct err *err)
{
	if (r->call && err)
		fail(r, err);
	else if (r->call)
		call_reply(r->call, r->msg);
	for (size_t i = 0; !r->call && i < r->n_unsure; i++)
		farm_unsent(&r->m->farm, r->unsure[i], true, master_now());
	free(r->unsure);
	rpc_free(r->msg);
	free(r);
}

static void send_all(struct step *s, const struct err *err)
{
	struct push *p;

	while ((p = STAILQ_FIRST(&s->pushes))) {
		STAILQ_REMOVE_HEAD(&s->pushes, next);
		if (err || s->m->closing)
			master_push_free(p);
		else
			master_send(p);
	}
}

static void stored(const struct err *err, void *arg)
{
	struct step *s = arg;
	struct master *m = s->m;
	struct reply *r;
	bool unsure = false;

	while ((r = STAILQ_FIRST(&s->replies))) {
		STAILQ_REMOVE_HEAD(&s->replies, next);
		unsure = unsure || r->unsure;
		reply(r, err);
	}
	send_all(s, err);
	for (size_t i = 0; !err && i < s->changes.n; i++) {
		if (!s->changes.at[i].ended)
			continue;
		master_wake(m, s->changes.at[i].submission);
		farm_forget(&m->farm, s->changes.at[i].id);
	}
	farm_changes_release(&s->changes);
	free(s);
	if (err) {
		master_fail(m, err);
		return;
	}
	master_tell_waiters(m, clock_ms());
	if (unsure && !m->closing)
		master_step(m);
}

static void watch_due(struct master *m);

static void tell(struct master *m)
{
	struct crew *c;

	while ((c = farm_next_to_tell(&m->farm)))
		if (c->push)
			master_tell_push(m, c);
		else
			master_tell_asking(m, c);
}

static void nothing(struct replies *r, struct pushes *p)
{
	STAILQ_INIT(r);
	STAILQ_INIT(p);
}

void master_step(struct master *m)
{
	struct step *s;
	struct err err;

	if (!m->closing)
		farm_match(&m->farm, master_now());
	tell(m);
	watch_due(m);
	if (!m->farm.changes.n && STAILQ_EMPTY(&m->replies) &&
	    STAILQ_EMPTY(&m->pushes))
		return;
	s = mem_zero(1, sizeof(*s));
	s->m = m;
	nothing(&s->replies, &s->pushes);
	s->changes = m->farm.changes;
	m->farm.changes = (struct farm_changes){0};
	STAILQ_CONCAT(&s->replies, &m->replies);
	STAILQ_CONCAT(&s->pushes, &m->pushes);
	if (writer_post(m->writer, store, stored, s, &err))
		stored(&err, s);
}

/* ---- time ---- */

static void dead(struct crew *c, void *arg)
{
	log_warn("worker_dead", "worker=%s silent_ms=%" PRId64 " tasks=%d",
		 c->id, clock_ms() - c->seen_ms, c->running);
	master_keep(arg, c, false);
}

static void on_due(void *arg)
{
	struct master *m = arg;

	m->due_ms = INT64_MAX;
	farm_tick(&m->farm, master_now(), dead, m);
	master_step(m);
}

static void watch_due(struct master *m)
{
	int64_t now_ms = clock_ms(), due_ms = farm_due(&m->farm);

	if (due_ms == m->due_ms || due_ms > now_ms + TICK_MS)
		return; /* the tick will look */
	m->due_ms = due_ms;
	timer_set(&m->due, m->loop, due_ms > now_ms ? due_ms - now_ms : 0,
		  on_due, m);
}

static void pruned(const struct err *err, void *arg);

static void prune_after(struct master *m, int64_t after)
{
	struct queue_prune *p = mem_zero(1, sizeof(*p));
	struct err err;

	p->before_wall_ms = clock_wall_ms() - m->config.keep_ms;
	p->after = after;
	p->arg = m;
	if (writer_post(m->writer, queue_prune, pruned, p, &err))
		pruned(&err, p);
}

static void pruned(const struct err *err, void *arg)
{
	struct queue_prune p = *(struct queue_prune *)arg;
	struct master *m = p.arg;

	free(arg);
	m->pruning = !err && p.next && !m->closing;
	if (m->pruning)
		prune_after(m, p.next);
}

static void prune(struct master *m, int64_t now_ms)
{
	if (!m->config.keep_ms || m->pruning ||
	    (m->pruned_ms && now_ms - m->pruned_ms < PRUNE_MS))
		return;
	m->pruning = true;
	m->pruned_ms = now_ms;
	prune_after(m, 0);
}

static void dismiss(struct master *m, int64_t now_ms)
{
	struct crew *c, *next;

	HASH_ITER (hh, m->farm.crew, c, next)
		if ((c->dead || c->left) && now_ms - c->seen_ms > DISMISS_MS)
			farm_dismiss(&m->farm, c);
}

static void on_tick(void *arg)
{
	struct master *m = arg;
	struct instant now = master_now();

	farm_tick(&m->farm, now, dead, m);
	master_expire_asking(m, now.ms);
	master_tell_waiters(m, now.ms);
	dismiss(m, now.ms);
	prune(m, now.ms);
	master_step(m);
}

/* ---- workers' rows ---- */

static void kept(const struct err *err, void *arg)
{
	(void)err; /* of the writer: the next step tells */
	queue_worker_free(arg);
}

void master_keep(struct master *m, const struct crew *c, bool metrics)
{
	struct queue_worker *w = queue_worker_new(c, metrics);

	if (writer_post(m->writer, queue_store_worker, kept, w, NULL))
		queue_worker_free(w);
}

/* ---- the whole ---- */

static void metrics(struct buf *text, void *arg)
{
	const struct master *m = arg;
	int workers[2] = {0};

	for (const struct crew *c = m->farm.crew; c; c = c->hh.next)
		workers[c->dead || c->left]++;
	buf_puts(text, "# TYPE gfl_master_tasks gauge\n");
	for (int i = 0; i < TASK_DONE; i++)
		buf_putf(text, "gfl_master_tasks{state=\"%s\"} %zu\n",
			 task_state_name((enum task_state)i), m->farm.count[i]);
	buf_putf(text,
		 "# TYPE gfl_master_ended_total counter\n"
		 "gfl_master_ended_total %" PRId64 "\n"
		 "# TYPE gfl_master_given_total counter\n"
		 "gfl_master_given_total %" PRId64 "\n"
		 "# TYPE gfl_master_commits_total counter\n"
		 "gfl_master_commits_total %" PRId64 "\n"
		 "# TYPE gfl_master_workers gauge\n"
		 "gfl_master_workers{state=\"alive\"} %d\n"
		 "gfl_master_workers{state=\"gone\"} %d\n",
		 m->farm.ended, m->farm.given, writer_commits(m->writer),
		 workers[0], workers[1]);
}

int master_open(struct master **out, struct loop *loop, struct server *s,
		struct client *client, struct db *db,
		const struct master_config *config, loop_fn *failed, void *arg,
		struct err *err)
{
	struct master *m = mem_zero(1, sizeof(*m));

	m->loop = loop;
	m->server = s;
	m->remotes.client = client;
	m->config = *config;
	m->failed = failed;
	m->failed_arg = arg;
	m->due_ms = INT64_MAX;
	LIST_INIT(&m->waiters);
	LIST_INIT(&m->live);
	nothing(&m->replies, &m->pushes);
	farm_init(&m->farm, &config->farm, rand_id());
	if (queue_load(db, &m->farm, master_now(), err) ||
	    queue_id(db, m->id, err) ||
	    db_open_to_read(&m->reader, db_path(db), DB_MASTER, err) ||
	    writer_open(&m->writer, loop, db, WRITER_JOBS, err)) {
		farm_release(&m->farm);
		db_close(m->reader);
		free(m);
		return (int)err->code;
	}
	master_serve_crew(m);
	master_serve_giving(m);
	master_serve_results(m);
	master_serve_tasks(m);
	master_serve_waits(m);
	server_metrics(s, metrics, m);
	timer_every(&m->tick, loop, TICK_MS, on_tick, m);
	master_step(m);
	*out = m;
	return 0;
}

const struct err *master_failed(const struct master *m)
{
	return m->error.code ? &m->error : NULL;
}

size_t master_unfinished(const struct master *m)
{
	return farm_unfinished(&m->farm);
}

void master_close(struct master *m)
{
	struct asking *a, *next;
	struct push *p;

	if (!m)
		return;
	m->closing = true;
	timer_stop(&m->tick);
	timer_stop(&m->due);
	HASH_ITER (hh, m->asking, a, next)
		master_drop_asking(a);
	writer_close(m->writer);
	master_end_waiters(m);
	remotes_close(&m->remotes);
	while ((p = LIST_FIRST(&m->live)))
		master_push_free(p);
	db_close(m->reader);
	farm_release(&m->farm);
	free(m);
}
