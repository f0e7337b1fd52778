/* OpenSSL reads and writes through a BIO whose far ends are the caller's
 * buffers, so that nothing waits in a buffer of a BIO's own. */
#include "wire/tls_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

enum {
	MAX_CHAIN = 32 << 10, /* bytes of a peer's certificates */
	MAX_DEPTH = 6,
};

struct tls_conn {
	SSL *ssl;
	BIO_METHOD *method;
	const char *in; /* bytes that came and were not taken yet */
	size_t in_len;
	struct buf *out; /* during a call: where bytes go */
	bool serves, broken, ended;
	struct identity *identity;
};

/* ---- the BIO ---- */

static int on_bio_read(BIO *b, char *p, int len)
{
	struct tls_conn *c = BIO_get_data(b);
	size_t n = (size_t)len < c->in_len ? (size_t)len : c->in_len;

	BIO_clear_retry_flags(b);
	if (!n) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, c->in, n);
	c->in += n;
	c->in_len -= n;
	return (int)n;
}

static int on_bio_write(BIO *b, const char *p, int len)
{
	struct tls_conn *c = BIO_get_data(b);

	buf_put(c->out, p, (size_t)len);
	return len;
}

static long on_bio_ctrl(BIO *b, int what, long n, void *p)
{
	(void)b, (void)n, (void)p;
	return what == BIO_CTRL_FLUSH;
}

static void attach_bio(struct tls_conn *c)
{
	BIO *b;

	c->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gfl");
	if (!c->method)
		abort(); /* out of memory */
	BIO_meth_set_read(c->method, on_bio_read);
	BIO_meth_set_write(c->method, on_bio_write);
	BIO_meth_set_ctrl(c->method, on_bio_ctrl);
	b = BIO_new(c->method);
	if (!b)
		abort(); /* out of memory */
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	SSL_set_bio(c->ssl, b, b);
}

/* ---- begin ---- */

/* RFC 7301: a client that names protocols, but none of ours, is refused, so
 * that no other server's traffic is taken for ours. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";

	(void)ssl, (void)arg;
	if (SSL_select_next_proto((unsigned char **)out, len, ours,
				  sizeof(ours) - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	return SSL_TLSEXT_ERR_OK;
}

void tls_conn_setup(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	/* The chain that is sent is the one of the file. */
	SSL_CTX_set_mode(ctx,
			 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	/* Without it OpenSSL refuses clients that want to resume. */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"gfl", 3);
	SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
	SSL_CTX_set_max_cert_list(ctx, MAX_CHAIN);
	SSL_CTX_set_verify_depth(ctx, MAX_DEPTH);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
				    X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
}

static struct tls_conn *open_conn(SSL_CTX *ctx)
{
	struct tls_conn *c = mem_zero(1, sizeof(*c));

	c->ssl = SSL_new(ctx);
	if (!c->ssl)
		abort(); /* out of memory */
	attach_bio(c);
	return c;
}

struct tls_conn *tls_accept(struct tls *t)
{
	struct tls_conn *c = open_conn(t->now.ctx);

	c->serves = true;
	SSL_set_accept_state(c->ssl);
	return c;
}

/* Where no file names an authority, the system's are trusted. */
static SSL_CTX *calling_ctx(struct tls *t)
{
	SSL_CTX *ctx;

	if (t && t->now.ca) {
		SSL_CTX_up_ref(t->now.ctx);
		return t->now.ctx;
	}
	if (t) {
		ctx = t->now.ctx;
		SSL_CTX_up_ref(ctx);
	} else {
		ctx = SSL_CTX_new(TLS_method());
		if (!ctx)
			abort(); /* out of memory */
		tls_conn_setup(ctx);
	}
	SSL_CTX_set_default_verify_paths(ctx);
	return ctx;
}

static void offer(SSL *ssl, const char *alpn)
{
	unsigned char list[32];
	size_t len = strlen(alpn);

	assert(len < sizeof(list));
	list[0] = (unsigned char)len;
	memcpy(list + 1, alpn, len);
	SSL_set_alpn_protos(ssl, list, (unsigned)len + 1);
}

struct tls_conn *tls_connect(struct tls *t, const char *host, const char *alpn)
{
	SSL_CTX *ctx = calling_ctx(t);
	struct tls_conn *c = open_conn(ctx);
	X509_VERIFY_PARAM *want = SSL_get0_param(c->ssl);

	SSL_CTX_free(ctx); /* the connection holds on to it */
	SSL_set_connect_state(c->ssl);
	SSL_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	if (X509_VERIFY_PARAM_set1_ip_asc(want, host) != 1) {
		ERR_clear_error();
		X509_VERIFY_PARAM_set_hostflags(
			want, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		X509_VERIFY_PARAM_set1_host(want, host, 0);
		SSL_set_tlsext_host_name(c->ssl, host);
	}
	if (alpn)
		offer(c->ssl, alpn);
	return c;
}

void tls_free(struct tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	BIO_meth_free(c->method);
	free(c->identity);
	free(c);
}

/* ---- the peer ---- */

/* Exactly one name: of two we could not tell which is meant. */
static void read_names(struct identity *who, X509 *x)
{
	GENERAL_NAMES *all =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct identity found = *who, other;
	int n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;

		if (name->type != GEN_URI)
			continue;
		other = *who;
		if (peer_parse(&other, (const char *)ASN1_STRING_get0_data(uri),
			       (size_t)ASN1_STRING_length(uri))) {
			found = other;
			n++;
		}
	}
	if (n == 1)
		*who = found;
	GENERAL_NAMES_free(all);
}

static void read_cn(struct identity *who, X509 *x)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *text;

	if (at < 0)
		return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	peer_set_cn(who, (const char *)ASN1_STRING_get0_data(text),
		    (size_t)ASN1_STRING_length(text));
}

const struct identity *tls_identity(struct tls_conn *c)
{
	X509 *x = SSL_get0_peer_certificate(c->ssl);

	if (c->identity || !x || !c->serves || !tls_ready(c) ||
	    SSL_get_verify_result(c->ssl) != X509_V_OK)
		return c->identity;
	c->identity = mem_zero(1, sizeof(*c->identity));
	read_cn(c->identity, x);
	read_names(c->identity, x);
	return c->identity;
}

bool tls_ready(const struct tls_conn *c)
{
	return SSL_is_init_finished(c->ssl);
}

bool tls_is_h2(const struct tls_conn *c)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(c->ssl, &name, &len);
	return len == 2 && !memcmp(name, "h2", 2);
}

/* ---- bytes ---- */

void tls_feed(struct tls_conn *c, const char *p, size_t len)
{
	assert(!c->in_len || c->broken);
	c->in = p;
	c->in_len = len;
}

bool tls_fed(const struct tls_conn *c)
{
	return c->in_len || SSL_has_pending(c->ssl);
}

static int explain(struct tls_conn *c, struct err *err)
{
	unsigned long e = ERR_peek_last_error();
	long verdict = SSL_get_verify_result(c->ssl);
	const char *why = ERR_reason_error_string(e);

	if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return err_set(err, ERR_UNAUTHENTICATED, "certificate: %s",
			       X509_verify_cert_error_string(verdict));
	return err_set(err, ERR_UNAVAILABLE, "TLS: %s",
		       why ? why : "the connection is broken");
}

ssize_t tls_read(struct tls_conn *c, char *p, size_t room, struct buf *out,
		 struct err *err)
{
	size_t n = 0;
	int rc;

	if (c->broken) {
		err_set(err, ERR_UNAVAILABLE, "TLS: the connection is broken");
		return TLS_BROKEN;
	}
	c->out = out;
	ERR_clear_error();
	rc = SSL_read_ex(c->ssl, p, room, &n);
	if (rc == 1)
		return (ssize_t)n;
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_MORE;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_END;
	default:
		c->broken = true;
		explain(c, err);
		return TLS_BROKEN;
	}
}

bool tls_write(struct tls_conn *c, const char *p, size_t len, struct buf *out)
{
	size_t n;

	if (c->broken || c->ended || !tls_ready(c))
		return false;
	c->out = out;
	ERR_clear_error();
	c->broken = len && SSL_write_ex(c->ssl, p, len, &n) != 1;
	return !c->broken;
}

void tls_end(struct tls_conn *c, struct buf *out)
{
	if (c->broken || c->ended || !tls_ready(c))
		return;
	c->ended = true;
	c->out = out;
	ERR_clear_error();
	SSL_shutdown(c->ssl);
}
