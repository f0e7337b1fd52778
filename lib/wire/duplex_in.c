#include "wire/duplex_impl.h"

#include <string.h>

#include "wire/transfer.h"

static bool is_ours(const struct head *h)
{
	static const char ours[] = "application/grpc";
	size_t len = sizeof(ours) - 1;

	return h->status == 200 && !strncmp(h->type, ours, len) &&
	       (!h->type[len] || strchr("+;", h->type[len]));
}

static void take_message(struct duplex *d, const uint8_t *p, size_t len)
{
	ProtobufCMessage *msg;

	if (d->answer) {
		err_set(&d->err, ERR_INTERNAL,
			"%s answers %s with more than one message", d->base,
			d->method->path);
		duplex_fail(d);
	} else if (rpc_unpack(&msg, d->method->out, p, len, &d->err)) {
		err_set(&d->err, ERR_INTERNAL, "%s answers %s with a bad %s",
			d->base, d->method->path, d->method->out->name);
		duplex_fail(d);
	} else if (d->each) {
		d->each(msg, d->arg);
		rpc_free(msg);
	} else {
		d->answer = msg;
	}
}

void duplex_deliver(struct duplex *d)
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
			duplex_fail(d);
		}
}

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

void duplex_conclude(struct duplex *d)
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
