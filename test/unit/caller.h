/* caller.h - a client of HTTP/2 for tests of the server: nghttp2 over a socket,
 * in the thread of the test, which turns the server's loop as well. */
#ifndef CALLER_H
#define CALLER_H

#include <nghttp2/nghttp2.h>

#include "world.h"

#define GRPC "application/grpc"

enum { CALLER_MAX = 1500 };

/* What one stream brought; all text is "" before it came. */
struct reply {
	int status;
	char type[64], grpc_status[8], message[256];
	char encoding[16], accept_encoding[64];
	struct buf body;
	bool headless; /* the trailers were in the head */
	bool closed;
	uint32_t code; /* of its end: 0, or of RST_STREAM */
};

struct sent { /* the body of a request */
	struct buf b;
	size_t at;
	bool open; /* more follows */
};

struct caller {
	struct world *w;
	int fd;
	nghttp2_session *session;
	struct reply replies[CALLER_MAX]; /* by (id - 1) / 2 */
	int closed;                       /* streams */
	struct sent sent[CALLER_MAX];
	int n_sent;
	bool gone; /* the connection has ended */
	bool goaway;
	uint32_t goaway_code;
};

/* window: of each stream, which opens by itself unless held is set; a held one
 * only by caller_open_window(). */
void caller_open(struct caller *c, struct world *w, uint32_t window, bool held);
void caller_close(struct caller *c);
void caller_open_window(struct caller *c, int32_t id, uint32_t more);

/* Send what there is, turn the loop, take what comes. */
void caller_turn(struct caller *c);

#define CALLER_UNTIL(c, cond)     \
	do {                      \
		caller_turn((c)); \
	} while (!(cond))

/* POST body (or nothing more, if len is SIZE_MAX: the request stays unfinished)
 * to path. more: pairs of names and values, ending in NULL; or NULL. Returns
 * the stream. */
int32_t caller_post(struct caller *c, const char *path, const char *type,
		    const char *body, size_t len, const char *const *more);
/* A request whose body comes piece by piece. */
int32_t caller_begin(struct caller *c, const char *path, const char *type,
		     const char *const *more);
void caller_say(struct caller *c, int32_t id, const void *p, size_t len);
void caller_finish(struct caller *c, int32_t id);
size_t caller_unsent(const struct caller *c, int32_t id);

int32_t caller_get(struct caller *c, const char *verb, const char *path,
		   const char *const *more);

/* A Heartbeat of native gRPC. */
int32_t caller_beat(struct caller *c, int node, const char *const *more);

struct reply *caller_reply(struct caller *c, int32_t id);
struct reply *caller_wait(struct caller *c, int32_t id); /* until it closes */

#endif
