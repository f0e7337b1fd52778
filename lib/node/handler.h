/* handler.h - what a node does with messages and events: commands, or functions
 * of the program that it is part of. Commands run below gfl-guard (guard.h). */
#ifndef NODE_HANDLER_H
#define NODE_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/command.h"
#include "base/opt.h"

/* A message of the inbox, borrowed for the call. */
struct node_message {
	const char *id;
	int64_t from, to; /* nodes; from 0: a client */
	int32_t type;
	const void *payload;
	size_t len;
	int64_t sent_ms;
};

/* On the loop's thread, which may not wait. With 0 the message leaves the
 * inbox; with an error it is handled again later. What is put into reply goes
 * to the node that sent it. */
typedef int node_message_fn(const struct node_message *m, struct buf *reply,
			    void *arg, struct err *err);

/* Who handles the messages of a type: one of the two. */
struct node_handler {
	int32_t type;
	struct command *command;
	node_message_fn *fn;
};

enum node_event_kind {
	NODE_DISCOVERED, /* another member is there, or is back */
	NODE_LOST,       /* it is down, or no member any more */
	NODE_LEADER,     /* another leads than before */
	NODE_EVENTS
};

struct node_event {
	enum node_event_kind kind;
	int64_t id;      /* the node of which it tells */
	const char *url; /* its URL, or empty */
	int64_t term;    /* of a leader */
};

typedef void node_event_fn(const struct node_event *e, void *arg);

struct node_hook {
	enum node_event_kind kind;
	struct command *command;
	node_event_fn *fn;
};

/* Commands from --on-message TYPE=CMD and --on EVENT=CMD. All zero is none. */
struct node_commands {
	struct node_handler handlers[OPT_PAIRS_MAX];
	size_t nhandlers;
	struct node_hook hooks[OPT_PAIRS_MAX];
	size_t nhooks;
};

/* A type or event that is none is INVALID_ARGUMENT, and so is a command that no
 * flag gave and that does not begin with a '/'; else it fails as
 * command_open(). Release it in either case. */
int node_commands_open(struct node_commands *c,
		       const struct opt_pairs *messages,
		       const struct opt_pairs *events,
		       struct err *err) MUST_CHECK;
void node_commands_release(struct node_commands *c);

/* Add what our own programs need to reach a node by TLS, as that node does. */
void node_commands_tls(struct facts *f, const struct tls_opts *tls);

#endif
