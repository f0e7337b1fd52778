/* hub.h - the server of a federation that has a centre: it gives its model to
 * clients, takes what they have trained, mixes, and goes on.
 *
 * sync: in each round a sample of the clients that are there is activated; the
 * round closes when enough of them have answered, or at its deadline.
 * async: whoever asks is given the newest model, and what comes back is mixed
 * at once, or each K of them together.
 *
 * A client is known by its instance id. One that is there has a request held
 * here, so its end is noticed at once; it is gone when it does not come back.
 * Each round is in SQLite, with its model, before anything is told of it, or of
 * what clients say of its model: after kill -9 the server goes on with the round
 * that was under way, and nothing that it has told is undone. */
#ifndef FL_HUB_H
#define FL_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/command.h"
#include "base/loop.h"
#include "fl/aggregate.h"
#include "fl/cohort.h"
#include "nn/data.h"
#include "nn/model.h"
#include "proto/server.pb-c.h"
#include "wire/server.h"

struct hub;

/* What clients have said of the model of a round, each on test data of its own
 * (FedLab's EvaluateParams). */
struct hub_evaluation {
	int64_t round;           /* 0: there was none */
	int64_t asked, answered; /* logical clients */
	int64_t refused;
	const char *missing; /* ids of clients that were asked, or "" */
	int64_t examples;
	double loss, accuracy;      /* means over them; NAN: nobody has said */
	int64_t began_ms, ended_ms; /* wall clock */
};

/* What a round has come to. In async a round is a version of the model. */
struct hub_round {
	int64_t round;               /* from 1 */
	int64_t activated, admitted; /* logical clients */
	int64_t refused, missed;     /* missed: activated, never admitted */
	const char *missing;         /* ids of clients, "3,17", or "" */
	int64_t examples;
	double loss;                        /* the mean over their examples */
	double accuracy;                    /* NAN: not evaluated */
	double staleness;                   /* async: the mean, in versions */
	int64_t bytes_sent, bytes_received; /* models; updates */
	int64_t began_ms, ended_ms;         /* wall clock */
	double seconds;
	struct hub_evaluation evaluation;
};

typedef void hub_round_fn(const struct hub_round *r, void *arg);

/* The stages of a server's life that a command or a function of the program may
 * take over. Each gets facts, GFL_… as in an environment, and input; what it
 * puts out replaces what the server would do, nothing leaves that as it is. A
 * command may take its time; meanwhile all else goes on.
 *
 * stage    input                          output                failing
 * setup    nothing                        the first model       ends the server
 * round    a candidate a line, as JSON    "CLIENT [LOGICAL]"    logged; as if
 *                                         a line: who takes     nothing was put
 *                                         part                  out
 * receive  an update, as a model's file,  another such          refuses it
 *          or a score, as contract.h says
 * shutdown nothing                        nothing               fails the server
 */
enum hub_stage {
	HUB_ON_SETUP,
	HUB_ON_ROUND,
	HUB_ON_RECEIVE,
	HUB_ON_SHUTDOWN,
	HUB_STAGES
};

typedef int hub_stage_fn(enum hub_stage stage, const struct facts *facts,
			 const void *in, size_t len, struct buf *out, void *arg,
			 struct err *err);

/* One of the two, or neither. */
struct hub_stage_opts {
	struct command *command; /* borrowed */
	hub_stage_fn *fn;        /* on the loop's thread, which may not wait */
	void *arg;
};

/* Asked before what was made is written: hub_confirmed() is called once we are
 * sure to lead still; if we are not the hub is closed, and the round with it. */
typedef void hub_confirm_fn(void *arg);

struct hub_opts {
	const char *model, *init; /* hub_model_open(); init NULL: made from
				     seed */
	uint64_t seed;
	bool async;
	int64_t rounds; /* 0: until it is stopped */
	double target;  /* accuracy that ends it: on test, or without that the
			  clients' own; NAN: none */
	int64_t max_clients;      /* that are known */
	int64_t silence_ms; /* who holds no request here for so long is gone */
	int64_t min_participants; /* logical clients; no round has fewer */
	double fraction;          /* of the activated close a round */
	double sample;            /* of the present are activated */
	enum cohort_rule sampler;
	int64_t choices; /* COHORT_POWER draws so many first */
	int64_t deadline_ms;
	const char *rule; /* of AGGREGATE_RULES, one that fits async */
	struct aggregate_opts aggregate;
	int64_t ending_ms; /* at the end, for clients who were not told yet */
	bool uniform;      /* clients weigh alike, not by their examples */
	Gfl__V1__FlTraining training;
	const struct data *test; /* NULL: does not evaluate; borrowed */
	int64_t eval_every;      /* rounds */
	/* Clients evaluate too, every so many rounds (0: never) and after the
	 * last: a sample of those that can and are there, until the deadline.
	 * In sync the next round waits for them. */
	int64_t clients_eval_every;
	double eval_sample;
	int64_t eval_deadline_ms;
	const char *db, *model_out; /* model_out NULL: beside db */
	struct hub_stage_opts stages[HUB_STAGES];
	int64_t handler_ms; /* for a command; 0: as long as it takes */
	/* beside a Raft node (elect.h): the term in which it leads, and what
	 * asks whether it still does before a round is told. 0: there is none */
	int64_t term;
	int followers; /* servers that are there, and will follow soon */
	hub_confirm_fn *confirm;
	void *confirm_arg;
	hub_round_fn *on_round; /* each, once it is durable; or NULL */
	void *on_round_arg;
	bool shown; /* by on_round(), where the log is read as well */
};

/* The model of a server: text or preset; or EXEC_MODEL (exec.h), which only its
 * clients' programs compute: the tensors of the file init. *out is freed by
 * model_free(). */
int hub_model_open(struct model **out, const char *model, const char *init,
		   struct err *err) MUST_CHECK;

/* The largest update of the model, as a message: the bound for the server. */
size_t hub_message_max(const struct model *m, const Gfl__V1__FlTraining *how);

/* Open the file, go on where it was, and serve on s. A file of another model
 * is FAILED_PRECONDITION. ended(arg) runs once it is over: all rounds done,
 * stopped, or hub_failed(). Strings are borrowed until hub_close(). */
int hub_open(struct hub **out, struct loop *loop, struct server *s,
	     const struct hub_opts *opts, loop_fn *ended, void *arg,
	     struct err *err) MUST_CHECK;
const struct err *hub_failed(const struct hub *h); /* or NULL */

/* No further round: tell every client to exit, wait until all have gone. */
void hub_stop(struct hub *h);
void hub_close(struct hub *h); /* NULL is nothing */

void hub_confirmed(struct hub *h);

/* With a term: no further round; once the one under way is over, and who
 * follows has what it made, they are told to take the lead. If there is
 * nobody alone(arg) runs instead. */
void hub_rest(struct hub *h, loop_fn *alone, void *arg);

#endif
