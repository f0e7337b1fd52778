/* The user's callbacks never run inside of nghttp2: what arrives is put aside
 * as frames, and delivered when it has used up the bytes that came. */
#include "wire/duplex.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/dial.h"
#include "wire/frames.h"
#include "wire/transfer.h"

enum {
	WINDOW = 4 << 20,
	AT_ONCE = 256 << 10, /* bytes given to the socket */
	FRAME_HEAD = 9,      /* RFC 9113 4.1 */
	STREAM = 1,          /* the only one */
};

/* What the heads of the answer said. */
struct head {
	int status;
	char type[64], grpc_status[16];
	char *grpc_message;
};

struct duplex {
	struct loop *loop;
	const struct rpc_method *method;
	rpc_each_fn *each;
	rpc_done_fn *done;
	duplex_fn *on_drain;
	void *arg, *drain_arg;
	char *base;
	bool forwarded;
	int64_t timeout_ms, deadline_ms; /* by clock_ms(); 0: none */
	struct timer timer;              /* the deadline, or an early failure */

	struct dial *dial;
	nghttp2_session *session; /* NULL before it is connected */
	struct buf out, flying;   /* frames; flying: being taken by nghttp2 */
	size_t taken;             /* of flying */
	struct head head;
	struct frames in;
	size_t unconsumed; /* bytes that the window does not count back yet */
	ProtobufCMessage *answer;
	uint32_t reset; /* why the server ended the stream */
	struct err err; /* code 0: none */

	bool finished;   /* no more of ours */
	bool heard_all;  /* no more of theirs */
	bool has_status; /* err is it */
	bool paused, filled;
	bool is_busy, is_cancelled;
};

static void destroy(struct duplex *d)
{
	timer_stop(&d->timer);
	dial_close(d->dial);
	nghttp2_session_del(d->session);
	frames_release(&d->in);
	buf_release(&d->out);
	buf_release(&d->flying);
	rpc_free(d->answer);
	free(d->head.grpc_message);
	free(d->base);
	free(d);
}

/* ---- the end ---- */

/* gRPC's table of what a reset means. */
static void reset_error(struct duplex *d)
{
	enum err_code code = ERR_INTERNAL;

	switch (d->reset) {
	case NGHTTP2_NO_ERROR:
		err_set(&d->err, ERR_UNAVAILABLE,
			"%s ended its answer too early", d->base);
		return;
	case NGHTTP2_REFUSED_STREAM:
		code = ERR_UNAVAILABLE;
		break;
	case NGHTTP2_CANCEL:
		code = ERR_CANCELLED;
		break;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		code = ERR_RESOURCE_EXHAUSTED;
		break;
	case NGHTTP2_INADEQUATE_SECURITY:
		code = ERR_PERMISSION_DENIED;
		break;
	}
	err_set(&d->err, code, "%s ends the stream: %s", d->base,
		nghttp2_http2_strerror(d->reset));
}

static bool is_ours(const struct head *h)
{
	static const char ours[] = "application/grpc";
	size_t len = sizeof(ours) - 1;

	return h->status == 200 && !strncmp(h->type, ours, len) &&
	       (!h->type[len] || strchr("+;", h->type[len]));
}

/* What all that came means. */
static void conclude(struct duplex *d)
{
	const struct head *h = &d->head;

	if (d->has_status)
		return;
	if (*h->grpc_status)
		frames_status(&d->err, h->grpc_status, h->grpc_message);
	else if (h->status && !is_ours(h))
		transfer_not_ours(d->base, h->status, h->type, NULL, &d->err);
	else
		reset_error(d);
	if (!d->err.code && !d->each && !d->answer)
		err_set(&d->err, ERR_INTERNAL,
			"%s answers %s without a message", d->base,
			d->method->path);
}

static void end(struct duplex *d)
{
	conclude(d);
	d->is_busy = true;
	d->done(d->err.code ? &d->err : NULL, d->err.code ? NULL : d->answer,
		d->arg);
	destroy(d);
}

static void fail(struct duplex *d)
{
	d->has_status = d->heard_all = true;
}

/* ---- what comes ---- */

static void take_message(struct duplex *d, const uint8_t *p, size_t len)
{
	ProtobufCMessage *msg;

	if (d->answer) {
		err_set(&d->err, ERR_INTERNAL,
			"%s answers %s with more than one message", d->base,
			d->method->path);
		fail(d);
	} else if (rpc_unpack(&msg, d->method->out, p, len, &d->err)) {
		err_set(&d->err, ERR_INTERNAL, "%s answers %s with a bad %s",
			d->base, d->method->path, d->method->out->name);
		fail(d);
	} else if (d->each) {
		d->each(msg, d->arg);
		rpc_free(msg);
	} else {
		d->answer = msg;
	}
}

/* The frames that are there, unless we are to wait. */
static void take_frames(struct duplex *d)
{
	const uint8_t *p;
	size_t len;

	while (!d->is_cancelled && !d->paused && !d->has_status &&
	       is_ours(&d->head))
		switch (frames_next(&d->in, &p, &len, &d->err)) {
		case FRAMES_MORE:
			return;
		case FRAMES_MESSAGE:
			take_message(d, p, len);
			break;
		case FRAMES_END: /* of gRPC-web alone */
		case FRAMES_BAD:
			err_wrap(&d->err, "%s", d->base);
			fail(d);
		}
}

/* Let the server send as much again. */
static void consume(struct duplex *d)
{
	if (d->paused || !d->session)
		return;
	nghttp2_session_consume(d->session, STREAM, d->unconsumed);
	d->unconsumed = 0;
}

/* As much as the socket takes at once; the rest in the turns to come. */
static void pump(struct duplex *d)
{
	if (!d->session)
		return;
	if (nghttp2_session_send(d->session))
		d->reset = NGHTTP2_INTERNAL_ERROR;
	dial_flush(d->dial);
	if (dial_unsent(d->dial))
		return;
	if (nghttp2_session_want_write(d->session) ||
	    (d->on_drain && d->filled && !duplex_queued(d)))
		dial_later(d->dial);
}

/* Deliver, and go on or end. The last thing that a hook does. */
static void settle(struct duplex *d)
{
	d->is_busy = true;
	take_frames(d);
	d->is_busy = false;
	if (d->is_cancelled) {
		destroy(d);
	} else if (d->heard_all && (d->has_status || !d->paused)) {
		end(d);
	} else {
		consume(d);
		pump(d);
	}
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t len, uint8_t flags, void *arg)
{
	struct duplex *d = arg;
	const char *n = (const char *)name, *v = (const char *)value;

	(void)s, (void)f, (void)name_len, (void)len, (void)flags;
	if (!strcmp(n, ":status"))
		d->head.status = atoi(v);
	else if (!strcmp(n, "content-type"))
		str_copy(d->head.type, sizeof(d->head.type), v);
	else if (!strcmp(n, "grpc-status"))
		str_copy(d->head.grpc_status, sizeof(d->head.grpc_status), v);
	else if (!strcmp(n, "grpc-message") && !d->head.grpc_message)
		d->head.grpc_message = mem_str(v);
	return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id,
		    const uint8_t *p, size_t len, void *arg)
{
	struct duplex *d = arg;

	(void)s, (void)flags, (void)id;
	frames_add(&d->in, p, len);
	d->unconsumed += len;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct duplex *d = arg;

	(void)s;
	if (f->hd.stream_id == STREAM && f->hd.type <= NGHTTP2_HEADERS &&
	    (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		d->heard_all = true;
	return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code,
			   void *arg)
{
	struct duplex *d = arg;

	(void)s, (void)id;
	if (!d->heard_all)
		d->reset = code;
	d->heard_all = true;
	return 0;
}

static void on_bytes(void *arg, const char *p, size_t len)
{
	struct duplex *d = arg;
	ssize_t rc =
		nghttp2_session_mem_recv(d->session, (const uint8_t *)p, len);

	pump(d); /* what nghttp2 finds wrong it tells the server first */
	if (rc < 0 ||
	    (!d->heard_all && !nghttp2_session_want_read(d->session))) {
		err_set(&d->err, ERR_UNKNOWN,
			"%s is not a gfl server: it speaks no HTTP/2", d->base);
		fail(d);
	}
	settle(d);
}

static void on_over(void *arg, const struct err *err)
{
	struct duplex *d = arg;

	if (!d->heard_all) {
		d->err = *err;
		fail(d);
	}
	settle(d);
}

/* ---- what goes ---- */

static ssize_t send_bytes(nghttp2_session *s, const uint8_t *p, size_t len,
			  int flags, void *arg)
{
	struct duplex *d = arg;

	(void)s, (void)flags;
	if (dial_unsent(d->dial) >= AT_ONCE)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_put(dial_out(d->dial), p, len);
	return (ssize_t)len;
}

static ssize_t read_data(nghttp2_session *s, int32_t id, uint8_t *to,
			 size_t room, uint32_t *flags,
			 nghttp2_data_source *from, void *arg)
{
	struct duplex *d = arg;
	size_t len;

	(void)s, (void)id, (void)to, (void)from;
	if (d->taken == d->flying.len) {
		struct buf spare = d->flying;

		d->flying = d->out;
		d->out = spare;
		buf_reset(&d->out);
		d->taken = 0;
	}
	len = d->flying.len - d->taken;
	if (!len && !d->finished)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (len > room)
		return (ssize_t)room;
	if (d->finished && !d->out.len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static int send_data(nghttp2_session *s, nghttp2_frame *f, const uint8_t *head,
		     size_t len, nghttp2_data_source *from, void *arg)
{
	struct duplex *d = arg;
	struct buf *out = dial_out(d->dial);

	(void)s, (void)f, (void)from;
	if (dial_unsent(d->dial) >= AT_ONCE)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_put(out, head, FRAME_HEAD);
	buf_put(out, d->flying.p + d->taken, len);
	d->taken += len;
	return 0;
}

static void on_turn(void *arg)
{
	struct duplex *d = arg;

	pump(d);
	if (!d->filled || duplex_queued(d) || !d->session || d->heard_all) {
		settle(d);
		return;
	}
	d->filled = false;
	d->is_busy = true;
	if (d->on_drain)
		d->on_drain(d->drain_arg);
	settle(d);
}

/* ---- the beginning ---- */

static nghttp2_session *session_of(struct duplex *d)
{
	nghttp2_session_callbacks *cb;
	nghttp2_session *session;
	nghttp2_option *o;

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&o))
		abort();
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
							       on_stream_close);
	nghttp2_session_callbacks_set_send_callback(cb, send_bytes);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_option_set_no_auto_window_update(o, 1);
	if (nghttp2_session_client_new2(&session, cb, d, o))
		abort();
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	return session;
}

static nghttp2_nv field(const char *name, const char *value, size_t len)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name),
			    len, NGHTTP2_NV_FLAG_NONE};
}

static void request(struct duplex *d)
{
	const nghttp2_data_provider from = {.read_callback = read_data};
	size_t len, n = 0;
	const char *host = dial_authority(d->base, &len);
	char timeout[TRANSFER_TIMEOUT];
	nghttp2_nv nv[8];

	nv[n++] = field(":method", "POST", 4);
	nv[n++] = field(":scheme", d->base, strcspn(d->base, ":"));
	nv[n++] = field(":authority", host, len);
	nv[n++] = field(":path", d->method->path, strlen(d->method->path));
	nv[n++] = field("content-type", "application/grpc", 16);
	nv[n++] = field("te", "trailers", 8);
	if (d->deadline_ms) {
		int64_t left_ms = d->deadline_ms - clock_ms();

		transfer_timeout(timeout, left_ms > 1 ? left_ms : 1);
		nv[n++] = field("grpc-timeout", timeout, strlen(timeout));
	}
	if (d->forwarded)
		nv[n++] = field(RPC_FORWARDED, "1", 1);
	if (nghttp2_submit_request(d->session, NULL, nv, n, &from, NULL) < 0)
		abort();
}

static void on_up(void *arg)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16 << 10},
	};
	struct duplex *d = arg;

	d->session = session_of(d);
	if (nghttp2_submit_settings(d->session, 0, settings, 3) ||
	    nghttp2_session_set_local_window_size(d->session, 0, 0, WINDOW))
		abort();
	request(d);
	pump(d);
}

static void on_deadline(void *arg)
{
	struct duplex *d = arg;
	double seconds = (double)d->timeout_ms / 1000;

	if (d->session)
		err_set(&d->err, ERR_DEADLINE_EXCEEDED,
			"no answer from %s within %g s", d->base, seconds);
	else
		err_set(&d->err, ERR_UNAVAILABLE,
			"cannot reach %s: no connection within %g s", d->base,
			seconds);
	fail(d);
	settle(d);
}

static void on_early_failure(void *arg)
{
	end(arg);
}

static const struct dial_hooks hooks = {
	.up = on_up,
	.bytes = on_bytes,
	.turn = on_turn,
	.over = on_over,
};

struct duplex *duplex_open(struct loop *loop, const char *url,
			   const struct rpc_method *method,
			   const struct rpc_opts *opts, rpc_each_fn *each,
			   rpc_done_fn *done, void *arg)
{
	struct duplex *d = mem_zero(1, sizeof(*d));
	size_t len = strlen(url);

	d->loop = loop;
	d->method = method;
	d->each = each;
	d->done = done;
	d->arg = arg;
	d->base = mem_dup(url, len && url[len - 1] == '/' ? len - 1 : len);
	d->forwarded = opts->forwarded;
	d->timeout_ms = opts->timeout_ms;
	if (transfer_check_url(url, &d->err)) {
		d->has_status = true;
		timer_set(&d->timer, loop, 0, on_early_failure, d);
		return d;
	}
	if (d->timeout_ms > 0) {
		d->deadline_ms = clock_ms() + d->timeout_ms;
		timer_set(&d->timer, loop, d->timeout_ms, on_deadline, d);
	}
	d->dial = dial_open(loop, d->base, opts->bind, opts->tls, &hooks, d);
	dial_stall(d->dial, opts->stall_ms);
	return d;
}

/* ---- for the user ---- */

/* What has been put off happens in the next turn. */
static void later(struct duplex *d)
{
	if (d->session)
		nghttp2_session_resume_data(d->session, STREAM);
	if (d->dial)
		dial_later(d->dial);
}

static bool queue(struct duplex *d, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	char *to;

	assert(!d->finished && msg->descriptor == d->method->in);
	if (duplex_queued(d) >= DUPLEX_QUEUE)
		return false;
	to = buf_room(&d->out, FRAMES_HEAD + len);
	frames_head((uint8_t *)to, 0, (uint32_t)len);
	protobuf_c_message_pack(msg, (uint8_t *)to + FRAMES_HEAD);
	d->out.len += FRAMES_HEAD + len;
	d->filled = true;
	return true;
}

bool duplex_send(struct duplex *d, const ProtobufCMessage *msg)
{
	bool queued = queue(d, msg);

	if (queued)
		later(d);
	return queued;
}

bool duplex_send_now(struct duplex *d, const ProtobufCMessage *msg)
{
	if (d->is_busy || !d->session)
		return duplex_send(d, msg);
	if (!queue(d, msg))
		return false;
	nghttp2_session_resume_data(d->session, STREAM);
	pump(d);
	return true;
}

size_t duplex_queued(const struct duplex *d)
{
	return d->out.len + d->flying.len - d->taken +
	       (d->dial ? dial_unsent(d->dial) : 0);
}

void duplex_on_drain(struct duplex *d, duplex_fn *fn, void *arg)
{
	d->on_drain = fn;
	d->drain_arg = arg;
}

void duplex_finish(struct duplex *d)
{
	d->finished = true;
	later(d);
}

void duplex_pause(struct duplex *d)
{
	d->paused = true;
}

void duplex_resume(struct duplex *d)
{
	d->paused = false;
	later(d);
}

void duplex_cancel(struct duplex *d)
{
	if (!d)
		return;
	if (d->is_busy)
		d->is_cancelled = true; /* whoever called us destroys it */
	else
		destroy(d);
}
