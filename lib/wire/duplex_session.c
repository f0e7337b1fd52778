#include "wire/duplex_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/transfer.h"

enum {
	WINDOW = 4 << 20,
	AT_ONCE = 256 << 10, /* bytes given to the socket */
	FRAME_HEAD = 9,      /* RFC 9113 4.1 */
};

/* ---- what comes ---- */

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
	if (f->hd.stream_id == DUPLEX_STREAM && f->hd.type <= NGHTTP2_HEADERS &&
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

void duplex_begin(struct duplex *d)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16 << 10},
	};

	d->session = session_of(d);
	if (nghttp2_submit_settings(d->session, 0, settings, 3) ||
	    nghttp2_session_set_local_window_size(d->session, 0, 0, WINDOW))
		abort();
	request(d);
}
