#include "certs.h"
#include "test.h"

#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static FILE *open_file(const char *name, const char *end, const char *mode)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", name, end);
	f = fopen(path, mode);
	CHECK(f);
	return f;
}

static void extend(X509 *x, X509 *signer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, signer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CHECK(e && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static X509 *fill(const struct cert *c, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	static long serial;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), c->from_s ? c->from_s : -60);
	X509_gmtime_adj(X509_getm_notAfter(x), c->to_s ? c->to_s : 86400);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				   (const unsigned char *)c->name, -1, -1, 0);
	return x;
}

static void sign(const struct cert *c, X509 *x, EVP_PKEY *own)
{
	FILE *pem = c->signer ? open_file(c->signer, "pem", "r") : NULL;
	FILE *secret = c->signer ? open_file(c->signer, "key", "r") : NULL;
	X509 *ca = pem ? PEM_read_X509(pem, NULL, NULL, NULL) : x;
	EVP_PKEY *key =
		secret ? PEM_read_PrivateKey(secret, NULL, NULL, NULL) : own;

	X509_set_issuer_name(x, X509_get_subject_name(ca));
	extend(x, ca, NID_basic_constraints,
	       c->signer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (c->signer)
		extend(x, ca, NID_subject_alt_name,
		       c->san ? c->san : "IP:127.0.0.1,DNS:localhost");
	CHECK(X509_sign(x, key, EVP_sha256()));
	if (!c->signer)
		return;
	X509_free(ca);
	EVP_PKEY_free(key);
	fclose(pem);
	fclose(secret);
}

void certs_make(const struct cert *c)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = fill(c, key);
	FILE *pem = open_file(c->name, "pem", "w");
	FILE *secret = open_file(c->name, "key", "w");

	sign(c, x, key);
	CHECK(PEM_write_X509(pem, x));
	CHECK(PEM_write_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL));
	CHECK(!fchmod(fileno(secret), 0600));
	CHECK(!fclose(pem) && !fclose(secret));
	X509_free(x);
	EVP_PKEY_free(key);
}

void certs_usual(void)
{
	certs_make(&(struct cert){.name = "ca"});
	certs_make(&(struct cert){.name = "server", .signer = "ca"});
	certs_make(&(struct cert){
		.name = "member",
		.signer = "ca",
		.san = "URI:gfl://lab/node/7,DNS:member.lab,IP:127.0.0.1"});
}

struct tls *certs_load(const char *name, const char *ca)
{
	char cert[100], key[100], authority[100];
	struct tls_opts o = {name ? cert : NULL, name ? key : NULL,
			     ca ? authority : NULL};
	struct tls *tls;
	struct err err;

	snprintf(cert, sizeof(cert), "%s.pem", name ? name : "");
	snprintf(key, sizeof(key), "%s.key", name ? name : "");
	snprintf(authority, sizeof(authority), "%s.pem", ca ? ca : "");
	if (tls_open(&tls, &o, &err))
		test_fail(__FILE__, __LINE__, "%s", err.msg);
	return tls;
}
