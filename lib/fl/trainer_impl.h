/* trainer_impl.h - what the files of trainer.h share. */
#ifndef FL_TRAINER_IMPL_H
#define FL_TRAINER_IMPL_H

#include "base/timer.h"
#include "base/worker.h"
#include "base/str.h"
#include "fl/exchange.h"
#include "fl/history.h"
#include "fl/link.h"
#include "fl/pace.h"
#include "fl/resume.h"
#include "fl/trainer.h"
#include "plan/strategies.h"
#include "proto/trainer.pb-c.h"
#include "wire/backoff.h"
#include "wire/tensor.h"

/* Where a trainer is in a run. */
enum phase {
	PHASE_IDLE,     /* no run */
	PHASE_PULLING,  /* the model from a peer */
	PHASE_READY,    /* between rounds, perhaps waiting for a plan */
	PHASE_WORKING,  /* the worker has the model */
	PHASE_EXCHANGE, /* with the peer of the round */
	PHASE_ENDED,    /* all rounds done, the run not yet over */
};

/* What the worker does in one go, in this order. */
enum {
	WORK_BEGIN = 16, /* have a first model made */
	WORK_TRAIN = 1,
	WORK_EVALUATE = 2,
	WORK_SAVE = 4,
	WORK_MODEL = 8,
};

enum { REASON_MAX = 4000 }; /* bytes, and 4096 hold it */

struct work {
	unsigned what;
	struct learner *learner;
	struct learner_steps steps;
	struct resume resume;     /* SAVE */
	char *save_to, *model_to; /* owned */
	int64_t trainer;
	double loss, accuracy, seconds;
	bool trained;   /* whatever came after */
	struct err err; /* code 0: all went well */
	worker_fn *done;
};

/* Whom a trainer meets in the round under way, one after the other. */
struct meeting {
	const struct strategy *strategy;
	int64_t *ids; /* who is in the round, ascending; owned */
	size_t n, self;
	size_t phase; /* the one we are in */
	int64_t until_ms; /* for all of them */
	bool met;     /* somebody, in this round */
};

/* The run that this trainer takes part in. */
struct trainer_run {
	int64_t id, rounds, eval_every;
	uint64_t seed;
	struct learner_steps steps;
	struct learner *learner;
	struct tally tally;
	int64_t at;       /* the last round done, or -1 */
	int64_t t;        /* the round under way */
	int64_t peer;     /* in it, 0: none */
	int64_t fastest;  /* the highest round others were seen in */
	int64_t since_ms; /* of waiting for plan or peer */
	int64_t saved_ms; /* the last checkpoint */
	double eta; /* choco */
	struct meeting meeting;
	float *shared;    /* topk: what others know of the model, or NULL */
	float *base;      /* what is exchanged instead of the model, or NULL */
	float *start;     /* choco: the model that all begin with, or NULL */
	bool alone;       /* the run pairs nobody */
	bool final;       /* evaluated and written after the last round */
	bool over;        /* ends when the worker is done */
	bool brought;     /* its model is what trainers' own programs make */
	bool pauses;      /* before the round is tried again */
	int vain;         /* rounds that failed, in a row */
	char *reason;     /* why the last that failed did, or NULL */
	struct backoff backoff;
	char *model_path;
};

/* A model being given to a peer, or all of them the same snapshot. */
struct snapshot {
	int64_t run;
	bool file; /* a safetensors file; else its values */
	char *bytes;
	struct tensor_info info; /* version: its round */
	int users;
};

struct pull { /* a PullModel being served */
	struct trainer *trainer;
	struct call *call;
	struct snapshot *from; /* NULL: until the model is ours to read */
	struct tensor_gift *gift;
	bool file; /* asked for, like */
	uint64_t offset;
	char sha256[65];
	struct pull *prev, *next;
};

struct asked { /* an Exchange being held */
	struct trainer *trainer;
	uint64_t token;
	struct call *call;
	struct asked *prev, *next;
};

struct fetch { /* a model being pulled from a peer */
	struct tensor_pull *pull;
	Gfl__V1__PullModelRequest ask;
	int64_t peer, tried[64]; /* ids that were asked in vain */
	size_t ntried;
	bool perhaps; /* one of them may have it: it did not say no */
	char *bytes;
	size_t len;
	int64_t round;
	char layout[17];
};

/* Exchanges with one set of peers: the trainers of our cluster, or those that
 * bridge others. Ids and rounds are theirs; the model is the same. */
struct talk {
	struct trainer *trainer;
	const struct talk_kind *kind;
	struct exchange *exchange;   /* NULL: not with these */
	struct exchange_round round; /* the last that we came to */
	struct rpc *sent;            /* our request, and what it said */
	struct exchange_message sent_message;
	struct timer tick;     /* of the exchange */
	struct rpc *asking;    /* a peer that has not come how far it is */
	struct timer patience; /* with it */
	bool heard;            /* from the peer, in this round */
};

struct talk_kind {
	const char *(*url)(const struct trainer *t, int64_t peer); /* or NULL */
	/* The cluster whose ids and rounds these are; empty: our own. */
	const char *(*cluster)(const struct trainer *t);
	/* Is what it says of the run that we are in? And where it is there. */
	bool (*at)(const struct trainer *t, const Gfl__V1__TrainerStatus *s,
		   int64_t *round, int *phase);
	void (*link)(struct trainer *t, int64_t from, int64_t to, double bps);
	void (*done)(struct trainer *t, const struct exchange_out *out);
	const char *nobody; /* why there is no url */
};

struct bridge {
	struct talk talk; /* its exchange is NULL: we do not bridge */
	char upper_id[STR_ID];
	int64_t upper_run, self; /* self: our cluster's place above */
	struct timer patience;   /* with a plan */
	int64_t wanted;       /* the round that waits for it; below 0: none */
	int64_t vain;         /* index of the bridge that waited so */
	int64_t done, missed; /* exchanges in this run */
	struct bandwidth_cell link; /* measured, to be told; from 0: none */
};

struct seen_peer {
	int64_t id, probed_ms;
};

struct trainer {
	struct trainer_host host;
	struct loop *loop; /* of the host, as client */
	struct client *client;
	struct history *history;
	struct link *link;
	struct talk talk; /* its exchange is NULL before the id is known */
	struct learner_data data;
	struct trainer_opts opts;
	struct exec *exec; /* NULL: steps are taken here */
	struct rand chance;
	int64_t id;
	enum phase phase;
	struct trainer_run run; /* id 0: none */
	int64_t out_of;         /* the run that we stay out of, or 0 */
	bool out_sent, out_told; /* our node was told so, and has it */
	int64_t out_at;         /* rounds of it that we had done */
	struct tally out_tally; /* in these */
	char *why_out;
	struct work *work;  /* at the worker, or NULL */
	struct timer again; /* of a fetch */

	struct bridge bridge;
	struct asked *asked; /* of either exchange */
	uint64_t tokens;
	struct pull *pulls;
	struct snapshot *kept[2]; /* the last values and file, for resuming */
	char *last_model;         /* file of the last run, or NULL */
	struct fetch fetch;

	/* for the next report */
	struct parts *parts;
	struct bandwidth_cell *links;
	size_t nlinks, links_cap, links_sent;
	Gfl__V1__Miss *misses;
	size_t nmisses, misses_cap, misses_sent;
	struct seen_peer *peers;
	size_t npeers, peers_cap;
	struct rpc *probe;

	struct err failure; /* code 0: none */
	loop_fn *stopped;
	void *stopped_arg;
	bool leaving, quiet;
};

/* trainer.c: it cannot go on. */
void trainer_fail(struct trainer *t, const struct err *err);
const struct state *trainer_state(const struct trainer *t); /* or NULL */
int64_t trainer_epoch(const struct trainer *t); /* of set and plans, the later */

/* trainer_run.c */
void trainer_look(struct trainer *t); /* at the state: runs, epoch, peers */
void trainer_begin_rounds(struct trainer *t, int64_t at); /* model is there */
void trainer_halt(struct trainer *t); /* end the run here, if there is one */
void trainer_stay_out(struct trainer *t, const struct err *err);
void trainer_stay_out_for(struct trainer *t, const struct err *err,
			  const char *why);     /* as others are told */
void trainer_begin_exchange(struct trainer *t); /* the model is known */
/* The end, once nothing is under way: saves the checkpoint when we stop, the
 * model when the run was ended early. */
void trainer_end_run(struct trainer *t);

/* trainer_exec.c */
int trainer_exec_open(struct trainer *t, struct err *err);
bool trainer_tests(const struct trainer *t); /* it has what to evaluate on */
int trainer_open_learner(struct trainer *t, const Gfl__V1__Run *run,
			 struct err *err);
bool trainer_exec_is_first(const struct trainer *t); /* who makes the model */
void trainer_exec_begin(struct trainer *t);          /* makes it */
void trainer_exec_note(struct trainer *t, const char *when,
		       const struct err *err);
/* Does the round go on? If not, it is tried again, or we stay out. */
bool trainer_exec_goes_on(struct trainer *t, const struct work *w);
void trainer_exec_warm(struct trainer *t); /* a run begins */
void trainer_exec_rest(struct trainer *t); /* the run is over */

/* trainer_rounds.c */
void trainer_advance(struct trainer *t); /* if READY: to the next round */
void trainer_round_done(struct trainer *t, const struct exchange_out *out);
void trainer_round_over(struct trainer *t); /* with those of bridges too */

/* trainer_work.c: hand the model to the worker for what (WORK_...), which is
 * then WORKING; in done, the work is taken back, looked at and freed. */
void trainer_submit(struct trainer *t, unsigned what, worker_fn *done);
struct work *trainer_take_work(struct trainer *t);
void trainer_free_work(struct work *w);

/* PATH/t.db has PATH/t.checkpoint.safetensors and, unless told otherwise, the
 * model PATH/t.run7.safetensors. To be freed. */
char *trainer_beside_db(const struct trainer *t, const char *what);
char *trainer_model_path(const struct trainer *t);

/* A learner's model after round `at`, for a file. */
struct tensors;
void trainer_put_model(struct tensors *ts, const struct learner *l,
		       int64_t trainer, int64_t run, int64_t at,
		       double accuracy);

/* trainer_meet.c: a round's exchanges. Begin with those that a plan has for
 * round run.t (NULL: none), and go on after each that is done; false when all
 * are. */
void trainer_meet_open(struct trainer *t, const Gfl__V1__RunSpec *spec);
/* What is exchanged travels as the settings have it, and in our own cluster is
 * mixed as the strategy does; clusters average what their bridges have. */
void trainer_meet_by(const struct trainer *t, struct exchange *e,
		     const Gfl__V1__RunSpec *spec, bool own);
/* The model is there, from wherever; shared: noted with it, or NULL. */
void trainer_meet_resumed(struct trainer *t, const float *shared);
void trainer_meet_before(struct trainer *t); /* the round's local steps */
void trainer_meet_begin(struct trainer *t, const struct plan_round *r,
			int64_t epoch);
bool trainer_meet_next(struct trainer *t);
bool trainer_meet_planned(const struct trainer *t, const struct plan_round *r);
void trainer_meet_close(struct trainer *t);

/* trainer_talk.c */
void trainer_talk_open(struct talk *c, struct trainer *t,
		       const struct talk_kind *kind, struct exchange *exchange);
void trainer_talk_arrive(struct talk *c, const struct exchange_round *round);
void trainer_talk_drain(struct talk *c); /* after each input of its exchange */
void trainer_talk_quiet(struct talk *c); /* no calls, no timers any more */

/* trainer_exchange.c */
extern const struct talk_kind trainer_peers;
void trainer_answer(struct trainer *t, const struct exchange_out *out);
void trainer_refuse(struct trainer *t, const struct exchange_out *out);
void trainer_forget_calls(struct trainer *t);

/* trainer_bridge.c */
void trainer_bridge_look(struct trainer *t); /* at the state */
/* The exchange of round run.t is over: is there one with another cluster now?
 * Then trainer_round_over() follows. */
bool trainer_bridge_begin(struct trainer *t);
void trainer_bridge_abandon(struct trainer *t, const char *why);
/* Whom a request is for, or NULL, as err says. */
struct talk *trainer_bridge_of(struct trainer *t,
			       const Gfl__V1__ExchangeRequest *r,
			       struct err *err);
void trainer_bridge_link(struct trainer *t, int64_t from, int64_t to,
			 double bps);
void trainer_bridge_status(const struct trainer *t,
			   Gfl__V1__TrainerStatus *out);
void trainer_bridge_close(struct trainer *t); /* with the run */

/* trainer_speed.c: bytes/s, 0 when that many bytes say little; a link that was
 * measured, to be reported; measure ours to peer, unless that is fresh. */
enum { TRAINER_PROBE_BYTES = 256 << 10 };
double trainer_speed(uint64_t bytes, int64_t us);
void trainer_link(struct trainer *t, int64_t from, int64_t to, double bps);
void trainer_probe(struct trainer *t, int64_t peer);

/* trainer_give.c: to those who pull, when the model is ours to read. */
void trainer_give(struct trainer *t);
void trainer_give_close(struct trainer *t, bool files); /* files as well */

/* trainer_fetch.c: from the best peer that has it, for a run under way. */
void trainer_fetch(struct trainer *t);
void trainer_fetch_look(struct trainer *t); /* at the state */
void trainer_fetch_close(struct trainer *t);

/* trainer_report.c */
void trainer_fill(Gfl__V1__ReportRequest *r, void *trainer);
void trainer_reported(bool arrived, void *trainer);
void trainer_report_close(struct trainer *t);
void trainer_layout(const struct trainer *t, char text[17]);

#endif
