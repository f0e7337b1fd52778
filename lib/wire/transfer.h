/* transfer.h - one HTTP POST by libcurl that carries one call: its options on
 * the way out, what its end means on the way back. */
#ifndef WIRE_TRANSFER_H
#define WIRE_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/err.h"
#include "wire/rpc.h"
#include "wire/tls.h"

enum {
	TRANSFER_HEADERS = 8,
	TRANSFER_TIMEOUT = 24,
	TRANSFER_FOREIGN = 256, /* bytes of a foreign answer that are read */
};

/* What one attempt of a call needs while it runs. */
struct transfer {
	CURL *easy;         /* NULL: none runs */
	const char *base;   /* URL as the caller wrote it */
	const char *target; /* with the method's path */
	const char *bind;   /* source address, or NULL */
	const void *body;
	size_t len;
	int64_t timeout_ms; /* of the whole call, for sentences; 0: none */
	bool forwarded;
	bool once;     /* may not be made twice: goes by an id */
	bool repeated; /* it may have arrived before */
	char id[64];   /* the header with it */
	struct curl_slist headers[TRANSFER_HEADERS];
	char timeout_text[48];
	char why[CURL_ERROR_SIZE];
};

/* "http://HOST:PORT" or https with a host, a port of 1..65535 if any, and
 * nothing after it but one slash; else INVALID_ARGUMENT. */
int transfer_check_url(const char *url, struct err *err) MUST_CHECK;

/* The value of grpc-timeout, which has at most eight digits. */
void transfer_timeout(char text[TRANSFER_TIMEOUT], int64_t ms);

/* A handle with all options that calls share, for this channel. write gets
 * the body with t's owner. What tls (or NULL) has is copied. */
CURL *transfer_easy(enum rpc_channel channel, curl_write_callback write,
		    const struct tls *tls);

/* Set what differs between calls on t->easy; left_ms is what remains of the
 * deadline, 0 for none, and try_ms the time of this attempt. owner goes to
 * write and is CURLINFO_PRIVATE. */
void transfer_prepare(struct transfer *t, int64_t left_ms, int64_t try_ms,
		      void *owner);

/* Draw an id for a call that may not be made twice. */
void transfer_once(struct transfer *t);

/* Is the answer gRPC-web? To ask once its head is there. */
bool transfer_is_ours(const struct transfer *t);

/* What is wrong with an answer that is not; text is the start of it, type its
 * content type; both may be NULL. */
int transfer_not_ours(const char *base, long status, const char *type,
		      const char *text, struct err *err);
int transfer_foreign(const struct transfer *t, const char *text,
		     struct err *err);

/* May the server have seen something of the call? */
bool transfer_was_sent(const struct transfer *t, CURLcode code);

/* Did the head of the answer bring a status? */
bool transfer_has_status(const struct transfer *t);

/* Why a transfer that ended by code brought no status. A status in the head
 * counts: then its code, or 0. */
int transfer_failed(const struct transfer *t, CURLcode code, struct err *err);

/* transfer_tls.c: the part of TLS in a handle's options, in failures, and in
 * foreign answers; 0: it has none. */
void transfer_secure(CURL *e, const struct tls *tls);
int transfer_tls_wanted(const struct transfer *t, const char *text,
			struct err *err);
int transfer_tls_failed(const struct transfer *t, CURLcode code,
			struct err *err);

/* What OpenSSL says of a connection to base, as a sentence; 0: it is not among
 * what people should know. */
int transfer_tls_why(const char *base, const char *why, struct err *err);

#endif
