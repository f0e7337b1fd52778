/* Messages that a command or a function handles: one at a time of each type,
 * in order. A message leaves the inbox once it was handled; one that fails is
 * tried again, and after some tries left to other readers, who do not see it
 * before. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "node/inbox_impl.h"
#include "node/rows.h"
#include "registry/facts.h"
#include "wire/backoff.h"

enum {
	REPLY_MAX = 1 << 20,
	GRACE_MS = 2000,
	PAUSE_MS = 1000, /* before it is tried again; doubles */
	PAUSE_MAX_MS = 60000,
	ID_MAX = 128,
};

/* Begins the id of an answer, whose rest is the id of what it answers: the same
 * answer again is known as that, and answers are not answered. */
static const char answer_prefix[] = "re-";

/* A type of messages, and which of them is being handled. */
struct line {
	struct node *n;
	const struct node_handler *h;
	int32_t type; /* of h */
	struct rows row;
	Gfl__V1__MessageItem *item; /* of row, or NULL */
	struct process *process;
	struct timer timer;
	bool waits; /* to be tried again */
	struct backoff pause;
	int tries;
	int64_t past; /* messages up to this cursor are others' */
};

struct handlers {
	struct rand rand;
	bool stopped, paused;
	size_t n;
	struct line lines[];
};

void handler_open(struct node *n)
{
	size_t count = n->cfg.nhandlers;
	struct handlers *h =
		mem_zero(1, sizeof(*h) + count * sizeof(h->lines[0]));

	h->rand.state = rand_id();
	h->n = count;
	for (size_t i = 0; i < count; i++) {
		h->lines[i].n = n;
		h->lines[i].h = &n->cfg.handlers[i];
		h->lines[i].type = n->cfg.handlers[i].type;
		h->lines[i].pause = (struct backoff){PAUSE_MS, PAUSE_MAX_MS, 0};
	}
	n->handlers = h;
}

bool handler_has(const struct node *n, int32_t type)
{
	for (size_t i = 0; i < n->handlers->n; i++)
		if (n->handlers->lines[i].type == type)
			return true;
	return false;
}

char *handler_hides(const struct node *n)
{
	struct buf b = BUF_INIT(0);

	for (size_t i = 0; i < n->handlers->n; i++)
		buf_putf(&b, "%c[%" PRId32 ",%" PRId64 "]", i ? ',' : '[',
			 n->handlers->lines[i].type,
			 n->handlers->lines[i].past);
	if (!n->handlers->n)
		return NULL;
	buf_putc(&b, ']');
	return buf_take(&b);
}

/* ---- the next message ---- */

static void look(struct line *l);
static void begin(void *arg);

static int select_next(struct line *l, struct err *err)
{
	struct db *db = l->n->reader;
	sqlite3_stmt *s;
	int64_t cursor;
	bool row;
	int rc = db_stmt(db, &s,
			 "SELECT cursor, " ROWS_COLUMNS " FROM inbox"
			 " WHERE type = ? AND cursor > ?"
			 " ORDER BY cursor LIMIT 1",
			 err);

	if (rc)
		return rc;
	sqlite3_bind_int(s, 1, l->type);
	sqlite3_bind_int64(s, 2, l->past);
	rc = db_next(db, s, &row, err);
	if (rc || !row)
		return rc;
	rows_add(&l->row, s, &cursor);
	rows_end(&l->row);
	l->item = l->row.at[0];
	l->item->cursor = cursor;
	db_done(s);
	return 0;
}

static void look(struct line *l)
{
	const struct handlers *h = l->n->handlers;
	struct err err;

	if (l->item || !l->n->ready || h->stopped || h->paused)
		return;
	if (select_next(l, &err))
		log_err("read_inbox", &err);
	else if (l->item)
		begin(l);
}

void handler_wake(struct node *n)
{
	for (size_t i = 0; i < n->handlers->n; i++)
		look(&n->handlers->lines[i]);
}

static void forget_item(struct line *l)
{
	rows_release(&l->row);
	l->row = (struct rows){0};
	l->item = NULL;
	l->tries = 0;
	l->pause.now_ms = 0;
}

/* ---- handled ---- */

/* On the writer's thread. */
struct taking {
	struct line *l;
	int64_t cursor, bytes;
	bool found;
};

static int take(struct db *db, void *arg, struct err *err)
{
	struct taking *t = arg;
	sqlite3_stmt *s;
	bool row;
	int rc = db_stmt(
		db, &s,
		"DELETE FROM inbox WHERE cursor = ? RETURNING length(payload)",
		err);

	t->found = false;
	if (!rc)
		sqlite3_bind_int64(s, 1, t->cursor);
	while (!rc && !(rc = db_next(db, s, &row, err)) && row) {
		t->bytes = sqlite3_column_int64(s, 0);
		t->found = true;
	}
	return rc;
}

static void taken(const struct err *err, void *arg)
{
	struct taking t = *(struct taking *)arg;
	struct inbox_taken what = {.cursors = &t.cursor, .n = 1};
	struct line *l = t.l;

	free(arg);
	if (err)
		log_err("take_message", err);
	if (!err && t.found) {
		inbox_return(l->n, 1, t.bytes);
		taken_look(l->n, &what);
	}
	forget_item(l);
	look(l);
}

static void handled(struct line *l)
{
	struct taking *t;
	struct err err;

	if (l->n->ended) { /* our next start handles it again */
		forget_item(l);
		return;
	}
	t = mem_zero(1, sizeof(*t));
	t->l = l;
	t->cursor = l->item->cursor;
	if (writer_post(l->n->writer, take, taken, t, &err))
		taken(&err, t);
}

static void replied(const struct err *err, void *arg)
{
	struct line *l = arg;

	if (err)
		log_warn("reply_lost", "message=%s to=%" PRId64 " error=%s",
			 l->item->id, l->item->from, err->msg);
	handled(l);
}

/* The last newline ends a line and is not part of what it says. */
static void reply(struct line *l, const char *out, size_t len)
{
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;
	size_t prefix = strlen(answer_prefix);
	char id[ID_MAX + 1];

	if (len && out[len - 1] == '\n')
		len--;
	if (!len || !l->item->from ||
	    !strncmp(l->item->id, answer_prefix, prefix)) {
		handled(l);
		return;
	}
	snprintf(id, sizeof(id), "%s%s", answer_prefix, l->item->id);
	m.id = id;
	m.to = l->item->from;
	m.type = MESSAGE_REGULAR;
	m.payload.data = (uint8_t *)out;
	m.payload.len = len;
	mail_send(l->n, &m, replied, l);
}

/* ---- not handled ---- */

static void left_to_others(void *arg)
{
	inbox_wake(((struct line *)arg)->n);
}

static void give_up(struct line *l)
{
	log_warn("handler_gave_up", "type=%" PRId32 " message=%s from=%" PRId64,
		 l->type, l->item->id, l->item->from);
	l->past = l->item->cursor;
	forget_item(l);
	timer_set(&l->timer, l->n->loop, 0, left_to_others, l);
}

static void failed(struct line *l, const struct err *err)
{
	if (l->n->handlers->stopped) { /* by us; it stays in the inbox */
		forget_item(l);
		return;
	}
	l->tries++;
	log_warn("handler_failed",
		 "type=%" PRId32 " message=%s from=%" PRId64 " try=%d error=%s",
		 l->type, l->item->id, l->item->from, l->tries, err->msg);
	if (l->tries >= l->n->cfg.handler_tries) {
		give_up(l);
		return;
	}
	l->waits = true;
	timer_set(&l->timer, l->n->loop,
		  backoff_next(&l->pause, &l->n->handlers->rand), begin, l);
}

/* ---- handling ---- */

static void ended(const struct err *err, const char *out, size_t len, void *arg)
{
	struct line *l = arg;

	l->process = NULL;
	if (err)
		failed(l, err);
	else
		reply(l, out, len);
	node_check_idle(l->n);
}

static int run(struct line *l, struct err *err)
{
	struct facts facts = {0};
	const struct process_opts opts = {
		.facts = &facts,
		.input = l->item->payload.data,
		.len = l->item->payload.len,
		.timeout_ms = l->n->cfg.handler_ms,
		.grace_ms = GRACE_MS,
		.out_max = REPLY_MAX,
	};
	int rc;

	facts_of_message(&facts, l->item);
	node_facts(l->n, &facts);
	rc = process_start(&l->process, l->n->loop, l->h->command, &opts, ended,
			   l, err);
	facts_release(&facts);
	return rc;
}

static void call(struct line *l)
{
	const Gfl__V1__MessageItem *i = l->item;
	const struct node_message m = {
		.id = i->id,
		.from = i->from,
		.to = i->to,
		.type = i->type,
		.payload = i->payload.data,
		.len = i->payload.len,
		.sent_ms = i->sent_ms,
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	if (l->h->fn(&m, &out, l->n->cfg.arg, &err))
		failed(l, &err);
	else
		reply(l, out.p ? out.p : "", out.len);
	buf_release(&out);
}

static void begin(void *arg)
{
	struct line *l = arg;
	struct err err;

	l->waits = false;
	if (!l->h->command)
		call(l);
	else if (run(l, &err))
		failed(l, &err);
}

/* ---- others instead ---- */

bool handler_pause(struct node *n)
{
	bool busy = false;

	n->handlers->paused = true;
	for (size_t i = 0; i < n->handlers->n; i++) {
		const struct line *l = &n->handlers->lines[i];

		busy = busy || (l->item && !l->waits);
	}
	return !busy;
}

/* Of a type that is handled as before, what was given up stays so. */
void handler_swap(struct node *n)
{
	struct handlers *old = n->handlers, *now;

	handler_open(n);
	now = n->handlers;
	now->stopped = old->stopped;
	for (size_t i = 0; i < old->n; i++) {
		struct line *l = &old->lines[i];

		for (size_t k = 0; k < now->n; k++)
			if (now->lines[k].type == l->type)
				now->lines[k].past = l->past;
		timer_stop(&l->timer);
		rows_release(&l->row);
	}
	free(old);
}

/* ---- the end ---- */

void handler_stop(struct node *n)
{
	n->handlers->stopped = true;
	for (size_t i = 0; i < n->handlers->n; i++) {
		timer_stop(&n->handlers->lines[i].timer);
		if (n->handlers->lines[i].process)
			process_stop(n->handlers->lines[i].process);
	}
}

size_t handler_running(const struct node *n)
{
	size_t running = 0;

	for (size_t i = 0; i < n->handlers->n; i++)
		running += n->handlers->lines[i].process != NULL;
	return running;
}

void handler_drop(struct node *n)
{
	for (size_t i = 0; i < n->handlers->n; i++) {
		struct line *l = &n->handlers->lines[i];

		n->handlers->stopped = true;
		timer_stop(&l->timer);
		process_drop(l->process);
		l->process = NULL;
	}
}

void handler_close(struct node *n)
{
	for (size_t i = 0; n->handlers && i < n->handlers->n; i++)
		rows_release(&n->handlers->lines[i].row);
	free(n->handlers);
	n->handlers = NULL;
}
