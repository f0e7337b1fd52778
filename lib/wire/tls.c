#include "wire/tls_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	MAX_CERT = 64 << 10, /* bytes of a file */
	MAX_KEY = 64 << 10,
	MAX_CA = 2 << 20, /* a system's bundle too */
};

/* ---- PEM ---- */

static BIO *text_bio(const char *text)
{
	BIO *b = BIO_new_mem_buf(text, -1);

	if (!b)
		abort(); /* out of memory */
	return b;
}

/* Of an encrypted key: nobody is there to type a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing;
	*(bool *)arg = true;
	return 0;
}

/* The next certificate of b, or NULL; *bad: what comes is none. */
static X509 *next_cert(BIO *b, bool *bad)
{
	X509 *x;
	unsigned long e;

	ERR_clear_error();
	x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL);
	e = ERR_peek_last_error();
	*bad = !x && !(ERR_GET_LIB(e) == ERR_LIB_PEM &&
		       ERR_GET_REASON(e) == PEM_R_NO_START_LINE);
	ERR_clear_error();
	return x;
}

static int malformed(const char *path, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "%s has no %s in PEM", path,
		       what);
}

/* "2026-11-22 02:08 UTC" */
static void date_text(const ASN1_TIME *at, char *text, size_t size)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(at, &tm) != 1 ||
	    !strftime(text, size, "%Y-%m-%d %H:%M UTC", &tm))
		str_copy(text, size, "?");
}

static int check_dates(const X509 *x, const char *path, struct err *err)
{
	const ASN1_TIME *from = X509_get0_notBefore(x);
	const ASN1_TIME *to = X509_get0_notAfter(x);
	char date[40];

	if (X509_cmp_current_time(to) <= 0) {
		date_text(to, date, sizeof(date));
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "certificate %s has expired on %s", path, date);
	}
	if (X509_cmp_current_time(from) >= 0) {
		date_text(from, date, sizeof(date));
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "certificate %s is not valid before %s", path,
			       date);
	}
	return 0;
}

/* ---- our own certificate ---- */

static int use_chain(SSL_CTX *ctx, BIO *b, const char *path, struct err *err)
{
	bool bad;
	X509 *x = next_cert(b, &bad);
	int rc;

	if (!x)
		return malformed(path, "certificate", err);
	rc = check_dates(x, path, err);
	if (!rc && SSL_CTX_use_certificate(ctx, x) != 1)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "certificate %s cannot be used: %s", path,
			     ERR_reason_error_string(ERR_peek_last_error()));
	X509_free(x);
	while (!rc && (x = next_cert(b, &bad)))
		SSL_CTX_add0_chain_cert(ctx, x);
	if (!rc && bad)
		rc = malformed(path, "more certificates", err);
	return rc;
}

static int use_key(SSL_CTX *ctx, BIO *b, const struct tls_opts *o,
		   struct err *err)
{
	bool encrypted = false;
	EVP_PKEY *key =
		PEM_read_bio_PrivateKey(b, NULL, no_passphrase, &encrypted);
	int rc = 0;

	if (!key && encrypted)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "key %s is encrypted: nobody is there to type "
			       "its passphrase",
			       o->key);
	if (!key)
		return malformed(o->key, "private key", err);
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		rc = err_set(err, ERR_INVALID_ARGUMENT,
			     "key %s does not belong to certificate %s", o->key,
			     o->cert);
	EVP_PKEY_free(key);
	return rc;
}

static int use_own(struct tls_files *f, const struct tls_opts *o,
		   struct err *err)
{
	BIO *cert = text_bio(f->cert), *key = text_bio(f->key);
	int rc = use_chain(f->ctx, cert, o->cert, err);

	if (!rc)
		rc = use_key(f->ctx, key, o, err);
	BIO_free(cert);
	BIO_free(key);
	return rc;
}

/* ---- whom we trust ---- */

/* Our clients are told the authority's name, so that one that has several
 * certificates sends the right one. */
static int trust(SSL_CTX *ctx, const char *text, const char *path,
		 struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *b = text_bio(text);
	bool bad;
	X509 *x;
	int n;

	for (n = 0; (x = next_cert(b, &bad)); n++) {
		X509_STORE_add_cert(store, x);
		if (n < 16)
			SSL_CTX_add_client_CA(ctx, x);
		X509_free(x);
	}
	BIO_free(b);
	if (!n || bad)
		return malformed(path, "certificate", err);
	return 0;
}

static int make_ctx(struct tls_files *f, const struct tls_opts *o,
		    struct err *err)
{
	f->ctx = SSL_CTX_new(TLS_method());
	if (!f->ctx)
		return err_set(err, ERR_INTERNAL, "OpenSSL does not start");
	tls_conn_setup(f->ctx);
	if (f->ca)
		SSL_CTX_set_verify(f->ctx, SSL_VERIFY_PEER, NULL);
	if (f->cert && use_own(f, o, err))
		return (int)err->code;
	return f->ca ? trust(f->ctx, f->ca, o->ca, err) : 0;
}

/* ---- files ---- */

static void wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static void release(struct tls_files *f)
{
	free(f->cert);
	wipe(f->key);
	free(f->ca);
	SSL_CTX_free(f->ctx);
	*f = (struct tls_files){0};
}

static int read_files(struct tls_files *f, const struct tls_opts *o,
		      struct err *err)
{
	size_t len;

	if (o->cert && file_read(&f->cert, &len, o->cert, MAX_CERT, err))
		return (int)err->code;
	if (o->key && file_read_secret(&f->key, &len, o->key, MAX_KEY, err))
		return (int)err->code;
	if (o->ca && file_read(&f->ca, &len, o->ca, MAX_CA, err))
		return (int)err->code;
	return 0;
}

static int load(struct tls_files *out, const struct tls_opts *o,
		struct err *err)
{
	struct tls_files f = {0};

	if (read_files(&f, o, err) || make_ctx(&f, o, err)) {
		ERR_clear_error();
		release(&f);
		return (int)err->code;
	}
	*out = f;
	return 0;
}

/* A core or a debugger of the same user would have the key. The sanitizers'
 * search for leaks is such a debugger. */
static void hide(void)
{
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

int tls_open(struct tls **out, const struct tls_opts *o, struct err *err)
{
	struct tls_files f;
	struct tls *t;

	*out = NULL;
	if (!o->cert != !o->key)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--tls-cert and --tls-key go together");
	if (!o->cert && !o->ca)
		return 0;
	if (load(&f, o, err))
		return err_wrap(err, "TLS");
	if (f.key)
		hide();
	t = mem_zero(1, sizeof(*t));
	t->opts = (struct tls_opts){mem_str(o->cert), mem_str(o->key),
				    mem_str(o->ca)};
	t->now = f;
	*out = t;
	return 0;
}

void tls_reload(struct tls *t)
{
	struct tls_files f;
	struct err err;

	if (!t)
		return;
	if (load(&f, &t->opts, &err)) {
		log_err("tls_kept", &err);
		return;
	}
	release(&t->now);
	t->now = f;
	t->count++;
	log_info("tls_loaded", "cert=%s ca=%s",
		 t->opts.cert ? t->opts.cert : "",
		 t->opts.ca ? t->opts.ca : "");
}

void tls_close(struct tls *t)
{
	if (!t)
		return;
	release(&t->now);
	free((char *)t->opts.cert);
	free((char *)t->opts.key);
	free((char *)t->opts.ca);
	free(t);
}

bool tls_has_cert(const struct tls *t)
{
	return t && t->now.cert;
}

bool tls_has_ca(const struct tls *t)
{
	return t && t->now.ca;
}

bool tls_is_for(const struct tls *t, const char *host)
{
	const unsigned how = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
			     X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
	X509 *x = SSL_CTX_get0_certificate(t->now.ctx);
	bool is = x && (X509_check_host(x, host, 0, how, NULL) == 1 ||
			X509_check_ip_asc(x, host, 0) == 1);

	ERR_clear_error();
	return is;
}

struct tls_pem tls_pem(const struct tls *t)
{
	return (struct tls_pem){t->now.cert, t->now.key, t->now.ca, t->count};
}
