#include "wire/h2_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	WINDOW = 1 << 20,      /* bytes that a request may be ahead */
	WINDOW_ALL = 16 << 20, /* all requests of a connection */
	MAX_HEAD = 16 << 10,
	KEPT_HEAD = 2 * MAX_HEAD, /* enough to be found too long */
	BURST = 1000,             /* frames that make work and bring nothing */
	BURST_PER_S = 33,
};

const char h2_preface[] = "PRI * HTTP/2.0\r\n";

void *h2_stream(struct h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	int32_t id = f->hd.stream_id;
	void *stream;

	if (f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	buf_reset(&h->method);
	buf_reset(&h->path);
	buf_reset(&h->fields);
	h->named = false;
	stream = h->hooks->open(h->arg, id);
	if (stream)
		nghttp2_session_set_stream_user_data(session, id, stream);
	else
		nghttp2_submit_rst_stream(session, 0, id,
					  NGHTTP2_REFUSED_STREAM);
	return 0;
}

static void add_field(struct h2 *h, const char *name, size_t name_len,
		      const char *value, size_t value_len)
{
	struct buf *b = &h->fields;

	if (b->len > KEPT_HEAD)
		return;
	buf_put(b, name, name_len);
	buf_put(b, ": ", 2);
	buf_put(b, value, value_len);
	buf_put(b, "\r\n", 2);
}

static bool is(const uint8_t *name, size_t len, const char *want)
{
	return len == strlen(want) && !memcmp(name, want, len);
}

/* nghttp2 has seen to it that no value breaks a line, and that the names with
 * a colon come first and once. */
static int on_header(nghttp2_session *session, const nghttp2_frame *f,
		     const uint8_t *name, size_t name_len, const uint8_t *value,
		     size_t len, uint8_t flags, void *arg)
{
	struct h2 *h = arg;
	const char *v = (const char *)value;

	(void)session, (void)flags;
	if (f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (is(name, name_len, ":method")) {
		buf_put(&h->method, v, len);
	} else if (is(name, name_len, ":path")) {
		buf_put(&h->path, v, len);
	} else if (is(name, name_len, ":authority")) {
		h->named = true;
		add_field(h, "host", 4, v, len);
	} else if (name[0] != ':' &&
		   !(h->named && is(name, name_len, "host"))) {
		add_field(h, (const char *)name, name_len, v, len);
	}
	return 0;
}

static void request(struct h2 *h, void *stream, bool last)
{
	struct buf text = BUF_INIT(0);

	buf_put(&text, h->method.p, h->method.len);
	buf_putc(&text, ' ');
	buf_put(&text, h->path.p, h->path.len);
	buf_puts(&text, " HTTP/1.1\r\n");
	buf_put(&text, h->fields.p, h->fields.len);
	buf_put(&text, "\r\n", 2);
	h->hooks->head(stream, text.p, text.len, last);
	buf_release(&text);
}

/* Frames that cost us more than the client, and bring no request on, are
 * allowed at a rate. */
static void idle_frame(struct h2 *h)
{
	if (h->idle_frames-- == 0)
		nghttp2_session_terminate_session(h->session,
						  NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool is_idle_frame(const nghttp2_frame *f)
{
	switch (f->hd.type) {
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PRIORITY:
		return true;
	case NGHTTP2_DATA:
		return !f->hd.length &&
		       !(f->hd.flags & NGHTTP2_FLAG_END_STREAM);
	default:
		return false;
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	bool last = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	bool head = f->hd.type == NGHTTP2_HEADERS;
	struct h2 *h = arg;
	void *stream;

	(void)session;
	if (is_idle_frame(f))
		idle_frame(h);
	if (!head && f->hd.type != NGHTTP2_DATA)
		return 0;
	stream = h2_stream(h, f->hd.stream_id);
	if (!stream)
		return 0;
	if (head && f->headers.cat == NGHTTP2_HCAT_REQUEST)
		request(h, stream, last);
	if (last)
		h->hooks->end(stream);
	return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id,
		    const uint8_t *p, size_t len, void *arg)
{
	struct h2 *h = arg;
	void *stream = h2_stream(h, id);

	(void)flags;
	nghttp2_session_consume_connection(session, len);
	if (!stream || h->hooks->body(stream, (const char *)p, len))
		nghttp2_session_consume_stream(session, id, len);
	return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t code,
		     void *arg)
{
	struct h2 *h = arg;
	void *stream = h2_stream(h, id);

	(void)session, (void)code;
	if (stream)
		h->hooks->closed(stream);
	return 0;
}

/* Who has our whole answer need not send the rest of its request (RFC 9113
 * 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	int32_t id = f->hd.stream_id;

	(void)arg;
	if (f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS)
		return 0;
	if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
	    nghttp2_session_get_stream_remote_close(session, id) == 0)
		nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_NO_ERROR);
	return 0;
}

void h2_consume(struct h2 *h, int32_t id, size_t len)
{
	nghttp2_session_consume_stream(h->session, id, len);
}

void h2_reset(struct h2 *h, int32_t id)
{
	nghttp2_submit_rst_stream(h->session, 0, id, NGHTTP2_CANCEL);
}

void h2_goaway(struct h2 *h)
{
	nghttp2_submit_goaway(
		h->session, 0,
		nghttp2_session_get_last_proc_stream_id(h->session),
		NGHTTP2_NO_ERROR, NULL, 0);
}

int h2_input(struct h2 *h, const char *p, size_t len, int64_t now_ms)
{
	int64_t more = (now_ms - h->idle_ms) * BURST_PER_S / 1000;

	if (more > 0) {
		h->idle_ms = now_ms;
		h->idle_frames += more;
		if (h->idle_frames > BURST)
			h->idle_frames = BURST;
	}
	return nghttp2_session_mem_recv(h->session, (const uint8_t *)p, len) < 0
		       ? -1
		       : 0;
}

bool h2_over(const struct h2 *h)
{
	return !nghttp2_session_want_read(h->session) &&
	       !nghttp2_session_want_write(h->session);
}

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb))
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_closed);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_send_callback(cb, h2_send_bytes);
	nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_data);
	return cb;
}

static nghttp2_session *session_of(struct h2 *h)
{
	nghttp2_session_callbacks *cb = callbacks();
	nghttp2_session *session;
	nghttp2_option *o;

	if (nghttp2_option_new(&o))
		abort();
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_max_outbound_ack(o, 2 * BURST);
	nghttp2_option_set_stream_reset_rate_limit(o, BURST, BURST_PER_S);
	if (nghttp2_session_server_new2(&session, cb, h, o))
		abort();
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	return session;
}

struct h2 *h2_open(const struct h2_hooks *hooks, void *arg)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_MAX_STREAMS},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEAD},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	struct h2 *h = mem_zero(1, sizeof(*h));

	h->hooks = hooks;
	h->arg = arg;
	h->idle_frames = BURST;
	h->session = session_of(h);
	if (nghttp2_submit_settings(h->session, 0, settings,
				    sizeof(settings) / sizeof(settings[0])) ||
	    nghttp2_session_set_local_window_size(h->session, 0, 0, WINDOW_ALL))
		abort();
	return h;
}

void h2_close(struct h2 *h)
{
	if (!h)
		return;
	nghttp2_session_del(h->session);
	buf_release(&h->method);
	buf_release(&h->path);
	buf_release(&h->fields);
	free(h);
}
