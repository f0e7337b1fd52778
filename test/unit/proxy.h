/* proxy.h - stands between a client and a server of the test's process, and
 * does to them what networks do. */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/loop.h"

struct proxy_pair;

/* How many milliseconds to hold back what has just come, each piece anew: the
 * pieces of a connection stay in order, those of several do not. */
typedef int64_t proxy_late_fn(void *arg);

/* All in the loop of the test. */
struct proxy {
	struct loop *loop;
	uv_tcp_t listener;
	int to_port; /* to be set when the server, which has to know our name,
			serves */
	char url[64];
	int accepted;
	size_t to_client;    /* bytes given to clients */
	size_t cut_at;       /* cut when so many were; 0: never */
	bool refusing;       /* newcomers are cut at once */
	const char *to_host; /* of the server; NULL: 127.0.0.1 */
	proxy_late_fn *late; /* NULL: nothing is held back */
	void *arg;
	LIST_HEAD(, proxy_pair) pairs;
};

void proxy_open(struct proxy *p, struct loop *loop);
void proxy_open_at(struct proxy *p, struct loop *loop, const char *host);
void proxy_close(struct proxy *p); /* finish with loop_close() */

/* Close every connection, on both sides. */
void proxy_cut(struct proxy *p);

#endif
