/* screen.h - a watched cluster as text for people: its nodes, the run under
 * way, the last events. Pure. */
#ifndef NODE_SCREEN_H
#define NODE_SCREEN_H

#include "base/buf.h"
#include "node/view.h"

/* What one node says of itself; commit below 0 if it says nothing. */
struct screen_node {
	const char *role;
	int64_t term, commit;
};

enum { SCREEN_EVENTS = 64 };

struct screen {
	const struct view *view;
	const struct screen_node *nodes;   /* as many as the view has */
	const char *watched;               /* the node's URL, or "" */
	const char *gateway;               /* the gateway's, likewise */
	bool asks_gateway;                 /* is there to be one? */
	const char *events[SCREEN_EVENTS]; /* lines, oldest first */
	size_t nevents;
	size_t width, height; /* of the terminal */
};

/* A screen being filled: lines of at most width columns, as long as some are
 * left. */
struct screen_page {
	struct buf *out;
	size_t width, left;
};

/* Put the line, cut, and empty it. What is not plain ASCII might move the
 * cursor, and becomes a question mark. */
void screen_line(struct screen_page *p, struct buf *line);

/* Append at most height lines of at most width columns, ASCII only; the last
 * events have what room is left. */
void screen_draw(struct buf *out, const struct screen *s);

/* Append an event as words: "node 2 left". */
void screen_event(struct buf *out, const struct view_event *e);

#endif
