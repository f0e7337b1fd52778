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
#include "node/draft.h"
#include "node/check.h"
#include "node/logfile.h"
#include "proto/node.pb-c.h"
#include "registry/directory.h"
#include "wire/json.h"

struct config {
	struct client_opts client;
	struct out_opts out;
	int64_t from, to;
	const char *db;
	bool follow, linearizable;
	int command;
	bool delta; /* append, from here on */
	int64_t base;
	struct opt_list trainers;
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
	OPT_LINEARIZABLE(struct config, linearizable),
	OPT_END,
};

static const struct opt append_opts[] = {
	OPT_INT64(0, "base", struct config, base, "VERSION", "0", 0, INT64_MAX,
		  "refuse the links unless this is the version to change; 0: "
		  "replace any"),
	OPT_BOOL(0, "delta", struct config, delta,
		 "the list is of changes to --base; weight 0 removes an edge"),
	OPT_LIST(0, "trainers", struct config, trainers, "ID[,ID...]", NULL,
		 "of the matrix' rows, ascending, instead of 1, 2, ..."),
	OPT_END,
};

enum command { LIST, FOLLOW, APPEND, COMPACT, VERIFY };

static const struct opt_cmd cmds[] = {
	[LIST] = {"list", "", "print what is committed, or without a command",
		  NULL},
	[FOLLOW] = {"follow", "", "go on with what is committed later", NULL},
	[APPEND] = {"append", "KIND [FILE]",
		    "propose an entry, from FILE or standard input",
		    append_opts},
	[COMPACT] = {"compact", "",
		     "have a node put a snapshot in the place of its log",
		     NULL},
	[VERIFY] = {"verify", "", "look for damage in a node's database", NULL},
	{NULL, NULL, NULL, NULL},
};

static const struct prog prog = {
	.name = "gfl-log",
	.brief = "print the replicated log, or append to it",
	.about = "Prints one committed entry per line: index, term, kind, and "
		 "the entry as JSON. `append` proposes an entry of this KIND "
		 "(topology, bandwidth, run, membership, noop, batch), read as "
		 "JSON from FILE or standard input, and prints its index once "
		 "it is committed and applied.\n\n"
		 "Who may exchange with whom (topology, with weights) and how "
		 "fast (bandwidth, in bytes/s) may also be a matrix, row by "
		 "row, or a list of links, one a line, as gfl-topo and "
		 "gfl-list print them; the index is then the version, which "
		 "gfl-status shows. Trainers exchange along the topology from "
		 "then on; an empty JSON list, [], removes it. Roles "
		 "(membership: PROMOTE to voter, DEMOTE to standby, REMOVE) "
		 "change all at once when they are a batch.\n\n"
		 "`compact` prints the entry that the snapshot of the node "
		 "reaches, and the first one that it keeps beside it, for a "
		 "member that is behind. `verify` looks through the node's "
		 "hard state, snapshot, chain of entries, and the state they "
		 "make, of a running node or with --db; damage is named, and "
		 "the exit status 70.",
	.example =
		"gfl-log --db ~/.local/state/gfl/node-1.db | tail\n"
		"diff <(gfl-log --node 1) <(gfl-log --node 2) && "
		"echo logs identical\n"
		"gfl-log follow -o jsonl | jq .kind\n"
		"echo '{}' | gfl-log append noop -\n"
		"version=$(gfl-topo ring 8 | gfl-log append topology)\n"
		"echo 1 5 | gfl-log append topology --delta --base $version\n"
		"echo '{\"action\": \"PROMOTE\", \"member\": {\"id\": 4}}' | "
		"gfl-log append membership -",
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
	in.linearizable = cfg->linearizable;
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
	if (cfg->db && cfg->linearizable)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "only a node can make sure, not --db");
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

/* The parts go on each by itself, which may be meant. */
static void warn_of_parts(const Gfl__V1__Entry *e)
{
	size_t parts = draft_parts(e);

	if (parts > 1)
		fprintf(stderr,
			"gfl-log: warning: the topology leaves %zu parts, "
			"which never exchange\n",
			parts);
}

static int read_entry(const struct config *cfg, Gfl__V1__Entry **out,
		      const char *kind, const char *file, struct err *err)
{
	const struct draft_opts draft = {cfg->delta, cfg->base, &cfg->trainers};
	struct buf text = BUF_INIT(64 << 20);
	int rc = input_read(&text, file, err);

	if (!rc)
		rc = draft_entry(out, kind, text.len ? text.p : "", &draft,
				 err);
	buf_release(&text);
	if (rc)
		return err_wrap(err, "entry from %s",
				strcmp(file, "-") ? file : "standard input");
	warn_of_parts(*out);
	return 0;
}

static int append(const struct config *cfg, const char *kind, const char *file,
		  struct err *err)
{
	Gfl__V1__ProposeRequest in = GFL__V1__PROPOSE_REQUEST__INIT;
	Gfl__V1__ProposeResponse *done;
	int rc;

	if (cfg->db)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "only a node can append, not --db");
	if (read_entry(cfg, &in.entry, kind, file ? file : "-", err))
		return (int)err->code;
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

/* ---- upkeep ---- */

static int compact(const struct config *cfg, struct err *err)
{
	static const struct out_col compact_cols[] = {{"snapshot", OUT_INT},
						      {"first", OUT_INT}};
	Gfl__V1__CompactLogRequest in = GFL__V1__COMPACT_LOG_REQUEST__INIT;
	Gfl__V1__CompactLogResponse *done;
	struct out *o;

	if (cfg->db)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "only a node can compact, not --db");
	if (out_begin(&o, &cfg->out, compact_cols, 2, false, err))
		return (int)err->code;
	if (directory_call(&cfg->client, RPC_NODE_COMPACT_LOG, &in.base,
			   (ProtobufCMessage **)&done, err)) {
		(void)!out_end(o, NULL);
		return err_wrap(err, "compact the log");
	}
	out_row(o, out_int(done->snapshot), out_int(done->first));
	rpc_free(&done->base);
	return out_end(o, err);
}

/* The rows; the first damage is the error. */
static int print_items(const Gfl__V1__VerifyLogResponse *got, struct out *o,
		       struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < got->n_items; i++) {
		check_row(got->items[i], o);
		if (got->items[i]->damaged && !rc)
			rc = err_set(err, ERR_DATA_LOSS, "%s",
				     got->items[i]->found);
	}
	return rc;
}

static int verify(const struct config *cfg, struct err *err)
{
	Gfl__V1__VerifyLogRequest in = GFL__V1__VERIFY_LOG_REQUEST__INIT;
	Gfl__V1__VerifyLogResponse *got;
	struct out *o;
	int rc;

	if (cfg->db)
		return check_file(cfg->db, false, &cfg->out, err);
	if (out_begin(&o, &cfg->out, check_cols, CHECK_COLS, false, err))
		return (int)err->code;
	rc = directory_call(&cfg->client, RPC_NODE_VERIFY_LOG, &in.base,
			    (ProtobufCMessage **)&got, err);
	if (!rc) {
		rc = print_items(got, o, err);
		rpc_free(&got->base);
	}
	if (rc) {
		(void)!out_end(o, NULL);
		return err_wrap(err, "verify the log");
	}
	return out_end(o, err);
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
	case COMPACT:
		return compact(cfg, err);
	case VERIFY:
		return verify(cfg, err);
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
