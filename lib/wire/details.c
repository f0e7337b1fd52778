#include "wire/details.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "proto/status.pb-c.h"
#include "wire/rpc.h"
#include "wire/utf8.h"

#define TYPE_URL "type.googleapis.com/"

enum {
	MAX_DETAILS = 2,
	MAX_TEXT = 16 << 10, /* of what is read */
	MAX_RETRY_S = 86400,
};

typedef void each_fn(const ProtobufCMessage *msg, void *arg);

bool details_any(const struct err *err)
{
	return err->retry_s > 0 || err->hint[0];
}

static void each(const struct err *err, each_fn *fn, void *arg)
{
	Google__Rpc__LocalizedMessage hint =
		GOOGLE__RPC__LOCALIZED_MESSAGE__INIT;
	Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
	Google__Rpc__Duration delay = GOOGLE__RPC__DURATION__INIT;

	delay.seconds = err->retry_s;
	retry.retry_delay = &delay;
	if (err->retry_s > 0)
		fn(&retry.base, arg);
	hint.locale = (char *)"en";
	hint.message = (char *)err->hint;
	if (err->hint[0] && utf8_ok(err->hint, strlen(err->hint)))
		fn(&hint.base, arg);
}

/* Base64 without the padding. */
static void put_bare(struct buf *out, const void *p, size_t len)
{
	char *to = buf_room(out, base64_size(len));

	base64_encode(to, p, len);
	out->len += (len * 4 + 2) / 3;
	out->p[out->len] = '\0';
}

static uint8_t *packed(const ProtobufCMessage *msg, size_t *len)
{
	uint8_t *p;

	*len = protobuf_c_message_get_packed_size(msg);
	p = mem_zero(*len + 1, 1);
	protobuf_c_message_pack(msg, p);
	return p;
}

static void put_one(const ProtobufCMessage *msg, void *arg)
{
	struct buf *out = arg;
	size_t len;
	uint8_t *p = packed(msg, &len);

	buf_putf(out, "%s{\"type\":\"%s\",\"value\":\"",
		 out->p[out->len - 1] == '[' ? "" : ",", msg->descriptor->name);
	put_bare(out, p, len);
	buf_puts(out, "\"}");
	free(p);
}

void details_put_json(struct buf *out, const struct err *err)
{
	buf_putc(out, '[');
	each(err, put_one, out);
	buf_putc(out, ']');
}

struct list {
	Google__Rpc__Any any[MAX_DETAILS], *at[MAX_DETAILS];
	char url[MAX_DETAILS][64];
	size_t n;
};

static void add_one(const ProtobufCMessage *msg, void *arg)
{
	struct list *l = arg;
	Google__Rpc__Any *any = &l->any[l->n];

	*any = (Google__Rpc__Any)GOOGLE__RPC__ANY__INIT;
	snprintf(l->url[l->n], sizeof(l->url[0]), TYPE_URL "%s",
		 msg->descriptor->name);
	any->type_url = l->url[l->n];
	any->value.data = packed(msg, &any->value.len);
	l->at[l->n++] = any;
}

void details_put_status(struct buf *out, const struct err *err)
{
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	struct list l = {.n = 0};
	uint8_t *p;
	size_t len;

	each(err, add_one, &l);
	status.code = (int32_t)err->code;
	if (utf8_ok(err->msg, strlen(err->msg)))
		status.message = (char *)err->msg;
	status.details = l.at;
	status.n_details = l.n;
	p = packed(&status.base, &len);
	put_bare(out, p, len);
	free(p);
	while (l.n)
		free(l.any[--l.n].value.data);
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type,
				const void *p, size_t len)
{
	ProtobufCMessage *msg;

	return rpc_unpack(&msg, type, p, len, NULL) ? NULL : msg;
}

static void take_retry(struct err *err, const ProtobufCBinaryData *value)
{
	ProtobufCMessage *msg = unpack(&google__rpc__retry_info__descriptor,
				       value->data, value->len);
	const Google__Rpc__RetryInfo *retry =
		(const Google__Rpc__RetryInfo *)msg;
	const Google__Rpc__Duration *d = retry ? retry->retry_delay : NULL;

	if (d && d->seconds >= 0 && d->seconds < MAX_RETRY_S)
		err->retry_s = (int)d->seconds + (d->nanos > 0);
	rpc_free(msg);
}

/* Control characters do not reach the terminal. */
static void take_hint(struct err *err, const ProtobufCBinaryData *value)
{
	ProtobufCMessage *msg =
		unpack(&google__rpc__localized_message__descriptor, value->data,
		       value->len);
	const Google__Rpc__LocalizedMessage *hint =
		(const Google__Rpc__LocalizedMessage *)msg;

	if (hint && strlen(hint->message) < sizeof(err->hint))
		snprintf(err->hint, sizeof(err->hint), "%s", hint->message);
	for (char *s = err->hint; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	rpc_free(msg);
}

static void take(struct err *err, const Google__Rpc__Any *any)
{
	if (!strcmp(any->type_url, TYPE_URL "google.rpc.RetryInfo"))
		take_retry(err, &any->value);
	else if (!strcmp(any->type_url, TYPE_URL "google.rpc.LocalizedMessage"))
		take_hint(err, &any->value);
}

void details_read(struct err *err, const char *text, size_t len)
{
	const Google__Rpc__Status *status;
	ProtobufCMessage *msg = NULL;
	uint8_t *bytes;
	size_t n;

	if (len > MAX_TEXT)
		return;
	bytes = mem_zero(len / 4 * 3 + 3, 1);
	if (base64_decode(bytes, &n, text, len))
		msg = unpack(&google__rpc__status__descriptor, bytes, n);
	status = (const Google__Rpc__Status *)msg;
	for (size_t i = 0; status && i < status->n_details; i++)
		take(err, status->details[i]);
	rpc_free(msg);
	free(bytes);
}
