/* h2_impl.h - a connection of HTTP/2, for its two files: h2.c hears, h2_send.c
 * speaks. */
#ifndef WIRE_H2_IMPL_H
#define WIRE_H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "wire/h2.h"

struct h2 {
	nghttp2_session *session;
	const struct h2_hooks *hooks;
	void *arg;

	/* The head being received; those of two streams never mix. */
	struct buf method, path, fields;
	bool named; /* by :authority */

	struct buf *out;
	size_t enough;
	int64_t idle_frames, idle_ms; /* allowed to come, as of then */
};

void *h2_stream(struct h2 *h, int32_t id); /* what its open hook returned */

/* Of nghttp2. */
ssize_t h2_send_bytes(nghttp2_session *session, const uint8_t *p, size_t len,
		      int flags, void *arg);
int h2_send_data(nghttp2_session *session, nghttp2_frame *f,
		 const uint8_t *head, size_t len, nghttp2_data_source *from,
		 void *arg);

#endif
