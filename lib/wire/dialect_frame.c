/* One message as it travels: in a frame or bare, packed or not, as base64. */
#include "wire/dialect.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "wire/frames.h"
#include "wire/json.h"

enum {
	FLAG_COMPRESSED = 0x01,
	/* Bytes from which packing takes no longer than sending them by 1 Gbit/s
	 * would: 2 KiB of JSON become 0.4 KiB in 12 us. */
	WORTH = 2048,
	ROOM_AFTER = 512, /* a message: for the trailers, not to move it */
};

size_t dialect_frame_size(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	if (len < FRAMES_HEAD)
		return 0;
	u++;
	return FRAMES_HEAD + ((size_t)u[0] << 24 | (size_t)u[1] << 16 |
			      (size_t)u[2] << 8 | u[3]);
}

/* The body holds exactly one frame: leave its content in *p and *len. */
static int unframe(const char **p, size_t *len, bool *packed, struct err *err)
{
	size_t whole = dialect_frame_size(*p, *len);
	unsigned char flags;

	if (!whole)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a body of %zu bytes holds no frame", *len);
	flags = (unsigned char)(*p)[0];
	if (flags & ~FLAG_COMPRESSED)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "frame with flags 0x%02x instead of a message",
			       flags);
	if (*len != whole)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a frame of %zu bytes in a body of %zu",
			       whole - FRAMES_HEAD, *len);
	*packed = flags & FLAG_COMPRESSED;
	*p += FRAMES_HEAD;
	*len = whole - FRAMES_HEAD;
	return 0;
}

static int parse(const struct dialect *d,
		 const ProtobufCMessageDescriptor *type, const char *p,
		 size_t len, ProtobufCMessage **out, struct err *err)
{
	if (d->json)
		return json_parse(out, type, p, len, 0, err);
	return rpc_unpack(out, type, p, len, err);
}

static int parse_packed(const struct dialect *d, const struct coding *c,
			const ProtobufCMessageDescriptor *type, const char *p,
			size_t len, ProtobufCMessage **out, struct err *err)
{
	struct buf b = BUF_INIT(c->max);
	int rc = gzip_unpack(c->gzip, &b, p, len, err);

	if (!rc)
		rc = parse(d, type, b.p, b.len, out, err);
	else if (rc == ERR_RESOURCE_EXHAUSTED)
		err_wrap(err, "%s", c->bound);
	buf_release(&b);
	return rc;
}

int dialect_decode(const struct dialect *d, const struct coding *c,
		   const ProtobufCMessageDescriptor *type, const char *body,
		   size_t len, ProtobufCMessage **out, struct err *err)
{
	bool packed = c && c->in;

	if (d->kind != DIALECT_UNARY && unframe(&body, &len, &packed, err))
		return (int)err->code;
	if (!packed)
		return parse(d, type, body, len, out, err);
	if (!c || !c->in)
		return err_set(err, ERR_INTERNAL,
			       "a message says that it is "
			       "compressed, but no header "
			       "says how");
	return parse_packed(d, c, type, body, len, out, err);
}

void dialect_frame_begin(struct buf *out)
{
	buf_put(out, "\0\0\0\0\0", FRAMES_HEAD);
}

/* What begins at start becomes base64, padded: such pieces may follow one
 * another. */
static void to_text(struct buf *out, size_t start)
{
	size_t len = out->len - start, size = base64_size(len);
	void *bytes = mem_dup(out->p + start, len);

	(void)!buf_room(out, size - len);
	base64_encode(out->p + start, bytes, len);
	out->len = start + size;
	out->p[out->len] = '\0';
	free(bytes);
}

void dialect_frame_end(const struct dialect *d, struct buf *out, size_t start,
		       unsigned char flags)
{
	frames_head((uint8_t *)out->p + start, flags,
		    (uint32_t)(out->len - start - FRAMES_HEAD));
	if (d->text)
		to_text(out, start);
}

static int add_binary(struct buf *out, const ProtobufCMessage *msg, size_t max,
		      struct err *err)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	char *to;

	if (len > max)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			       "answer of %zu bytes is above max-message (%zu)",
			       len, max);
	to = buf_room(out, len + ROOM_AFTER);
	protobuf_c_message_pack(msg, (uint8_t *)to);
	out->len += len;
	to[len] = '\0';
	return 0;
}

bool dialect_shrink(const struct coding *c, struct buf *out, size_t start)
{
	struct buf packed = BUF_INIT(0);
	size_t len = out->len - start;
	bool smaller;

	if (!c || !c->out || len < WORTH)
		return false;
	gzip_pack(c->gzip, &packed, out->p + start, len);
	smaller = packed.len < len;
	if (smaller) {
		out->len = start;
		buf_put(out, packed.p, packed.len);
	}
	buf_release(&packed);
	return smaller;
}

int dialect_frame(const struct dialect *d, const struct coding *c,
		  struct buf *out, const ProtobufCMessage *msg, size_t max,
		  struct err *err)
{
	bool framed = d->kind != DIALECT_UNARY;
	size_t start = out->len;
	bool packed;
	int rc;

	if (framed)
		dialect_frame_begin(out);
	rc = d->json ? json_print(out, msg, d->flags, err)
		     : add_binary(out, msg, max, err);
	if (rc) {
		out->len = start;
		return rc;
	}
	if (!framed)
		return 0;
	packed = dialect_shrink(c, out, start + FRAMES_HEAD);
	dialect_frame_end(d, out, start, packed ? FLAG_COMPRESSED : 0);
	return 0;
}
