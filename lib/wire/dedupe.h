/* dedupe.h - what recent calls were answered that may not be made twice, by
 * the ids that their clients gave them. Pure: the time is an argument.
 *
 * An entry begins with a call and keeps its answer for DEDUPE_MS after the
 * end. At most DEDUPE_MAX entries and DEDUPE_BYTES of answers are kept; at a
 * bound those go first that ended first. One still under way never goes. */
#ifndef WIRE_DEDUPE_H
#define WIRE_DEDUPE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <protobuf-c/protobuf-c.h>
#include <uthash.h>

#include "base/err.h"

enum {
	DEDUPE_ID = 16, /* bytes */
	DEDUPE_MAX = 1024,
	DEDUPE_BYTES = 1 << 20,
	DEDUPE_MS = 60000,
};

struct once; /* a call, of its owner */

struct dedupe_key {
	const void *method;
	uint8_t id[DEDUPE_ID];
};

struct dedupe_entry {
	struct dedupe_key key;
	uint32_t digest; /* of the request */
	bool ended;
	int64_t ended_ms;
	struct err *err; /* the answer is an error */
	void *packed;    /* or this message */
	size_t len;
	LIST_HEAD(, once) waiting; /* the owner's: repetitions before the end */
	TAILQ_ENTRY(dedupe_entry) old;
	UT_hash_handle hh;
};

/* All zero but for dedupe_init(). */
struct dedupe {
	struct dedupe_entry *entries;
	TAILQ_HEAD(, dedupe_entry) old; /* ended, the first first */
	size_t bytes;
};

void dedupe_init(struct dedupe *d);
void dedupe_release(struct dedupe *d);

/* The entry of this call, or NULL; what is past its time is forgotten. */
struct dedupe_entry *dedupe_find(struct dedupe *d, const void *method,
				 const uint8_t id[DEDUPE_ID], int64_t now_ms);

/* A call begins that is not there yet. NULL: DEDUPE_MAX are under way. */
struct dedupe_entry *dedupe_begin(struct dedupe *d, const void *method,
				  const uint8_t id[DEDUPE_ID], uint32_t digest);

/* It was answered with msg, or with err unless that is NULL. An answer above
 * a quarter of DEDUPE_BYTES is not kept: that it was too large is, as an
 * error. The entry may be gone afterwards. */
void dedupe_end(struct dedupe *d, struct dedupe_entry *e,
		const ProtobufCMessage *msg, const struct err *err,
		int64_t now_ms);

#endif
