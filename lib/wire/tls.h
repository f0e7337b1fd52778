/* tls.h - TLS 1.3 by OpenSSL: the files that name us and whom we trust, and one
 * connection as bytes in and bytes out, without a socket.
 *
 * A server asks its clients for a certificate if it has an authority: who has
 * none may connect, whose is not of that authority is refused in the handshake.
 * A client verifies the server's name and certificate always. No resumption,
 * no renegotiation, no early data. All on one thread. */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/opt.h"
#include "wire/peer.h"

/* What a server with TLS says, in plain text, to who speaks none. */
#define TLS_WANTED "this port speaks TLS: call it by https://"

struct tls;      /* a certificate, its key, an authority: any of them */
struct tls_conn; /* one connection */

/* Load the files that o names; *out, which tls_close() frees, is NULL if it
 * names none. A missing file is NOT_FOUND; one that is malformed, a key that
 * others may read or that is of another certificate, and a certificate that is
 * not valid now are INVALID_ARGUMENT. With a key in it the process can be
 * neither traced nor dumped by its user any more. */
int tls_open(struct tls **out, const struct tls_opts *o,
	     struct err *err) MUST_CHECK;
void tls_close(struct tls *t); /* NULL is nothing */

/* Load the files again, for connections that are yet to be; if that fails
 * everything stays as it was, and the log says why. NULL is nothing. */
void tls_reload(struct tls *t);

/* Can it serve? It has a certificate of its own, or an authority to tell
 * members by. NULL has nothing. */
bool tls_has_cert(const struct tls *t);
bool tls_has_ca(const struct tls *t);

/* Is host, a name or an address in numbers, one that our certificate is for? */
bool tls_is_for(const struct tls *t, const char *host);

/* What was in the files, or NULL, until the next tls_reload(); count goes up
 * with each. For libcurl, which does its own TLS. */
struct tls_pem {
	const char *cert, *key, *ca;
	unsigned count;
};
struct tls_pem tls_pem(const struct tls *t);

/* The server's end of a connection, or the client's, which calls host, a name
 * or an address in numbers, to speak alpn: "h2", "http/1.1", or NULL, which
 * does not tell. t may be NULL for a client, and is not kept. */
struct tls_conn *tls_accept(struct tls *t);
struct tls_conn *tls_connect(struct tls *t, const char *host, const char *alpn);
void tls_free(struct tls_conn *c); /* NULL is nothing */

/* Bytes have come; they are borrowed until tls_read() has used them all up:
 * tls_fed() then says no. */
void tls_feed(struct tls_conn *c, const char *p, size_t len);
bool tls_fed(const struct tls_conn *c); /* would tls_read() find something? */

/* Go on with the handshake and take up to room bytes of what the peer said.
 * What is to be sent is appended to out. Returns their number or one of these;
 * after TLS_BROKEN (err says why: UNAUTHENTICATED for certificates, else
 * UNAVAILABLE) out has an alert for the peer, and nothing more may follow. A
 * client calls it once with nothing fed, to begin. */
enum {
	TLS_MORE = 0,    /* bytes are needed */
	TLS_END = -1,    /* the peer has ended the connection in order */
	TLS_BROKEN = -2, /* it cannot go on */
};
ssize_t tls_read(struct tls_conn *c, char *p, size_t room, struct buf *out,
		 struct err *err);

/* Append len bytes, encrypted, to out; once tls_ready(). false: broken. */
bool tls_write(struct tls_conn *c, const char *p, size_t len, struct buf *out);

/* Tell the peer that nothing more follows, at most once. */
void tls_end(struct tls_conn *c, struct buf *out);

bool tls_ready(const struct tls_conn *c); /* the handshake is over */
bool tls_is_h2(const struct tls_conn *c); /* by ALPN */

/* Of a verified client certificate, else NULL; until tls_free(). */
const struct identity *tls_identity(struct tls_conn *c);

#endif
