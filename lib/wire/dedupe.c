#include "wire/dedupe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void dedupe_init(struct dedupe *d)
{
	*d = (struct dedupe){0};
	TAILQ_INIT(&d->old);
}

static size_t size_of(const struct dedupe_entry *e)
{
	return e->len + (e->err ? sizeof(*e->err) : 0);
}

static void forget(struct dedupe *d, struct dedupe_entry *e)
{
	if (e->ended)
		TAILQ_REMOVE(&d->old, e, old);
	d->bytes -= size_of(e);
	HASH_DEL(d->entries, e);
	free(e->err);
	free(e->packed);
	free(e);
}

void dedupe_release(struct dedupe *d)
{
	struct dedupe_entry *e, *next;

	HASH_ITER (hh, d->entries, e, next)
		forget(d, e);
}

static struct dedupe_key key_of(const void *method, const uint8_t *id)
{
	struct dedupe_key key;

	memset(&key, 0, sizeof(key)); /* it is compared byte by byte */
	key.method = method;
	memcpy(key.id, id, DEDUPE_ID);
	return key;
}

struct dedupe_entry *dedupe_find(struct dedupe *d, const void *method,
				 const uint8_t id[DEDUPE_ID], int64_t now_ms)
{
	struct dedupe_key key = key_of(method, id);
	struct dedupe_entry *e;

	while ((e = TAILQ_FIRST(&d->old)) && now_ms - e->ended_ms >= DEDUPE_MS)
		forget(d, e);
	HASH_FIND(hh, d->entries, &key, sizeof(key), e);
	return e;
}

struct dedupe_entry *dedupe_begin(struct dedupe *d, const void *method,
				  const uint8_t id[DEDUPE_ID], uint32_t digest)
{
	struct dedupe_entry *e;

	if (HASH_COUNT(d->entries) >= DEDUPE_MAX) {
		if (TAILQ_EMPTY(&d->old))
			return NULL;
		forget(d, TAILQ_FIRST(&d->old));
	}
	e = mem_zero(1, sizeof(*e));
	e->key = key_of(method, id);
	e->digest = digest;
	LIST_INIT(&e->waiting);
	HASH_ADD(hh, d->entries, key, sizeof(e->key), e);
	return e;
}

static void keep_error(struct dedupe_entry *e, const struct err *err)
{
	e->err = mem_zero(1, sizeof(*e->err));
	*e->err = *err;
}

static void keep_message(struct dedupe_entry *e, const ProtobufCMessage *msg)
{
	struct err large;

	e->len = protobuf_c_message_get_packed_size(msg);
	if (e->len <= DEDUPE_BYTES / 4) {
		e->packed = mem_zero(1, e->len + 1);
		protobuf_c_message_pack(msg, e->packed);
		return;
	}
	err_set(&large, ERR_RESOURCE_EXHAUSTED,
		"the call was carried out, but its answer of %zu bytes is "
		"above what is kept",
		e->len);
	e->len = 0;
	keep_error(e, &large);
}

void dedupe_end(struct dedupe *d, struct dedupe_entry *e,
		const ProtobufCMessage *msg, const struct err *err,
		int64_t now_ms)
{
	if (err)
		keep_error(e, err);
	else
		keep_message(e, msg);
	e->ended = true;
	e->ended_ms = now_ms;
	d->bytes += size_of(e);
	TAILQ_INSERT_TAIL(&d->old, e, old);
	while (d->bytes > DEDUPE_BYTES)
		forget(d, TAILQ_FIRST(&d->old));
}
