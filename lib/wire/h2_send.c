#include "wire/h2_impl.h"

#include <stdio.h>
#include <string.h>

enum { FRAME_HEAD = 9 }; /* RFC 9113 4.1 */

ssize_t h2_send_bytes(nghttp2_session *session, const uint8_t *p, size_t len,
		      int flags, void *arg)
{
	struct h2 *h = arg;

	(void)session, (void)flags;
	if (h->out->len >= h->enough)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_put(h->out, p, len);
	return (ssize_t)len;
}

/* The payload goes from the stream to out in one copy. */
int h2_send_data(nghttp2_session *session, nghttp2_frame *f,
		 const uint8_t *head, size_t len, nghttp2_data_source *from,
		 void *arg)
{
	struct h2 *h = arg;
	const char *p;
	size_t have;

	(void)session, (void)f;
	if (h->out->len >= h->enough)
		return NGHTTP2_ERR_WOULDBLOCK;
	h->hooks->data(from->ptr, &p, &have);
	if (have < len) /* reset in between */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	buf_put(h->out, head, FRAME_HEAD);
	buf_put(h->out, p, len);
	h->hooks->sent(from->ptr, len);
	return 0;
}

/* "name: value\r\n" lines as nghttp2 wants them; it copies them. */
static size_t fields_of(const char *lines, nghttp2_nv *nv, size_t room)
{
	size_t n = 0;

	for (const char *at = lines, *end; *at && n < room; at = end + 2) {
		const char *colon = strstr(at, ": ");

		end = strstr(at, "\r\n");
		nv[n++] = (nghttp2_nv){
			.name = (uint8_t *)at,
			.namelen = (size_t)(colon - at),
			.value = (uint8_t *)colon + 2,
			.valuelen = (size_t)(end - colon - 2),
		};
	}
	return n;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *to,
			 size_t room, uint32_t *flags,
			 nghttp2_data_source *from, void *arg)
{
	nghttp2_nv nv[H2_MAX_LINES];
	struct h2 *h = arg;
	enum h2_have have;
	const char *p;
	size_t len;

	(void)to;
	have = h->hooks->data(from->ptr, &p, &len);
	if (!len && have == H2_LATER)
		return NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (len > room)
		return (ssize_t)room;
	if (have != H2_LATER)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (have == H2_TRAILERS) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(
			session, id, nv,
			fields_of(h->hooks->trailers(from->ptr)->p, nv,
				  H2_MAX_LINES));
	}
	return (ssize_t)len;
}

void h2_answer(struct h2 *h, int32_t id, int status, const char *lines,
	       bool body)
{
	nghttp2_data_provider from = {
		.source.ptr = h2_stream(h, id),
		.read_callback = read_data,
	};
	nghttp2_nv nv[H2_MAX_LINES];
	char code[16];

	snprintf(code, sizeof(code), "%d", status);
	nv[0] = (nghttp2_nv){
		.name = (uint8_t *)":status",
		.namelen = strlen(":status"),
		.value = (uint8_t *)code,
		.valuelen = strlen(code),
	};
	nghttp2_submit_response(h->session, id, nv,
				1 + fields_of(lines, nv + 1, H2_MAX_LINES - 1),
				body ? &from : NULL);
}

void h2_resume(struct h2 *h, int32_t id)
{
	nghttp2_session_resume_data(h->session, id);
}

void h2_output(struct h2 *h, struct buf *out, size_t enough)
{
	h->out = out;
	h->enough = enough;
	if (nghttp2_session_send(h->session))
		nghttp2_session_terminate_session(h->session,
						  NGHTTP2_INTERNAL_ERROR);
}

bool h2_pending(const struct h2 *h)
{
	return nghttp2_session_want_write(h->session);
}
