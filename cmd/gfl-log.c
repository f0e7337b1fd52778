/* gfl-log - the replicated log, decoded; and entries appended to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/input.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/out.h"
#include "base/rand.h"
#include "node/logfile.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"
#include "wire/json.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	int64_t from, to;
	const char *db;
	bool follow;
	int command;
};

static const struct opt opts[] = {
	OPT_CLIENT(struct config, client),
	OPT_OUT(struct config, out, OUT_FORMATS),
	OPT_INT64(0, "from", struct config, from, "INDEX", "0", 0, INT64_MAX,
		  "the first entry to print"),
	OPT_INT64(0, "to", struct config, to, "INDEX", "0", 0, INT64_MAX,
		  "the last entry to print; 0: the last committed"),
	OPT_BOOL('f', "follow", struct config, follow,
		 "go on with what is committed later"),
	OPT_FILE(0, "db", struct config, db, NULL,
		 "read a node's database, as far as that knows it to be "
		 "committed",
		 .flag_only = true),
	OPT_END,
};

enum command { LIST, FOLLOW, APPEND };

static const struct opt_cmd cmds[] = {
	[LIST] = {"list", "", "print what is committed, or without a command",
		  NULL},
	[FOLLOW] = {"follow", "", "go on with what is committed later", NULL},
	[APPEND] = {"append", "KIND [FILE]",
		    "propose an entry, from FILE or standard input", NULL},
	{NULL, NULL, NULL, NULL},
};

static const struct prog prog = {
	.name = "gfl-log",
	.brief = "print the replicated log, or append to it",
	.about = "Prints one committed entry per line: index, term, kind, and "
		 "the entry as JSON. `append` proposes an entry of this KIND "
		 "(topology, bandwidth, run, noop, batch), read as JSON "
		 "from FILE or standard input, and prints its index once it is "
		 "committed and applied.",
	.example = "gfl-log --db ~/.local/state/gfl/node-1.db | tail\n"
		   "diff <(gfl-log --node 1) <(gfl-log --node 2) && "
		   "echo logs identical\n"
		   "gfl-log follow -o jsonl | jq .kind\n"
		   "echo '{}' | gfl-log append noop -",
	.opts = opts,
	.cmds = cmds,
	.command_at = offsetof(struct config, command),
	.command_optional = true,
};

static const struct out_col cols[] = {
	{"index", OUT_INT},
	{"term", OUT_INT},
	{"kind", OUT_TEXT},
	{"entry", OUT_JSON},
};

/* The name of the field of an entry that is set: its kind. */
static const char *kind_of(const Gfl__V1__Entry *e)
{
	const ProtobufCFieldDescriptor *f;

	if (!e || e->kind_case == GFL__V1__ENTRY__KIND__NOT_SET)
		return "noop";
	f = protobuf_c_message_descriptor_get_field(&gfl__v1__entry__descriptor,
						    e->kind_case);
	return f ? f->name : "unknown";
}

static void print_entry(const Gfl__V1__LogEntry *e, void *arg)
{
	struct buf json = BUF_INIT(0);
	struct out *o = arg;

	if (!e->entry || json_print(&json, &e->entry->base,
				    JSON_NUMBERS | JSON_SNAKE, NULL)) {
		buf_reset(&json);
		buf_puts(&json, "{}");
	}
	out_row(o, out_int(e->index), out_int(e->term),
		out_text(kind_of(e->entry)), out_json(json.p));
	buf_release(&json);
}

static bool on_entry(const ProtobufCMessage *msg, void *arg)
{
	print_entry((const Gfl__V1__LogEntry *)msg, arg);
	return true;
}

static int read_node(const struct config *cfg, struct out *o, struct err *err)
{
	Gfl__V1__ReadLogRequest in = GFL__V1__READ_LOG_REQUEST__INIT;

	in.from = cfg->from;
	in.to = cfg->to;
	in.follow = cfg->follow;
	return directory_stream(&cfg->client, RPC_NODE_READ_LOG, &in.base,
				cfg->follow ? 0 : cfg->client.timeout_ms,
				on_entry, o, err);
}

static int print(const struct config *cfg, struct err *err)
{
	struct out *o;
	int rc;

	if (cfg->db && cfg->follow)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "only a node can be followed, not --db");
	if (out_begin(&o, &cfg->out, cols, 4, cfg->follow, err))
		return (int)err->code;
	rc = cfg->db ? logfile_each(cfg->db, cfg->from, cfg->to, print_entry, o,
				    err)
		     : read_node(cfg, o, err);
	if (rc) {
		(void)!out_end(o, NULL);
		return err_wrap(err, "read the log");
	}
	return out_end(o, err);
}

/* An entry of this kind, from the JSON of the kind's own message. */
static int parse_entry(Gfl__V1__Entry **out, const char *kind, const char *text,
		       struct err *err)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(
			&gfl__v1__entry__descriptor, kind);
	char *whole;
	int rc;

	if (!f)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "no kind of entry is called \"%s\"", kind);
	whole = mem_fmt("{\"%s\":%s}", kind, text);
	rc = json_parse((ProtobufCMessage **)out, &gfl__v1__entry__descriptor,
			whole, strlen(whole), JSON_STRICT, err);
	free(whole);
	return rc;
}

static int append(const struct config *cfg, const char *kind, const char *file,
		  struct err *err)
{
	Gfl__V1__ProposeRequest in = GFL__V1__PROPOSE_REQUEST__INIT;
	struct buf text = BUF_INIT(4 << 20);
	Gfl__V1__ProposeResponse *done;
	int rc;

	if (cfg->db)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "only a node can append, not --db");
	if (input_read(&text, file ? file : "-", err) ||
	    parse_entry(&in.entry, kind, text.len ? text.p : "", err)) {
		buf_release(&text);
		return err_wrap(err, "entry from %s",
				file && strcmp(file, "-") != 0
					? file
					: "standard input");
	}
	buf_release(&text);
	in.client = rand_id();
	in.seq = 1;
	rc = directory_call(&cfg->client, RPC_NODE_PROPOSE, &in.base,
			    (ProtobufCMessage **)&done, err);
	rpc_free(&in.entry->base);
	if (rc)
		return err_wrap(err, "append to the log");
	printf("%lld\n", (long long)done->index);
	rpc_free(&done->base);
	return 0;
}

static int run(struct config *cfg, char *const *operands, struct err *err)
{
	switch ((enum command)cfg->command) {
	case APPEND:
		return append(cfg, operands[0], operands[1], err);
	case FOLLOW:
		cfg->follow = true;
		return print(cfg, err);
	case LIST:
		return print(cfg, err);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct config cfg = {0};
	struct err err;
	int rest = opt_parse(&prog, &cfg, argc, argv);

	if (run(&cfg, argv + rest, &err))
		return err_report(&prog, &err);
	return out_close(&prog);
}
