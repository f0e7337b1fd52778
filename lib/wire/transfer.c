#include "wire/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "wire/frames.h"

enum {
	CONNECT_MS = 10000, /* where the call has no deadline */
	/* libcurl reads up to 100 of these before others have their turn, so
	 * that small calls wait for no more than 3 MiB; larger ones are not
	 * faster. */
	BULK_READ = 32 << 10,
	BULK_WRITE = 256 << 10,
	URL_MAX = 512,
	IDLE_S = 30, /* before a silent connection is probed */
	KEPT_S = 45,   /* unused; servers close them after 60 */
	OLD_S = 3600,  /* in all: names and certificates change */
	ID_LINE = sizeof(RPC_REQUEST_ID ": ") - 1 + STR_ID - 1,
};

static bool port_ok(const char *s, size_t len)
{
	long port = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || port > 65535)
			return false;
		port = 10 * port + (s[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

/* HOST, HOST:PORT or [IPv6]:PORT of these len characters. */
static bool authority_ok(const char *s, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";
	size_t host;

	if (len && s[0] == '[') {
		host = 1 + strspn(s + 1, "0123456789abcdefABCDEF:.");
		if (host >= len || s[host++] != ']' || host == 2)
			return false;
	} else {
		host = strspn(s, letters);
	}
	if (!host || host > len)
		return false;
	return host == len ||
	       (s[host] == ':' && port_ok(s + host + 1, len - host - 1));
}

int transfer_check_url(const char *url, struct err *err)
{
	size_t len = strnlen(url, URL_MAX);
	size_t skip = !strncmp(url, "http://", 7)    ? 7
		      : !strncmp(url, "https://", 8) ? 8
						     : 0;

	if (len < URL_MAX && skip) {
		len -= skip;
		if (len && url[skip + len - 1] == '/')
			len--;
		if (authority_ok(url + skip, len))
			return 0;
	}
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "\"%.200s\" is not of the form http://HOST:PORT", url);
}

CURL *transfer_easy(enum rpc_channel channel, curl_write_callback write,
		    const struct tls *tls)
{
	CURL *e = curl_easy_init();

	if (!e)
		abort(); /* out of memory */
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, write);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)IDLE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)IDLE_S / 3);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)KEPT_S);
	curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, (long)OLD_S);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	transfer_secure(e, tls);
	if (channel == RPC_BULK) {
		/* Small calls keep the small default: libcurl allocates the
		 * buffer anew for each. */
		curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BULK_READ);
		curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE,
				 (long)BULK_WRITE);
	}
	return e;
}

void transfer_timeout(char text[TRANSFER_TIMEOUT], int64_t ms)
{
	enum { MAX = 99999999 };

	if (ms <= MAX)
		snprintf(text, TRANSFER_TIMEOUT, "%lldm", (long long)ms);
	else
		snprintf(text, TRANSFER_TIMEOUT, "%lldS",
			 (long long)(ms / 1000 < MAX ? ms / 1000 : MAX));
}

/* The list is in the transfer itself: nothing to allocate for a call. */
static void set_headers(struct transfer *t, int64_t left_ms)
{
	const char *lines[TRANSFER_HEADERS] = {
		"content-type: application/grpc-web+proto",
		"accept: application/grpc-web+proto", "x-grpc-web: 1",
		"expect:"};
	int n = 4;

	if (left_ms > 0) {
		char text[TRANSFER_TIMEOUT];

		transfer_timeout(text, left_ms);
		snprintf(t->timeout_text, sizeof(t->timeout_text),
			 "grpc-timeout: %s", text);
		lines[n++] = t->timeout_text;
	}
	if (t->forwarded)
		lines[n++] = RPC_FORWARDED ": 1";
	if (t->once) {
		t->id[ID_LINE] = '\0';
		strcat(t->id, t->repeated ? RPC_REPEATED : "");
		lines[n++] = t->id;
	}
	for (int i = 0; i < n; i++)
		t->headers[i] = (struct curl_slist){
			(char *)lines[i],
			i + 1 < n ? &t->headers[i + 1] : NULL};
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

void transfer_once(struct transfer *t)
{
	char id[STR_ID];

	str_new_id(id);
	t->once = true;
	snprintf(t->id, sizeof(t->id), RPC_REQUEST_ID ": %s", id);
}

void transfer_prepare(struct transfer *t, int64_t left_ms, int64_t try_ms,
		      void *owner)
{
	char from[80];

	snprintf(from, sizeof(from), "host!%.64s", t->bind ? t->bind : "");
	t->why[0] = '\0';
	set_headers(t, left_ms);
	curl_easy_setopt(t->easy, CURLOPT_URL, t->target);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			 (curl_off_t)t->len);
	curl_easy_setopt(t->easy, CURLOPT_INTERFACE, t->bind ? from : NULL);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)try_ms);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 try_ms > 0 ? (long)try_ms : (long)CONNECT_MS);
	/* libcurl sends a POST again, unasked, when a kept connection turns
	 * out to be dead, even if the server has read the call. */
	curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)t->once);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, owner);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, owner);
}

static long http_status(const struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

bool transfer_is_ours(const struct transfer *t)
{
	static const char ours[] = "application/grpc-web";
	char *type = NULL;

	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
	if (http_status(t) != 200 || !type ||
	    strncasecmp(type, ours, strlen(ours)))
		return false;
	type += strlen(ours);
	return !*type || *type == ';' || !strncasecmp(type, "+proto", 6);
}

/* gRPC's table of what an intermediary's HTTP status means. */
static enum err_code code_of(long status)
{
	switch (status) {
	case 401:
		return ERR_UNAUTHENTICATED;
	case 403:
		return ERR_PERMISSION_DENIED;
	case 413:
		return ERR_RESOURCE_EXHAUSTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return ERR_UNAVAILABLE;
	default:
		return ERR_UNKNOWN;
	}
}

int transfer_not_ours(const char *base, long status, const char *type,
		      const char *text, struct err *err)
{
	enum err_code code = code_of(status);
	char line[TRANSFER_FOREIGN];
	size_t n = 0;

	for (; text && n + 1 < sizeof(line) && text[n] >= ' ' && text[n] < 0x7f;
	     n++)
		line[n] = text[n];
	line[n] = '\0';
	if (status == 200)
		return err_set(err, ERR_UNKNOWN,
			       "%s is not a gfl server: it answers with %.60s",
			       base, type && *type ? type : "no content type");
	if (code != ERR_UNKNOWN)
		return err_set(err, code, "%s refuses the call: HTTP %ld%s%s",
			       base, status, n ? " " : "", line);
	return err_set(err, code, "%s is not a gfl server: HTTP %ld%s%s", base,
		       status, n ? " " : "", line);
}

int transfer_foreign(const struct transfer *t, const char *text,
		     struct err *err)
{
	long status = http_status(t);
	char *type = NULL;

	if (status == 400 && transfer_tls_wanted(t, text, err))
		return (int)err->code;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
	return transfer_not_ours(t->base, status, type, text, err);
}

static const char *header(const struct transfer *t, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(t->easy, name, 0, CURLH_HEADER, -1, &h))
		return NULL;
	return h->value;
}

bool transfer_has_status(const struct transfer *t)
{
	return header(t, "grpc-status");
}

bool transfer_was_sent(const struct transfer *t, CURLcode code)
{
	curl_off_t connected_us = 0;

	curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	return connected_us || code == CURLE_OK;
}

static int timed_out(const struct transfer *t, struct err *err)
{
	double seconds = (double)t->timeout_ms / 1000;
	curl_off_t connected_us = 0;

	curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	if (connected_us)
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			       "no answer from %s within %g s", t->base,
			       seconds);
	if (!t->timeout_ms)
		seconds = CONNECT_MS / 1000;
	return err_set(err, ERR_UNAVAILABLE,
		       "cannot reach %s: no connection within %g s", t->base,
		       seconds);
}

int transfer_failed(const struct transfer *t, CURLcode code, struct err *err)
{
	const char *why = *t->why ? t->why : curl_easy_strerror(code);
	const char *status = header(t, "grpc-status");
	long number = 0;

	if (status) {
		frames_status(err, status, header(t, "grpc-message"));
		return err->code;
	}
	if (transfer_tls_failed(t, code, err))
		return (int)err->code;
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return timed_out(t, err);
	case CURLE_COULDNT_CONNECT:
		return err_set(err, ERR_UNAVAILABLE, "cannot reach %s: %s",
			       t->base, number ? strerror((int)number) : why);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(err, ERR_UNAVAILABLE,
			       "cannot reach %s: unknown host", t->base);
	case CURLE_INTERFACE_FAILED:
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "cannot call from address %s: %s", t->bind, why);
	case CURLE_OK:
		return err_set(err, ERR_UNAVAILABLE,
			       "%s ended its answer too early", t->base);
	default:
		return err_set(err, ERR_UNAVAILABLE,
			       "lost the connection to %s: %s", t->base, why);
	}
}
