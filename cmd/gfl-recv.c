/* gfl-recv - the messages in a node's inbox, one payload a line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/opt.h"
#include "base/out.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"

enum {
	HOLD_MAX_MS = 25000, /* one request waits no longer; then ask again */
	BATCH = 100,
};

struct config {
	struct client_opts client;
	struct out_opts out;
	int64_t count;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT64('n', "count", struct config, count, "COUNT", "0", 0,
		  INT64_MAX,
		  "exactly so many; 0: all there are, waiting for the first"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-recv",
	.args = "",
	.brief = "print the messages of a node",
	.about = "Prints the payload of each message in the inbox of --node, "
		 "one a line, and removes it from there once it is printed. "
		 "Exits 4 if there were too few within --timeout.",
	.example = "gfl-recv --node 2 -n 3 -t 5\n"
		   "gfl-recv --node 2 -t 0 -o jsonl | jq -r .payload",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"cursor", OUT_INT}, {"id", OUT_TEXT},	 {"from", OUT_INT},
	{"type", OUT_INT},   {"sent", OUT_TIME}, {"payload", OUT_BYTES},
};

struct reader {
	const struct config *cfg;
	char *url;
	struct out *out; /* NULL: bare payloads */
	int64_t cursor;	 /* printed up to here */
	int64_t got;
	int64_t end_ms; /* 0: never */
};

static int ask(struct reader *r, int64_t max, int64_t wait_ms,
	       Gfl__V1__ReceiveMessagesResponse **out, struct err *err)
{
	Gfl__V1__ReceiveMessagesRequest in =
		GFL__V1__RECEIVE_MESSAGES_REQUEST__INIT;

	in.after = r->cursor;
	in.max = (int32_t)(max < BATCH ? max : BATCH);
	in.wait_ms = wait_ms;
	return client_now(r->url, RPC_NODE_RECEIVE_MESSAGES, &in.base,
			  wait_ms + 5000, (ProtobufCMessage **)out, err);
}

static void print(struct reader *r, const Gfl__V1__MessageItem *m)
{
	if (r->out) {
		out_row(r->out, out_int(m->cursor), out_text(m->id),
			out_int(m->from), out_int(m->type),
			out_time(m->sent_ms),
			out_bytes(m->payload.data, m->payload.len));
	} else {
		fwrite(m->payload.data, 1, m->payload.len, stdout);
		putchar('\n');
	}
	r->cursor = m->cursor;
	r->got++;
}

static int64_t patience(const struct reader *r)
{
	int64_t left_ms = r->end_ms ? r->end_ms - clock_ms() : HOLD_MAX_MS;

	if (left_ms < 0)
		return 0;
	return left_ms < HOLD_MAX_MS ? left_ms : HOLD_MAX_MS;
}

/* Enough is count messages, or, without one, whatever was there. */
static int64_t missing(const struct reader *r)
{
	if (r->cfg->count)
		return r->cfg->count - r->got;
	return r->got ? 0 : BATCH;
}

static int too_late(const struct reader *r, struct err *err)
{
	if (!r->cfg->count)
		return err_set(err, ERR_DEADLINE_EXCEEDED,
			       "no message came in time");
	return err_set(err, ERR_DEADLINE_EXCEEDED,
		       "%" PRId64 " of %" PRId64 " messages came in time",
		       r->got, r->cfg->count);
}

static int receive(struct reader *r, struct err *err)
{
	Gfl__V1__ReceiveMessagesResponse *some;

	while (missing(r) > 0) {
		int64_t wait_ms = patience(r);

		if (ask(r, missing(r), wait_ms, &some, err))
			return (int)err->code;
		for (size_t i = 0; i < some->n_messages; i++)
			print(r, some->messages[i]);
		if (fflush(stdout))
			return err_sys(err, "write standard output");
		if (!some->n_messages && r->end_ms && clock_ms() >= r->end_ms) {
			rpc_free(&some->base);
			return too_late(r, err);
		}
		rpc_free(&some->base);
	}
	return 0;
}

/* Let the node forget what was printed. */
static int acknowledge(struct reader *r, struct err *err)
{
	Gfl__V1__ReceiveMessagesResponse *none;

	if (!r->got)
		return 0;
	if (ask(r, 0, 0, &none, err))
		return (int)err->code;
	rpc_free(&none->base);
	return 0;
}

static int read_all(struct reader *r, struct err *err)
{
	const struct out_opts *o = &r->cfg->out;
	struct err later;
	int rc;

	if ((o->format || o->fields) &&
	    out_begin(&r->out, o, cols, 6, true, err))
		return (int)err->code;
	rc = receive(r, err);
	if (acknowledge(r, rc ? &later : err) && !rc)
		rc = (int)err->code;
	if (r->out && out_end(r->out, rc ? &later : err) && !rc)
		rc = (int)err->code;
	return rc;
}

static int run(const struct config *cfg, struct err *err)
{
	struct reader r = {.cfg = cfg};
	int rc;

	if (!cfg->client.node)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "option --node is needed: whose messages to read");
	if (directory_url(&cfg->client, cfg->client.node, &r.url, err))
		return err_wrap(err, "receive");
	r.end_ms = cfg->client.timeout_ms ? clock_ms() + cfg->client.timeout_ms
					  : 0;
	rc = read_all(&r, err);
	free(r.url);
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
