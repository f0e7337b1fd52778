/* The client's sides of tensors: pulling and pushing. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/backoff.h"
#include "wire/duplex.h"
#include "wire/tensor_impl.h"

enum { STALL_MS = 30000, BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 5000 };

/* ---- pulling ---- */

struct tensor_pull {
	struct client *c;
	struct rpc *rpc; /* NULL: between two attempts */
	const struct rpc_method *method;
	char *url;
	struct tensor_in in;
	tensor_ask_fn *ask;
	tensor_done_fn *done;
	void *arg;
	int64_t deadline_ms, patience_ms;
	int64_t lost_ms;    /* the first failure since the last byte, or 0 */
	uint64_t seen;      /* bytes that were there at the last look */
	struct timer timer; /* a stall, or the time to ask again */
	struct backoff backoff;
	struct rand chance;
	struct err err; /* code 0: none */
	bool is_busy, is_cancelled;
};

static void ask(void *arg);

static void pull_free(struct tensor_pull *p)
{
	client_cancel(p->rpc);
	timer_stop(&p->timer);
	tensor_in_release(&p->in);
	free(p->url);
	free(p);
}

static void pull_end(struct tensor_pull *p, const struct err *err)
{
	p->is_busy = true;
	p->done(err, p->arg);
	pull_free(p);
}

/* Later, if there is time for it. */
static void again(struct tensor_pull *p, const struct err *err)
{
	int64_t wait_ms = backoff_next(&p->backoff, &p->chance);
	int64_t then_ms = clock_ms() + wait_ms;

	if (!p->lost_ms)
		p->lost_ms = clock_ms();
	if (then_ms >= p->deadline_ms ||
	    (p->patience_ms && then_ms - p->lost_ms >= p->patience_ms))
		pull_end(p, err);
	else
		timer_set(&p->timer, client_loop(p->c), wait_ms, ask, p);
}

static void on_stall(void *arg)
{
	struct tensor_pull *p = arg;
	struct err err;

	if (p->in.at > p->seen || !p->in.headed) {
		p->seen = p->in.at;
		timer_set(&p->timer, client_loop(p->c), STALL_MS, on_stall, p);
		return;
	}
	client_cancel(p->rpc);
	p->rpc = NULL;
	err_set(&err, ERR_UNAVAILABLE, "%s sends nothing for %d s", p->url,
		STALL_MS / 1000);
	again(p, &err);
}

static int take_data(struct tensor_pull *p, const struct tensor_chunk *c)
{
	uint32_t crc = 0;

	for (int i = 0; c->crc && i < 4; i++)
		crc |= (uint32_t)c->crc[i] << 8 * i;
	return tensor_in_data(&p->in, c->data, c->len, c->crc ? &crc : NULL,
			      &p->err);
}

static int take(struct tensor_pull *p, const uint8_t *bytes, size_t len)
{
	Gfl__V1__TensorHead *head = NULL;
	struct tensor_chunk c;
	int rc = tensor_parse(&c, bytes, len, &p->err);

	if (!rc && c.head) {
		rc = rpc_unpack((ProtobufCMessage **)&head,
				&gfl__v1__tensor_head__descriptor, c.head,
				c.head_len, &p->err);
		if (!rc)
			rc = tensor_in_head(&p->in, head, &p->err);
		rpc_free((ProtobufCMessage *)head);
	}
	return rc ? rc : take_data(p, &c);
}

/* A failure of ours ends the stream when libcurl is not looking. */
static void on_failure(void *arg)
{
	struct tensor_pull *p = arg;

	err_wrap(&p->err, "%s", p->url);
	pull_end(p, &p->err);
}

static void on_bytes(const uint8_t *bytes, size_t len, void *arg)
{
	struct tensor_pull *p = arg;
	int rc;

	p->is_busy = true;
	rc = take(p, bytes, len);
	p->is_busy = false;
	if (p->is_cancelled) {
		pull_free(p);
		return;
	}
	p->backoff.now_ms = p->lost_ms = 0;
	if (!rc)
		return;
	p->err.code = (enum err_code)rc;
	client_cancel(p->rpc);
	p->rpc = NULL;
	timer_set(&p->timer, client_loop(p->c), 0, on_failure, p);
}

static void on_done(const struct err *err, const ProtobufCMessage *out,
		    void *arg)
{
	struct tensor_pull *p = arg;

	(void)out;
	p->rpc = NULL;
	timer_stop(&p->timer);
	if (err && err->code == ERR_UNAVAILABLE) {
		again(p, err);
	} else if (err) {
		pull_end(p, err);
	} else if (tensor_in_end(&p->in, &p->err)) {
		on_failure(p);
	} else {
		pull_end(p, NULL);
	}
}

static void ask(void *arg)
{
	struct tensor_pull *p = arg;
	struct rpc_opts opts = {.timeout_ms = p->deadline_ms - clock_ms()};

	if (opts.timeout_ms < 1)
		opts.timeout_ms = 1;
	tensor_in_restart(&p->in);
	p->seen = p->in.at;
	timer_set(&p->timer, client_loop(p->c), STALL_MS, on_stall, p);
	p->rpc = client_bytes(p->c, p->url, p->method,
			      p->ask(p->in.at, p->in.info.sha256, p->arg),
			      &opts, on_bytes, on_done, p);
}

static struct tensor_pull *
pull_new(struct client *c, const char *url, const struct rpc_method *method,
	 const struct rpc_opts *opts, tensor_ask_fn *fn,
	 const struct tensor_sink *sink, tensor_done_fn *done, void *arg)
{
	struct tensor_pull *p = mem_zero(1, sizeof(*p));

	p->c = c;
	p->url = mem_str(url);
	p->method = method;
	p->in.sink = sink;
	p->in.arg = arg;
	p->ask = fn;
	p->done = done;
	p->arg = arg;
	p->deadline_ms = clock_ms() + opts->timeout_ms;
	p->patience_ms = opts->try_ms;
	p->backoff = (struct backoff){.first_ms = BACKOFF_FIRST_MS,
				      .max_ms = BACKOFF_MAX_MS};
	rand_os(&p->chance, sizeof(p->chance));
	return p;
}

struct tensor_pull *tensor_pull(struct client *c, const char *url,
				const struct rpc_method *method,
				const struct rpc_opts *opts, tensor_ask_fn *fn,
				const struct tensor_sink *sink,
				tensor_done_fn *done, void *arg)
{
	struct tensor_pull *p =
		pull_new(c, url, method, opts, fn, sink, done, arg);

	ask(p);
	return p;
}

int tensor_pull_rest(struct tensor_pull **out, struct client *c,
		     const char *url, const struct rpc_method *method,
		     const struct rpc_opts *opts, const struct tensor_had *had,
		     tensor_ask_fn *fn, const struct tensor_sink *sink,
		     tensor_done_fn *done, void *arg, struct err *err)
{
	struct tensor_pull *p =
		pull_new(c, url, method, opts, fn, sink, done, arg);

	if (tensor_in_had(&p->in, had, err)) {
		pull_free(p);
		return (int)err->code;
	}
	ask(p);
	*out = p;
	return 0;
}

void tensor_pull_cancel(struct tensor_pull *p)
{
	if (!p)
		return;
	if (p->is_busy)
		p->is_cancelled = true; /* whoever called us frees it */
	else
		pull_free(p);
}

/* ---- pushing ---- */

struct tensor_push {
	struct loop *loop;
	struct tensor_out out;
	struct duplex *d;
	rpc_done_fn *done;
	void *arg;
	struct err err; /* of the file; code 0: none */
	struct timer timer;
};

static void push_free(struct tensor_push *p)
{
	duplex_cancel(p->d);
	timer_stop(&p->timer);
	tensor_out_release(&p->out);
	free(p);
}

static void push_failed(void *arg)
{
	struct tensor_push *p = arg;

	p->done(&p->err, NULL, p->arg);
	push_free(p);
}

static void pushed(const struct err *err, const ProtobufCMessage *out,
		   void *arg)
{
	struct tensor_push *p = arg;

	p->d = NULL;
	p->done(err, out, p->arg);
	push_free(p);
}

static void push_more(void *arg)
{
	struct tensor_push *p = arg;
	struct tensor_piece piece;

	while (tensor_out_more(&p->out) && duplex_queued(p->d) < TENSOR_AHEAD) {
		if (tensor_out_next(&p->out, &piece, &p->err)) {
			duplex_cancel(p->d);
			p->d = NULL;
			timer_set(&p->timer, p->loop, 0, push_failed, p);
			return;
		}
		tensor_piece_sum(&piece);
		if (!duplex_send(p->d, &piece.chunk.base))
			abort(); /* the queue has room for more than that */
	}
	if (tensor_out_more(&p->out))
		return;
	duplex_on_drain(p->d, NULL, NULL);
	duplex_finish(p->d);
}

struct tensor_push *
tensor_push(struct loop *loop, const char *url, const struct rpc_method *method,
	    const struct rpc_opts *opts, const struct tensor_info *info,
	    const struct tensor_bytes *from, rpc_done_fn *done, void *arg)
{
	struct tensor_push *p = mem_zero(1, sizeof(*p));

	p->loop = loop;
	p->out.info = *info;
	p->out.from = *from;
	p->done = done;
	p->arg = arg;
	p->d = duplex_open(loop, url, method, opts, NULL, pushed, p);
	duplex_on_drain(p->d, push_more, p);
	push_more(p);
	return p;
}

void tensor_push_cancel(struct tensor_push *p)
{
	if (p)
		push_free(p);
}
