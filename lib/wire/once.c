/* Calls that may not be made twice: the first of an id is carried out, even
 * if its client goes away before the answer; a repetition joins it, or gets
 * the same answer. */
#include "wire/engine.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/mem.h"

/* What such a call has besides. */
struct once {
	struct call *call;
	uint8_t id[DEDUPE_ID];
	bool repeated;              /* by its client */
	struct dedupe_entry *entry; /* that it answers, being the first */
	LIST_ENTRY(once) waiting;   /* for the first, if joins */
	LIST_ENTRY(once) alone;     /* among those without a client, if is */
	bool joins, is_alone;
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hex digits; "; repeated" may follow. */
static bool parse(struct once *o, const char *text)
{
	for (int i = 0; i < DEDUPE_ID; i++, text += 2) {
		int high = hex(text[0]), low = high < 0 ? -1 : hex(text[1]);

		if (low < 0)
			return false;
		o->id[i] = (uint8_t)(high << 4 | low);
	}
	o->repeated = !strcmp(text, RPC_REPEATED);
	return o->repeated || !*text;
}

int once_header(struct call *call, const char *value, struct err *err)
{
	struct once *o;

	if (call->route->method->again ||
	    call->route->method->kind != RPC_UNARY)
		return 0;
	o = mem_zero(1, sizeof(*o));
	o->call = call;
	call->once = o;
	if (!parse(o, value))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       RPC_REQUEST_ID " is not 32 hex digits");
	return 0;
}

static uint32_t digest_of(const ProtobufCMessage *in)
{
	size_t len = protobuf_c_message_get_packed_size(in);
	uint8_t *p = mem_zero(1, len + 1);
	uint32_t digest;

	protobuf_c_message_pack(in, p);
	digest = crc32c_of(0, p, len);
	free(p);
	return digest;
}

static void leave(struct once *o)
{
	if (o->joins)
		LIST_REMOVE(o, waiting);
	if (o->is_alone)
		LIST_REMOVE(o, alone);
	o->joins = o->is_alone = false;
}

static void joined_gone(struct call *call, void *arg)
{
	(void)call;
	leave(arg);
}

static void join(struct once *o, struct dedupe_entry *e)
{
	o->joins = true;
	LIST_INSERT_HEAD(&e->waiting, o, waiting);
	call_on_cancel(o->call, joined_gone, o);
}

/* The answer that the first got. */
static void answer_kept(struct call *call, const struct dedupe_entry *e)
{
	ProtobufCMessage *msg;
	struct err err;

	if (e->err) {
		call_fail(call, e->err);
	} else if (rpc_unpack(&msg, call->route->method->out, e->packed, e->len,
			      &err)) {
		call_fail(call, &err);
	} else {
		call_reply(call, msg);
		rpc_free(msg);
	}
}

static bool again(struct once *o, struct dedupe_entry *e, uint32_t digest)
{
	struct err err;

	if (e->digest != digest) {
		err_set(&err, ERR_INVALID_ARGUMENT,
			"this " RPC_REQUEST_ID " was given to another request");
		call_fail(o->call, &err);
	} else if (e->ended) {
		answer_kept(o->call, e);
	} else {
		join(o, e);
	}
	return true;
}

bool once_known(struct call *call, const ProtobufCMessage *in)
{
	const struct rpc_method *m = call->route->method;
	uint32_t digest = digest_of(in);
	struct server *s = call->s;
	struct once *o = call->once;
	struct dedupe_entry *e = dedupe_find(&s->dedupe, m, o->id, clock_ms());
	struct err err;

	if (e)
		return again(o, e, digest);
	if (o->repeated) {
		err_set(&err, ERR_UNKNOWN,
			"whether %s was carried out is not known here",
			strrchr(m->path, '/') + 1);
	} else {
		o->entry = dedupe_begin(&s->dedupe, m, o->id, digest);
		if (o->entry)
			return false;
		err_set(&err, ERR_RESOURCE_EXHAUSTED,
			"%d calls with a " RPC_REQUEST_ID " are under way",
			DEDUPE_MAX);
	}
	call_fail(call, &err);
	return true;
}

void once_answer(struct call *call, const ProtobufCMessage *msg,
		 const struct err *err)
{
	struct once *o = call->once, *other;
	struct dedupe_entry *e = o->entry;

	if (!e)
		return;
	o->entry = NULL;
	while ((other = LIST_FIRST(&e->waiting))) {
		leave(other);
		if (err)
			call_fail(other->call, err);
		else
			call_reply(other->call, msg);
	}
	dedupe_end(&call->s->dedupe, e, msg, err, clock_ms());
}

bool once_goes_on(struct call *call)
{
	struct once *o = call->once;

	if (!o->entry || call->s->closing)
		return false;
	if (call->deadline_ms == INT64_MAX)
		call_expire(call, DEDUPE_MS);
	o->is_alone = true;
	LIST_INSERT_HEAD(&call->s->alone, o, alone);
	return true;
}

void once_close(struct server *s)
{
	struct once *o;

	while ((o = LIST_FIRST(&s->alone))) {
		leave(o);
		call_close(o->call);
	}
}

void once_free(struct once *o)
{
	if (o)
		leave(o);
	free(o);
}
