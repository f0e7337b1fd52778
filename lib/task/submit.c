#include "task/submit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "task/lines.h"
#include "task/task.h"
#include "wire/backoff.h"

enum {
	TEXT_MAX = TASK_TEXT_MAX + (64 << 10),
	HOLD_MS = 20000,
	ANSWER_MS = 5000,
	PAUSE_MS = 50,
	PAUSE_MAX_MS = 1000,
};

struct name {
	char *name;
	int64_t line;
	UT_hash_handle hh;
};

struct submit {
	const struct submit_opts *o;
	const struct submit_hooks *hooks;
	struct loop *loop;
	struct client *client;
	struct lines *lines;
	char token[STR_ID];
	const char *used; /* token */

	Gfl__V1__SubmitTasksRequest batch; /* under way, or to be tried again */
	size_t cap_batch;
	bool sending, asking, known; /* known: of the token the master knows */
	int64_t nlines;              /* read so far */
	int64_t *ids; /* by line; 0: none; below 0: it has ended */
	size_t cap_ids;
	int64_t open; /* sent, and not ended */
	struct name *names;
	int64_t after; /* place of the last result */

	struct silence silence;
	struct rand rand;
	struct backoff pause;
	struct timer again, ask_again;
	int64_t lost_ms; /* since when the master does not answer; 0: it does */
	struct err error; /* code 0: none */
};

static void go_on(struct submit *s);

static void fail(struct submit *s, const struct err *err)
{
	if (!s->error.code)
		s->error = *err;
	loop_stop(s->loop);
}

/* ---- the master is away ---- */

static bool may_pass(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ||
	       err->code == ERR_DEADLINE_EXCEEDED || err->code == ERR_UNKNOWN ||
	       err->retry_s;
}

static void later(struct submit *s, struct timer *t, timer_fn *fn,
		  const struct err *err)
{
	int64_t now_ms = clock_ms(), limit_ms = s->o->reach->timeout_ms;
	struct err sum = *err;

	if (!s->lost_ms)
		s->lost_ms = now_ms;
	if (!may_pass(err) ||
	    (limit_ms && !err->retry_s && now_ms - s->lost_ms >= limit_ms)) {
		reach_hint(&sum);
		fail(s, &sum);
		return;
	}
	if (err->retry_s)
		silence_put_off(&s->silence, err->msg);
	timer_set(t, s->loop, backoff_next(&s->pause, &s->rand), fn, s);
}

static void there(struct submit *s)
{
	s->lost_ms = 0;
	s->pause.now_ms = 0;
	silence_end(&s->silence);
}

/* ---- a batch ---- */

static int64_t *id_of(struct submit *s, int64_t line)
{
	size_t need = (size_t)line + 1, had = s->cap_ids;

	s->ids = mem_grow(s->ids, &s->cap_ids, need, sizeof(*s->ids));
	if (s->cap_ids > had)
		memset(s->ids + had, 0, (s->cap_ids - had) * sizeof(*s->ids));
	return &s->ids[line];
}

static bool find_named(const char *name, int64_t *id, int32_t *item, void *arg)
{
	struct submit *s = arg;
	struct name *n;

	HASH_FIND_STR(s->names, name, n);
	if (!n)
		return false;
	*id = llabs(*id_of(s, n->line));
	for (size_t i = 0; i < s->batch.n_tasks; i++)
		if (s->batch.tasks[i]->line == n->line)
			*item = (int32_t)i;
	return true;
}

static void remember(struct submit *s, const char *name, int64_t line)
{
	struct name *n;

	if (!*name)
		return;
	HASH_FIND_STR(s->names, name, n);
	if (n) { /* the last one of that name is meant */
		n->line = line;
		return;
	}
	n = mem_zero(1, sizeof(*n));
	n->name = mem_str(name);
	n->line = line;
	HASH_ADD_KEYPTR(hh, s->names, n->name, strlen(n->name), n);
}

static bool blank(const struct lines_one *l)
{
	return l->text && strspn(l->text, " \t\r") == l->len;
}

static void add_task(struct submit *s, const struct lines_one *l)
{
	Gfl__V1__TaskSpec *spec;
	struct err err;
	int rc = 0;

	s->nlines++;
	if (blank(l))
		return;
	if (l->bad)
		err = *l->bad;
	if (l->bad || line_parse(&spec, l->text, l->len, &s->o->line,
				 find_named, s, &err))
		rc = (int)err.code;
	if (rc) {
		err_wrap(&err, "line %" PRId64, s->nlines);
		s->hooks->bad(&err, s->hooks->arg);
		return;
	}
	spec->line = s->nlines;
	remember(s, spec->name, s->nlines);
	s->batch.tasks =
		mem_grow(s->batch.tasks, &s->cap_batch, s->batch.n_tasks + 1,
			 sizeof(*s->batch.tasks));
	s->batch.tasks[s->batch.n_tasks++] = spec;
}

static void fill(struct submit *s)
{
	int64_t max = s->o->max_inflight;
	struct lines_one one;

	while ((!max || s->open + (int64_t)s->batch.n_tasks < max) &&
	       lines_next(s->lines, &one))
		add_task(s, &one);
}

static void drop_batch(struct submit *s)
{
	for (size_t i = 0; i < s->batch.n_tasks; i++)
		rpc_free(&s->batch.tasks[i]->base);
	s->batch.n_tasks = 0;
}

static void send_batch(void *arg);

static void sent(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__SubmitTasksResponse *out =
		(const Gfl__V1__SubmitTasksResponse *)msg;
	struct submit *s = arg;
	struct err bad;

	if (err) {
		later(s, &s->again, send_batch, err);
		return;
	}
	there(s);
	s->sending = false;
	s->known = true;
	for (size_t i = 0; i < out->n_ids && i < s->batch.n_tasks; i++) {
		int64_t *id = id_of(s, s->batch.tasks[i]->line);

		*id = *id < 0 ? -out->ids[i] : out->ids[i];
	}
	s->after = s->after ? s->after : out->ended;
	drop_batch(s);
	if (!s->o->wait &&
	    s->hooks->queued(out->ids, out->n_ids, s->hooks->arg, &bad))
		fail(s, &bad);
	else
		go_on(s);
}

static void send_batch(void *arg)
{
	struct submit *s = arg;
	const struct rpc_opts opts = {.timeout_ms = ANSWER_MS};

	s->sending = true;
	s->batch.token = (char *)s->used;
	client_call(s->client, reach_url(s->o->reach), RPC_TASK_SUBMIT,
		    &s->batch.base, &opts, sent, s);
}

/* ---- results ---- */

/* Of this token there may be lines of an earlier time. */
static bool is_ours(struct submit *s, const Gfl__V1__Task *t)
{
	return t->line >= 1 && t->line <= s->nlines && *id_of(s, t->line) >= 0;
}

static void ask(void *arg);

static void came(const struct err *err, const ProtobufCMessage *msg, void *arg)
{
	const Gfl__V1__WaitResultsResponse *out =
		(const Gfl__V1__WaitResultsResponse *)msg;
	struct submit *s = arg;
	struct err bad;

	if (err) {
		later(s, &s->ask_again, ask, err);
		return;
	}
	there(s);
	s->asking = false;
	for (size_t i = 0; i < out->n_tasks; i++) {
		const Gfl__V1__Task *t = out->tasks[i];

		if (!is_ours(s, t))
			continue;
		*id_of(s, t->line) = -t->id;
		s->open--;
		if (s->o->wait && s->hooks->ended(t, s->hooks->arg, &bad)) {
			fail(s, &bad);
			return;
		}
	}
	s->after = out->after;
	go_on(s);
}

static void ask(void *arg)
{
	struct submit *s = arg;
	Gfl__V1__WaitResultsRequest in = GFL__V1__WAIT_RESULTS_REQUEST__INIT;
	const struct rpc_opts opts = {.timeout_ms = HOLD_MS + ANSWER_MS};

	s->asking = true;
	in.token = (char *)s->used;
	in.after = s->after;
	in.wait_ms = HOLD_MS;
	client_call(s->client, reach_url(s->o->reach), RPC_TASK_WAIT_RESULTS,
		    &in.base, &opts, came, s);
}

static void go_on(struct submit *s)
{
	bool watches = s->o->wait || s->o->max_inflight;

	if (!s->sending) {
		struct err err;

		fill(s);
		if (lines_read_on(s->lines, &err))
			fail(s, &err);
		s->open += (int64_t)s->batch.n_tasks;
		if (s->batch.n_tasks)
			send_batch(s);
	}
	if (watches && s->open && s->known && !s->asking)
		ask(s);
	silence_wait(&s->silence, s->sending || (watches && s->open));
	if (lines_ended(s->lines) && !s->sending && (!s->o->wait || !s->open))
		loop_stop(s->loop);
}

/* ---- the whole ---- */

static void came_lines(void *arg)
{
	go_on(arg);
}

static int open_all(struct submit *s, struct err *err)
{
	if (loop_open(&s->loop, err) ||
	    lines_open(&s->lines, s->loop, s->o->path, TEXT_MAX, came_lines, s,
		       err) ||
	    client_open_files(&s->client, s->loop, &s->o->reach->tls, err))
		return (int)err->code;
	s->silence = (struct silence){.loop = s->loop,
				      .client = s->client,
				      .url = reach_url(s->o->reach),
				      .say = s->hooks->waits,
				      .arg = s->hooks->arg};
	return 0;
}

/* Whoever waits for a line that does not come ends with the process. */
static void close_all(struct submit *s)
{
	struct name *n, *next;

	if (!lines_close(s->lines))
		return;
	timer_stop(&s->again);
	timer_stop(&s->ask_again);
	silence_release(&s->silence);
	client_close(s->client);
	if (s->loop)
		loop_close(s->loop);
	drop_batch(s);
	free(s->batch.tasks);
	free(s->ids);
	HASH_ITER (hh, s->names, n, next) {
		HASH_DEL(s->names, n);
		free(n->name);
		free(n);
	}
	free(s);
}

int submit_run(const struct submit_opts *o, const struct submit_hooks *hooks,
	       struct err *err)
{
	struct submit *s = mem_zero(1, sizeof(*s));
	int rc;

	s->o = o;
	s->hooks = hooks;
	s->rand.state = rand_id();
	s->pause = (struct backoff){PAUSE_MS, PAUSE_MAX_MS, 0};
	gfl__v1__submit_tasks_request__init(&s->batch);
	str_new_id(s->token);
	s->used = o->token ? o->token : s->token;
	rc = reach_check(o->reach, err) || open_all(s, err) ? (int)err->code
							    : 0;
	if (!rc) {
		go_on(s);
		loop_run(s->loop);
		rc = (int)s->error.code;
		if (rc)
			*err = s->error;
	}
	close_all(s);
	return rc;
}
