/* gfl-send - put messages into nodes' boxes, durably. */
#include <string.h>

#include "base/opt.h"
#include "base/out.h"
#include "registry/post_input.h"

enum {
	PING = 3, /* the type of message */
};

enum { ID_MAX = 1 << 30 };

struct config {
	struct client_opts client;
	struct out_opts out;
	int type;
	bool all, lines, jsonl, wait;
	int64_t expire_ms, from;
	const char *role, *file, *via;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT(0, "type", struct config, type, "N", "1", 0, INT32_MAX,
		"1 regular, 2 control, 3 heartbeat (a ping), "
		"999 connection ready"),
	OPT_BOOL('a', "all", struct config, all, "to every live node, no TO"),
	OPT_STRING(0, "role", struct config, role, "ROLE", NULL,
		   "to every live node of this role, no TO"),
	OPT_FILE('f', "file", struct config, file, NULL,
		 "send what this file holds; - is standard input"),
	OPT_BOOL('l', "lines", struct config, lines,
		 "each line is a message, without its newline"),
	OPT_BOOL(0, "jsonl", struct config, jsonl,
		 "each line is {\"to\":ID,\"type\":N,\"payload\":TEXT}"),
	OPT_INT64(0, "from", struct config, from, "ID", "0", 0, ID_MAX,
		  "send for this node; 0: for none"),
	OPT_STRING(0, "via", struct config, via, "ID|URL|any", NULL,
		   "queue the messages at this node, which delivers them"),
	OPT_SECONDS(0, "expire", struct config, expire_ms, NULL,
		    "queue them, at any node without --via, for so long"),
	OPT_BOOL('w', "wait", struct config, wait,
		 "until their readers have taken the messages"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-send",
	.args = "[TO] [TEXT]",
	.brief = "send messages to nodes",
	.about = "TO is a node's id or URL. Without TEXT and --file the "
		 "message is what standard input holds. Succeeds once all is "
		 "durable in the receivers' inboxes, from which gfl-recv "
		 "reads. Who could not be sent a message is named and sent no "
		 "later one; exits 6 if others were.\n\n"
		 "With --via or --expire it succeeds once all is durable in "
		 "the outbox of a node, which delivers it in order when it "
		 "can, for an hour unless --expire says otherwise; what "
		 "expires is logged and counted there. --wait waits until the "
		 "readers have acknowledged all, at most for --timeout, and "
		 "exits 4 if they have not, 1 if some expired.\n\n"
		 "With --jsonl to and type default to TO and --type, "
		 "payload_b64 holds bytes that are no text, and an id that a "
		 "receiver has seen before, among its last 20,000, is not "
		 "delivered again. --timeout is that of each step: a batch of "
		 "up to 1,000 messages that are there to be read, room in a "
		 "box that was full, the wait.\n\n"
		 "Messages of three types are for the node itself, and never "
		 "queued: 2 has a control word (shutdown, leave, refresh, "
		 "status, transfer [ID]), which acts, and what the node says "
		 "to it is printed; 3 is a ping, whose round trip is printed; "
		 "by 999 nodes tell each other that they are there.",
	.example = "gfl-send 2 hello\n"
		   "gfl-send --all '' --type 3\n"
		   "seq 3 | gfl-send --all -l\n"
		   "gfl-send 2 --expire 600 --wait -t 0 'when you are back'\n"
		   "gfl-recv --node 2 -o jsonl | gfl-send 3 --jsonl",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"to", OUT_INT},     {"id", OUT_TEXT},      {"cursor", OUT_INT},
	{"sent", OUT_INT},   {"outcome", OUT_TEXT}, {"rtt_s", OUT_REAL},
	{"reply", OUT_TEXT},
};

/* What is being done, and what became of it. */
struct job {
	const struct config *cfg;
	struct post *post;
	struct post_receiver *to; /* NULL: all, or as each line says */
	bool everyone;
	int status; /* of the first that failed, which is told; 0: none */
};

static void told(struct job *j, const struct err *err)
{
	int status = err_report(&prog, err);

	j->status = j->status ? j->status : status;
}

static void told_line(const struct err *err, void *arg)
{
	told(arg, err);
}

static int post_all(struct job *j, const char *text, struct err *err)
{
	const struct config *cfg = j->cfg;
	const char *path = cfg->file ? cfg->file : "-";
	const struct post_input in = {
		.post = j->post,
		.to = j->to,
		.everyone = j->everyone,
		.type = cfg->type,
		.on_bad = told_line,
		.arg = j,
	};

	if (text)
		return post_input_text(&in, text, err);
	if (cfg->lines || cfg->jsonl)
		return post_input_lines(&in, path, cfg->lines, err);
	return post_input_file(&in, path, err);
}

static const char *outcome(const struct post_receiver *r)
{
	if (r->failed.code)
		return r->failed.msg;
	if (r->taken)
		return "taken";
	return r->queued ? "queued" : "ok";
}

/* What a node answers to a ping or a control word is what was asked for. */
static const char *answers(int type, struct post_receiver *const *all, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any ||
		      (type == PING ? all[i]->sent : all[i]->reply != NULL);
	if (!any)
		return NULL;
	return type == PING ? "to,rtt_s" : "to,reply";
}

/* Say what was done only to whoever asked for it: silence is success. *good is
 * what was done as it was asked for. */
static int report(struct job *j, int64_t *good, struct err *err)
{
	struct post_receiver *const *all;
	size_t n = post_receivers(j->post, &all);
	struct out_opts opt = j->cfg->out;
	struct out *o = NULL;

	if (!opt.format && !opt.fields)
		opt.fields = answers(j->cfg->type, all, n);
	if ((opt.format || opt.fields) &&
	    out_begin(&o, &opt, cols, 7, false, err))
		return (int)err->code;
	for (size_t i = 0; i < n; i++) {
		const struct post_receiver *r = all[i];

		*good += r->failed.code && j->cfg->wait ? 0 : r->sent;
		if (r->failed.code)
			told(j, &r->failed);
		if (o)
			out_row(o, out_int(r->id), out_text(r->message),
				r->cursor ? out_int(r->cursor) : out_none(),
				out_int(r->sent), out_text(outcome(r)),
				r->sent ? out_real((double)r->rtt_us / 1e6)
					: out_none(),
				out_text(r->reply));
	}
	return o ? out_end(o, err) : 0;
}

static int check(const struct config *cfg, const char *to, const char *text,
		 struct err *err)
{
	bool everyone = cfg->all || cfg->role;

	if (!to && !everyone && !cfg->jsonl)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "TO, --all or --role says to whom");
	if ((text != NULL) + (cfg->file != NULL || cfg->lines || cfg->jsonl) >
	    1)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "TEXT is the message: no --file, --lines or "
			       "--jsonl");
	if (cfg->lines && cfg->jsonl)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--lines and --jsonl: a line is one of them");
	return 0;
}

/* The exit status, unless err has it. */
static int post(struct job *j, const char *to, const char *text, int *status,
		struct err *err)
{
	int64_t good = 0;
	int rc = 0;

	if (j->everyone)
		rc = post_to_all(j->post, j->cfg->role, err);
	else if (to)
		rc = post_to(j->post, to, &j->to, err);
	if (rc)
		return rc;
	rc = post_all(j, text, err);
	if (rc)
		return rc;
	post_flush(j->post);
	if (j->cfg->wait)
		post_wait(j->post);
	rc = report(j, &good, err);
	*status = j->status && good ? EXIT_PARTLY : j->status;
	return rc;
}

static int run(const struct config *cfg, char **words, int *status,
	       struct err *err)
{
	struct job j = {.cfg = cfg, .everyone = cfg->all || cfg->role};
	const struct post_opts opt = {
		.client = &cfg->client,
		.via = !cfg->via && cfg->expire_ms ? "any" : cfg->via,
		.from = cfg->from,
		.expire_ms = cfg->expire_ms,
		.wait = cfg->wait,
	};
	const char *to = j.everyone || !*words ? NULL : *words++;
	const char *text = *words;
	int rc;

	if (text && words[1])
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "'%s' is one TEXT too many", words[1]);
	if (check(cfg, to, text, err) || post_open(&j.post, &opt, err))
		return (int)err->code;
	rc = post(&j, to, text, status, err);
	post_close(j.post);
	return rc;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);
	int status = 0, closed;

	if (run(&cfg, argv + rest, &status, &err))
		return err_report(&prog, &err);
	closed = out_close(&prog);
	return status ? status : closed;
}
