/* Clients: writers, who propose one entry after the other; readers, who ask how
 * far the log reaches; and one watcher of each node, who is told what it
 * applies. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "chaos.h"

enum {
	TRY_MS = 2000,
	TRIES = 6,
	THINK_MS = 8,
	AGAIN_MS = 50,
	READ_BACK = 5, /* entries before one that is committed already */
	TEXT_MAX = 600,
	WATCH_MS =
		10000, /* then a new one: a node may be gone without a word */
};

static const char *any_url(struct chaos *c, int *id)
{
	*id = 1 + (int)rand_below(&c->rand, c->nodes);
	return c->site[*id].url;
}

static int64_t think_ms(struct chaos *c)
{
	return 1 + (int64_t)rand_below(&c->rand, 2 * THINK_MS);
}

static void note_cursor(struct chaos *c, int64_t index)
{
	if (index > c->cursor)
		c->cursor = index;
}

/* ---- writers ---- */

static void begin_write(void *arg);

static void next_write(struct writer *w)
{
	free(w->entry);
	w->entry = NULL;
	timer_set(&w->timer, w->c->loop, think_ms(w->c), begin_write, w);
}

static void on_written(const struct err *err, const ProtobufCMessage *out,
		       void *arg);

static void try_write(void *arg)
{
	Gfl__V1__ProposeRequest in = GFL__V1__PROPOSE_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = TRY_MS};
	struct writer *w = arg;
	int id;

	in.entry = w->in;
	if (w->session) {
		in.client = (uint64_t)w->client;
		in.seq = (uint64_t)w->seq;
	}
	w->tries++;
	client_call(w->c->client, any_url(w->c, &id), RPC_NODE_PROPOSE,
		    &in.base, &opts, on_written, w);
}

/* With a session it may be asked again; without one nobody knows. */
static void on_written(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct writer *w = arg;
	struct chaos *c = w->c;
	int64_t index;

	if (!err) {
		index = ((const Gfl__V1__ProposeResponse *)out)->index;
		ledger_end(&c->ledger, w->op, index, clock_us());
		note_cursor(c, index);
		next_write(w);
	} else if (w->session && w->tries < TRIES && c->busy) {
		timer_set(&w->timer, c->loop, AGAIN_MS, try_write, w);
	} else {
		w->client = 0;
		next_write(w);
	}
}

static void begin_write(void *arg)
{
	struct writer *w = arg;
	struct chaos *c = w->c;

	if (!c->busy)
		return;
	if (!w->client) {
		w->client = (int64_t)rand_id();
		w->seq = 0;
	}
	w->session = rand_below(&c->rand, 4) != 0;
	w->seq += w->session;
	w->tries = 0;
	w->op = ledger_begin(&c->ledger, true, ledger_key(&c->ledger, &c->rand),
			     1 + (int64_t)(w - c->writer), clock_us());
	w->entry = ledger_entry(w->op, rand_below(&c->rand, TEXT_MAX), &w->in);
	try_write(w);
}

/* ---- readers ---- */

static void begin_read(void *arg);

static void show(struct chaos *c, const Gfl__V1__LogEntry *e, bool applied,
		 int id)
{
	struct err err;

	if (ledger_show(&c->ledger, e, applied, id, &err))
		chaos_fail(c, &err);
}

static void on_entry(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__LogEntry *e = (const Gfl__V1__LogEntry *)out;
	struct reader *r = arg;

	show(r->c, e, false, r->node);
	r->last = e->index;
}

/* A read without an answer says nothing; nor does one that has no entry, since
 * all may be in a snapshot. */
static void end_read(struct reader *r, int64_t index)
{
	if (index) {
		ledger_end(&r->c->ledger, r->op, index, clock_us());
		note_cursor(r->c, index);
	}
	timer_set(&r->timer, r->c->loop, think_ms(r->c), begin_read, r);
}

static void on_read(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct reader *r = arg;

	(void)out;
	end_read(r, err ? 0 : r->last);
}

static void read_log(struct reader *r, const char *url)
{
	Gfl__V1__ReadLogRequest in = GFL__V1__READ_LOG_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = TRY_MS};
	struct chaos *c = r->c;

	in.from = c->cursor > READ_BACK ? c->cursor - READ_BACK : 1;
	in.linearizable = !c->stale_reads;
	r->last = 0;
	client_stream(c->client, url, RPC_NODE_READ_LOG, &in.base, &opts,
		      on_entry, on_read, r);
}

static void on_status(const struct err *err, const ProtobufCMessage *out,
		      void *arg)
{
	const Gfl__V1__NodeStatus *s = (const Gfl__V1__NodeStatus *)out;

	end_read(arg, err ? 0 : s->applied_index);
}

static void read_status(struct reader *r, const char *url)
{
	Gfl__V1__NodeStatusRequest in = GFL__V1__NODE_STATUS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = TRY_MS};

	in.linearizable = !r->c->stale_reads;
	client_call(r->c->client, url, RPC_NODE_GET_STATUS, &in.base, &opts,
		    on_status, r);
}

static void begin_read(void *arg)
{
	struct reader *r = arg;
	struct chaos *c = r->c;
	const char *url = any_url(c, &r->node);

	if (!c->busy)
		return;
	r->op = ledger_begin(
		&c->ledger, false, ledger_key(&c->ledger, &c->rand),
		1 + WRITERS + (int64_t)(r - c->reader), clock_us());
	if (rand_below(&c->rand, 2))
		read_log(r, url);
	else
		read_status(r, url);
}

/* ---- watchers ---- */

static void on_event(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__WatchStateEvent *e =
		(const Gfl__V1__WatchStateEvent *)out;
	struct site *s = arg;

	if (e->what_case == GFL__V1__WATCH_STATE_EVENT__WHAT_ENTRY)
		show(s->c, e->entry, true, s->id);
}

static void watch_again(void *arg)
{
	load_watch(arg);
}

static void on_watched(const struct err *err, const ProtobufCMessage *out,
		       void *arg)
{
	struct site *s = arg;

	(void)err, (void)out;
	s->watch = NULL;
	if (s->process)
		timer_set(&s->again, s->c->loop, AGAIN_MS, watch_again, s);
}

void load_watch(struct site *s)
{
	Gfl__V1__WatchStateRequest in = GFL__V1__WATCH_STATE_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = WATCH_MS};

	if (!s->watch)
		s->watch = client_stream(s->c->client, s->url,
					 RPC_NODE_WATCH_STATE, &in.base, &opts,
					 on_event, on_watched, s);
}

void load_unwatch(struct site *s)
{
	client_cancel(s->watch);
	s->watch = NULL;
	timer_stop(&s->again);
}

/* ---- all of them ---- */

void load_start(struct chaos *c)
{
	c->busy = true;
	for (int i = 0; i < WRITERS; i++) {
		c->writer[i] = (struct writer){.c = c};
		next_write(&c->writer[i]);
	}
	for (int i = 0; i < READERS; i++) {
		c->reader[i] = (struct reader){.c = c};
		timer_set(&c->reader[i].timer, c->loop, think_ms(c), begin_read,
			  &c->reader[i]);
	}
}

/* And wait for what is under way. */
void load_stop(struct chaos *c)
{
	c->busy = false;
	turn_for(c, TRY_MS);
}

void load_close(struct chaos *c)
{
	for (int i = 0; i < WRITERS; i++) {
		timer_stop(&c->writer[i].timer);
		free(c->writer[i].entry);
	}
	for (int i = 0; i < READERS; i++)
		timer_stop(&c->reader[i].timer);
}

/* ---- a whole log ---- */

struct whole {
	struct chaos *c;
	int id;
	int64_t last;
	bool done;
	struct err err;
};

static void on_whole(const ProtobufCMessage *out, void *arg)
{
	const Gfl__V1__LogEntry *e = (const Gfl__V1__LogEntry *)out;
	struct whole *w = arg;

	show(w->c, e, false, w->id);
	w->last = e->index;
}

static void on_whole_end(const struct err *err, const ProtobufCMessage *out,
			 void *arg)
{
	struct whole *w = arg;

	(void)out;
	w->done = true;
	w->err.code = ERR_OK;
	if (err)
		w->err = *err;
}

static bool is_done(struct chaos *c, void *arg)
{
	(void)c;
	return ((const struct whole *)arg)->done;
}

int load_read(struct chaos *c, int id, int64_t *last, struct err *err)
{
	Gfl__V1__ReadLogRequest in = GFL__V1__READ_LOG_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = 20000};
	struct whole *w = mem_zero(1, sizeof(*w));
	struct rpc *rpc;

	w->c = c;
	w->id = id;
	rpc = client_stream(c->client, c->site[id].url, RPC_NODE_READ_LOG,
			    &in.base, &opts, on_whole, on_whole_end, w);
	if (!turn_until(c, is_done, w, 30000)) {
		client_cancel(rpc);
		*err = c->err;
	} else {
		*err = w->err;
	}
	*last = w->last;
	free(w);
	return (int)err->code;
}
