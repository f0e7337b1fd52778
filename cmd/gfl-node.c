/* gfl-node - a member of the cluster: replicates its log, coordinates when it
 * leads, and stands between the trainers and the rest. */
#include "base/opt.h"
#include "node/host.h"

enum { ID_MAX = 1 << 30, WAIT_MAX_MS = 86400000 };

struct config {
	struct host_config host;
	int rank, on_gateway_failure; /* the latter an enum policy */
};

enum policy { RETRY, BOOTSTRAP };

static const struct opt opts[] = {
	OPT_INT64(0, "node-id", struct config, host.node.node_id, "N", "0", 0,
		  ID_MAX, "number in the cluster; 0: the next free one"),
	OPT_RANK(struct config, rank,
		 "where a launcher starts the nodes: --node-id is N + 1"),
	OPT_GATEWAY(struct config, host.gateways),
	OPT_URLS(0, "join", struct config, host.joins, NULL,
		 "join by these members instead of a gateway"),
	OPT_BOOL(0, "bootstrap", struct config, host.node.bootstrap,
		 "found a new cluster, without a gateway's grant"),
	OPT_CHOICE(0, "on-gateway-failure", struct config, on_gateway_failure,
		   "retry|bootstrap", "retry",
		   "without a gateway and a cluster, wait or found one"),
	OPT_URLS(
		0, "upper", struct config, host.upper.gateways, NULL,
		"gateways of an upper cluster, to be its member while leading"),
	OPT_URLS(0, "upper-join", struct config, host.upper.joins, NULL,
		 "join the upper cluster by these members of it instead"),
	OPT_ADDR(0, "upper-listen", struct config, host.upper.listen, NULL,
		 "serve the upper cluster here; default: a free port"),
	OPT_STRING(0, "upper-advertise", struct config, host.upper.advertise,
		   "URL", NULL, "the address that the upper cluster is told"),
	OPT_DAEMON(struct config, host.daemon, NULL),
	OPT_MILLIS(0, "min-election-timeout", struct config,
		   host.node.election_min_ms, "150",
		   "silence of the leader after which to elect", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_MILLIS(0, "max-election-timeout", struct config,
		   host.node.election_max_ms, "300",
		   "the same, at most; each time one between the two", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_MILLIS(0, "heartbeat", struct config, host.node.heartbeat_ms, "50",
		   "a leader is heard at least so often", .min = 1,
		   .max = WAIT_MAX_MS),
	OPT_SECONDS(0, "fail-after", struct config, host.node.fail_after_ms,
		    "5", "a node or trainer silent for so long is down",
		    .min = 100, .max = WAIT_MAX_MS),
	OPT_SECONDS(0, "remove-after", struct config, host.node.remove_after_ms,
		    "600", "a node that is down is removed after so long"),
	OPT_SIZE(0, "snapshot-after", struct config, host.node.snapshot_bytes,
		 "4M",
		 "replace the log by a snapshot when it has grown so much"),
	OPT_INT(0, "max-voters", struct config, host.node.max_voters, "N", "5",
		1, 99, "voters at most; further nodes stand by"),
	OPT_INT(0, "client-num", struct config, host.node.client_num, "N", "0",
		0, ID_MAX,
		"members that make the cluster ready; 0: those it has"),
	OPT_BOOL(0, "keep-membership", struct config, host.node.keep_membership,
		 "stay a member while stopped, for a restart soon"),
	OPT_BOOL(0, "check", struct config, host.check,
		 "look for damage in the database of the stopped node, and "
		 "end",
		 .flag_only = true),
	OPT_BOOL(0, "rejoin", struct config, host.rejoin,
		 "when removed by the others, join again as a new member"),
	OPT_PAIRS(0, "on-message", struct config, host.on_message, "TYPE=CMD",
		  "run this for each message of that type"),
	OPT_PAIRS(0, "on", struct config, host.on, "EVENT=CMD",
		  "run this when a node is discovered or lost, or another is "
		  "leader"),
	OPT_SECONDS(0, "handler-timeout", struct config, host.node.handler_ms,
		    "60", "stop such a command after this long; 0 never"),
	OPT_INT(0, "handler-tries", struct config, host.node.handler_tries, "N",
		"5", 1, 1000, "times that a message is tried to be handled"),
	OPT_BOOL('i', "interactive", struct config, host.interactive,
		 "take words from standard input; its end stops the node"),
	OPT_BOOL('e', "errexit", struct config, host.errexit,
		 "with -i: the first word that fails is the last"),
	OPT_END,
};

static const struct prog prog = {
	.name = "gfl-node",
	.args = "",
	.brief = "a member of the cluster",
	.about = "Joins the cluster that the gateway knows, or founds it if "
		 "the gateway grants that; from then on it is a member, and "
		 "starts again from its own database. Members elect a leader "
		 "among them, which plans who trains with whom. Trainers "
		 "attach to any node; requests that only the leader can serve "
		 "are passed on to it. A node that is stopped by TERM leaves "
		 "the cluster, and joins again when it is started; one that is "
		 "killed stays a member until --remove-after. Without --listen "
		 "it serves on port 8900 + node id of 127.0.0.1, or on a free "
		 "one if it has no id of its own.\n\n"
		 "A gateway that is lost is missed by nobody but newcomers: "
		 "they join by any member's --join, or wait; one of them, and "
		 "not more, may be told by --on-gateway-failure=bootstrap to "
		 "found the cluster when no gateway has been there for three "
		 "seconds and no member of one was seen.\n\n"
		 "With --upper the cluster is one of several below an upper "
		 "cluster, whose gateways these are: whoever leads is a member "
		 "of that too, and speaks there for its own, as gfl(7) says "
		 "under CLUSTERS OF CLUSTERS. Give all nodes of a cluster the "
		 "same --upper; the member above has a file beside --db, and a "
		 "port of its own.\n\n"
		 "--on-message and --on run commands, as gfl(7) says under "
		 "HANDLERS; a message whose command has exited 0 is removed, "
		 "another is tried --handler-tries times and then left to "
		 "gfl-recv.\n\n"
		 "With -i the node takes words from standard input, with a "
		 "prompt on a terminal: the names of the programs without "
		 "gfl-, which run for this node, and list l send broadcast "
		 "leader status s refresh help h quit q; it exits 1 if one of "
		 "them failed.\n\n"
		 "With --check it only looks through --db, whose node is "
		 "stopped: the file, the vote, the snapshot, the chain of "
		 "entries, and the state that they make; it prints what it "
		 "found, and exits 70 with the row where that is damaged, 7 if "
		 "a node has the file. A node that starts on a damaged log "
		 "names the row as well, and has the leader send again what "
		 "was lost; one whose file names no other voter asks those of "
		 "--join and -g for one, and refuses if there is none. A file "
		 "that SQLite itself cannot read is made anew of what can be "
		 "read, if only the log is damaged; as it was it is then kept "
		 "as PATH.damaged.",
	.example =
		"gfl-node --node-id 1 -g http://127.0.0.1:8090\n"
		"gfl-node --bootstrap --listen 127.0.0.1:8901\n"
		"gfl-node --join http://127.0.0.1:8901\n"
		"gfl-node --check --db /var/lib/gfl/node-1.db\n"
		"gfl-node --on-message 7=./on-work --on lost='logger -t gfl'\n"
		"echo 'send 2 hello' | gfl-node -i",
	.opts = opts,
	.daemon = true,
};

struct arguments {
	int argc;
	char **argv;
};

static int reload(struct host_config *out, void *arg, struct err *err)
{
	const struct arguments *a = arg;
	struct config cfg = {0};

	if (opt_again(&prog, &cfg, a->argc, a->argv, err))
		return (int)err->code;
	*out = cfg.host;
	return 0;
}

/* Before anybody hears of us. */
static int check_times(const struct node_config *n, struct err *err)
{
	if (n->election_min_ms <= 2 * n->heartbeat_ms)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--min-election-timeout %lld is not more than "
			       "twice --heartbeat %lld",
			       (long long)n->election_min_ms,
			       (long long)n->heartbeat_ms);
	if (n->election_max_ms < n->election_min_ms)
		return err_set(err, ERR_INVALID_ARGUMENT,
			       "--max-election-timeout %lld is below "
			       "--min-election-timeout %lld",
			       (long long)n->election_max_ms,
			       (long long)n->election_min_ms);
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {argc, argv};
	struct config cfg = {0};
	bool failed;
	struct err err;

	opt_parse(&prog, &cfg, argc, argv);
	if (!cfg.host.node.node_id && cfg.rank >= 0)
		cfg.host.node.node_id = cfg.rank + 1;
	cfg.host.node.bootstrap_alone = cfg.on_gateway_failure == BOOTSTRAP;
	cfg.host.reload = reload;
	cfg.host.arg = &arguments;
	if (check_times(&cfg.host.node, &err) ||
	    host_run(&cfg.host, &failed, &err))
		return err_report(&prog, &err);
	return failed ? 1 : 0;
}
