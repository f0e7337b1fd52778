/* The sending of a batch: each receiver's messages to itself, or all of them to
 * the node through which they go; in either case one request after the other,
 * so that the order is kept. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "registry/post_impl.h"
#include "wire/backoff.h"

/* One message for one receiver. */
struct pair {
	size_t message, receiver; /* where in the post they are */
	struct post_receiver *to;
};

/* One connection's worth of them. */
struct route {
	struct post *p;
	struct post_receiver *only;        /* NULL: all, through another node */
	size_t message, receiver;          /* the next pair to be sent */
	struct pair pairs[POST_BATCH_MAX]; /* under way */
	size_t npairs;
	struct backoff pause;
	struct rand rand;
	struct timer timer;
	int64_t since_ms; /* the last progress */
	int64_t asked_us; /* when these were sent */
};

static void begin_routes(struct post *p);

/* The next pair that is not spoilt by its receiver's failure. */
static bool next_pair(struct route *t, struct pair *out)
{
	struct post *p = t->p;

	for (; t->message < p->nbatch; t->message++, t->receiver = 0) {
		const struct post_copy *m = &p->batch[t->message];
		const struct post_receiver *one = t->only ? t->only : m->to;

		if (t->only && m->to && m->to != t->only)
			continue;
		if (one && t->receiver < one->index)
			t->receiver = one->index;
		while (t->receiver < (one ? one->index + 1 : p->n)) {
			struct post_receiver *to = p->all[t->receiver++];

			if (to->failed.code)
				continue;
			*out = (struct pair){t->message, to->index, to};
			return true;
		}
	}
	return false;
}

static void back_to(struct route *t, const struct pair *pair)
{
	t->message = pair->message;
	t->receiver = pair->receiver;
}

static void fill(struct route *t)
{
	struct pair pair;
	size_t bytes = 0;

	t->npairs = 0;
	while (t->npairs < POST_BATCH_MAX && next_pair(t, &pair)) {
		bytes += t->p->batch[pair.message].len;
		if (t->npairs && bytes > POST_BATCH_BYTES) {
			back_to(t, &pair);
			break;
		}
		t->pairs[t->npairs++] = pair;
	}
}

static void fail(struct post_receiver *r, const struct err *err)
{
	if (r->failed.code)
		return;
	r->failed = *err;
	err_wrap(&r->failed, "send to %s", r->name);
}

static void note_sent(struct route *t, const struct pair *pair,
		      const Gfl__V1__MessageOutcome *one)
{
	struct post *p = t->p;
	const struct post_copy *m = &p->batch[pair->message];
	struct post_receiver *r = pair->to;

	p->sent = true;
	r->sent++;
	r->cursor = one->cursor;
	r->rtt_us = clock_us() - t->asked_us;
	free(r->reply);
	r->reply = *one->reply ? mem_str(one->reply) : NULL;
	if (one->queued)
		r->queued = one->queued;
	str_copy(r->message, sizeof(r->message), m->id);
	if (!m->named || !p->opts.wait)
		return;
	r->named = mem_grow(r->named, &r->named_cap, r->nnamed + 1,
			    sizeof(*r->named));
	r->named[r->nnamed++] = mem_str(m->id);
}

/* A box that took something before is being emptied, perhaps. */
static bool may_wait(const struct route *t, const struct pair *pair,
		     const struct err *err)
{
	int64_t patience_ms = t->p->client.timeout_ms;

	return err->code == ERR_RESOURCE_EXHAUSTED && pair->to->sent &&
	       (!patience_ms || clock_ms() - t->since_ms < patience_ms);
}

/* A disk may be full as well, which nobody empties by reading. */
static bool is_inbox_full(const struct err *err)
{
	return err->code == ERR_RESOURCE_EXHAUSTED &&
	       !strncmp(err->msg, "the inbox of node", 17);
}

/* False: the rest has to wait for room. */
static bool settle(struct route *t, const Gfl__V1__SendMessagesResponse *out)
{
	struct err err;

	for (size_t i = 0; i < t->npairs; i++) {
		const struct pair *pair = &t->pairs[i];

		err.code = ERR_OK;
		if (i >= out->n_outcomes)
			err_set(&err, ERR_INTERNAL, "no outcome came");
		else if (out->outcomes[i]->code)
			err_set(&err, (enum err_code)out->outcomes[i]->code,
				"%s", out->outcomes[i]->error);
		if (!err.code) {
			note_sent(t, pair, out->outcomes[i]);
			t->since_ms = clock_ms();
			t->pause.now_ms = 0;
		} else if (may_wait(t, pair, &err)) {
			back_to(t, pair);
			return false;
		} else {
			if (t->only && is_inbox_full(&err))
				err_hint(&err, "read it: gfl-recv --node %s",
					 pair->to->name);
			fail(pair->to, &err);
		}
	}
	return true;
}

static void route_go(void *arg);

static void route_free(struct route *t)
{
	struct post *p = t->p;

	timer_stop(&t->timer);
	free(t);
	p->under_way--;
	begin_routes(p);
	if (!p->under_way)
		loop_stop(p->loop);
}

/* Who asked for this one alone may want it to have the message later. */
static void fail_all(struct route *t, const struct err *err)
{
	struct err why = *err;

	if (t->only && t->p->n == 1 && err->code == ERR_UNAVAILABLE)
		err_hint(&why, "have a node deliver it later: --via any");
	for (size_t i = 0; i < t->npairs; i++)
		fail(t->pairs[i].to, &why);
}

static void answered(const struct err *err, const ProtobufCMessage *out,
		     void *arg)
{
	struct route *t = arg;

	if (err)
		fail_all(t, err);
	if (err || settle(t, (const Gfl__V1__SendMessagesResponse *)out))
		route_go(t);
	else
		timer_set(&t->timer, t->p->loop,
			  backoff_next(&t->pause, &t->rand), route_go, t);
}

static void fill_item(const struct route *t, const struct pair *pair,
		      Gfl__V1__MessageItem *item)
{
	const struct post_copy *m = &t->p->batch[pair->message];

	gfl__v1__message_item__init(item);
	item->id = m->id;
	item->named = m->named;
	item->from = t->p->opts.from;
	item->to = pair->to->id;
	item->type = m->type;
	item->payload.data = m->payload;
	item->payload.len = m->len;
	item->seq = m->seq;
	item->sent_ms = m->sent_ms;
	item->expire_ms = t->p->opts.expire_ms;
}

/* One that had a message before may be restarting: it is tried again. */
static void call(struct route *t)
{
	Gfl__V1__SendMessagesRequest in = GFL__V1__SEND_MESSAGES_REQUEST__INIT;
	struct post *p = t->p;
	const int64_t timeout_ms = p->client.timeout_ms;
	const bool before = t->only ? t->only->sent > 0 : p->sent;
	const struct rpc_opts opts = {
		.timeout_ms = timeout_ms,
		.retry = timeout_ms && before,
	};
	Gfl__V1__MessageItem *items = mem_zero(t->npairs, sizeof(*items));
	Gfl__V1__MessageItem **at = mem_zero(t->npairs, sizeof(*at));

	for (size_t i = 0; i < t->npairs; i++) {
		fill_item(t, &t->pairs[i], &items[i]);
		at[i] = &items[i];
	}
	in.messages = at;
	in.n_messages = t->npairs;
	in.origin = p->origin;
	in.queue = !t->only;
	t->asked_us = clock_us();
	client_call(p->calls, t->only ? t->only->url : p->via,
		    RPC_NODE_SEND_MESSAGES, &in.base, &opts, answered, t);
	free(at);
	free(items);
}

static void route_go(void *arg)
{
	struct route *t = arg;

	fill(t);
	if (t->npairs)
		call(t);
	else
		route_free(t);
}

static void begin(struct post *p, struct post_receiver *only)
{
	struct route *t = mem_zero(1, sizeof(*t));

	t->p = p;
	t->only = only;
	t->pause = (struct backoff){.first_ms = 5, .max_ms = 500};
	t->rand.state = rand_id();
	t->since_ms = clock_ms();
	p->under_way++;
	route_go(t);
}

/* Its messages are few, where it has some at all. */
static bool concerned(const struct post *p, const struct post_receiver *r)
{
	for (size_t i = 0; i < p->nbatch; i++)
		if (!p->batch[i].to || p->batch[i].to == r)
			return !r->failed.code;
	return false;
}

static void begin_routes(struct post *p)
{
	while (p->next < p->n && p->under_way < POST_AT_ONCE) {
		struct post_receiver *r = p->all[p->next++];

		if (concerned(p, r))
			begin(p, r);
	}
}

void post_send_batch(struct post *p)
{
	p->under_way = 1; /* so that none ends the loop before it runs */
	p->next = 0;
	if (p->via) {
		p->next = p->n;
		begin(p, NULL);
	} else {
		begin_routes(p);
	}
	p->under_way--;
	if (p->under_way)
		loop_run(p->loop);
}
