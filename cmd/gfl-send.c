/* gfl-send - put a message into a node's inbox, durably. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/input.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/str.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"

enum { PAYLOAD_MAX = 1 << 20 };

struct config {
	struct client_opts client;
	struct out_opts out;
	int type;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT(0, "type", struct config, type, "N", "1", 0, INT32_MAX,
		"1 regular, 2 control, 3 heartbeat, 999 connection ready"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-send",
	.args = "TO [TEXT]",
	.brief = "send a message to a node",
	.about = "TO is a node's id or URL. Without TEXT the message is what "
		 "standard input holds. Succeeds once the message is durable "
		 "in the receiver's inbox, from which gfl-recv reads it.",
	.example = "gfl-send 2 hello\n"
		   "gfl-list | cut -f1 | xargs -I{} gfl-send {} hello",
	.opts = opts,
};

static const struct out_col cols[] = {
	{"to", OUT_INT}, {"id", OUT_TEXT}, {"cursor", OUT_INT},
};

/* Say what was done only to whoever asked for it: silence is success. */
static int report(const struct config *cfg, const Gfl__V1__MessageItem *m,
		  int64_t cursor, struct err *err)
{
	struct out *o;

	if (!cfg->out.format && !cfg->out.fields)
		return 0;
	if (out_begin(&o, &cfg->out, cols, 3, false, err))
		return (int)err->code;
	out_row(o, out_int(m->to), out_text(m->id), out_int(cursor));
	return out_end(o, err);
}

static int deliver(const struct config *cfg, const char *to,
		   const struct buf *payload, struct err *err)
{
	Gfl__V1__SendMessageRequest in = GFL__V1__SEND_MESSAGE_REQUEST__INIT;
	Gfl__V1__MessageItem m = GFL__V1__MESSAGE_ITEM__INIT;
	Gfl__V1__SendMessageResponse *done;
	char id[STR_ID], *url;
	int rc;

	if (directory_url(&cfg->client, to, &url, err))
		return (int)err->code;
	str_new_id(id);
	m.id = id;
	m.to = strstr(to, "://") ? 0 : strtoll(to, NULL, 10);
	m.type = cfg->type;
	m.payload.data = (uint8_t *)payload->p;
	m.payload.len = payload->len;
	m.sent_ms = clock_wall_ms();
	in.message = &m;
	rc = client_now(url, RPC_NODE_SEND_MESSAGE, &in.base,
			cfg->client.timeout_ms, (ProtobufCMessage **)&done,
			err);
	free(url);
	if (rc)
		return rc;
	rc = report(cfg, &m, done->cursor, err);
	rpc_free(&done->base);
	return rc;
}

static int run(const struct config *cfg, const char *to, const char *text,
	       struct err *err)
{
	struct buf payload = BUF_INIT(PAYLOAD_MAX);
	int rc;

	rc = text ? buf_add(&payload, text, strlen(text), err)
		  : input_read(&payload, "-", err);
	if (!rc)
		rc = deliver(cfg, to, &payload, err);
	buf_release(&payload);
	return rc ? err_wrap(err, "send to %s", to) : 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, argv[rest], opt_arg(argc, argv, rest + 1, NULL), &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
