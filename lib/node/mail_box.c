/* Which box a message goes into, if any: ours, the one for others, or none as
 * it is for the node itself. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/inbox_impl.h"
#include "node/mail_impl.h"

enum { ID_MAX = 128 };

int mail_check(const Gfl__V1__MessageItem *m, struct err *err)
{
	if (strlen(m->id) > ID_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "message id of %zu bytes, at most %d",
			       strlen(m->id), ID_MAX);
	if (m->payload.len > MAIL_PAYLOAD_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "message of %zu bytes, at most %d",
			       m->payload.len, MAIL_PAYLOAD_MAX);
	if (m->seq < 0 || m->expire_ms < 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a seq or a time below 0");
	return 0;
}

/* A node that restarts, or has no leader, may not know all members yet: then
 * any id is given the benefit of the doubt. */
bool mail_unknown(const struct node *n, int64_t to)
{
	struct raft_status s;

	if (state_member(n->state, to) || !n->leader)
		return false;
	raft_status(driver_raft(n->driver), &s);
	return s.commit <= n->state->applied;
}

/* It is acted upon as it comes; a repetition of it acts again. */
static int obey(struct node *n, struct mail_item *item, struct err *err)
{
	struct buf reply = BUF_INIT(0);
	int rc = control_take(n, item->m, &reply, err);

	item->box = MAIL_NODE;
	item->reply = buf_take(&reply);
	return rc;
}

static int choose(struct mail *mail, struct mail_item *item, struct err *err)
{
	const Gfl__V1__MessageItem *m = item->m;
	struct node *n = mail->n;

	if (mail_check(m, err))
		return (int)err->code;
	if (m->to == n->meta.node_id && control_is(n, m))
		return obey(n, item, err);
	if (m->to == n->meta.node_id) {
		item->box = MAIL_INBOX;
		return inbox_reserve(n, m->payload.len, err);
	}
	item->box = MAIL_OUTBOX;
	if (mail_unknown(n, m->to))
		return err_set(err, ERR_NOT_FOUND,
			       "node %" PRId64 " is no member", m->to);
	if (!mail->in->queue)
		return err_set(err, ERR_NOT_FOUND,
			       "this is node %" PRId64 ", not %" PRId64,
			       n->meta.node_id, m->to);
	if (m->type == MESSAGE_HEARTBEAT || m->type == MESSAGE_READY ||
	    m->type == MESSAGE_CONTROL)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "a message of type %d is for its receiver now, "
			       "not for an outbox",
			       m->type);
	return outbox_reserve(n, m->payload.len, err);
}

void mail_refuse(struct mail_item *item, enum err_code code, const char *why)
{
	item->box = MAIL_REFUSED;
	item->code = code;
	item->why = mem_str(why);
}

void mail_complete(struct mail *mail, struct mail_item *item,
		   Gfl__V1__MessageItem *m)
{
	int64_t now_ms = clock_wall_ms();

	if (!m->to)
		m->to = mail->n->meta.node_id; /* it may know our URL only */
	if (!m->sent_ms)
		m->sent_ms = now_ms;
	m->expire_ms = outbox_expiry(m, now_ms);
	item->m = m;
	item->named = *m->id && (m->named || !mail->in->origin || !m->seq);
	if (!*m->id) {
		if (m->id != protobuf_c_empty_string)
			free(m->id);
		m->id = mem_zero(1, RAFT_STORE_ID + 1);
		node_draw_id(m->id);
	}
}

/* Behind one that found no room nothing is taken: the order is kept. */
bool mail_choose(struct mail *mail)
{
	struct err none, err;
	bool any = false, full = false;

	for (size_t i = 0; i < mail->nitems; i++) {
		struct mail_item *item = &mail->items[i];

		mail_complete(mail, item, mail->in->messages[i]);
		if (full) {
			mail_refuse(item, none.code, none.msg);
		} else if (choose(mail, item, &err)) {
			mail_refuse(item, err.code, err.msg);
			full = err.code == ERR_RESOURCE_EXHAUSTED;
			none = err;
		} else if (item->box != MAIL_NODE) {
			any = true;
		}
	}
	return any;
}
