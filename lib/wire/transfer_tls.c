/* TLS by libcurl: its options, and what its failures mean to a person. */
#include "wire/transfer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "base/mem.h"

static void set_blob(CURL *e, CURLoption option, const char *text)
{
	struct curl_blob blob = {(void *)text, strlen(text), CURL_BLOB_COPY};

	curl_easy_setopt(e, option, &blob);
}

void transfer_secure(CURL *e, const struct tls *tls)
{
	struct tls_pem pem = {0};

	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (tls)
		pem = tls_pem(tls);
	if (pem.ca) {
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
		set_blob(e, CURLOPT_CAINFO_BLOB, pem.ca);
	}
	if (pem.cert) {
		set_blob(e, CURLOPT_SSLCERT_BLOB, pem.cert);
		set_blob(e, CURLOPT_SSLKEY_BLOB, pem.key);
	}
}

/* "localhost" of "https://localhost:8090" */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://");
	size_t len;

	host = host ? host + 3 : url;
	len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return mem_dup(host, len);
}

static int other_name(const struct transfer *t, struct err *err)
{
	char *host = host_of(t->base);

	err_set(err, ERR_UNAUTHENTICATED,
		"the certificate of %s is not for the name %s", t->base, host);
	free(host);
	return (int)err->code;
}

static int bad_certificate(const struct transfer *t, struct err *err)
{
	long verdict = X509_V_OK;

	/* libcurl looks at the name itself, without a verdict. */
	if (strstr(t->why, "subject name") || strstr(t->why, "common name"))
		return other_name(t, err);
	curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return err_set(err, ERR_UNAUTHENTICATED,
			       "the certificate of %s has expired", t->base);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(err, ERR_UNAUTHENTICATED,
			       "the certificate of %s is not valid yet",
			       t->base);
	default:
		err_set(err, ERR_UNAUTHENTICATED,
			"the certificate of %s is not trusted: %s", t->base,
			X509_verify_cert_error_string(verdict));
		return err_hint(err, "name the file of its authority with "
				     "--tls-ca or GFL_TLS_CA");
	}
}

/* What OpenSSL says, in part, and what it means. */
static const struct {
	const char *part, *means;
	enum err_code code;
} meanings[] = {
	{"wrong version number", "does not speak TLS", ERR_INVALID_ARGUMENT},
	{"alert protocol version", "does not speak TLS 1.3", ERR_UNAVAILABLE},
	{"unsupported protocol", "does not speak TLS 1.3", ERR_UNAVAILABLE},
	{"alert certificate required", "wants a client certificate",
	 ERR_UNAUTHENTICATED},
	{"alert unknown ca", "does not trust our certificate",
	 ERR_UNAUTHENTICATED},
	{"alert certificate expired", "says that our certificate has expired",
	 ERR_UNAUTHENTICATED},
	{"alert bad certificate", "refuses our certificate",
	 ERR_UNAUTHENTICATED},
	{"alert certificate revoked", "says that our certificate is revoked",
	 ERR_UNAUTHENTICATED},
	{"alert unsupported certificate", "refuses our certificate",
	 ERR_UNAUTHENTICATED},
	{"alert certificate unknown", "refuses our certificate",
	 ERR_UNAUTHENTICATED},
};

int transfer_tls_wanted(const struct transfer *t, const char *text,
			struct err *err)
{
	if (!text || strncmp(text, TLS_WANTED, strlen(TLS_WANTED)) != 0)
		return 0;
	err_set(err, ERR_INVALID_ARGUMENT, "%s speaks TLS alone", t->base);
	return err_hint(err, "did you mean https://%s?",
			strstr(t->base, "://") + 3);
}

int transfer_tls_why(const char *base, const char *why, struct err *err)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (!strstr(why, meanings[i].part))
			continue;
		err_set(err, meanings[i].code, "%s %s", base,
			meanings[i].means);
		if (!i)
			err_hint(err, "did you mean http://%s?",
				 strstr(base, "://") + 3);
		return (int)err->code;
	}
	return 0;
}

int transfer_tls_failed(const struct transfer *t, CURLcode code,
			struct err *err)
{
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return bad_certificate(t, err);
	if (transfer_tls_why(t->base, t->why, err))
		return (int)err->code;
	if (code == CURLE_SSL_CONNECT_ERROR)
		return err_set(err, ERR_UNAVAILABLE,
			       "no TLS connection to %s: %s", t->base,
			       *t->why ? t->why : curl_easy_strerror(code));
	return 0;
}
