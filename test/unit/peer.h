/* peer.h - a server by script, for tests of clients: in the loop of the test,
 * it takes whole HTTP/1.1 requests and answers with the bytes it is told. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "wire/rpc.h"

struct peer;

struct peer_conn {
	LIST_ENTRY(peer_conn) all;
	struct peer *peer;
	uv_tcp_t tcp;
	struct buf in;
};

/* The n-th request (from 0) of all connections is there, whole, in c->in. */
typedef void peer_fn(struct peer_conn *c, int n);

struct peer {
	struct loop *loop;
	uv_tcp_t listener;
	char url[64];
	peer_fn *on_request;
	int accepted, requests, closed; /* so far; closed: by the client */
	void *arg;                      /* the test's own */
	LIST_HEAD(, peer_conn) conns;
};

void peer_open(struct peer *p, struct loop *loop, peer_fn *on_request);
void peer_close(struct peer *p); /* finish with loop_close() */

/* Send bytes as they are. */
void peer_send(struct peer_conn *c, const void *bytes, size_t len);
void peer_text(struct peer_conn *c, const char *text);
void peer_hang_up(struct peer_conn *c);

/* A gRPC-web body: frames of messages, then trailers. */
void peer_frame(struct buf *out, const ProtobufCMessage *msg);
void peer_trailers(struct buf *out, const char *lines);

/* Send a head of status 200 and body, with its length. */
void peer_answer(struct peer_conn *c, const struct buf *body);

/* The head of an endless (chunked) answer, and a part of it. */
void peer_begin(struct peer_conn *c);
void peer_chunk(struct peer_conn *c, const void *bytes, size_t len);

#endif
