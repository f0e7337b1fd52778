/* One call: its attempts, and what comes of each. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/client_impl.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000 };

void client_call_ready(struct rpc *r)
{
	if (r->is_ready)
		return;
	r->is_ready = true;
	TAILQ_INSERT_TAIL(&r->c->ready, r, ready);
}

static void unready(struct rpc *r)
{
	if (r->is_ready)
		TAILQ_REMOVE(&r->c->ready, r, ready);
	r->is_ready = false;
}

static void forget_answer(struct rpc *r)
{
	frames_release(&r->answer);
	rpc_free(r->out);
	r->out = NULL;
	r->bytes = 0;
	r->is_over = r->has_status = r->is_foreign = false;
	r->is_unsent = r->is_lost = r->is_cut = false;
	memset(&r->err, 0, sizeof(r->err));
}

void client_call_destroy(struct rpc *r)
{
	client_easy_back(r);
	unready(r);
	TAILQ_REMOVE(&r->c->all, r, all);
	timer_stop(&r->timer);
	forget_answer(r);
	free(r->base);
	free(r->target);
	free(r->request);
	free(r);
}

/* In libcurl: a piece of the body. Less than it all ends the transfer. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct rpc *r = arg;

	(void)size;
	r->last_us = clock_us();
	if (!r->bytes) {
		r->first_us = r->last_us;
		r->is_foreign = !transfer_is_ours(&r->t);
	}
	r->bytes += n;
	client_call_ready(r);
	if (r->has_status)
		return 0;
	frames_add(&r->answer, p, n);
	return r->is_foreign && r->bytes > TRANSFER_FOREIGN ? 0 : n;
}

static void start(struct rpc *r)
{
	int64_t left_ms = 0;

	if (r->deadline_ms) {
		left_ms = r->deadline_ms - clock_ms();
		if (left_ms < 1)
			left_ms = 1;
	}
	r->is_cut = r->try_ms && r->try_ms < left_ms;
	r->t.easy = client_easy(r, on_body);
	transfer_prepare(&r->t, left_ms, r->is_cut ? r->try_ms : left_ms, r);
	curl_loop_add(r->c->channels[r->method->channel].curl, r->t.easy);
}

static void fail(struct rpc *r)
{
	r->has_status = true;
	client_easy_back(r);
}

static void take_message(struct rpc *r, const uint8_t *p, size_t len)
{
	ProtobufCMessage *msg;

	if (r->bytes_each) {
		r->messages++;
		r->bytes_each(p, len, r->arg);
		return;
	}
	if (r->out) {
		err_set(&r->err, ERR_INTERNAL,
			"%s answers %s with more than one message", r->base,
			r->method->path);
		fail(r);
		return;
	}
	if (rpc_unpack(&msg, r->method->out, p, len, &r->err)) {
		err_set(&r->err, ERR_INTERNAL, "%s answers %s with a bad %s",
			r->base, r->method->path, r->method->out->name);
		fail(r);
		return;
	}
	r->messages++;
	if (!r->each) {
		r->out = msg;
		return;
	}
	r->each(msg, r->arg);
	rpc_free(msg);
}

/* All frames that are there. */
static void take_frames(struct rpc *r)
{
	const uint8_t *p;
	size_t len;

	while (!r->is_cancelled && !r->is_foreign && !r->has_status)
		switch (frames_next(&r->answer, &p, &len, &r->err)) {
		case FRAMES_MORE:
			return;
		case FRAMES_MESSAGE:
			take_message(r, p, len);
			break;
		case FRAMES_END:
			r->has_status = true;
			return;
		case FRAMES_BAD:
			err_wrap(&r->err, "%s", r->base);
			fail(r);
			return;
		}
}

/* The outcome of an attempt that is over. */
static void conclude(struct rpc *r)
{
	if (!r->has_status) {
		r->is_unsent = !transfer_was_sent(&r->t, r->code);
		r->is_lost = !r->is_unsent && !r->is_foreign &&
			     !transfer_has_status(&r->t);
		r->is_cut = r->is_cut && r->code == CURLE_OPERATION_TIMEDOUT;
		if (r->is_foreign ||
		    (r->code == CURLE_OK && !transfer_is_ours(&r->t)))
			transfer_foreign(&r->t, r->answer.in.p, &r->err);
		else
			r->err.code = (enum err_code)transfer_failed(
				&r->t, r->code, &r->err);
		r->has_status = true;
	} else {
		r->is_cut = false;
	}
	if (!r->err.code && !r->each && !r->bytes_each && !r->out)
		err_set(&r->err, ERR_INTERNAL,
			"%s answers %s without a message", r->base,
			r->method->path);
}

static void on_retry(void *arg)
{
	struct rpc *r = arg;

	forget_answer(r);
	start(r);
}

/* What may not be made twice is asked for again only when no answer came:
 * then the server, if it has the first attempt, says how that ended. */
static bool may_retry(struct rpc *r)
{
	if (!r->retry || r->messages ||
	    (r->err.code != ERR_UNAVAILABLE && !r->is_cut))
		return false;
	if (!r->t.once || r->is_unsent)
		return true;
	r->t.repeated = true;
	return r->is_lost;
}

/* False if the outcome stands. */
static bool try_again(struct rpc *r)
{
	int64_t wait_ms;

	if (!may_retry(r))
		return false;
	wait_ms = backoff_next(&r->backoff, &r->c->chance);
	if (clock_ms() + wait_ms >= r->deadline_ms)
		return false;
	timer_set(&r->timer, r->c->loop, wait_ms, on_retry, r);
	return true;
}

static void finish(struct rpc *r)
{
	struct client *c = r->c;

	conclude(r);
	client_easy_back(r);
	if (try_again(r))
		return;
	c->bytes = r->bytes;
	c->us = r->bytes ? r->last_us - r->first_us : 0;
	r->is_busy = true;
	r->done(r->err.code ? &r->err : NULL, r->err.code ? NULL : r->out,
		r->arg);
	client_call_destroy(r);
}

void client_call_deliver(struct rpc *r)
{
	unready(r);
	r->is_busy = true;
	take_frames(r);
	r->is_busy = false;
	if (r->is_cancelled)
		client_call_destroy(r);
	else if (r->is_over || (r->has_status && !r->t.easy))
		finish(r);
}

/* The frame to send; it outlives retries. */
static int pack(struct rpc *r, const ProtobufCMessage *in)
{
	size_t len = protobuf_c_message_get_packed_size(in), cap = 0;

	assert(in->descriptor == r->method->in);
	if (len > FRAMES_MAX_MESSAGE)
		return err_set(&r->err, ERR_RESOURCE_EXHAUSTED,
			       "a message of %zu bytes, more than %d", len,
			       FRAMES_MAX_MESSAGE);
	r->request = mem_grow(NULL, &cap, FRAMES_HEAD + len, 1);
	frames_head((uint8_t *)r->request, 0, (uint32_t)len);
	protobuf_c_message_pack(in, (uint8_t *)r->request + FRAMES_HEAD);
	r->t.body = r->request;
	r->t.len = FRAMES_HEAD + len;
	return 0;
}

static struct rpc *new_rpc(struct client *c, const char *url,
			   const struct rpc_method *method,
			   const struct rpc_opts *opts)
{
	struct rpc *r = mem_zero(1, sizeof(*r));
	size_t len = strlen(url);

	r->c = c;
	r->method = method;
	r->base = mem_dup(url, len && url[len - 1] == '/' ? len - 1 : len);
	r->target = mem_fmt("%s%s", r->base, r->method->path);
	r->retry = opts->retry && opts->timeout_ms > 0;
	r->backoff = (struct backoff){.first_ms = BACKOFF_FIRST_MS,
				      .max_ms = BACKOFF_MAX_MS};
	if (opts->timeout_ms > 0)
		r->deadline_ms = clock_ms() + opts->timeout_ms;
	r->t = (struct transfer){.base = r->base,
				 .target = r->target,
				 .bind = c->bind,
				 .timeout_ms = opts->timeout_ms,
				 .forwarded = opts->forwarded};
	if (r->retry && r->method->kind == RPC_UNARY)
		r->try_ms = opts->try_ms;
	if (!r->method->again)
		transfer_once(&r->t);
	TAILQ_INSERT_TAIL(&c->all, r, all);
	return r;
}

/* A call that failed before it began. */
static void on_early_failure(void *arg)
{
	struct rpc *r = arg;

	client_call_ready(r);
	client_deliver(r->c);
}

static struct rpc *begin(struct rpc *r, const char *url,
			 const ProtobufCMessage *in)
{
	if (!transfer_check_url(url, &r->err) && !pack(r, in)) {
		start(r);
		return r;
	}
	r->has_status = true;
	timer_set(&r->timer, r->c->loop, 0, on_early_failure, r);
	return r;
}

struct rpc *client_stream(struct client *c, const char *url, enum rpc_name name,
			  const ProtobufCMessage *in,
			  const struct rpc_opts *opts, rpc_each_fn *each,
			  rpc_done_fn *done, void *arg)
{
	struct rpc *r = new_rpc(c, url, &rpc_methods[name], opts);

	r->each = each;
	r->done = done;
	r->arg = arg;
	return begin(r, url, in);
}

struct rpc *client_bytes(struct client *c, const char *url,
			 const struct rpc_method *method,
			 const ProtobufCMessage *in,
			 const struct rpc_opts *opts, rpc_bytes_fn *each,
			 rpc_done_fn *done, void *arg)
{
	struct rpc *r = new_rpc(c, url, method, opts);

	r->bytes_each = each;
	r->done = done;
	r->arg = arg;
	return begin(r, url, in);
}

struct rpc *client_call(struct client *c, const char *url, enum rpc_name name,
			const ProtobufCMessage *in, const struct rpc_opts *opts,
			rpc_done_fn *done, void *arg)
{
	assert(rpc_methods[name].kind == RPC_UNARY);
	return client_stream(c, url, name, in, opts, NULL, done, arg);
}

void client_cancel(struct rpc *r)
{
	if (!r)
		return;
	if (!r->is_busy) {
		client_call_destroy(r);
		return;
	}
	r->is_cancelled = true; /* whoever called us destroys it */
	client_easy_back(r);
}
