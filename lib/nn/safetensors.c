/* safetensors.c - the file format of tensors.h: bytes to tensors and back. */
#include "nn/tensors.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"

enum { HEAD_LEN = 8, HEADER_MAX = 100 * 1000 * 1000 };
#define FILE_MAX_BYTES ((size_t)1 << 33)

static const struct type {
	const char *name;
	size_t size;
} types[] = {
	{"F32", 4}, {"F64", 8}, {"F16", 2},  {"BF16", 2}, {"I64", 8},
	{"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},  {"U32", 4},
	{"U16", 2}, {"U8", 1},  {"BOOL", 1},
};

static size_t size_of_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].name, name))
			return types[i].size;
	return 0;
}

static json_t *encode_tensor(const struct tensor *t, size_t at)
{
	json_t *shape = json_array();

	for (int d = 0; d < t->dims; d++)
		json_array_append_new(shape, json_integer(t->dim[d]));
	return json_pack("{s:s,s:o,s:[I,I]}", "dtype", t->type, "shape", shape,
			 "data_offsets", (json_int_t)at,
			 (json_int_t)(at + t->size));
}

static char *encode_header(const struct tensors *ts)
{
	json_t *all = json_object(), *meta = json_object();
	size_t at = 0;
	char *text;

	for (size_t i = 0; i < ts->n_meta; i++)
		json_object_set_new(meta, ts->meta[i].key,
				    json_string(ts->meta[i].value));
	if (ts->n_meta)
		json_object_set(all, "__metadata__", meta);
	json_decref(meta);
	for (size_t i = 0; i < ts->n; i++) {
		json_object_set_new(all, ts->t[i].name,
				    encode_tensor(&ts->t[i], at));
		at += ts->t[i].size;
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}

/* The header is padded by blanks so that the data is aligned to 8 bytes. */
void tensors_encode(const struct tensors *ts, struct buf *b)
{
	char *header = encode_header(ts);
	size_t len = strlen(header), pad = -len % HEAD_LEN;
	uint64_t total = htole64(len + pad);

	buf_put(b, &total, sizeof(total));
	buf_put(b, header, len);
	buf_put(b, "        ", pad);
	free(header);
	for (size_t i = 0; i < ts->n; i++)
		buf_put(b, ts->t[i].data, ts->t[i].size);
}

/* What is being decoded; one tensor's place in the data is begin..end. */
struct decoder {
	const char *what;
	const char *data;
	size_t len; /* of the data */
	struct tensors *ts;
	struct span {
		size_t begin, end;
		size_t tensor;
	} * spans;
};

static int bad(const struct decoder *d, const char *name, const char *why,
	       struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "%s at byte %d (header), tensor \"%.80s\": %s", d->what,
		       HEAD_LEN, name, why);
}

static int decode_shape(const struct decoder *d, struct tensor *t,
			const json_t *shape, struct err *err)
{
	if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS)
		return bad(d, t->name,
			   "expected \"shape\" with at most 8 numbers", err);
	t->dims = (int)json_array_size(shape);
	t->len = 1;
	for (int i = 0; i < t->dims; i++) {
		const json_t *v = json_array_get(shape, (size_t)i);
		json_int_t dim = json_integer_value(v);

		if (!json_is_integer(v) || dim < 0 ||
		    (t->len && (uint64_t)dim > FILE_MAX_BYTES / t->len))
			return bad(d, t->name,
				   "a dimension that is negative or too large",
				   err);
		t->dim[i] = dim;
		t->len *= (size_t)dim;
	}
	return 0;
}

static int decode_offsets(const struct decoder *d, const struct tensor *t,
			  const json_t *offsets, struct span *span,
			  struct err *err)
{
	const json_t *begin = json_array_get(offsets, 0);
	const json_t *end = json_array_get(offsets, 1);
	json_int_t from = json_integer_value(begin);
	json_int_t to = json_integer_value(end);
	char why[160];

	if (json_array_size(offsets) != 2 || !json_is_integer(begin) ||
	    !json_is_integer(end) || from < 0 || to < from)
		return bad(d, t->name,
			   "expected \"data_offsets\" with a begin and an end",
			   err);
	if ((uint64_t)to > d->len) {
		snprintf(why, sizeof(why),
			 "ends at byte %llu of the data, expected at most %zu",
			 (unsigned long long)to, d->len);
		return bad(d, t->name, why, err);
	}
	if ((uint64_t)(to - from) != t->size) {
		snprintf(why, sizeof(why),
			 "%lld bytes by its offsets, expected %zu by its shape",
			 (long long)(to - from), t->size);
		return bad(d, t->name, why, err);
	}
	span->begin = (size_t)from;
	span->end = (size_t)to;
	return 0;
}

static int decode_tensor(struct decoder *d, const char *name,
			 const json_t *entry, struct err *err)
{
	const char *type = json_string_value(json_object_get(entry, "dtype"));
	const size_t size = type ? size_of_type(type) : 0;
	struct tensor *t;

	if (!size)
		return bad(d, name, "expected \"dtype\" of a known type", err);
	if (json_object_size(entry) != 3)
		return bad(d, name,
			   "expected dtype, shape and data_offsets only", err);
	t = &d->ts->t[d->ts->n];
	t->name = mem_str(name);
	snprintf(t->type, sizeof(t->type), "%s", type);
	d->spans[d->ts->n].tensor = d->ts->n;
	d->ts->n++;
	if (decode_shape(d, t, json_object_get(entry, "shape"), err))
		return (int)err->code;
	t->size = t->len * size;
	return decode_offsets(d, t, json_object_get(entry, "data_offsets"),
			      &d->spans[d->ts->n - 1], err);
}

static int decode_meta(struct decoder *d, json_t *meta, struct err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(meta))
		return bad(d, "__metadata__", "expected an object", err);
	json_object_foreach(meta, key, value)
	{
		if (!json_is_string(value))
			return bad(d, "__metadata__",
				   "expected texts as values", err);
		tensors_set(d->ts, key, json_string_value(value));
	}
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* The tensors must cover the data once. Then copy each one's bytes, and put
 * them in the order of the data. */
static int decode_data(struct decoder *d, struct err *err)
{
	struct tensors *ts = d->ts;
	struct tensor *sorted;
	size_t at = 0;

	qsort(d->spans, ts->n, sizeof(*d->spans), by_begin);
	for (size_t i = 0; i < ts->n; i++) {
		const struct span *s = &d->spans[i];

		if (s->begin != at)
			return bad(d, ts->t[s->tensor].name,
				   s->begin > at ? "a hole before its data"
						 : "overlaps another tensor",
				   err);
		at = s->end;
	}
	if (at != d->len)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu bytes of data, expected %zu as its "
			       "tensors have",
			       d->what, d->len, at);
	sorted = mem_zero(ts->n + 1, sizeof(*sorted));
	for (size_t i = 0; i < ts->n; i++) {
		sorted[i] = ts->t[d->spans[i].tensor];
		sorted[i].data =
			mem_dup(d->data + d->spans[i].begin, sorted[i].size);
	}
	free(ts->t);
	ts->t = sorted;
	ts->cap = ts->n + 1;
	return 0;
}

static int decode_entries(struct decoder *d, json_t *all, struct err *err)
{
	const char *key;
	json_t *value;

	if (json_object_size(all) > TENSORS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s has %zu tensors, expected at most %d",
			       d->what, json_object_size(all), TENSORS_MAX);
	d->ts->cap = json_object_size(all) + 1;
	d->ts->t = mem_zero(d->ts->cap, sizeof(*d->ts->t));
	d->spans = mem_zero(d->ts->cap, sizeof(*d->spans));
	json_object_foreach(
		all, key,
		value) if (strcmp(key, "__metadata__")
				   ? decode_tensor(d, key, value, err)
				   : decode_meta(d, value,
						 err)) return (int)err->code;
	return decode_data(d, err);
}

static int decode_header(struct decoder *d, const char *header, size_t len,
			 struct err *err)
{
	json_error_t why;
	json_t *all = json_loadb(header, len, JSON_REJECT_DUPLICATES, &why);
	int rc;

	if (!json_is_object(all)) {
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "%s at byte %d: %s, expected the JSON header of "
			     "a safetensors file",
			     d->what, HEAD_LEN + (all ? 0 : why.position),
			     all ? "no object" : why.text);
		json_decref(all);
		return rc;
	}
	rc = decode_entries(d, all, err);
	json_decref(all);
	free(d->spans);
	return rc;
}

int tensors_decode(struct tensors *ts, const void *p, size_t len,
		   const char *what, struct err *err)
{
	struct decoder d = {.what = what, .ts = ts};
	uint64_t header;

	*ts = (struct tensors){0};
	if (len < HEAD_LEN)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s ends at byte %zu, expected the %d bytes of "
			       "a safetensors file's length",
			       what, len, HEAD_LEN);
	memcpy(&header, p, sizeof(header));
	header = le64toh(header);
	if (header > HEADER_MAX || header > len - HEAD_LEN)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s at byte 0: a header of %llu bytes, expected "
			       "at most %zu (a safetensors file?)",
			       what, (unsigned long long)header,
			       len - HEAD_LEN < HEADER_MAX
				       ? len - HEAD_LEN
				       : (size_t)HEADER_MAX);
	d.data = (const char *)p + HEAD_LEN + header;
	d.len = len - HEAD_LEN - header;
	if (decode_header(&d, (const char *)p + HEAD_LEN, header, err)) {
		tensors_release(ts);
		return (int)err->code;
	}
	return 0;
}

int tensors_read(struct tensors *ts, const char *path, struct err *err)
{
	char *p;
	size_t len;
	int rc;

	if (file_read(&p, &len, path, FILE_MAX_BYTES, err))
		return (int)err->code;
	rc = tensors_decode(ts, p, len, path, err);
	free(p);
	return rc;
}

int tensors_write(const struct tensors *ts, const char *path, struct err *err)
{
	struct buf b = BUF_INIT(0);
	struct file_part part;
	int rc;

	tensors_encode(ts, &b);
	part = (struct file_part){b.p, b.len};
	rc = file_replace(path, &part, 1, err);
	buf_release(&b);
	return rc;
}
