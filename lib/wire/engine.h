/* engine.h - what the files of the server share, and nobody else includes.
 *
 *	server.c  open, close, what is served
 *	listen.c  the listening socket, our names, accepting
 *	conn.c    one connection: bytes in, bytes out, its end
 *	wait.c    who must be done with what by when
 *	request.c from a parsed head to a call, or a refusal
 *	answer.c  answers of HTTP/1.1
 *	call.c    what a handler does with a call
 *	plain.c   /healthz, /readyz, /metrics and other plain HTTP
 *
 * A connection carries one call at a time. A handler may answer any call at any
 * time, so nothing that a call_…() does runs another handler or closes a
 * connection: it leaves that to the server's todo list, worked off in the
 * loop's next turn. (One hook does run there: call_send()'s own, when the
 * stream fails.)
 *
 * Bytes come in by on_read() and leave by conn_flush(); calls know neither, and
 * the wire's shape only by answer.c and dialect.c. */
#ifndef WIRE_ENGINE_H
#define WIRE_ENGINE_H

#include <netinet/in.h>
#include <sys/queue.h>
#include <uv.h>

#include <uthash.h>

#include "base/buf.h"
#include "base/loop.h"
#include "wire/dialect.h"
#include "wire/http1.h"
#include "wire/server.h"

enum {
	ENGINE_CODES = ERR_UNAUTHENTICATED + 1,
	ENGINE_READ = 64 << 10,  /* bytes read at once */
	ENGINE_STASH = 64 << 10, /* of requests sent ahead */
	ENGINE_FLUSH = 64 << 10, /* a stream's bytes are sent from here */
	ENGINE_QUEUE = 16 << 20, /* bytes a stream may queue */
	ENGINE_QUEUE_MSGS = 10000,
	ENGINE_DISCARD = 64 << 10, /* a refused body still read to its end */
	ENGINE_SPARE = 64 << 10,   /* buffers up to here are kept */
	ENGINE_NAMES = 8,
	ENGINE_BODIES = 16, /* of the largest size, being received at once */
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* What a connection is waited for, each with its own time limit. */
enum wait_kind {
	WAIT_NONE,
	WAIT_IDLE,    /* for the next request */
	WAIT_REQUEST, /* for the rest of a request */
	WAIT_READER,  /* for the client to read */
	WAIT_LINGER,  /* for the client to close */
	WAIT_KINDS
};

/* Connections in the order in which their time ends: all wait equally long. */
struct wait_list {
	TAILQ_HEAD(, conn) conns;
	int64_t after_ms;
	uv_timer_t timer;
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
	struct loop *loop;
	uv_loop_t *uv;
	size_t max_message, max_conns;
	char *url;
	int port;
	char *names[ENGINE_NAMES]; /* that Host may have */
	bool any_address;          /* listens on all: Host may be any address */
	bool ready, closing;

	int fd; /* listening, or -1 */
	uv_poll_t poll;
	uv_timer_t accept_again;
	bool accepting;

	struct route *routes; /* by path */
	struct route unknown; /* counts calls of methods that are none */
	struct metrics_hook *metrics;

	TAILQ_HEAD(conn_list, conn) conns;
	struct conn_list todo;
	uv_idle_t idle; /* runs while todo has entries */
	unsigned turn;
	struct wait_list waits[WAIT_KINDS];
	size_t n_conns, n_held, n_streams;
	size_t receiving; /* bytes of all bodies that are not complete */
	uint64_t accepted, pauses, cut, bytes_in, bytes_out;
	int handles; /* of libuv, that are not closed yet */

	struct buf spare_out, spare_body; /* memory lent to connections */
	char date[40];
	int64_t date_s;
	char read[ENGINE_READ];
};

struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	struct server *s;

	struct http1 in;
	struct buf body;
	struct buf stash;  /* bytes of requests sent ahead */
	struct call *call; /* the request being received or answered */

	struct buf out;    /* not yet given to libuv */
	struct buf flying; /* given to libuv */
	size_t out_msgs, flying_msgs;
	size_t head_at, body_at; /* of the answer being made */
	size_t mark;             /* where its length or chunk's size goes */

	enum wait_kind wait;
	int64_t since_ms;
	size_t seen_unsent; /* WAIT_READER: at the last look */
	TAILQ_ENTRY(conn) waiting, all, todo;

	unsigned turn; /* of the loop in which it came on todo */
	bool on_todo;
	bool busy;     /* the request is complete, its answer is not */
	bool feeding;  /* parsing: the next request is looked for anyway */
	bool keep;     /* the answer under way leaves the connection open */
	bool chunked;  /* the stream under way is */
	bool headless; /* HEAD: the answer has no body */
	bool is_1_0;
	bool eof;       /* the client sends no more */
	bool broken;    /* writing failed */
	bool lingering; /* all is said; what comes is thrown away */
	bool closed;
};

/* A request from its head to its answer; then, if a handler that was not told
 * keeps it although the client has gone (conn is NULL), until it answers. */
struct call {
	struct server *s;
	struct conn *conn;
	struct route *route;
	const struct plain *plain;
	const struct dialect *dialect; /* NULL: plain HTTP */
	struct err *refused;           /* NULL: not refused */
	int status;                    /* of a refusal in plain HTTP, or 0 */
	const char *allow;             /* its Allow header, or NULL */
	int64_t deadline_ms;
	struct timer deadline;
	call_fn *on_cancel, *on_drain;
	void *cancel_arg, *drain_arg;
	uint64_t body_len;
	int64_t first_us, last_us;
	bool forwarded;
	bool held, streaming; /* counted as such */
	bool head_sent;       /* of a stream */
	bool cancelling;      /* its hook runs */
};

/* wait.c */
void wait_init(struct server *s, const struct server_opts *opts);
void wait_for(struct conn *c, enum wait_kind kind); /* counts from now */

/* listen.c */
int listen_open(struct server *s, const struct server_opts *opts,
		struct err *err) MUST_CHECK;
void listen_stop(struct server *s);     /* accept no more, for good */
void listen_one_less(struct server *s); /* a connection has closed */
bool listen_is_us(const struct server *s, const char *host);

/* conn.c */
void conn_open(struct server *s, int fd);
void conn_close(struct conn *c);  /* at once; cancels its call */
void conn_finish(struct conn *c); /* the answer is complete */
void conn_flush(struct conn *c);
void conn_later(struct conn *c);  /* flush and go on in the next turn */
void conn_spare(struct buf *spare, struct buf *b); /* give memory back */
size_t conn_queued(const struct conn *c);
bool conn_pending(const struct conn *c);

/* request.c: the events of the parser. request_room() gives memory into which
 * the body may be read directly, request_arrived() says how much was. */
void request_head(struct conn *c);
void request_body(struct conn *c, const char *p, size_t len);
void request_end(struct conn *c);
char *request_room(struct conn *c, size_t *len);
void request_arrived(struct conn *c, size_t len);
void request_bad(struct conn *c, int status, const char *reason);
void request_forget(struct conn *c); /* its body */

/* answer.c: begin, append the body to c->out, end. type NULL: no body. */
void answer_begin(struct conn *c, int status, const char *type,
		  const char *allow);
void answer_end(struct conn *c);
void answer_stream(struct conn *c, const char *type);
void answer_chunk(struct conn *c);
void answer_chunk_end(struct conn *c);
void answer_stream_end(struct conn *c);

/* call.c */
struct call *call_new(struct conn *c);
void call_cancel(struct call *call); /* the client is gone */
void call_refuse(struct call *call); /* answer with call->refused */
void call_hold(struct call *call);   /* the handler has kept it */
void call_close(struct call *call);  /* the server closes */

/* plain.c */
void plain_serve(struct server *s);

#endif
