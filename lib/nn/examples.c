#include "nn/examples.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/file.h"

enum { ALIGN = 64 };

/* The first 64 bytes. */
struct head {
	char magic[8];
	uint64_t count;
	int32_t c, h, w;
	uint32_t value_size; /* 1 or 4 bytes */
	uint32_t labels_crc;
	char unused[20];
	uint32_t crc; /* of what is before it */
	uint32_t end;
};

_Static_assert(sizeof(struct head) == ALIGN, "a head of 64 bytes");
static const char magic[8] = "gfldat1";

void examples_release(struct examples *e)
{
	free(e->labels);
	free(e->values);
	free(e->pixels);
	*e = (struct examples){0};
}

int examples_label(double v)
{
	return v >= 0 && v < EXAMPLES_LABELS && v == (int)v ? (int)v : -1;
}

static size_t padding(size_t count)
{
	return -count % ALIGN;
}

static uint32_t head_crc(const struct head *h)
{
	return crc32c_of(0, h, offsetof(struct head, crc));
}

int examples_save(const struct examples *e, const char *path, struct err *err)
{
	static const char zeros[ALIGN];
	struct head h = {.count = e->count,
			 .c = e->shape.c,
			 .h = e->shape.h,
			 .w = e->shape.w,
			 .value_size = e->values ? sizeof(float) : 1};
	const struct file_part parts[] = {
		{&h, sizeof(h)},
		{e->labels, e->count},
		{zeros, padding(e->count)},
		{e->values ? (const void *)e->values : e->pixels,
		 e->count * shape_len(&e->shape) * h.value_size},
	};

	memcpy(h.magic, magic, sizeof(magic));
	h.labels_crc = crc32c_of(0, e->labels, e->count);
	h.crc = head_crc(&h);
	return file_replace(path, parts, 4, err);
}

bool examples_in_map(struct examples *e, const void *map, size_t len)
{
	const struct head *h = map;
	const uint8_t *labels = (const uint8_t *)map + sizeof(*h);
	size_t values;
	void *at;

	if (len < sizeof(*h) || memcmp(h->magic, magic, sizeof(magic)) ||
	    h->crc != head_crc(h))
		return false;
	*e = (struct examples){.count = h->count, .shape = {h->c, h->h, h->w}};
	values = sizeof(*h) + e->count + padding(e->count);
	if (len != values + e->count * shape_len(&e->shape) * h->value_size ||
	    h->labels_crc != crc32c_of(0, labels, e->count))
		return false;
	at = (char *)map + values;
	e->labels = (uint8_t *)labels;
	e->values = h->value_size == 1 ? NULL : at;
	e->pixels = h->value_size == 1 ? at : NULL;
	return true;
}
