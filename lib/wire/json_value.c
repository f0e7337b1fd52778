#include "wire/json_value.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "wire/json_scan.h"

static const char *const type_names[] = {
	[PROTOBUF_C_TYPE_INT32] = "an int32",
	[PROTOBUF_C_TYPE_SINT32] = "an int32",
	[PROTOBUF_C_TYPE_SFIXED32] = "an int32",
	[PROTOBUF_C_TYPE_INT64] = "an int64",
	[PROTOBUF_C_TYPE_SINT64] = "an int64",
	[PROTOBUF_C_TYPE_SFIXED64] = "an int64",
	[PROTOBUF_C_TYPE_UINT32] = "a uint32",
	[PROTOBUF_C_TYPE_FIXED32] = "a uint32",
	[PROTOBUF_C_TYPE_UINT64] = "a uint64",
	[PROTOBUF_C_TYPE_FIXED64] = "a uint64",
	[PROTOBUF_C_TYPE_FLOAT] = "a float",
	[PROTOBUF_C_TYPE_DOUBLE] = "a double",
	[PROTOBUF_C_TYPE_BOOL] = "true or false",
	[PROTOBUF_C_TYPE_ENUM] = "a name of",
	[PROTOBUF_C_TYPE_STRING] = "a string without NUL",
	[PROTOBUF_C_TYPE_BYTES] = "base64",
};

static bool is_marked(const json_t *v)
{
	return json_string_length(v) &&
	       *json_string_value(v) == JSON_LONG_NUMBER;
}

/* "-5" is not a uint32 */
static int wrong(const ProtobufCFieldDescriptor *f, const json_t *v,
		 struct err *err)
{
	const ProtobufCEnumDescriptor *type = f->descriptor;
	bool is_enum = f->type == PROTOBUF_C_TYPE_ENUM;
	char *text = NULL;

	if (is_marked(v))
		text = mem_str(json_string_value(v) + 1);
	else if (!json_is_object(v) && !json_is_array(v))
		text = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	err_set(err, ERR_INVALID_ARGUMENT, "%.80s is not %s%s%s",
		text                ? text
		: json_is_object(v) ? "an object"
				    : "an array",
		type_names[f->type], is_enum ? " " : "",
		is_enum ? type->short_name : "");
	free(text);
	return ERR_INVALID_ARGUMENT;
}

/* A number written as text, in JSON's own spelling of numbers; jansson reads
 * it whatever the locale. */
static bool text_real(const char *s, size_t len, double *out)
{
	json_t *v;

	if (!len || !memchr("-0123456789", s[0], 11) || s[len - 1] < '0' ||
	    s[len - 1] > '9')
		return false;
	v = json_loadb(s, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	*out = json_real_value(v);
	json_decref(v);
	return v;
}

static bool real(const json_t *v, double *out)
{
	const char *s = json_string_value(v);

	*out = json_number_value(v);
	if (!s)
		return json_is_number(v);
	if (is_marked(v))
		return text_real(s + 1, json_string_length(v) - 1, out);
	*out = !strcmp(s, "NaN")         ? (double)NAN
	       : !strcmp(s, "Infinity")  ? (double)INFINITY
	       : !strcmp(s, "-Infinity") ? (double)-INFINITY
					 : 0;
	return *out != 0 || text_real(s, json_string_length(v), out);
}

/* An integer of either sign, beyond the range of each type. */
struct whole {
	bool negative;
	uint64_t size;
};

static bool text_whole(const char *s, struct whole *w)
{
	uint64_t size = 0;

	w->negative = *s == '-';
	s += w->negative;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' ||
		    __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(*s - '0'), &size))
			return false;
	}
	w->size = size;
	return true;
}

static bool whole(const json_t *v, struct whole *w)
{
	double d = json_real_value(v);

	if (json_is_string(v))
		return strlen(json_string_value(v) + is_marked(v)) ==
			       json_string_length(v) - is_marked(v) &&
		       text_whole(json_string_value(v) + is_marked(v), w);
	if (json_is_real(v)) {
		if (d != trunc(d) || fabs(d) >= 0x1p64)
			return false;
		*w = (struct whole){d < 0, (uint64_t)fabs(d)};
		return true;
	}
	*w = (struct whole){json_integer_value(v) < 0,
			    (uint64_t)json_integer_value(v)};
	if (w->negative)
		w->size = 0 - w->size;
	return json_is_integer(v);
}

/* Store w as a number of 32 or 64 bits if it fits. */
static bool store(void *at, struct whole w, bool sign, int bits)
{
	uint64_t max = UINT64_MAX >> (64 - bits + sign);
	uint64_t value = w.negative ? 0 - w.size : w.size;
	uint32_t low = (uint32_t)value;

	if (w.negative ? w.size > (sign ? max + 1 : 0) : w.size > max)
		return false;
	if (bits == 64)
		memcpy(at, &value, 8);
	else
		memcpy(at, &low, 4);
	return true;
}

static bool store_whole(const ProtobufCFieldDescriptor *f, void *at,
			struct whole w)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return store(at, w, false, 32);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return store(at, w, false, 64);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return store(at, w, true, 64);
	default:
		return store(at, w, true, 32);
	}
}

static bool store_real(const ProtobufCFieldDescriptor *f, void *at,
		       const json_t *v)
{
	double d;

	if (!real(v, &d))
		return false;
	if (f->type == PROTOBUF_C_TYPE_DOUBLE) {
		memcpy(at, &d, sizeof(d));
		return true;
	}
	memcpy(at, &(float){(float)d}, sizeof(float));
	return isinf(d) || !isinf((float)d);
}

static bool store_bytes(ProtobufCBinaryData *to, const json_t *v)
{
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		return false;
	to->data = mem_zero(n / 4 * 3 + 2, 1);
	return base64_decode(to->data, &to->len, json_string_value(v), n);
}

static bool store_string(char **to, const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s || strlen(s) != json_string_length(v))
		return false;
	*to = mem_str(s);
	return true;
}

static int store_enum(const ProtobufCFieldDescriptor *f, void *at,
		      const json_t *v, struct err *err)
{
	const ProtobufCEnumValue *known;
	struct whole w;

	if (!json_is_string(v) || is_marked(v))
		return whole(v, &w) && store(at, w, true, 32)
			       ? 0
			       : wrong(f, v, err);
	known = protobuf_c_enum_descriptor_get_value_by_name(
		f->descriptor, json_string_value(v));
	if (!known) {
		(void)wrong(f, v, err);
		return JSON_NO_SUCH_NAME;
	}
	memcpy(at, &known->value, 4);
	return 0;
}

int json_scalar(const ProtobufCFieldDescriptor *f, void *at, const json_t *v,
		struct err *err)
{
	struct whole w;
	bool fits;

	switch (f->type) {
	case PROTOBUF_C_TYPE_ENUM:
		return store_enum(f, at, v, err);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		fits = store_real(f, at, v);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fits = json_is_boolean(v);
		*(protobuf_c_boolean *)at = json_is_true(v);
		break;
	case PROTOBUF_C_TYPE_STRING:
		fits = store_string(at, v);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		fits = store_bytes(at, v);
		break;
	default:
		fits = whole(v, &w) && store_whole(f, at, w);
	}
	return fits ? 0 : wrong(f, v, err);
}

int json_key(const ProtobufCFieldDescriptor *f, void *at, const char *key,
	     struct err *err)
{
	bool is_true = !strcmp(key, "true");
	struct whole w;
	bool fits;

	if (f->type == PROTOBUF_C_TYPE_STRING) {
		*(char **)at = mem_str(key);
		return 0;
	}
	if (f->type == PROTOBUF_C_TYPE_BOOL) {
		*(protobuf_c_boolean *)at = is_true;
		fits = is_true || !strcmp(key, "false");
	} else {
		fits = text_whole(key, &w) && store_whole(f, at, w);
	}
	return fits ? 0
		    : err_set(err, ERR_INVALID_ARGUMENT,
			      "key \"%.80s\" is not %s", key,
			      type_names[f->type]);
}
