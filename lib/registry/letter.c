#include "registry/letter.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

static int wrong(const char *key, const char *want, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "\"%s\" is not %s", key,
		       want);
}

/* A text without NUL. */
static bool is_text(const json_t *v)
{
	return json_is_string(v) &&
	       strlen(json_string_value(v)) == json_string_length(v);
}

static int parse_to(struct letter *l, const json_t *v, struct err *err)
{
	if (json_is_integer(v))
		l->to = mem_fmt("%" PRId64, (int64_t)json_integer_value(v));
	else if (is_text(v))
		l->to = mem_str(json_string_value(v));
	else if (v)
		return wrong("to", "an id or a URL", err);
	return 0;
}

static int parse_id(struct letter *l, const json_t *v, struct err *err)
{
	if (!v)
		return 0;
	if (!is_text(v) || !json_string_length(v) ||
	    json_string_length(v) > LETTER_ID_MAX)
		return wrong("id", "a text of 1 to 128 bytes", err);
	l->id = mem_str(json_string_value(v));
	return 0;
}

static int parse_type(struct letter *l, const json_t *v, struct err *err)
{
	json_int_t type = json_integer_value(v);

	if (!v)
		return 0;
	if (!json_is_integer(v) || type < 0 || type > INT32_MAX)
		return wrong("type", "a number from 0 to 2147483647", err);
	l->type = (int)type;
	return 0;
}

static int parse_payload(struct letter *l, const json_t *text,
			 const json_t *bytes, struct err *err)
{
	size_t len = json_string_length(bytes);

	if (!text == !bytes)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "neither \"payload\" nor \"payload_b64\", or "
			       "both");
	if (text && !json_is_string(text))
		return wrong("payload", "a text", err);
	if (bytes && !json_is_string(bytes))
		return wrong("payload_b64", "base64", err);
	if (text) {
		l->len = json_string_length(text);
		l->payload = mem_dup(json_string_value(text), l->len);
		return 0;
	}
	l->payload = mem_zero(1, len / 4 * 3 + 2);
	if (!base64_decode(l->payload, &l->len, json_string_value(bytes), len))
		return wrong("payload_b64", "base64", err);
	return 0;
}

static int parse(struct letter *l, const json_t *v, struct err *err)
{
	if (!json_is_object(v))
		return err_set(err, ERR_INVALID_ARGUMENT, "no JSON object");
	if (parse_to(l, json_object_get(v, "to"), err) ||
	    parse_id(l, json_object_get(v, "id"), err) ||
	    parse_type(l, json_object_get(v, "type"), err))
		return (int)err->code;
	return parse_payload(l, json_object_get(v, "payload"),
			     json_object_get(v, "payload_b64"), err);
}

int letter_parse(struct letter *out, const char *text, size_t len,
		 struct err *err)
{
	json_error_t where;
	json_t *v = json_loadb(text, len,
			       JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	int rc;

	*out = (struct letter){.type = -1};
	if (!v)
		return err_set(err, ERR_INVALID_ARGUMENT, "no JSON: %s",
			       where.text);
	rc = parse(out, v, err);
	json_decref(v);
	if (rc)
		letter_release(out);
	return rc;
}

void letter_release(struct letter *l)
{
	free(l->to);
	free(l->id);
	free(l->payload);
	*l = (struct letter){.type = -1};
}
