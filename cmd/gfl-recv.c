/* gfl-recv - the messages in a node's inbox: printed, or given to a command. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/command.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/node.pb-c.h"
#include "registry/facts.h"
#include "registry/fetch.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	int64_t count, after;
	struct opt_list types, senders;
	bool follow, keep;
	const char *exec;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT64('n', "count", struct config, count, "COUNT", "0", 0,
		  INT64_MAX,
		  "exactly so many; 0: all there are, waiting for the first"),
	OPT_INT64(0, "after", struct config, after, "CURSOR", "0", 0, INT64_MAX,
		  "forget what is up to this cursor, and give what follows"),
	OPT_BOOL(0, "keep", struct config, keep,
		 "leave what is printed in the inbox, for a later --after"),
	OPT_LIST(0, "type", struct config, types, "TYPE[,TYPE...]", NULL,
		 "only messages of these types"),
	OPT_LIST(0, "from", struct config, senders, "ID[,ID...]", NULL,
		 "only messages from these nodes; 0: from no node"),
	OPT_BOOL('f', "follow", struct config, follow,
		 "go on for ever, also when the node restarts"),
	OPT_STRING(0, "exec", struct config, exec, "CMD", NULL,
		   "run this for each message, its payload on stdin"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-recv",
	.args = "",
	.brief = "print the messages of a node",
	.about =
		"Prints the payload of each message in the inbox of --node, "
		"one a line, and removes it from there once it is printed. "
		"Exits 4 if there were too few within --timeout, which "
		"--follow does not heed. Messages that --type and --from leave "
		"out stay in the inbox. A reader that is killed while it "
		"prints may see the last messages again, by the same cursor "
		"and id. What a pipe holds counts as printed: a program behind "
		"one that must not lose any reads with --keep, keeps the last "
		"cursor together with its own work, and gives that to --after "
		"next time, which alone acknowledges then. Two that read at "
		"once may both see them. --exec splits CMD into "
		"words without a shell, and prints nothing itself; CMD has "
		"GFL_MSG_ID, GFL_MSG_FROM, GFL_MSG_TO, GFL_MSG_TYPE and "
		"GFL_MSG_SENT in its environment. A message is removed once "
		"CMD exited 0; after any other status it stays, and gfl-recv "
		"exits 1.",
	.example = "gfl-recv --node 2 -n 3 -t 5\n"
		   "gfl-recv --node 2 --follow -o jsonl | jq -r .payload\n"
		   "gfl-recv --node 2 --follow --exec ./on-message",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"cursor", OUT_INT}, {"id", OUT_TEXT},   {"from", OUT_INT},
	{"type", OUT_INT},   {"sent", OUT_TIME}, {"payload", OUT_BYTES},
};

struct handler {
	struct out *out;         /* NULL: bare payloads */
	struct command *command; /* NULL: print */
};

static int execute(struct handler *h, const Gfl__V1__MessageItem *m,
		   struct err *err)
{
	struct facts facts = {0};
	int rc;

	facts_of_message(&facts, m);
	rc = command_run(h->command, &facts, m->payload.data, m->payload.len,
			 err);
	facts_release(&facts);
	return rc ? err_wrap(err, "message %s", m->id) : 0;
}

static void print(struct handler *h, const Gfl__V1__MessageItem *m)
{
	if (h->out) {
		out_row(h->out, out_int(m->cursor), out_text(m->id),
			out_int(m->from), out_int(m->type),
			out_time(m->sent_ms),
			out_bytes(m->payload.data, m->payload.len));
	} else {
		if (m->payload.len)
			fwrite(m->payload.data, 1, m->payload.len, stdout);
		putchar('\n');
	}
}

static int handle(const Gfl__V1__ReceiveMessagesResponse *some, void *arg,
		  struct err *err)
{
	struct handler *h = arg;

	for (size_t i = 0; i < some->n_messages; i++) {
		if (!h->command)
			print(h, some->messages[i]);
		else if (execute(h, some->messages[i], err))
			return (int)err->code;
	}
	return h->command ? 0 : out_flush(h->out, err);
}

static int number(const char *option, const char *text, int64_t *out,
		  struct err *err)
{
	char *end;

	*out = strtoll(text, &end, 10);
	if (*text && !*end && *out >= 0 && *out <= INT32_MAX)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "--%s: '%s' is no number from 0 to %d", option, text,
		       INT32_MAX);
}

/* What is asked for, from the options. */
static int choose(struct fetch *f, const struct config *cfg, struct err *err)
{
	int64_t type;

	if (!cfg->client.node)
		return err_set(
			err, ERR_INVALID_ARGUMENT,
			"option --node is needed: whose messages to read");
	if (cfg->exec && (cfg->out.format || cfg->out.fields))
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--exec prints nothing: no -o, no -F");
	f->client = &cfg->client;
	f->count = cfg->count;
	f->after = cfg->after;
	f->keep = cfg->keep;
	f->follow = cfg->follow;
	f->single = cfg->exec != NULL;
	f->ntypes = cfg->types.n;
	f->nsenders = cfg->senders.n;
	for (size_t i = 0; i < f->nsenders; i++)
		if (number("from", cfg->senders.at[i], &f->senders[i], err))
			return (int)err->code;
	for (size_t i = 0; i < f->ntypes; i++) {
		if (number("type", cfg->types.at[i], &type, err))
			return (int)err->code;
		f->types[i] = (int32_t)type;
	}
	return 0;
}

static int run(const struct config *cfg, struct err *err)
{
	const struct out_opts *o = &cfg->out;
	struct fetch f = {0};
	struct handler h = {0};
	struct err later;
	int rc;

	if (choose(&f, cfg, err))
		return (int)err->code;
	if (cfg->exec && command_open(&h.command, cfg->exec, err))
		return err_wrap(err, "--exec");
	if ((o->format || o->fields) &&
	    out_begin(&h.out, o, cols, 6, true, err))
		return (int)err->code;
	rc = fetch_run(&f, handle, &h, err);
	if (h.out && out_end(h.out, rc ? &later : err) && !rc)
		rc = (int)err->code;
	command_free(h.command);
	return rc ? err_wrap(err, "receive from node %s", cfg->client.node) : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (run(&cfg, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
