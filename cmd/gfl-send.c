/* gfl-send - put messages into nodes' boxes, durably. */
#include <string.h>

#include "base/input.h"
#include "base/opt.h"
#include "base/out.h"
#include "registry/letter.h"
#include "registry/post.h"

enum {
	PAYLOAD_MAX = 1 << 20,
	LINE_MAX_BYTES = 8 << 20, /* of JSON, where escapes are long */
	PING = 3,                 /* the type of message */
};

struct config {
	struct client_opts client;
	struct out_opts out;
	int type;
	bool all, lines, jsonl, wait;
	int64_t expire_ms;
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
	.about =
		"TO is a node's id or URL. Without TEXT and --file the message "
		"is what standard input holds. Succeeds once all is durable in "
		"the receivers' inboxes, from which gfl-recv reads. Who could "
		"not be sent a message is named and sent no later one; exits 6 "
		"if others were. With --via or --expire it succeeds once all "
		"is "
		"durable in the outbox of a node, which delivers it in order "
		"when it can, for an hour unless --expire says otherwise; what "
		"expires is logged and counted there. --wait waits until the "
		"readers have acknowledged all, at most for --timeout, and "
		"exits 4 if they have not, 1 if some expired. With --jsonl to "
		"and type default to TO and --type, payload_b64 holds bytes "
		"that are no text, and an id that a receiver has seen before, "
		"among its last 20,000, is not delivered again. --timeout is "
		"that of each step: a batch of up to 1,000 messages that are "
		"there to be read, room in a box that was full, the wait. "
		"Messages of three types are for the node itself, and never "
		"queued: 2 has a control word (shutdown, leave, refresh, "
		"status, transfer [ID]), which acts, and what the node says to "
		"it is printed; 3 is a ping, whose round trip is printed; "
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

static int too_long(size_t len, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT,
		       "a message of %zu bytes, at most %d", len, PAYLOAD_MAX);
}

static void add(struct job *j, struct post_receiver *to,
		const struct post_message *m)
{
	if (!post_add(j->post, to, m))
		post_flush(j->post);
}

static int post_letter(struct job *j, const struct buf *line, struct err *err)
{
	struct post_receiver *to = j->to;
	struct post_message m;
	struct letter l;
	int rc = letter_parse(&l, line->p ? line->p : "", line->len, err);

	if (rc)
		return rc;
	if (l.len > PAYLOAD_MAX)
		rc = too_long(l.len, err);
	else if (l.to && !j->everyone)
		rc = post_to(j->post, l.to, &to, err);
	else if (!to && !j->everyone)
		rc = err_set(err, ERR_INVALID_ARGUMENT, "no \"to\"");
	if (!rc) {
		m = (struct post_message){l.id, l.type, l.payload, l.len};
		m.type = l.type < 0 ? j->cfg->type : l.type;
		add(j, to, &m);
	}
	letter_release(&l);
	return rc;
}

static int post_payload(struct job *j, const struct buf *payload,
			struct err *err)
{
	const struct post_message m = {.type = j->cfg->type,
				       .payload = payload->p,
				       .len = payload->len};

	if (payload->len > PAYLOAD_MAX)
		return too_long(payload->len, err);
	add(j, j->to, &m);
	return 0;
}

/* Is there still anybody to whom the next line may go? */
static bool goes_on(const struct job *j)
{
	struct post_receiver *const *all;
	size_t n = post_receivers(j->post, &all);

	for (size_t i = 0; i < n; i++)
		if (!all[i]->failed.code)
			return true;
	return !n || (j->cfg->jsonl && !j->everyone);
}

/* A line that is no message does not keep the others from being sent; nor does
 * one that is yet to come. */
static void post_lines(struct job *j, struct input *in)
{
	struct buf line =
		BUF_INIT(j->cfg->jsonl ? LINE_MAX_BYTES : PAYLOAD_MAX);
	struct err bad;
	bool more = true;
	int rc;

	for (long long n = 1; goes_on(j); n++) {
		if (!input_ready(in))
			post_flush(j->post);
		rc = input_line(in, &line, &more, &bad);
		if (!rc && more)
			rc = j->cfg->jsonl ? post_letter(j, &line, &bad)
					   : post_payload(j, &line, &bad);
		if (rc) {
			err_wrap(&bad, "line %lld", n);
			told(j, &bad);
		}
		if (!more)
			break;
	}
	buf_release(&line);
}

static int post_file(struct job *j, const char *path, struct err *err)
{
	struct buf payload = BUF_INIT(PAYLOAD_MAX);
	struct input *in;
	int rc;

	if (!j->cfg->lines && !j->cfg->jsonl) {
		rc = input_read(&payload, path ? path : "-", err);
		if (!rc)
			rc = post_payload(j, &payload, err);
		buf_release(&payload);
		return rc;
	}
	if (input_open(&in, path ? path : "-", err))
		return (int)err->code;
	post_lines(j, in);
	input_close(in);
	return 0;
}

static int post_text(struct job *j, const char *text, struct err *err)
{
	struct buf payload = BUF_INIT(PAYLOAD_MAX);
	int rc = buf_add(&payload, text, strlen(text), err);

	if (!rc)
		rc = post_payload(j, &payload, err);
	buf_release(&payload);
	return rc;
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
	rc = text ? post_text(j, text, err) : post_file(j, j->cfg->file, err);
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
