#include "registry/watch.h"

#include <stdlib.h>

#include "base/mem.h"

struct watcher {
	struct watchers *all;
	struct call *call;
	LIST_ENTRY(watcher) link;
};

static void forget(struct call *call, void *arg)
{
	struct watcher *w = arg;

	(void)call;
	LIST_REMOVE(w, link);
	w->all->n--;
	free(w);
}

bool watchers_add(struct watchers *ws, struct call *call)
{
	struct watcher *w;
	struct err err;

	if (ws->n >= WATCHERS_MAX) {
		err_full(&err, "more than %d watchers", WATCHERS_MAX);
		call_fail(call, &err);
		return false;
	}
	w = mem_zero(1, sizeof(*w));
	w->all = ws;
	w->call = call;
	LIST_INSERT_HEAD(&ws->list, w, link);
	ws->n++;
	call_on_cancel(call, forget, w);
	return true;
}

void watchers_tell(struct watchers *ws, const void *msg)
{
	struct watcher *w, *next;

	for (w = LIST_FIRST(&ws->list); w; w = next) {
		next = LIST_NEXT(w, link);
		call_send(w->call, msg); /* a failed one forgets itself */
	}
}

void watchers_end(struct watchers *ws)
{
	struct watcher *w;

	while ((w = LIST_FIRST(&ws->list))) {
		call_end(w->call);
		forget(w->call, w);
	}
}
