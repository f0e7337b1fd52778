/* world.h - a server in the test's process, and clients that are plain sockets
 * of the same thread: the loop turns while they wait. */
#ifndef WORLD_H
#define WORLD_H

#include <poll.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tunnel.h"
#include "wire/server.h"

#define JSON "application/json"
#define HEARTBEAT "/GatewayService/Heartbeat"

struct world {
	struct loop *loop;
	struct server *server;
	struct call *kept; /* by a holding handler */
	int calls, cancels;
	uint64_t body; /* what call_timing() said of the last heartbeat */
	int64_t body_us;
	struct tls *tls, *client_tls; /* of world_secure() */
	struct tunnels tunnels;
};

/* A suite that has this return true runs through TLS: dial() tunnels. */
bool world_secure(void);

void world_open(struct world *w, struct server_opts opts);
void world_certs(struct world *w, struct server_opts *opts);
void world_close(struct world *w);
void world_close_rest(struct world *w); /* the server is closed already */
void world_turn(struct world *w);

/* Turn the loop until cond holds; the test's alarm ends what never does. */
#define UNTIL(w, cond)                    \
	do {                              \
		world_turn(w);            \
		if (!(cond))              \
			poll(NULL, 0, 1); \
	} while (!(cond))

/* Handlers; arg is the world. */
void heartbeat(struct call *call, const ProtobufCMessage *in, void *arg);
void hold(struct call *call, const ProtobufCMessage *in, void *arg);
void hold_blindly(struct call *call, const ProtobufCMessage *in, void *arg);

/* Answer the kept call to Heartbeat: status "late". */
void answer_kept(struct world *w);

int dial(struct world *w);
void say(int fd, const char *text);
void say_bytes(int fd, const void *p, size_t len);
void get(const struct world *w, int fd, const char *path);

/* more: further header lines, or "" */
void post(const struct world *w, int fd, const char *path, const char *type,
	  const char *body, const char *more);

/* Wait for some bytes and append them; false at the end of the connection. */
bool hear_more(struct world *w, int fd, struct buf *b);

/* One answer, by its Content-Length, or all until the end; free() it. */
char *hear(struct world *w, int fd);
char *hear_all(struct world *w, int fd);

/* The answer contains part. */
void hear_part(struct world *w, int fd, const char *part);

#endif
