/* frames.h - takes a gRPC-web answer apart as it arrives: frames of messages,
 * then one of trailers. Pure: bytes in, frames out. */
#ifndef WIRE_FRAMES_H
#define WIRE_FRAMES_H

#include <stdint.h>

#include "base/buf.h"

enum {
	FRAMES_HEAD = 5, /* flags, then the length, big-endian */
	FRAMES_MAX_MESSAGE = 64 << 20,
	FRAMES_MAX_TRAILERS = 16 << 10,
};

/* All zero is an answer that has not begun. */
struct frames {
	struct buf in;
	size_t at; /* what lies before it in `in` has been read */
};

enum frames_step {
	FRAMES_MORE,    /* no whole frame is there */
	FRAMES_MESSAGE, /* a message of *len bytes at *p */
	FRAMES_END,     /* the trailers; err has their status, code 0 is OK */
	FRAMES_BAD,     /* err says what is wrong */
};

void frames_add(struct frames *a, const void *p, size_t len);

/* The next step. *p stays valid until the next call of any of these. Nothing
 * may follow the end or what is bad. */
enum frames_step frames_next(struct frames *a, const uint8_t **p, size_t *len,
			     struct err *err);

/* Forget everything; the memory is freed. */
void frames_release(struct frames *a);

/* Write the head of a frame. */
void frames_head(uint8_t head[FRAMES_HEAD], uint8_t flags, uint32_t len);

/* The status that a code (as text) and a percent-encoded sentence make. */
void frames_status(struct err *err, const char *code, const char *sentence);

#endif
