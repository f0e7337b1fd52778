/* hub_impl.h - what the files of hub.h share. */
#ifndef FL_HUB_IMPL_H
#define FL_HUB_IMPL_H

#include <uthash.h>

#include "base/rand.h"
#include "base/str.h"
#include "base/timer.h"
#include "base/worker.h"
#include "fl/aggregate.h"
#include "fl/counted.h"
#include "fl/hub.h"
#include "fl/quorum.h"
#include "fl/scores.h"
#include "fl/snapshot.h"
#include "nn/model.h"
#include "nn/net.h"
#include "store/writer.h"
#include "wire/peer.h"
#include "wire/tensor.h"

enum {
	HUB_LOGICAL_MAX = 4096,   /* that one client hosts, … */
	HUB_HOSTED_MAX = 1 << 20, /* … and all of them */
	HUB_ADMITTING_MAX = 16,   /* updates that wait to be admitted */
	HUB_ASK_AGAIN_MS = 20000,
	HUB_GUEST_MS = 600000, /* gone, and no update of it taken: forgotten */
	HUB_TICK_MS = 100,
	HUB_AHEAD = 8, /* rounds that may be made and not durable yet */
	/* Such rounds wait for each other: so many, or for so long since the
	 * disk was last asked. */
	HUB_TOGETHER = 4,
	HUB_TOGETHER_MS = 20,
};
#define HUB_LOSS_MAX 1e30 /* of an update: sums by examples stay finite */
#define HUB_EXAMPLES_MAX ((int64_t)1 << 40) /* of a logical client */

/* Why an update was refused, and how its sender is told:
 * FOREIGN    of nobody who was set up, or for nothing that it was given
 * SESSION    with the session of somebody else, or an old one
 * LATE       its round is over
 * DOUBLE     another one was there before
 * BASE       of another round, or made from another version
 * MALFORMED  model, type, length, numbers
 * DAMAGED    its checksum
 * VALUES     not finite, or beyond a bound
 * HANDLER    by the command or function that receives updates
 * FULL       too many at once: to be sent again
 * UNTRAINED  is none: the client could not train */
#define HUB_REASONS(X)                              \
	X(FOREIGN, "foreign", NOT_FOUND)            \
	X(SESSION, "session", UNAUTHENTICATED)      \
	X(LATE, "late", FAILED_PRECONDITION)        \
	X(DOUBLE, "double", ALREADY_EXISTS)         \
	X(BASE, "base", FAILED_PRECONDITION)        \
	X(MALFORMED, "malformed", INVALID_ARGUMENT) \
	X(DAMAGED, "damaged", DATA_LOSS)            \
	X(VALUES, "values", INVALID_ARGUMENT)       \
	X(HANDLER, "handler", ABORTED)              \
	X(FULL, "full", RESOURCE_EXHAUSTED)         \
	X(UNTRAINED, "untrained", ABORTED)

enum hub_reason {
#define HUB_ENUM(NAME, text, code) HUB_##NAME,
	HUB_REASONS(HUB_ENUM)
#undef HUB_ENUM
		HUB_REASON_COUNT
};

enum hub_state {
	HUB_SETTING_UP, /* by a handler */
	HUB_WAITING,    /* for enough clients */
	HUB_CHOOSING,   /* a handler says who takes part */
	HUB_TRAINING,
	HUB_CLOSING, /* the worker makes the next model */
	HUB_ENDING,  /* clients are told to exit */
	HUB_ENDED,
};

enum hub_part_state { HUB_OPEN, HUB_ADMITTING, HUB_ADMITTED, HUB_FAILED };

/* A logical client in an activation. */
struct hub_part {
	int32_t logical;
	enum hub_part_state state;
	uint32_t crc; /* of what is being admitted, or was */
};

/* What a client was last asked to do. */
struct hub_activation {
	int64_t id; /* 0: nothing */
	Gfl__V1__FlCode code;
	int64_t round, version;
	struct hub_part *parts;
	size_t n, open; /* open: not yet admitted or failed */
	bool over;      /* its round is */
};

struct hub_logical {
	int64_t examples; /* to train on; 0: not known yet */
	int64_t tests;    /* to evaluate on; -1: not known, 0: it cannot */
	double loss;      /* the last told, NAN: none yet */
};

/* The guests of hub_table.c who come from one address. */
struct hub_source {
	char at[PEER_ADDR];
	size_t logical; /* that they host */
	UT_hash_handle hh;
};

struct hub_client {
	struct hub *hub;
	int64_t id;
	char instance_id[STR_ID];
	char owner[PEER_NAME]; /* of its certificate; "": it has shown none */
	char session[STR_ID];  /* its secret; "": not set up since the start */
	struct hub_logical *logical;
	size_t nlogical;
	int64_t examples;
	bool active;   /* holds no request here while it trains */
	uint64_t turn; /* async: of its logical clients */
	int64_t told;  /* the activation that it has, as far as we know */
	int64_t held_ms, hold_ms; /* since, and for how long */
	char address[PEER_ADDR];
	struct call *held; /* its Await, or NULL */
	int64_t seen_ms;   /* when it last held one, or spoke */
	bool here;
	struct hub_activation given;
	int32_t *to_score; /* logical ones that are to, once it asks */
	size_t nto_score;
	bool known;   /* an update of it was taken, so it has a row */
	bool silent;  /* a guest who has asked for nothing; in the hub's list */
	int64_t jobs; /* updates of it that are being admitted */
	struct hub_source *source; /* of a guest */
	struct hub_client *prev, *next;
	int64_t refused[HUB_REASON_COUNT], accepted, missed, round;
	int64_t bytes_sent, bytes_received;
	bool changed;      /* since its row was taken */
	UT_hash_handle hh; /* by id */
	UT_hash_handle by_instance;
};

/* A version of the model as it is given. */
struct hub_model {
	int64_t version;
	char *bytes;
	struct tensor_info info;
	int users; /* streams, and the hub while it is the newest */
};

/* The round under way. */
struct hub_now {
	int64_t round, version;
	int64_t began_ms, deadline_ms; /* monotonic */
	int64_t began_wall_ms;
	int64_t activated, admitted, lost, refused;
	int64_t examples, bytes_sent, bytes_received;
	int64_t judged;   /* examples of those that told a loss, … */
	double loss;      /* … and the sum of that, by examples */
	double staleness; /* the sum */
};

/* The evaluation under way, by clients. */
struct hub_scoring {
	int64_t round; /* whose model it is about; 0: there is none */
	struct hub_model *model;
	int64_t deadline_ms; /* monotonic */
	bool waits;   /* after a start: for enough clients, before it is */
	bool open;    /* clients are asked; before, they are waited for */
	bool writing; /* what has come of it, into told */
	int64_t lost, refused; /* of those asked */
	struct scores scores;
	struct hub_evaluation told;
	char *missing;
};

/* The last round that is durable. */
struct hub_kept {
	int64_t round;
	int64_t ended_ms;      /* or our start */
	double loss, accuracy; /* NAN */
};

/* A model on its way from updates to the disk. */
struct hub_next {
	struct hub *hub;
	bool evaluate;
	struct hub_round row;
	char *missing, *silent;    /* of the row, and its evaluation */
	struct hub_model *model;   /* NULL: a later one is written instead */
	struct tensors state;      /* of the rule */
	struct snapshot *snapshot; /* with a term: as it was written; or NULL */
	struct hub_rows *rows;
	struct err err; /* code 0: all went well */
	struct hub_next *prev, *next;
};

/* An update at the worker, which has params, rule and net meanwhile. */
struct hub_job {
	struct hub *hub;
	struct hub_client *client;
	struct call *call; /* to be answered */
	Gfl__V1__FlUpdateRequest *update;
	double weight;
	int64_t opening;       /* of its round */
	int64_t staleness;     /* async */
	struct hub_next *next; /* async: what it completed, or NULL */
	bool voids;            /* async: the updates together made no model */
	bool again;            /* it counts already */
	enum hub_reason why;
	struct err err; /* code 0: all went well */
};

/* An update that is looked at: of c, unless that is nobody; for part, unless
 * that is none of its own. */
struct hub_look {
	struct hub *hub;
	const struct call *call;
	const Gfl__V1__FlUpdateRequest *update;
	struct hub_client *client;
	struct hub_part *part;
	struct err err;
};

struct hub {
	struct loop *loop;
	struct server *server;
	struct hub_opts opts;
	struct worker *worker;
	struct db *db;
	struct writer *writer;
	struct timer tick;
	struct rand rand;
	char layout[17];

	/* the worker's while it has jobs */
	struct model *model;
	float *params;
	struct aggregate *rule;
	unsigned needs;          /* of the rule */
	int64_t made;            /* the version of params */
	struct counted *counted; /* async, with a term; or NULL */
	int64_t begun;        /* the opening of the round that the rule is in */
	int64_t buffered;     /* async: updates admitted since */
	float *values, *some; /* of the update being admitted; with control */
	uint32_t *index;      /* which of them travelled */
	struct net *net;

	enum hub_state state;
	int64_t round, version;  /* finished so far */
	double accuracy;         /* of the last; NAN */
	struct hub_kept kept;    /* what is told of them */
	struct hub_model *given; /* the newest version */
	struct hub_now now;
	struct snapshot *snapshot; /* with a term: the newest durable one */
	struct hub_follower *followers;
	int64_t opened_ms, resumed; /* resumed: the version then */
	/* made, and not durable yet: to be written; being written, or before
	 * that confirmed to be ours to write */
	struct hub_next *unsaved, *saving;
	bool writing;       /* saving is with the writer */
	int64_t wrote_ms;   /* when it was last given to it */
	struct timer later; /* for unsaved to become saving */
	struct hub_promise *promises;
	/* durable, and not told yet: clients evaluate the first one's model */
	struct hub_next *untold;
	struct hub_scoring scoring;
	struct hub_evaluation evaluation; /* the last; missing is "" */
	int64_t ahead;                    /* how many */
	bool stopping;
	char stop_reason[201]; /* or "" */
	struct call *ender;    /* who asked for it, while it is not sure who
				  leads; or NULL */
	loop_fn *alone;        /* it rests: see hub_rest(); or NULL */
	void *alone_arg;
	struct hub_client *clients, *by_instance;
	struct hub_client *silent;  /* guests, the oldest first */
	struct hub_source *sources; /* of guests */
	int64_t sweep_ms;           /* not before */
	int64_t forgotten;
	int64_t last_client, last_activation;
	int64_t opening;       /* rounds opened, void ones too */
	int voids;             /* in a row; the next is not opened before … */
	int64_t again_ms;      /* … this */
	int64_t admitting;     /* updates at the worker */
	int64_t present, here; /* clients that are here; logical ones */
	size_t hosted;         /* logical ones of all that have set up */
	int64_t refused[HUB_REASON_COUNT], accepted, missed, voided;
	bool changed; /* refused, or a client, since rows were taken, at … */
	int64_t rows_ms;   /* … that time */
	int64_t strangers; /* calls with another session than the client's */
	const char *why_ended;
	int64_t ending_ms;
	bool saving_last;       /* the last model, to its file, … */
	bool saved;             /* … where it is */
	bool shut_down;         /* the handler has run, if there is one */
	struct hub_call *calls; /* of handlers, under way */

	struct err failure; /* code 0: none */
	loop_fn *ended;
	void *ended_arg;
};

/* hub.c */
void hub_fail(struct hub *h, const struct err *err);
void hub_look(struct hub *h); /* at all that may go on now */
void hub_end(struct hub *h, const char *why);
const char *hub_why_ended(const struct hub *h);

/* hub_clients.c */
void hub_serve_clients(struct hub *h);
void hub_clients_tick(struct hub *h, int64_t now_ms);
void hub_clients_close(struct hub *h);
void hub_client_heard(struct hub_client *c);
void hub_client_here(struct hub_client *c, bool here, const char *why);
/* Its held request, if there is one, fails. */
void hub_client_dismiss(struct hub_client *c, const struct err *err);
/* Answer its held request, if there is one, with what there is for it. */
void hub_instruct(struct hub_client *c);

/* hub_table.c */
struct hub_client *hub_client_add(struct hub *h, int64_t id,
				  const char *instance_id);
/* The client of a request, or NULL: NOT_FOUND, or UNAUTHENTICATED where the
 * session is not its own. */
struct hub_client *hub_client_of(struct hub *h, const struct call *call,
				 int64_t id, const char *session,
				 struct err *err);
/* The client of a set-up, which may be a new one, in the place of a guest; it
 * is about to host n logical ones. PERMISSION_DENIED, RESOURCE_EXHAUSTED. */
int hub_table_admit(struct hub *h, struct hub_client **out,
		    const char *instance_id, size_t n, const struct peer *peer,
		    struct err *err) MUST_CHECK;
void hub_table_host(struct hub_client *c, size_t n, const struct peer *peer);
void hub_table_asked(struct hub_client *c); /* is not silent any more */
void hub_table_know(struct hub_client *c);  /* no guest any more */
bool hub_table_expired(const struct hub_client *c, int64_t now_ms);
void hub_table_drop(struct hub_client *c, const char *why); /* a guest */
void hub_table_close(struct hub *h);

/* hub_rounds.c */
void hub_round_look(struct hub *h, int64_t now_ms);

/* hub_given.c */
void hub_asked(struct hub_client *c); /* it holds a request here */
/* A client of the round was lost, or is back. */
void hub_round_lost(struct hub_client *c, bool lost);
void hub_forget_given(struct hub_client *c);
/* What was admitted makes no model that is finite. */
void hub_round_unmade(struct hub *h, const struct hub_next *n);
/* Ask the client for n logical ones of its own to train. */
void hub_activate(struct hub_client *c, const int32_t *logical, size_t n);
/* Ask it for them to do this. */
void hub_give(struct hub_client *c, const struct hub_activation *what,
	      const int32_t *logical, size_t n);
/* The part of the client's activation, if that is under way; or NULL. */
struct hub_part *hub_part_of(struct hub_client *c, int64_t activation,
			     int32_t logical);
/* No update of this round is taken any more; who owes one is in *missing. */
char *hub_end_training(struct hub *h, int64_t *missed);

/* hub_scoring.c: clients evaluate. */
void hub_scoring_begin(struct hub *h, int64_t round); /* if it is due */
void hub_scoring_look(struct hub *h, int64_t now_ms);
void hub_scoring_drop(struct hub *h);
/* The client has nothing to do: does it now? */
bool hub_scoring_asked(struct hub_client *c);
/* Another task takes the place of what it was asked: it is asked that again. */
void hub_scoring_again(struct hub_client *c);
/* So many answers that are owed are lost with it, or expected again. */
int64_t hub_scoring_owed(const struct hub_client *c);

/* hub_score.c: the score that it was asked for is here. */
void hub_score_take(struct hub_look *l, struct call *call);

/* hub_stages.c: call the stage's handler; facts are released, in is borrowed
 * for the call. done runs once, perhaps at once; out is NULL with an err. */
typedef void hub_stage_done_fn(const struct err *err, const char *out,
			       size_t len, void *arg);
bool hub_stage_has(const struct hub *h, enum hub_stage stage);
void hub_stage_call(struct hub *h, enum hub_stage stage, struct facts *facts,
		    const struct buf *in, hub_stage_done_fn *done, void *arg);
void hub_stages_close(struct hub *h);
void hub_set_up(struct hub *h);
void hub_shut_down(struct hub *h);
/* Values as the bytes of a model's file, and back. */
void hub_stage_pack(const struct hub *h, const float *values, struct buf *out);
int hub_stage_unpack(const struct hub *h, const char *p, size_t len,
		     const char *what, float *values,
		     struct err *err) MUST_CHECK;

/* hub_async.c */
void hub_async_begin(struct hub *h); /* to count for the next version */
void hub_async_asked(struct hub_client *c);
void hub_async_look(struct hub *h);
/* On the worker's thread: after an update was admitted. */
void hub_async_count(struct hub_job *j);
void hub_async_made(struct hub_job *j);
void hub_async_void(struct hub_job *j);

/* hub_values.c: what an update has, as the rule takes it, on the worker's
 * thread; u points into the job and the hub. Malformed is INVALID_ARGUMENT. */
int hub_values(const struct hub_job *j, struct aggregate_update *u,
	       struct err *err) MUST_CHECK;

/* hub_next.c: make it on the worker's thread, from what the rule has; then it
 * is the newest, and on its way to the disk. */
bool hub_next_due(const struct hub *h, int64_t round); /* to evaluate */
void hub_next_make(struct hub_next *n); /* ABORTED: see aggregate_finish() */
void hub_next_free(struct hub_next *n);
void hub_next_made(struct hub_next *n);
void hub_next_close(struct hub *h);
void hub_next_tell(struct hub *h); /* rounds whose evaluation is over */
/* One that was made and not told yet, or NULL. */
struct hub_next *hub_next_find(struct hub *h, int64_t round);

/* hub_update.c */
void hub_serve_updates(struct hub *h);
void hub_update_reply(struct hub *h, struct call *call);

/* hub_look.c: is an update of who was asked for it; is it of an evaluation; can
 * it be taken? Else it is refused, with why in l->err. */
bool hub_look_expected(struct hub_look *l);
bool hub_look_scores(const struct hub_look *l);
bool hub_look_sound(struct hub_look *l);
/* Puts why into l->err, and counts it. The part has failed where what the
 * client sends can never do. */
void hub_refused(struct hub_look *l, enum hub_reason why, const char *text);
const char *hub_reason_name(enum hub_reason r);
/* The same is being admitted: its sender asks later. */
void hub_again(struct hub_look *l, struct call *call);

/* hub_model.c */
const char *hub_model_name(const struct hub *h);
void hub_serve_model(struct hub *h);
struct hub_model *hub_model_make(const struct hub *h, int64_t version);
void hub_model_use(struct hub *h, struct hub_model *m); /* as the newest */
void hub_model_drop(struct hub_model *m);               /* one user less */

/* hub_store.c */
int hub_store_open(struct hub *h, struct err *err) MUST_CHECK;
void hub_store_evaluation(struct hub *h, writer_done_fn *done);
int hub_store_rounds(struct db *db, struct hub_next *all,
		     struct err *err) MUST_CHECK;
int hub_store_model(const struct hub_next *n, const char *path,
		    struct err *err) MUST_CHECK;

/* hub_rows.c: what is durable of clients; c may be NULL. */
void hub_changed(struct hub *h, struct hub_client *c);
struct hub_rows *hub_rows_take(struct hub *h);
int hub_rows_write(struct db *db, const struct hub_rows *r,
		   struct err *err) MUST_CHECK;
void hub_rows_free(struct hub_rows *r);
void hub_rows_post(struct hub *h); /* what has changed, to the writer */
void hub_rows_tick(struct hub *h, int64_t now_ms);
int hub_rows_load(struct hub *h, struct err *err) MUST_CHECK;

/* hub_follow.c: servers that would take over. */
void hub_serve_followers(struct hub *h);
void hub_follow_look(struct hub *h); /* at who waits for what there is now */
/* Whoever follows has the newest state; at the end: and knows that it is over.
 */
bool hub_followed(const struct hub *h);
/* The newest version that is durable, also at whoever follows. */
int64_t hub_safe_version(const struct hub *h);
bool hub_let_go(const struct hub *h);
void hub_rest_look(struct hub *h); /* whether there is nobody to go on */
void hub_followers_close(struct hub *h);

/* hub_carried.c: an update without activation, of a client that has set up,
 * gets one; or is refused. */
bool hub_carried(struct hub_look *l);

/* hub_stop.c: whoever asks for the end. */
void hub_serve_stop(struct hub *h);
void hub_stop_confirmed(struct hub *h); /* we lead */
void hub_stop_close(struct hub *h);

/* hub_promise.c: answer an update once this version is safe. */
void hub_promise(struct hub *h, struct call *call, int64_t version);
void hub_promises_look(struct hub *h);
void hub_promises_close(struct hub *h);

/* hub_status.c */
void hub_serve_status(struct hub *h);

#endif
