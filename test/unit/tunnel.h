/* tunnel.h - TLS between a test's plain socket and a server, so that a suite
 * written for one tests the other: what the test writes is encrypted, what it
 * reads was. */
#ifndef TUNNEL_H
#define TUNNEL_H

#include <sys/queue.h>

#include "base/loop.h"
#include "wire/tls.h"

struct tunnel;
LIST_HEAD(tunnels, tunnel);

/* Connect to port of 127.0.0.1, with the certificate of tls; returns the test's
 * end. All else happens in loop. An end of the test's side, half or whole, is
 * passed on; so is the server's. */
int tunnel_dial(struct tunnels *all, struct loop *loop, struct tls *tls,
		int port);

/* Finish with loop_close(). */
void tunnels_close(struct tunnels *all);

#endif
