/* engine.h - what the files of the server share, and nobody else includes.
 *
 *	server.c  open, close, what is served
 *	listen.c  the listening socket, our names, accepting
 *	source.c  how many connections each address has
 *	conn.c    one connection: bytes in, its end
 *	conn_out.c its bytes out
 *	secure.c  TLS between them and the socket
 *	stream.c  what is put off to the next turn, and the wait for it
 *	many.c    the streams of a connection that speaks HTTP/2
 *	wait.c    who must be done with what by when
 *	request.c a request's body, and when it is complete
 *	route.c   from a parsed head to what serves it, or a refusal
 *	origin.c  web pages, and names that are not ours
 *	coding.c  what the headers say of compression
 *	intake.c  the messages of a client's stream, as they come
 *	answer.c  answers of HTTP/1.1 and 2
 *	call.c    what a handler does with a call
 *	once.c    calls that may not be made twice
 *	plain.c   /healthz, /readyz, /metrics and other plain HTTP
 *
 * A connection begins as HTTP/1.1 with one stream of its own, which carries one
 * call at a time. Speaking HTTP/2 (h2.h) it has many, each for one call, and
 * its own stream carries their frames. A handler may answer any call at any
 * time, so nothing that a call_…() does runs another handler or closes a
 * connection: it leaves that to the server's todo list, worked off in the
 * loop's next turn. (One hook does run there: call_send()'s own, when the
 * stream fails.)
 *
 * Bytes come in by on_read() and leave by stream_flush(); calls know neither,
 * and the wire's shape only by answer.c and dialect.c. */
#ifndef WIRE_ENGINE_H
#define WIRE_ENGINE_H

#include <netinet/in.h>
#include <sys/queue.h>
#include <uv.h>

#include <uthash.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/opt.h"
#include "wire/dedupe.h"
#include "wire/dialect.h"
#include "wire/h2.h"
#include "wire/http1.h"
#include "wire/peer.h"
#include "wire/server.h"
#include "wire/tls.h"

enum {
	ENGINE_CODES = ERR_UNAUTHENTICATED + 1,
	ENGINE_READ = 64 << 10,    /* bytes read at once */
	ENGINE_STASH = 64 << 10,   /* of requests sent ahead */
	ENGINE_FLUSH = 64 << 10,   /* a stream's bytes are sent from here */
	ENGINE_QUEUE = 16 << 20,   /* bytes a stream may queue */
	ENGINE_AHEAD = 1 << 20,    /* of a queue at which no more is taken in */
	ENGINE_DISCARD = 64 << 10, /* a refused body still read to its end */
	ENGINE_SEAL = 256 << 10,   /* bytes encrypted at once */
	ENGINE_PLAIN = 16 << 10,   /* what one record of TLS holds */
	ENGINE_SPARE = 64 << 10,   /* buffers up to here are kept */
	ENGINE_NAMES = 8,
	ENGINE_JSON = 4 << 20, /* bytes of a message in JSON */
	ENGINE_BODIES = 16,    /* of the largest size, being received at once */
	ENGINE_STREAMS = 100000,   /* of HTTP/2, of all connections */
	ENGINE_SLOWEST = 64 << 10, /* bytes to be moved in the idle time */
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* What a stream is waited for, each with its own time limit. */
enum wait_kind {
	WAIT_NONE,
	WAIT_IDLE,    /* for the next request */
	WAIT_REQUEST, /* for the rest of a request */
	WAIT_STREAM,  /* for the next bytes of a client's stream */
	WAIT_HELD,    /* for the handler's answer */
	WAIT_READER,  /* for the client to read */
	WAIT_LINGER,  /* for the client to close */
	WAIT_KINDS
};

/* Streams in the order in which their time ends: all wait equally long. */
struct wait_list {
	TAILQ_HEAD(, stream) streams;
	int64_t after_ms;
	uv_timer_t timer;
	int64_t due_ms; /* or 0: whose time was over then has a last look */
};

struct plain {
	const char *verb;
	server_http_fn *fn;
	void *arg;
	struct route *method; /* in place of fn: a method's route */
	struct plain *next;
};

/* What is served under a path. */
struct route {
	char *path;
	const struct rpc_method *method; /* or NULL */
	server_fn *fn;
	void *arg;
	struct plain *plain;
	uint64_t by_code[ENGINE_CODES];
	UT_hash_handle hh;
};

struct metrics_hook {
	server_metrics_fn *fn;
	void *arg;
	struct metrics_hook *next;
};

struct server {
	ProtobufCMessage *handled; /* by the handler that runs, unless taken */
	struct loop *loop;
	uv_loop_t *uv;
	size_t max_message, max_conns, max_per_source;
	char *url;
	int port;
	char *names[ENGINE_NAMES]; /* that Host may have */
	bool any_address;          /* listens on all: Host may be any address */
	struct tls *tls;           /* NULL: plain */
	bool trust_all;            /* --insecure */
	bool ready, closing;

	int fd; /* listening, or -1 */
	uv_poll_t poll;
	uv_timer_t accept_again;
	bool accepting;

	struct route *routes; /* by path */
	struct route unknown; /* counts calls of methods that are none */
	struct metrics_hook *metrics;
	const struct opt_list *cors; /* origins of web pages, or NULL */
	struct gzip *gzip;

	struct source *sources;
	TAILQ_HEAD(, conn) conns;
	struct dedupe dedupe;
	LIST_HEAD(, once) alone; /* calls that outlive their client */
	TAILQ_HEAD(, stream) todo;
	uv_idle_t idle; /* runs while todo has entries */
	unsigned turn;
	struct wait_list waits[WAIT_KINDS];
	size_t n_conns, n_held, n_streams;
	size_t n_many;    /* streams of HTTP/2 */
	size_t receiving; /* bytes of all bodies that are not complete */
	size_t unread;    /* and of all answers that are made, but not read */
	int64_t told_ms;  /* when a failed handshake was logged last */
	uint64_t handshakes_failed;
	uint64_t accepted, pauses, turned_away, cut, bytes_in, bytes_out;
	int handles; /* of libuv, that are not closed yet */

	struct buf spare_out, spare_body,
		spare_sealed; /* memory lent to connections */
	char date[40];
	int64_t date_s;
	char read[ENGINE_READ];
	char plain[ENGINE_PLAIN]; /* of TLS, decrypted */
};

/* An address with connections; of IPv6 the network, which one host may have
 * whole. */
struct source {
	uint64_t at[2];
	size_t n;
	UT_hash_handle hh;
};

/* What carries a request and its answer. */
struct stream {
	struct server *s;
	struct conn *conn;
	int32_t id; /* of HTTP/2; 0: the connection's own */

	struct http1 in;
	struct buf body;
	struct call *call; /* the request being received or answered */

	struct buf out;          /* not yet on its way */
	struct buf flying;       /* given to libuv, or being taken by h2.h */
	size_t taken;            /* of flying, by h2.h */
	size_t head_at, body_at; /* of the answer being made */
	size_t mark;             /* where its length or chunk's size goes */

	enum wait_kind wait;
	int64_t since_ms;
	size_t seen_unsent; /* WAIT_READER: at the last look */
	TAILQ_ENTRY(stream) waiting, todo;

	unsigned turn; /* of the loop in which it came on todo */
	bool on_todo;
	bool said;     /* a message, which may be on its way by now */
	bool busy;     /* the request is complete, its answer is not */
	bool open;     /* its messages go to a handler as they come */
	bool keep;     /* the answer under way leaves the connection open */
	bool chunked;  /* the stream under way is */
	bool headless; /* HEAD: the answer has no body */
	bool is_1_0;
	bool has_body; /* the request */

	/* Of HTTP/2. */
	LIST_ENTRY(stream) all;
	struct buf head;     /* of the answer being made */
	struct buf trailers; /* of native gRPC */
	size_t counted;      /* in the connection's queued; unread */
	size_t unread;       /* bytes of the request held back */
	int status;
	bool ended; /* the answer is complete */
};

struct conn {
	struct stream own; /* carries requests, or HTTP/2's frames */
	struct peer peer;
	uv_tcp_t tcp;
	uv_write_t write;
	struct buf stash; /* bytes of requests sent ahead */

	struct tls_conn *tls; /* NULL: plain */
	struct buf sealed;    /* encrypted, not yet on its way */
	size_t sealed_to;     /* of own.out */

	struct h2 *h2; /* NULL: HTTP/1.1 */
	LIST_HEAD(, stream) streams;
	size_t n_streams;
	size_t queued; /* bytes of answers in streams */

	struct source *source; /* or NULL: not counted */
	TAILQ_ENTRY(conn) all;
	size_t sniffed; /* bytes that both could begin with */
	bool known;     /* which of them it is */
	bool begun;     /* TLS: the client's first byte is of it */
	bool greeted;   /* the handshake of TLS is over, or there is none */
	bool feeding;   /* parsing: the next request is looked for anyway */
	bool deaf;      /* does not read: its stash is full */
	bool eof;       /* the client sends no more */
	bool broken;    /* writing failed */
	bool lingering; /* all is said; what comes is thrown away */
	bool closed;
};

/* What a client's stream brings: whole messages go on, the rest waits in the
 * stream's body. */
struct intake {
	call_message_fn *fn;
	void *arg;
	size_t at;     /* of the body, up to where messages were taken */
	uint64_t seen; /* bytes that had come when its time last began */
	bool moved;    /* a message was taken since */
	bool paused;   /* by the handler */
	bool patient;  /* any time between messages */
	bool ended;    /* the client has sent all */
	bool told;     /* and the handler knows */
};

/* A request from its head to its answer; then, if a handler that was not told
 * keeps it although the client has gone (st is NULL), until it answers. */
struct call {
	struct server *s;
	struct stream *st;
	struct route *route;
	const struct plain *plain;
	const struct dialect *dialect; /* NULL: plain HTTP */
	struct err *refused;           /* NULL: not refused */
	int status;                    /* of a refusal in plain HTTP, or 0 */
	struct buf more;               /* lines of the answer's head */
	struct coding coding;
	struct base64_feed text; /* with text_in */
	int64_t deadline_ms;
	struct timer deadline;
	struct intake *intake; /* of a client's stream */
	call_fn *on_cancel, *on_drain;
	void *cancel_arg, *drain_arg;
	struct once *once; /* may not be made twice, or NULL */
	uint64_t body_len;
	int64_t first_us, last_us;
	bool text_in; /* the request is base64 */
	bool forwarded;
	bool held, streaming; /* counted as such */
	bool head_sent;       /* of a stream */
	bool cancelling;      /* its hook runs */
};

/* wait.c */
void wait_init(struct server *s, const struct server_opts *opts);
void wait_for(struct stream *st, enum wait_kind kind); /* counts from now */
/* Do answers that nobody reads take too much memory? Then who has waited
 * longest is cut off. */
bool wait_too_many(const struct server *s);
void wait_shed(struct server *s);

/* listen.c */
int listen_open(struct server *s, const struct server_opts *opts,
		struct err *err) MUST_CHECK;
void listen_stop(struct server *s);     /* accept no more, for good */
void listen_one_less(struct server *s); /* a connection has closed */
bool listen_is_loopback(const union address *a);
void listen_numeric(const union address *a, char text[PEER_ADDR]);
bool listen_is_us(const struct server *s, const char *host);

/* source.c: count one more connection from there. *out is NULL where there is
 * no bound; false: it is reached. Then source_refuse() says so and closes. */
bool source_enter(struct server *s, const union address *from,
		  struct source **out);
void source_leave(struct server *s, struct source *source); /* NULL: nothing */
void source_refuse(struct server *s, int fd);

/* conn.c */
void conn_open(struct server *s, int fd, const union address *from,
	       struct source *source);
void conn_close(struct conn *c); /* at once; cancels its calls */
void conn_flush(struct conn *c); /* never closes */
void conn_work(struct conn *c);  /* one turn's worth of what was put off */
void conn_settle(struct conn *c);
void conn_arrived(struct conn *c, const char *p, size_t len, bool in_place);
void conn_eof(struct conn *c);
void conn_drain(struct conn *c);                   /* the server closes */
bool conn_pending(const struct conn *c);           /* of it or its streams */
void conn_spare(struct buf *spare, struct buf *b); /* give memory back */

/* secure.c: for connections with TLS alone. */
void secure_open(struct conn *c);
void secure_arrived(struct conn *c, const char *p, size_t len);
bool secure_seal(struct conn *c); /* more of own.out; false: broken */
void secure_end(struct conn *c);  /* say that nothing more follows */
void secure_release(struct conn *c);

/* stream.c */
void stream_init(struct stream *st, struct conn *c, int32_t id);
void stream_leave(struct stream *st); /* waited for no more */
void stream_release(struct stream *st);
void stream_close(struct stream *st);  /* at once; cancels its call */
void stream_finish(struct stream *st); /* the answer is complete */
void stream_flush(struct stream *st);
void stream_later(struct stream *st);   /* flush and go on in the next turn */
void stream_drained(struct stream *st); /* tell the handler, if it is */
size_t stream_unsent(const struct stream *st); /* of what is on its way */
size_t stream_queued(const struct stream *st);
bool stream_pending(const struct stream *st);
bool stream_held(const struct stream *st); /* its call, unary, is kept */

/* many.c */
void many_open(struct conn *c);
void many_input(struct conn *c, const char *p, size_t len);
void many_output(struct conn *c); /* into its own stream's out */
void many_settle(struct conn *c); /* is it over? */
void many_close(struct conn *c);  /* its streams; cancels their calls */
void many_drain(struct conn *c);  /* the server closes */
void many_flush(struct stream *st);
void many_reset(struct stream *st);
void many_unhold(struct stream *st);

/* request.c: the events of the parser. request_room() gives memory into which
 * the body may be read directly, request_arrived() says how much was. */
void request_head(struct stream *st);
void request_body(struct stream *st, const char *p, size_t len);
void request_end(struct stream *st);
char *request_room(struct stream *st, size_t *len);
void request_arrived(struct stream *st, size_t len);
void request_bad(struct stream *st, int status, const char *reason);
void request_forget(struct stream *st); /* its body */
/* Most bytes that a message may have; the name of the bound with it. */
size_t request_limit(const struct call *call, const char **name);
/* Many clients together may not take our memory either. */
int request_too_many(const struct server *s, struct err *err) MUST_CHECK;

/* route.c */
void route_find(struct stream *st);
/* The request will be answered with this; status is for plain HTTP and for
 * what no dialect can say. */
void route_refuse(struct call *call, int status, enum err_code code,
		  const char *fmt, ...) PRINTF(4, 5);
void route_refuse_err(struct call *call, int status, const struct err *err);

/* origin.c */
int origin_open(struct server *s, const struct opt_list *cors,
		struct err *err) MUST_CHECK;
void origin_check(struct stream *st);

/* coding.c */
void coding_read(struct call *call);

/* intake.c: the request's head, bytes and end; intake_go() takes up what was
 * held back. */
void intake_open(struct stream *st);
void intake_bytes(struct stream *st, const char *p, size_t len);
void intake_end(struct stream *st);
void intake_go(struct stream *st);
void intake_idle(struct stream *st);        /* for too long */
bool intake_ready(const struct stream *st); /* would it take more? */

/* answer.c: begin, append the body to st->out, end. type NULL: no body; more:
 * further lines of the head, or NULL. err ends what a dialect says; NULL: all
 * went well. */
void answer_begin(struct stream *st, int status, const char *type,
		  const char *more);
void answer_end(struct stream *st);
void answer_stream(struct stream *st, const char *type, const char *more);
void answer_chunk(struct stream *st);
void answer_chunk_end(struct stream *st);
void answer_stream_end(struct stream *st);
void answer_status(struct stream *st, const struct dialect *d,
		   const struct err *err);

/* call.c */
struct call *call_new(struct stream *st);
void call_cancel(struct call *call); /* the client is gone */
void call_refuse(struct call *call); /* answer with call->refused */
void call_hold(struct call *call);   /* the handler has kept it */
/* End a kept call from our side: the client gets err, the handler its hook. */
void call_give_up(struct call *call, const struct err *err);
void call_tire(struct call *call);  /* it has been held for the most */
void call_close(struct call *call); /* the server closes */
void call_expire(struct call *call, int64_t after_ms);

/* once.c */
int once_header(struct call *call, const char *value,
		struct err *err) MUST_CHECK;
/* For calls with an id: is the handler not to see it? It is answered then, or
 * will be. */
bool once_known(struct call *call, const ProtobufCMessage *in);
void once_answer(struct call *call, const ProtobufCMessage *msg,
		 const struct err *err); /* err NULL: with msg */
bool once_goes_on(struct call *call);    /* without its client */
void once_close(struct server *s);
void once_free(struct once *o);

/* plain.c */
void plain_serve(struct server *s);

#endif
