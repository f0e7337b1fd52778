/* server.h - listens, speaks every dialect on one port, and hands decoded
 * messages to handlers on the loop's thread.
 *
 * A handler answers at once or keeps the call and answers later: a held call
 * costs little, and ends by itself when its client goes away or its deadline
 * passes. HTTP/1.1 and, by prior knowledge or ALPN, HTTP/2. Limits: head 16
 * KiB, 100 headers, JSON body 4 MiB, message 64 MiB (16 times that for all that
 * are being received), 10 s to receive a request, 60 s between the messages of
 * a stream, which may have any number of them. Past one of them:
 * RESOURCE_EXHAUSTED with its name. At the bound of connections newcomers wait
 * until one closes; an address at its own bound is turned away. All of this
 * machine shares 127.0.0.1 and ::1, and a proxy on it may speak for many: those
 * two have no such bound. */
#ifndef WIRE_SERVER_H
#define WIRE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "wire/rpc.h"

struct daemon_opts;
struct opt_list;
struct server;
struct call; /* one request being served */
struct peer; /* who sent it, see peer.h */
struct tls;

struct server_opts {
	const char *listen;     /* "127.0.0.1:0": a free port */
	const char *advertise;  /* URL that others use; NULL: from listen */
	struct tls *tls;        /* borrowed; TLS if it has a certificate */
	bool insecure;          /* may bind what is not loopback, and trusts
				   whoever reaches it */
	const struct opt_list *cors; /* origins of web pages that are served,
					borrowed; NULL: none */
	size_t max_message;     /* bytes; 0: 64 MiB */
	size_t max_connections; /* 0: from the descriptor limit */
	size_t max_per_source;  /* connections; 0: a quarter of those */
	int64_t receive_ms;     /* to receive a request; 0: 10 s */
	int64_t hold_ms;        /* for a handler to answer; 0: 30 s */
	int64_t idle_ms; /* between requests or messages, or for a reader that
			    stalls; 0: 60 s */
};

/* Bind and listen, but serve only once the loop runs. A taken port is
 * RESOURCE_EXHAUSTED naming it; an address that is not loopback with neither
 * TLS nor insecure is INVALID_ARGUMENT with a hint. Frees by server_close(). */
int server_open(struct server **out, struct loop *loop,
		const struct server_opts *opts, struct err *err) MUST_CHECK;

/* The same where listen, advertise, insecure, cors and the bounds are as a
 * daemon's options have them; but a max_message of opts stands. */
int server_open_as(struct server **out, struct loop *loop,
		   const struct daemon_opts *daemon, struct server_opts opts,
		   struct err *err) MUST_CHECK;

/* What others call us: "http://127.0.0.1:8090", without a trailing slash. */
const char *server_url(const struct server *s);
int server_port(const struct server *s);

/* Close the listener and every connection; held calls see their cancel hook.
 * Answers that are queued get up to drain_ms (server_close runs the loop). */
void server_close(struct server *s, int64_t drain_ms);

/* in is borrowed for the handler's run; rpc_copy() what must last. Of a client
 * or bidirectional stream it is NULL: the handler runs at the request's head
 * and says by call_on_message() who takes the messages. */
typedef void server_fn(struct call *call, const ProtobufCMessage *in,
		       void *arg);

/* Within a handler: have its message, which it then frees with rpc_free(), in
 * place of a copy. */
ProtobufCMessage *call_take(struct call *call);

/* Bytes of all answers that are made and not yet read: who makes many large
 * ones waits until it is less. */
size_t server_unread(const struct server *s);

size_t server_max_message(const struct server *s); /* bytes */

/* Serve a method; arg goes to fn. The tables in rpc.h name the methods. */
void server_handle(struct server *s, enum rpc_name name, server_fn *fn,
		   void *arg);

/* The same for a method that is in none of them; it is borrowed. */
void server_handle_method(struct server *s, const struct rpc_method *method,
			  server_fn *fn, void *arg);

/* Plain HTTP beside the methods: GET for /healthz, /readyz, /metrics (text)
 * and their like. path has no query part; query and body may be empty. Answer
 * by call_http() within the handler. */
typedef void server_http_fn(struct call *call, const char *query,
			    const char *body, size_t len, void *arg);
void server_http(struct server *s, const char *verb, const char *path,
		 server_http_fn *fn, void *arg);

/* A unary method also has this path: its message is the JSON of a POST, or
 * empty with GET, whose query is ignored. The answer is JSON as the clients of
 * the first comm manager know it: dialect_old in dialect.h. */
void server_alias(struct server *s, const char *verb, const char *path,
		  enum rpc_name name);

/* Answer plain HTTP. */
void call_http(struct call *call, int status, const char *content_type,
	       const char *body, size_t len);

/* Whether /readyz says yes; a server starts not ready. /healthz always does
 * while the loop turns; /metrics is made of rows added by this hook. */
void server_ready(struct server *s, bool ready);
typedef void server_metrics_fn(struct buf *text, void *arg);
void server_metrics(struct server *s, server_metrics_fn *fn, void *arg);
void server_metrics_end(struct server *s, const void *arg); /* no hook of arg */

/* Messages of a client or bidirectional stream, one after the other; msg is
 * borrowed, and NULL (once) after the last one. fn may answer or end the call,
 * at any message. The client is held back, by not reading on, while the call is
 * paused (from now on: fn is not called before call_resume()), while more than
 * 1 MiB of answers wait for it, and until fn is set. A stream on which for 60 s
 * neither a message moves nor 64 KiB of one ends with DEADLINE_EXCEEDED, unless
 * it is paused. */
typedef void call_message_fn(struct call *call, const ProtobufCMessage *msg,
			     void *arg);
void call_on_message(struct call *call, call_message_fn *fn, void *arg);
/* Between two messages the client may take any time, now and later; within one
 * the 60 s count as ever. */
void call_be_patient(struct call *call);
/* From now on the client's connection is lost when bytes that were sent have not
 * been acknowledged for so long; the kernel by itself tries for a quarter of an
 * hour. Not for who may stop reading: that counts too. */
void call_stall(struct call *call, int64_t ms);
void call_pause(struct call *call);
void call_resume(struct call *call); /* goes on in the next turn */

/* Answer a unary call or a client stream, or end any with an error. The call is
 * over and may not be used again. msg is borrowed for the call. */
void call_reply(struct call *call, const ProtobufCMessage *msg);
void call_fail(struct call *call, const struct err *err);

/* A stream: messages, then call_end(). Messages queue while the reader is
 * slow; past the bound of 16 MiB the call fails by itself with
 * RESOURCE_EXHAUSTED and -1 is returned, as it is when the client has gone: with
 * a cancel hook, that has run and the call is no more; without one the handler
 * still calls call_end(). What is sent over HTTP/2 waits for the next turn
 * however quick the reader is, so who has much to send watches call_queued()
 * and goes on from the drain hook, which runs when the queue has become empty,
 * never inside a call_…(). */
int call_send(struct call *call, const ProtobufCMessage *msg);
void call_end(struct call *call);
size_t call_queued(const struct call *call); /* bytes not yet taken */
typedef void call_fn(struct call *call, void *arg);
void call_on_drain(struct call *call, call_fn *fn, void *arg);

/* Runs once if the client goes away, the deadline passes or the server
 * closes, before the call is freed; not after a reply. Whoever keeps a call
 * past its handler sets it and forgets the call there; without it the call
 * lives on until it is answered, to nobody. */
void call_on_cancel(struct call *call, call_fn *fn, void *arg);

/* Monotonic time (clock_ms) by which to answer; INT64_MAX if the client gave
 * none. */
int64_t call_deadline_ms(const struct call *call);

/* Who calls, until the call is over; nobody known once the client has gone.
 * Methods that rpc.h guards are refused to strangers before a handler runs. */
const struct peer *call_peer(const struct call *call);

/* The call was forwarded by a node for somebody: do not forward it again. */
bool call_forwarded(const struct call *call);

/* Bytes of the request's body, and the time from its first to its last byte
 * as it came from the kernel (0 if it came at once). */
void call_timing(const struct call *call, uint64_t *bytes, int64_t *us);

#endif
