/* spoke_impl.h - what the files of spoke.h share. */
#ifndef FL_SPOKE_IMPL_H
#define FL_SPOKE_IMPL_H

#include "base/rand.h"
#include "base/str.h"
#include "base/timer.h"
#include "base/worker.h"
#include "fl/history.h"
#include "fl/spoke.h"
#include "proto/server.pb-c.h"
#include "wire/backoff.h"
#include "wire/tensor.h"

enum { SPOKE_SOON_MS = 6000 }; /* where another server may answer */

/* What the server has asked for. */
struct spoke_task {
	int64_t id; /* of the activation; 0: nothing; below: of another start,
			and its update goes to this one */
	Gfl__V1__FlCode code;
	int64_t term; /* of who gave it, if another server may take it; or 0 */
	int64_t round, version;
	int32_t *logical;
	size_t n, at; /* logical[at] is under way */
};

/* What the worker does: train, and make the update's bytes. */
struct spoke_work {
	struct spoke *spoke;
	int logical; /* whose data, and what it remembers */
	int64_t activation;
	uint64_t update_id;
	uint64_t seed; /* of the order of examples */
	/* as they were when it began, for the worker: a set-up may change the
	 * spoke's meanwhile */
	Gfl__V1__FlTraining training;
	int64_t client;
	uint64_t run_seed;
	char layout[17];
	struct learner_steps steps;
	double loss, seconds;
	int64_t examples;
	char *base;             /* the model as it came, and SCAFFOLD's c */
	float *shift, *control; /* spoke_own.c; NULL: none */
	float *own, *left;      /* to be kept, once it is sent */
	struct buf values;      /* as they go */
	bool scores;            /* it evaluates instead */
	struct learner_score score;
	uint32_t crc;
	struct err err; /* code 0: all went well */
	char *failure;  /* for the server: why it could not train; or NULL */
};

struct spoke {
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct worker *worker;
	struct history *history;
	struct learner_data data;
	struct spoke_opts opts;
	size_t at; /* opts.urls[at] is our server */
	struct rand rand;
	struct backoff pause, busy_pause;

	int64_t id;   /* 0: not set up yet */
	bool adrift;  /* not set up at the server that we ask now */
	int64_t term; /* see task.term */
	uint64_t seed;
	char session[STR_ID], layout[17];
	Gfl__V1__FlTraining training;
	struct learner *learner;
	struct exec *exec; /* whose it is, or NULL */
	int vain;          /* rounds in a row that failed there */
	/* of each logical client, spoke_own.c: whether its file was read, its
	 * vector, and what has not travelled; NULL: nothing */
	bool *read;
	float **own, **left;

	struct rpc *asking; /* set-up, or what to do */
	struct timer again; /* to ask */
	int64_t away_ms;    /* since when there was no answer; 0: there is one */
	struct spoke_task task, next;
	struct tensor_pull *pull;
	Gfl__V1__FlPullRequest pull_ask;
	char *base;              /* the model that comes */
	struct spoke_work *work; /* trained, or at the worker */
	bool working;            /* the worker has it, or one that is no more */
	bool waits;              /* the next, for the worker */
	struct rpc *sending;
	struct timer resend;

	int64_t rounds, scores, refused, bytes_sent, bytes_received;
	double loss;
	bool leaving, over;
	struct rpc *farewell;
	struct err failure; /* code 0: none */
	loop_fn *ended;
	void *ended_arg;
};

/* spoke_set_up.c */
void spoke_set_up(struct spoke *s);
void spoke_set_up_again(void *arg); /* a timer's */

/* spoke.c */
void spoke_fail(struct spoke *s, const struct err *err);
const char *spoke_url(const struct spoke *s); /* of its server */
bool spoke_has_others(const struct spoke *s); /* which may take its place */
/* To ask for this failed: it is asked for again, unless nobody has answered for
 * too long. */
void spoke_later(struct spoke *s, const struct err *err, loop_fn *ask);
/* The server is away: look for it, or for another. */
void spoke_lost(struct spoke *s, const struct err *err);
void spoke_ask(struct spoke *s); /* what to do, unless that is asked already */
void spoke_leave(struct spoke *s, const char *why);

/* How many examples a logical client has to evaluate on: -1 is not known. What
 * all share is the first one's. */
int64_t spoke_tests(const struct spoke *s, int logical);

/* spoke_own.c: on the worker's thread, before and after the steps; on the loop's,
 * once the server has the update, or will not get it. */
void spoke_own_begin(struct spoke_work *w);
void spoke_own_end(struct spoke_work *w);
void spoke_own_left(struct spoke_work *w, float *left); /* takes it */
int spoke_own_write(const struct spoke_work *w, struct err *err) MUST_CHECK;
void spoke_own_keep(struct spoke_work *w);
void spoke_own_release(struct spoke_work *w);

/* Bytes of a model as it comes. */
size_t spoke_model_size(const struct spoke *s);

/* spoke_values.c: on the worker's thread, the update of w's trained model. */
int spoke_values(struct spoke_work *w, struct err *err) MUST_CHECK;

/* spoke_exec.c: a learner that others have brought. */
int spoke_exec_open(struct spoke *s, struct err *err) MUST_CHECK;
int spoke_exec_learner(struct spoke *s, const Gfl__V1__FlSetUpResponse *r,
		       struct err *err) MUST_CHECK;
/* What came of the work. */
enum spoke_exec_next {
	SPOKE_EXEC_SEND,  /* the update, score or w->failure */
	SPOKE_EXEC_AGAIN, /* do it again, later */
};
enum spoke_exec_next spoke_exec_worked(struct spoke *s, struct spoke_work *w);
/* After a failure: there is no use in another round. */
bool spoke_exec_hopeless(const struct spoke_work *w);

/* spoke_task.c */
void spoke_begin(struct spoke *s, const Gfl__V1__FlInstruction *in);
void spoke_task_drop(struct spoke *s, const char *why);
void spoke_task_sent(struct spoke *s); /* by the client at turn */
void spoke_task_close(struct spoke *s);
/* From the server that gave the task; at another one, or another start: its
 * update goes there, if that takes it. */
void spoke_task_part(struct spoke *s);
void spoke_task_arrive(struct spoke *s);

/* spoke_send.c: the update, or score, of s->work */
void spoke_send(struct spoke *s);

#endif
