/* watch.h - the open watch streams of a registry. */
#ifndef REGISTRY_WATCH_H
#define REGISTRY_WATCH_H

#include <stdbool.h>
#include <sys/queue.h>

#include "wire/server.h"

enum { WATCHERS_MAX = 10000 };

struct watcher;

/* All zero is an empty set; it may not move while it holds a stream. */
struct watchers {
	LIST_HEAD(, watcher) list;
	size_t n;
};

/* Keep the stream until its client goes away. Past WATCHERS_MAX it fails with
 * RESOURCE_EXHAUSTED, and false is returned. */
bool watchers_add(struct watchers *ws, struct call *call);

/* Send msg to all of them; those that read too slowly are ended. */
void watchers_tell(struct watchers *ws, const void *msg);

void watchers_end(struct watchers *ws); /* end every stream in order */

#endif
