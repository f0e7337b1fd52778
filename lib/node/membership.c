/* How a node becomes a member: it resumes, founds a cluster, or joins one. A
 * node whose file knows a cluster asks nobody. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/membership_impl.h"
#include "wire/rpc.h"

enum { CALL_MS = 5000, LOOK_MS = 1000 };

void membership_open(struct node *n)
{
	n->membership = mem_zero(1, sizeof(*n->membership));
	n->membership->n = n;
	n->membership->id = n->meta.node_id;
}

void membership_forget_urls(struct membership *m)
{
	for (size_t i = 0; i < m->nurls; i++)
		free(m->urls[i]);
	free(m->urls);
	m->urls = NULL;
	m->nurls = m->url = 0;
}

void membership_close(struct node *n)
{
	struct membership *m = n->membership;

	if (!m)
		return;
	client_cancel(m->rpc);
	hedge_cancel(m->hedge);
	timer_stop(&m->timer);
	timer_stop(&m->patience);
	membership_forget_urls(m);
	free(m);
	n->membership = NULL;
}

const char *membership_waits(const struct node *n)
{
	return n->driver ? NULL : n->membership->waits;
}

/* ---- waiting ---- */

void membership_wait_for(struct membership *m, const char *fmt, ...)
{
	char now[sizeof(m->waits)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(now, sizeof(now), fmt, ap);
	va_end(ap);
	if (!strcmp(now, m->waits))
		return;
	memcpy(m->waits, now, sizeof(now));
	log_info("waiting", "for=%s", m->waits);
}

static int64_t backoff_ms(struct membership *m)
{
	int64_t ms = MEMBERSHIP_BACKOFF_MS << (m->tries < 6 ? m->tries : 6);
	struct rand r;

	m->tries++;
	if (ms > MEMBERSHIP_BACKOFF_MAX_MS)
		ms = MEMBERSHIP_BACKOFF_MAX_MS;
	rand_os(&r, sizeof(r));
	return ms / 2 + (int64_t)rand_below(&r, (uint64_t)ms / 2 + 1);
}

void membership_later(struct membership *m, timer_fn *fn)
{
	timer_set(&m->timer, m->n->loop, backoff_ms(m), fn, m);
}

void membership_call(struct membership *m, const char *url, enum rpc_name name,
		     const ProtobufCMessage *in, rpc_done_fn *done)
{
	const struct rpc_opts opts = {.timeout_ms = CALL_MS};

	m->rpc = client_call(m->n->client, url, name, in, &opts, done, m);
}

void membership_ask_all(struct membership *m, const char *const *urls, size_t n,
			enum rpc_name name, const ProtobufCMessage *in,
			const struct hedge_opts *how, hedge_each_fn *each,
			hedge_done_fn *done)
{
	struct hedge_opts opts = *how;

	opts.urls = urls;
	opts.n = n;
	opts.name = name;
	opts.in = in;
	opts.timeout_ms = CALL_MS;
	m->hedge = hedge_call(m->n->client, m->n->loop, &opts, each, done, m);
}

const char *membership_gateway(const struct membership *m)
{
	return m->n->cfg.gateways[m->gateway % m->n->cfg.ngateways];
}

void membership_self(const struct node *n, Gfl__V1__Member *self)
{
	gfl__v1__member__init(self);
	self->id = n->meta.node_id;
	self->url = (char *)node_url(n);
	self->instance_id = (char *)n->meta.instance_id;
	self->lower_id = (char *)(n->cfg.lower_id ? n->cfg.lower_id : "");
	self->lower_term = n->cfg.lower_term;
}

/* ---- resuming, and staying known ---- */

static int resume(struct node *n, struct err *err)
{
	n->resumed = true;
	if (n->cfg.bootstrap) {
		err_set(err, ERR_FAILED_PRECONDITION,
			"%s knows cluster %s already", n->cfg.db_path,
			n->meta.cluster_id);
		return err_hint(err, "to resume, leave out --bootstrap");
	}
	if (member_become(n, err))
		return (int)err->code;
	node_settle(n);
	return 0;
}

int membership_start(struct node *n, struct err *err)
{
	struct membership *m = n->membership;

	if (n->damage.code)
		recover_begin(m);
	else if (n->founding)
		found_resume(n);
	else if (n->meta.cluster_id[0])
		return resume(n, err);
	else if (n->cfg.bootstrap)
		found_unasked(m);
	else if (n->cfg.njoins || n->cfg.ngateways)
		join_begin(m);
	else
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no gateway, no member to join, no bootstrap");
	return 0;
}

static void told(const struct err *err, const ProtobufCMessage *out, void *arg)
{
	struct membership *m = arg;

	(void)out;
	m->rpc = NULL;
	if (err)
		log_debug("tell_url", "error=%s", err->msg);
	if (err && err->code == ERR_NOT_FOUND && !m->n->removed)
		membership_removed(m->n);
}

/* Somebody who may be a member, another with each i; NULL: nobody is known. */
static const char *somebody(const struct node *n, size_t i)
{
	size_t all = n->nhints + n->cfg.njoins + n->state->nmembers;
	const char *url;

	if (!all)
		return NULL;
	i %= all;
	if (i < n->nhints)
		url = n->hints[i].url;
	else if (i - n->nhints < n->cfg.njoins)
		url = n->cfg.joins[i - n->nhints];
	else
		url = n->state->members[i - n->nhints - n->cfg.njoins]->url;
	return *url && strcmp(url, node_url(n)) != 0 ? url : NULL;
}

/* Who votes makes itself heard by campaigning; who does not has to ask. */
static const char *whom_to_tell(struct node *n, const Gfl__V1__Member *self)
{
	if (n->leads)
		return node_url(n);
	if (n->leader)
		return self ? node_url_of(n, n->leader) : NULL;
	if (self && self->role == GFL__V1__ROLE__VOTER)
		return NULL;
	return somebody(n, n->membership->asked++);
}

/* We are back, perhaps elsewhere: the log shall say so. */
void membership_look(struct node *n)
{
	struct membership *m = n->membership;
	const Gfl__V1__Member *self = state_member(n->state, n->meta.node_id);
	Gfl__V1__JoinRequest in = GFL__V1__JOIN_REQUEST__INIT;
	Gfl__V1__Member now;
	const char *url;

	if (m->rpc || n->leaving || n->removed ||
	    clock_ms() - m->looked_ms < LOOK_MS ||
	    (n->leader && self && !strcmp(self->url, node_url(n)) &&
	     !self->liveness))
		return;
	m->looked_ms = clock_ms();
	url = whom_to_tell(n, self);
	if (!url)
		return;
	membership_self(n, &now);
	now.role = self ? self->role : GFL__V1__ROLE__ROLE_NONE;
	in.cluster_id = n->meta.cluster_id;
	in.member = &now;
	membership_call(m, url, RPC_NODE_JOIN, &in.base, told);
}
