/* node_impl.h - what the files of a node share. */
#ifndef NODE_NODE_IMPL_H
#define NODE_NODE_IMPL_H

#include <sys/queue.h>

#include "node/node.h"
#include "node/state.h"
#include "proto/gateway.pb-c.h"
#include "proto/node.pb-c.h"
#include "raft/driver.h"
#include "raft/store.h"
#include "store/writer.h"
#include "wire/client.h"

/* Where a member was seen, beside what the state says. */
struct hint {
	int64_t id;
	char *url;
};

/* What only the writer's thread looks at once the node is open. */
struct mail_numbers {
	int64_t cursor, seq; /* given last */
	int64_t strangers;   /* origins that were new */
};

struct ask;
struct announce;
struct cluster;
struct conductor;
struct handlers;
struct hooks;
struct inbox;
struct membership;
struct outbox;
struct pairs;
struct reports;
struct steward;
struct suspects;
struct tables;
struct watcher;

struct node {
	struct node_config cfg;
	struct loop *loop;
	struct db *db, *reader;
	struct writer *writer;
	struct client *client;
	struct server *server;
	struct driver *driver; /* NULL until it is a member */
	struct state *state;
	struct raft_store_meta meta;
	int64_t joined, joined_term; /* the log when this life was let in */
	struct err damage; /* of the log, while nobody is known who could send
			    * it again; code 0: none */
	bool founding;     /* drew the cluster id; its first entry is to come */
	bool resumed;      /* was a member before this start */
	bool ready, stopping, leaving, ended, removed;
	bool reborn; /* an earlier life of its file has left a cluster */
	bool known;  /* by the state, in this life: see node_note_self() */
	int64_t removed_ms; /* when Raft began to say so; 0: it does not */
	bool asked; /* to be removed, by an earlier life that had no answer */
	bool stuck; /* an entry could not be applied: apply no more */
	int64_t started_ms;
	int64_t leader, term; /* 0: none known */
	bool leads;
	struct hint *hints;
	size_t nhints, hints_cap;
	struct timer settle; /* what follows from applied entries */
	struct timer tick;
	struct timer asked_to_stop;
	unsigned changed; /* STATE_…, since the last settling */

	LIST_HEAD(, ask) asks;
	LIST_HEAD(, watcher) watchers;
	struct membership *membership;
	struct announce *announce;
	struct steward *steward;
	struct suspects *suspects;
	struct reports *reports;
	struct conductor *conductor;
	struct inbox *inbox;
	struct outbox *outbox;
	struct mail_numbers numbers;
	int64_t origin; /* of what we deliver, by chance */
	struct tables *tables;
	struct pairs *pairs;
	struct handlers *handlers;
	struct hooks *hooks;
	struct cluster *cluster; /* of this and one above or below, or NULL */
};

/* node.c */
void node_end(struct node *n, const struct err *err); /* on_end, once */
void node_settle(struct node *n); /* let all look at the state, soon */
/* The log may tell of earlier lives under our number too, and of how they were
 * removed: look whether the state has this one by now. */
void node_note_self(struct node *n);
const char *node_url_of(const struct node *n, int64_t id); /* or NULL */
void node_hint(struct node *n, int64_t id, const char *url);

/* A random id of 32 hex digits. */
void node_draw_id(char out[RAFT_STORE_ID + 1]);

/* ask_propose.c: propose without a session, for the leader's own business. e is
 * borrowed; done may be NULL. */
int node_propose(struct node *n, const Gfl__V1__Entry *e, driver_done_fn *done,
		 void *arg, struct err *err) MUST_CHECK;
int node_change(struct node *n, int64_t id, enum raft_member_role role,
		const Gfl__V1__Entry *e, driver_done_fn *done, void *arg,
		struct err *err) MUST_CHECK;

/* All of them or none, at once; the account of it is made here. */
int node_change_many(struct node *n, const struct raft_member *to, size_t count,
		     driver_done_fn *done, void *arg,
		     struct err *err) MUST_CHECK;

/* member.c */
int member_become(struct node *n, struct err *err) MUST_CHECK; /* open Raft */

/* ask.c: a request that the leader must serve, wherever it came in. */
typedef int ask_lead_fn(struct ask *a, struct err *err);
typedef void ask_reply_fn(struct ask *a, const struct driver_result *result);
typedef void ask_serve_fn(struct node *n, struct call *call,
			  const ProtobufCMessage *in);

struct ask {
	struct node *n;
	struct call *call; /* NULL once its client has gone */
	enum rpc_name name;
	ProtobufCMessage *in; /* our copy, which may be completed */
	ask_lead_fn *lead;
	ask_reply_fn *reply;
	bool forwarded, proposing;
	bool perhaps; /* a leader may have done it, or may yet */
	int64_t deadline_ms;
	int64_t client, seq;
	struct rpc *rpc;
	int64_t to; /* whom rpc asks */
	struct timer retry;
	ProtobufCMessage
		*held; /* the leader's answer, until this is applied: */
	int64_t until;
	ask_serve_fn *serve; /* answers instead, from our state as it then is */
	ask_reply_fn *alone; /* answers where nobody leads, from what we know */
	int64_t alone_ms;    /* and from when on */
	ProtobufCMessage *wanted;
	LIST_ENTRY(ask) entry;
};

/* Hold the call until the leader, this node or another, has served it: lead()
 * runs when this node leads, again after a change of leaders. It answers, or
 * begins one of the three below, or fails: with UNAVAILABLE to be run again,
 * with anything else for the client. */
struct ask *ask_new(struct node *n, struct call *call, enum rpc_name name,
		    const ProtobufCMessage *in, ask_lead_fn *lead);
void ask_begin(struct ask *a);
/* The same, but where nobody leads for longer than it takes to elect, as
 * without a majority, reply() answers from what this node knows. */
void ask_begin_or(struct ask *a, ask_reply_fn *reply);
int ask_propose(struct ask *a, const Gfl__V1__Entry *e, ask_reply_fn *reply,
		struct err *err) MUST_CHECK;
int ask_change(struct ask *a, int64_t id, enum raft_member_role role,
	       const Gfl__V1__Entry *e, ask_reply_fn *reply,
	       struct err *err) MUST_CHECK;
int ask_change_many(struct ask *a, const struct raft_member *to, size_t n,
		    ask_reply_fn *reply, struct err *err) MUST_CHECK;
/* Reply once a majority has confirmed that this node leads, so that the state
 * has all that was acknowledged before. */
int ask_read(struct ask *a, ask_reply_fn *reply, struct err *err) MUST_CHECK;
driver_done_fn ask_proposed; /* of what the three have begun */
void ask_answer(struct ask *a, const ProtobufCMessage *out);
void ask_fail(struct ask *a, const struct err *err);
void ask_applied(struct node *n); /* the state went on */
void ask_poke(struct node *n);    /* a leader is known: try again now */
void ask_close(struct node *n);   /* drop all */

/* membership.c: to become a member. */
void membership_open(struct node *n);
int membership_start(struct node *n, struct err *err) MUST_CHECK;
void membership_leader(struct node *n);  /* the leader changed */
void membership_look(struct node *n);    /* does the cluster know our URL? */
void membership_removed(struct node *n); /* the others removed us */
void membership_leave(struct node *n);
const char *membership_waits(const struct node *n); /* for what */
void membership_close(struct node *n);

/* announce.c: the gateways know us. */
void announce_open(struct node *n);
void announce_start(struct node *n); /* we are a member */
void announce_news(struct node *n);  /* leader or role changed, perhaps */
bool announce_reaches(const struct node *n); /* any gateway */
void announce_refresh(struct node *n);       /* register now, and learn */
/* Have the gateways forget us, then on_left, unless NULL, within a second. */
void announce_leave(struct node *n, void (*on_left)(struct node *n));
void announce_close(struct node *n);

/* voters.c: who votes; as somebody asks, and as the leader sees fit. */
int voters_ask(struct ask *a, const Gfl__V1__Entry *e, ask_reply_fn *reply,
	       struct err *err) MUST_CHECK;
size_t voters_due(const struct node *n, struct raft_member **to);

/* steward.c: the leader keeps the cluster: up, down, voters, removal. */
void steward_open(struct node *n);
void steward_look(struct node *n);
void steward_close(struct node *n);
/* How long the leader has not heard a member. */
int64_t steward_silence_ms(const struct node *n, int64_t id);

/* steward_join.c: Join and Leave, at the leader. */
int steward_join(struct ask *a, struct err *err) MUST_CHECK;
int steward_leave(struct ask *a, struct err *err) MUST_CHECK;

/* suspects.c: members that this leader does not hear, and what others say. */
void suspects_open(struct node *n);
/* Is it out of the reach of others too? Asks them; false until they tell. */
bool suspects_gone(struct node *n, int64_t id);
void suspects_clear(struct node *n, int64_t id); /* heard again; 0: all */
void suspects_close(struct node *n);
/* Answer a request for the status of member id, asked from here. */
void suspects_witness(struct node *n, struct call *call, int64_t id);

/* reports.c: what trainers say, on its way to the leader. */
void reports_open(struct node *n);
void reports_serve(struct node *n);
void attach_serve(struct node *n);   /* attach.c: trainers come and go */
void reports_leader(struct node *n); /* another leads: repeat */
void reports_flush(struct node *n);  /* send on what trainers said so far */
void reports_close(struct node *n);
size_t reports_attached(const struct node *n);

/* conductor.c: the leader plans the runs. */
void conductor_open(struct node *n);
void conductor_leads(struct node *n, bool leads);
void conductor_look(struct node *n);
void conductor_heard(struct node *n, const Gfl__V1__ReportRequest *batch);
void conductor_merge(const struct node *n, Gfl__V1__Run *run);
/* The last report of a trainer in a run, by the leader or by the log; or NULL.
 */
const Gfl__V1__TrainerReport *conductor_said(const struct node *n, int64_t run,
					     int64_t trainer);
void conductor_close(struct node *n);

/* watch.c: streams of what is applied. */
void watch_serve(struct node *n);

/* upkeep.c: what people do with the log of this node. */
void upkeep_serve(struct node *n);
void watch_restored(struct node *n);
void watch_applied(struct node *n, const struct raft_entry *e,
		   Gfl__V1__Entry *entry);
void watch_leader(struct node *n);
void watch_close(struct node *n);
/* Fill out, whose entry is then to be freed, with what ReadLog tells of e. */
int watch_log_entry(Gfl__V1__LogEntry *out, const struct raft_entry *e,
		    struct err *err) MUST_CHECK;

/* read.c: linearizable reads, for other members too. */
void read_serve(struct node *n);
/* Have fn answer in from this node's state once that has all that was
 * acknowledged before; or fail. */
void read_begin(struct node *n, struct call *call, const ProtobufCMessage *in,
		ask_serve_fn *fn);

/* inbox.c: messages, durable before they are acknowledged. */
extern const char inbox_schema[];
int inbox_open(struct node *n, struct err *err) MUST_CHECK;
int64_t inbox_count(const struct node *n);
void inbox_close(struct node *n);

/* box.c, outbox.c: messages for others, durable until they have them. */
extern const char box_schema[];
int outbox_open(struct node *n, struct err *err) MUST_CHECK;
void outbox_start(struct node *n); /* we are a member */
void outbox_look(struct node *n);  /* has a receiver moved, or come back? */
void outbox_counts(const struct node *n, int64_t *waiting, int64_t *delivered,
		   int64_t *expired);
void outbox_close(struct node *n);

/* mail.c: messages from whoever sends. */
void mail_serve(struct node *n);
/* Send m, which is copied, as from this node: into our inbox or outbox. It is
 * durable once done(err, arg) runs with err NULL; done may be NULL. */
typedef void mail_sent_fn(const struct err *err, void *arg);
void mail_send(struct node *n, const Gfl__V1__MessageItem *m,
	       mail_sent_fn *done, void *arg);

/* control.c: messages for the node itself, which no inbox keeps: control words,
 * pings, and peers that say they are ready. */
enum message_type {
	MESSAGE_REGULAR = 1,
	MESSAGE_CONTROL = 2,
	MESSAGE_HEARTBEAT = 3,
	MESSAGE_READY = 999,
};
/* Is m one of these? A control word that is not ours is a handler's. */
bool control_is(const struct node *n, const Gfl__V1__MessageItem *m);
/* Act upon such a message; reply gets what its sender is told. A word that asks
 * to stop is obeyed in the next turn of the loop, so that the answer leaves. */
int control_take(struct node *n, const Gfl__V1__MessageItem *m,
		 struct buf *reply, struct err *err) MUST_CHECK;
void control_close(struct node *n);

/* handler.c: messages that are handled as they come. */
void handler_open(struct node *n);
void handler_wake(struct node *n); /* there may be something new */
bool handler_has(const struct node *n, int32_t type);
/* What readers do not see, as JSON: "[[TYPE,CURSOR],...]", those of that type
 * past that cursor; free() it. NULL: nothing. */
char *handler_hides(const struct node *n);
void handler_stop(struct node *n); /* begin no more, TERM those that run */
size_t handler_running(const struct node *n);
bool handler_pause(struct node *n); /* begin no more; true: none is busy */
void handler_swap(struct node *n);  /* those of n->cfg, when none is busy */
void handler_drop(struct node *n);  /* KILL those that run */
void handler_close(struct node *n);

/* hook.c: who is told of events. */
void hook_open(struct node *n);
void hook_look(struct node *n); /* the state or the leader changed */
void hook_stop(struct node *n);
bool hook_pause(struct node *n); /* as those of handlers */
void hook_swap(struct node *n);
size_t hook_running(const struct node *n);
void hook_close(struct node *n);
const char *hook_name(enum node_event_kind kind); /* commands.c */

/* node.c: for both of these. */
void node_facts(const struct node *n, struct facts *f); /* add who we are */
void node_check_idle(struct node *n); /* a command has ended */

/* pairs.c: which peers reach us, and we them, as a message of type 999 each way
 * has shown. */
void pairs_open(struct node *n);
void pairs_look(struct node *n);
int pairs_heard(struct node *n, const Gfl__V1__MessageItem *m,
		struct err *err) MUST_CHECK;
/* The ready peers, ascending: at most max into ids; returns how many. */
size_t pairs_ready(const struct node *n, int64_t *ids, size_t max);
bool pairs_all_ready(const struct node *n);
void pairs_close(struct node *n);

/* tables.c: the state as rows, for whoever looks into the file. */
extern const char tables_schema[];
extern const char graph_schema[];
void tables_open(struct node *n);
void tables_changed(struct node *n, unsigned changed);
void tables_close(struct node *n);

/* life.c: what the file knows of this node's life. */
extern const char life_schema[], joined_schema[];

enum { NODE_STEPS = 10 }; /* schemas that make the database, in node.c */
extern const char *const node_steps[NODE_STEPS];
int life_load(struct node *n, struct err *err) MUST_CHECK;
/* Is there a file, of a node that is a member? */
bool life_is_member(const char *path);
/* Store meta and founding, then done(err, n). */
void life_store(struct node *n, writer_done_fn *done);
/* Note that we ask to be removed. */
void life_ask(struct node *n);
/* At its next start this node is a new one; then done(err, n). */
void life_part(struct node *n, writer_done_fn *done);

/* recover.c: name what the disk has lost; it comes again from the leader. If
 * nothing on it tells that there are others, it is n->damage, and stays. */
int recover_open(struct node *n, struct err *err) MUST_CHECK;

/* cluster.c: something changed, here or above; NULL is nothing. */
void cluster_look(struct cluster *c);
/* Our bridge has measured this, between places above. */
void cluster_measured(struct cluster *c, const Gfl__V1__Link *l);
const char *cluster_upper_id(const struct cluster *c); /* or "" */
void cluster_status(const struct cluster *c, Gfl__V1__NodeStatus *out);

/* handlers.c, registry.c: the services. */
void handlers_serve(struct node *n);
int handlers_bad_session(uint64_t client, uint64_t seq, struct err *err);
void handlers_adopt(struct ask *a, uint64_t *client, uint64_t *seq);

/* handlers_status.c */
void handlers_serve_status(struct node *n);
/* Fill out, which borrows from n; free() its ready_peers. */
void handlers_status(struct node *n, Gfl__V1__NodeStatus *out);

/* handlers_runs.c */
void handlers_serve_runs(struct node *n);
/* The least round that a live trainer of the run has finished. */
int64_t handlers_least_round(const struct node *n, const Gfl__V1__Run *run);

void registry_serve(struct node *n);
void node_metrics(struct buf *text, void *arg);

#endif
