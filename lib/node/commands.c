/* Commands that handle messages and events, from the options. */
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "node/node_impl.h"

static const char *const events[NODE_EVENTS] = {
	[NODE_DISCOVERED] = "discovered",
	[NODE_LOST] = "lost",
	[NODE_LEADER] = "leader",
};

const char *hook_name(enum node_event_kind kind)
{
	return events[kind];
}

/* Whoever writes a file cannot know from where it will be read. */
static int open_command(struct command **out, const struct opt_pair *pair,
			struct err *err)
{
	if (!pair->by_flag && pair->text[0] != '/')
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "%s: a command that is configured begins with "
			       "'/'",
			       pair->text);
	return guard_open(out, pair->text, err);
}

static int parse_type(const char *name, int32_t *out, struct err *err)
{
	char *end;
	long long v = strtoll(name, &end, 10);

	if (*end || v < 0 || v > INT32_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is no type of messages", name);
	if (v == MESSAGE_HEARTBEAT || v == MESSAGE_READY)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "messages of type %lld are for the node itself",
			       v);
	*out = (int32_t)v;
	return 0;
}

static int parse_event(const char *name, enum node_event_kind *out,
		       struct err *err)
{
	for (int i = 0; i < NODE_EVENTS; i++)
		if (!strcmp(name, events[i])) {
			*out = (enum node_event_kind)i;
			return 0;
		}
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "'%s' is no event: discovered, lost or leader", name);
}

static int add_handler(struct node_commands *c, const struct opt_pair *pair,
		       struct err *err)
{
	struct node_handler *h = &c->handlers[c->nhandlers];

	if (parse_type(pair->name, &h->type, err) ||
	    open_command(&h->command, pair, err))
		return (int)err->code;
	c->nhandlers++;
	return 0;
}

static int add_hook(struct node_commands *c, const struct opt_pair *pair,
		    struct err *err)
{
	struct node_hook *h = &c->hooks[c->nhooks];

	if (parse_event(pair->name, &h->kind, err) ||
	    open_command(&h->command, pair, err))
		return (int)err->code;
	c->nhooks++;
	return 0;
}

int node_commands_open(struct node_commands *c,
		       const struct opt_pairs *messages,
		       const struct opt_pairs *on, struct err *err)
{
	*c = (struct node_commands){0};
	for (size_t i = 0; i < messages->n; i++)
		if (add_handler(c, &messages->at[i], err))
			return err_wrap(err, "--on-message");
	for (size_t i = 0; i < on->n; i++)
		if (add_hook(c, &on->at[i], err))
			return err_wrap(err, "--on");
	return 0;
}

void node_commands_release(struct node_commands *c)
{
	for (size_t i = 0; i < c->nhandlers; i++)
		command_free(c->handlers[i].command);
	for (size_t i = 0; i < c->nhooks; i++)
		command_free(c->hooks[i].command);
	*c = (struct node_commands){0};
}

void node_commands_tls(struct facts *f, const struct tls_opts *tls)
{
	if (tls->cert)
		facts_add(f, "GFL_TLS_CERT", "%s", tls->cert);
	if (tls->key)
		facts_add(f, "GFL_TLS_KEY", "%s", tls->key);
	if (tls->ca)
		facts_add(f, "GFL_TLS_CA", "%s", tls->ca);
}
