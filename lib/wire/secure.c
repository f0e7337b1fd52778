#include "wire/engine.h"

#include "base/log.h"

enum {
	HANDSHAKE = 0x16,     /* how TLS begins, and no text does */
	TELL_EVERY_MS = 1000, /* strangers shall not fill the log */
};

void secure_open(struct conn *c)
{
	c->tls = tls_accept(c->own.s->tls);
	c->greeted = false;
	c->peer.trust = PEER_UNVERIFIED;
}

void secure_release(struct conn *c)
{
	tls_free(c->tls);
	c->tls = NULL;
	c->peer.identity = NULL;
	buf_release(&c->sealed);
}

/* The handshake is over: who is it, and what do they speak? Without ALPN their
 * first bytes tell, as they do without TLS. */
static void greet(struct conn *c)
{
	c->greeted = true;
	c->peer.identity = tls_identity(c->tls);
	if (c->peer.identity)
		c->peer.trust = PEER_VERIFIED;
	if (!tls_is_h2(c->tls))
		return;
	c->known = true;
	many_open(c);
}

/* Somebody who speaks no TLS is told so in plain text. */
static void not_tls(struct conn *c)
{
	secure_release(c);
	c->greeted = true;
	c->known = true;
	c->feeding = true;
	request_bad(&c->own, 400, TLS_WANTED);
	c->feeding = false;
	conn_settle(c);
}

/* The alert that says why is out already. It has to arrive, so what the client
 * is still sending is read. */
static void broken(struct conn *c, const struct err *err)
{
	struct server *s = c->own.s;
	int64_t now = (int64_t)uv_now(s->uv);

	if (c->greeted) {
		conn_close(c);
		return;
	}
	s->handshakes_failed++;
	if (!s->told_ms || now - s->told_ms >= TELL_EVERY_MS) {
		log_warn("handshake_failed", "peer=%s error=%s", c->peer.addr,
			 err->msg);
		s->told_ms = now;
	}
	c->lingering = true;
	conn_settle(c);
}

/* One record, into the request's body where that is possible. */
static ssize_t read_some(struct conn *c, struct err *err)
{
	size_t room = ENGINE_PLAIN;
	char *body = request_room(&c->own, &room);
	char *to = body ? body : c->own.s->plain;
	ssize_t n = tls_read(c->tls, to, room, &c->sealed, err);

	if (!c->greeted && tls_ready(c->tls))
		greet(c);
	if (n > 0)
		conn_arrived(c, to, (size_t)n, body != NULL);
	return n;
}

void secure_arrived(struct conn *c, const char *p, size_t len)
{
	struct err err;
	ssize_t n;

	if (c->lingering)
		return;
	if (!c->greeted && !c->begun && *p != HANDSHAKE) {
		not_tls(c);
		return;
	}
	c->begun = true;
	tls_feed(c->tls, p, len);
	do
		n = read_some(c, &err);
	while (n > 0 && !c->closed && !c->lingering && tls_fed(c->tls));
	if (c->closed)
		return;
	conn_flush(c);
	/* Who asks for new keys for ever, and reads nothing. */
	if (c->sealed.len > ENGINE_PLAIN)
		conn_close(c);
	else if (n == TLS_END)
		conn_eof(c);
	else if (n == TLS_BROKEN)
		broken(c, &err);
	conn_settle(c);
}

bool secure_seal(struct conn *c)
{
	struct server *s = c->own.s;
	struct buf *out = &c->own.out;
	size_t left = out->len - c->sealed_to;
	size_t n = left < ENGINE_SEAL ? left : ENGINE_SEAL;

	if (!c->sealed.p) {
		c->sealed = s->spare_sealed;
		s->spare_sealed = (struct buf){0};
	}
	if (n && !tls_write(c->tls, out->p + c->sealed_to, n, &c->sealed))
		return false;
	c->sealed_to += n;
	if (c->sealed_to == out->len) {
		conn_spare(&s->spare_out, out);
		c->sealed_to = 0;
	} else if (c->sealed_to >= out->len / 2) {
		buf_drop(out, c->sealed_to);
		c->sealed_to = 0;
	}
	return true;
}

void secure_end(struct conn *c)
{
	uv_buf_t all;

	if (c->own.flying.len || c->broken || c->own.out.len)
		return;
	tls_end(c->tls, &c->sealed);
	if (!c->sealed.len)
		return;
	/* If the socket takes nothing, the client learns it from the end. */
	all = uv_buf_init(c->sealed.p, (unsigned)c->sealed.len);
	uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
	buf_reset(&c->sealed);
}
