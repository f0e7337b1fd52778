#include "wire/json.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "wire/field.h"
#include "wire/utf8.h"

struct printer {
	struct buf *out;
	int flags;
	int rc; /* the first failure; nothing is written after it */
	struct err *err;
};

static void print_message(struct printer *p, const ProtobufCMessage *msg);

static void put(struct printer *p, const char *s, size_t len)
{
	if (!p->rc)
		p->rc = buf_add(p->out, s, len, p->err);
}

static void print(struct printer *p, const char *s)
{
	put(p, s, strlen(s));
}

/* The escape of what may not stand in a JSON string as it is, or NULL. */
static const char *escape(unsigned char c, char room[8])
{
	static const char short_[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *s = short_; *s; s += 2)
		if ((unsigned char)*s == c) {
			snprintf(room, 8, "\\%c", s[1]);
			return room;
		}
	if (c >= 0x20 && c != 0x7f)
		return NULL;
	snprintf(room, 8, "\\u%04x", c);
	return room;
}

/* Stands for itself, as nearly all does. */
static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* What is not UTF-8 becomes U+FFFD, byte by byte. */
static void print_string(struct printer *p, const char *s, size_t len)
{
	size_t from = 0, i = 0, n;

	print(p, "\"");
	for (; i < len; i += n) {
		const char *instead;
		char room[8];

		n = 1;
		if (is_plain(s[i]))
			continue;
		n = utf8_one(s + i, len - i);
		instead =
			n ? escape((unsigned char)s[i], room) : "\xef\xbf\xbd";
		n += !n;
		if (instead) {
			put(p, s + from, i - from);
			print(p, instead);
			from = i + 1;
		}
	}
	put(p, s + from, len - from);
	print(p, "\"");
}

static void print_bytes(struct printer *p, const ProtobufCBinaryData *b)
{
	size_t len = base64_size(b->len);
	char *to = NULL;

	print(p, "\"");
	if (!p->rc && !(to = buf_room(p->out, len)))
		p->rc = err_set(p->err, ERR_RESOURCE_EXHAUSTED,
				"more than %zu bytes", p->out->max);
	if (!p->rc) {
		base64_encode(to, b->data, b->len);
		p->out->len += len;
	}
	print(p, "\"");
}

/* The fewest digits that read back as the same number: 6 (15) always do if a
 * decimal number of so many was meant; subnormals have less to say. snprintf
 * may write the locale's decimal comma. */
static void print_real(struct printer *p, double v, bool single)
{
	double least = single ? (double)FLT_MIN : DBL_MIN;
	int digits = fabs(v) < least ? 1 : single ? 6 : 15;
	char s[32];
	char *comma;

	if (isnan(v) || isinf(v)) {
		print(p, isnan(v) ? "\"NaN\""
			 : v > 0  ? "\"Infinity\""
				  : "\"-Infinity\"");
		return;
	}
	for (; digits <= 17; digits++) {
		snprintf(s, sizeof(s), "%.*g", digits, v);
		if (single ? strtof(s, NULL) == (float)v : strtod(s, NULL) == v)
			break;
	}
	if ((comma = strchr(s, ',')))
		*comma = '.';
	print(p, v == 0 && signbit(v) ? "-0.0" : s);
}

/* 64 bits are a string: JavaScript's numbers have 53. */
static void print_int(struct printer *p, bool wide, bool sign, uint64_t v)
{
	const char *quote = wide && !(p->flags & JSON_NUMBERS) ? "\"" : "";
	char s[32];

	if (sign)
		snprintf(s, sizeof(s), "%s%lld%s", quote, (long long)v, quote);
	else
		snprintf(s, sizeof(s), "%s%llu%s", quote, (unsigned long long)v,
			 quote);
	print(p, s);
}

static void print_enum(struct printer *p, const ProtobufCEnumDescriptor *type,
		       int32_t v)
{
	const ProtobufCEnumValue *known =
		protobuf_c_enum_descriptor_get_value(type, v);

	if (known)
		print_string(p, known->name, strlen(known->name));
	else
		print_int(p, false, true, (uint64_t)(int64_t)v);
}

static void print_value(struct printer *p, const ProtobufCFieldDescriptor *f,
			const void *at)
{
	const char *text;
	int64_t v;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		v = *(const int32_t *)at;
		print_int(p, false, true, (uint64_t)v);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		print_int(p, true, true, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		print_int(p, false, false, *(const uint32_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		print_int(p, true, false, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		print_real(p, (double)*(const float *)at, true);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		print_real(p, *(const double *)at, false);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		print(p, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		print_enum(p, f->descriptor, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		text = *(const char *const *)at;
		print_string(p, text ? text : "", text ? strlen(text) : 0);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		print_bytes(p, at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		print_message(p, *(const ProtobufCMessage *const *)at);
		break;
	}
}

/* An item of a map, so that maps can be sorted. */
struct item {
	const ProtobufCMessage *entry;
	size_t index;
};

static int compare_keys(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const ProtobufCFieldDescriptor *key = &a->descriptor->fields[0];
	uint64_t x = 0, y = 0;

	if (key->type == PROTOBUF_C_TYPE_STRING) {
		const char *s = *(const char *const *)field_at(key, a);
		const char *t = *(const char *const *)field_at(key, b);

		return strcmp(s ? s : "", t ? t : "");
	}
	memcpy(&x, field_at(key, a), field_size(key));
	memcpy(&y, field_at(key, b), field_size(key));
	return (x > y) - (x < y);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = compare_keys(x->entry, y->entry);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static void print_entry(struct printer *p, const ProtobufCMessage *entry)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
	const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
	int flags = p->flags;

	if (key->type == PROTOBUF_C_TYPE_STRING) {
		print_value(p, key, field_at(key, entry));
	} else {
		print(p, "\"");
		p->flags |= JSON_NUMBERS;
		print_value(p, key, field_at(key, entry));
		p->flags = flags;
		print(p, "\"");
	}
	print(p, ":");
	print_value(p, value, field_at(value, entry));
}

/* Sorted, so that equal maps look equal; of equal keys, which the binary form
 * allows, the last counts. */
static void print_map(struct printer *p, ProtobufCMessage *const *entries,
		      size_t n)
{
	struct item *items = mem_zero(n, sizeof(*items));
	const char *comma = "";

	for (size_t i = 0; i < n; i++)
		items[i] = (struct item){entries[i], i};
	qsort(items, n, sizeof(*items), compare_items);
	print(p, "{");
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n &&
		    !compare_keys(items[i].entry, items[i + 1].entry))
			continue;
		print(p, comma);
		print_entry(p, items[i].entry);
		comma = ",";
	}
	print(p, "}");
	free(items);
}

static void print_array(struct printer *p, const ProtobufCFieldDescriptor *f,
			const char *items, size_t n)
{
	print(p, "[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			print(p, ",");
		print_value(p, f, items + i * field_size(f));
	}
	print(p, "]");
}

/* Bit by bit, because -0.0 is not the default. */
static bool is_default(const ProtobufCFieldDescriptor *f, const void *at)
{
	static const char zero[8];
	const char *text;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		text = *(const char *const *)at;
		return !text || !*text;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len == 0;
	default:
		return !memcmp(at, zero, field_size(f));
	}
}

static bool is_shown(const struct printer *p, const ProtobufCMessage *msg,
		     const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *field_count(f, msg) || p->flags & JSON_DEFAULTS;
	if (field_is_oneof(f) && *field_case(f, msg) != f->id)
		return false;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void **)field_at(f, msg) || p->flags & JSON_NULLS;
	return field_is_oneof(f) || p->flags & JSON_DEFAULTS ||
	       !is_default(f, field_at(f, msg));
}

static void print_field(struct printer *p, const ProtobufCMessage *msg,
			const ProtobufCFieldDescriptor *f)
{
	void *at = field_at(f, msg);
	char room[FIELD_NAME];

	print(p, "\"");
	print(p, p->flags & JSON_SNAKE ? f->name : field_json_name(f, room));
	print(p, "\":");
	if (field_is_map(msg->descriptor, f))
		print_map(p, *(ProtobufCMessage *const *const *)at,
			  *field_count(f, msg));
	else if (f->label == PROTOBUF_C_LABEL_REPEATED)
		print_array(p, f, *(char **)at, *field_count(f, msg));
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void **)at)
		print(p, "null");
	else
		print_value(p, f, at);
}

static void print_message(struct printer *p, const ProtobufCMessage *msg)
{
	const char *comma = "";

	print(p, "{");
	for (unsigned i = 0; msg && i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &msg->descriptor->fields[i];

		if (!is_shown(p, msg, f))
			continue;
		print(p, comma);
		print_field(p, msg, f);
		comma = ",";
	}
	print(p, "}");
}

int json_print(struct buf *out, const ProtobufCMessage *msg, int flags,
	       struct err *err)
{
	struct printer p = {out, flags, 0, err};
	size_t before = out->len;

	print_message(&p, msg);
	if (p.rc) {
		out->len = before;
		if (out->p)
			out->p[before] = '\0';
	}
	return p.rc;
}
