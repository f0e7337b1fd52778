#include "wire/gzip.h"

#include <stdint.h>
#include <stdlib.h>

#include <zlib.h>

#include "base/mem.h"

enum {
	WRAP = 15 + 16, /* the largest window, in gzip's frame */
	LEVEL = 1,      /* a LAN is quicker than a higher one */
	STEP = 64 << 10,
};

struct gzip {
	z_stream in, out;
	bool in_open, out_open;
};

struct gzip *gzip_new(void)
{
	return mem_zero(1, sizeof(struct gzip));
}

void gzip_free(struct gzip *z)
{
	if (!z)
		return;
	if (z->in_open)
		inflateEnd(&z->in);
	if (z->out_open)
		deflateEnd(&z->out);
	free(z);
}

static void open_out(struct gzip *z)
{
	if (z->out_open ? deflateReset(&z->out)
			: deflateInit2(&z->out, LEVEL, Z_DEFLATED, WRAP, 8,
				       Z_DEFAULT_STRATEGY))
		abort();
	z->out_open = true;
}

static void open_in(struct gzip *z)
{
	if (z->in_open ? inflateReset(&z->in) : inflateInit2(&z->in, WRAP))
		abort();
	z->in_open = true;
}

/* zlib's input is not const, and counts in 32 bits, which no message
 * reaches. */
static void give(z_stream *s, const void *p, size_t len)
{
	s->next_in = (Bytef *)(uintptr_t)p;
	s->avail_in = (uInt)len;
}

void gzip_pack(struct gzip *z, struct buf *out, const void *p, size_t len)
{
	uLong bound;

	open_out(z);
	bound = deflateBound(&z->out, (uLong)len);
	give(&z->out, p, len);
	z->out.next_out = (Bytef *)buf_room(out, bound);
	z->out.avail_out = (uInt)bound;
	if (deflate(&z->out, Z_FINISH) != Z_STREAM_END)
		abort(); /* there was room for all */
	out->len += bound - z->out.avail_out;
	out->p[out->len] = '\0';
}

/* Room for the next step within the bound; 0 if there is none. */
static size_t step(struct buf *out)
{
	size_t room = STEP;

	if (out->max && out->max - out->len < room)
		room = out->max - out->len;
	return room && buf_room(out, room) ? room : 0;
}

int gzip_unpack(struct gzip *z, struct buf *out, const void *p, size_t len,
		struct err *err)
{
	int rc = Z_OK;

	open_in(z);
	give(&z->in, p, len);
	while (rc == Z_OK) {
		size_t room = step(out);
		char last; /* the end may take a call without room */

		z->in.next_out = (Bytef *)(room ? out->p + out->len : &last);
		z->in.avail_out = (uInt)(room ? room : 1);
		rc = inflate(&z->in, Z_NO_FLUSH);
		if (!room && !z->in.avail_out)
			return err_set(err, ERR_RESOURCE_EXHAUSTED,
				       "unpacks to more than %zu bytes",
				       out->max);
		if (room)
			out->len += room - z->in.avail_out;
	}
	if (rc != Z_STREAM_END || z->in.avail_in)
		return err_set(err, ERR_INVALID_ARGUMENT, "not gzip");
	if (out->p)
		out->p[out->len] = '\0';
	return 0;
}
