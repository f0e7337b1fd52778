/* participants_impl.h - what the files of the coordinator share: what its user
 * calls in participants.c, who is there in participants_seat.c and, for others,
 * participants_list.c, how they come in participants_stream.c and
 * participants_ask.c, what the pool has decided in participants_act.c. */
#ifndef FL_PARTICIPANTS_IMPL_H
#define FL_PARTICIPANTS_IMPL_H

#include <sys/queue.h>

#include <uthash.h>

#include "fl/participants.h"
#include "fl/pool.h"
#include "proto/participation.pb-c.h"

enum { TOKEN_CHARS = 32, FULL_S = 30 };

/* One participant. */
struct seat {
	struct participants *ps;
	int64_t id;
	char token[TOKEN_CHARS + 1]; /* of requests; empty: a stream */
	struct call *call; /* the stream, or the request held; or NULL */
	struct timer hold; /* of a request, or until the next one if works */
	bool works;        /* the request held says no more than that */
	bool will_say;     /* such requests will come while it works */
	char *address;
	int64_t answered, failed;
	bool there;   /* it has handed over the initiative once */
	bool to_give; /* an instruction waits to be sent to it */
	int64_t job;  /* that one, or the last one sent */
	TAILQ_ENTRY(seat) giving;
	UT_hash_handle hh, by_token;
};

/* An instruction given by participants_run(). */
struct run {
	int64_t job;
	struct instruction *instruction;
	int64_t given_ms; /* 0: never */
	run_done_fn *done;
	void *arg;
	char *why; /* what the last one to fail said, or NULL */
	UT_hash_handle hh;
};

struct instruction {
	CoordinatorMessage *msg;
	size_t size, refs;
};

struct participants {
	struct loop *loop;
	struct server *server;
	struct participants_opts opts;
	struct pool pool;
	struct seat *seats, *tokens; /* by id, by token */
	struct run *runs;            /* by job */
	size_t n_there;
	TAILQ_HEAD(, seat) giving;
	struct timer give, tick, wake;
	int64_t full_ms;   /* since when no more may be unread; 0: it may */
	size_t full, idle; /* bytes unread then; of those that nobody reads */
	int64_t tick_ms;               /* when it is due; INT64_MAX: not */
	const ParticipantMessage *msg; /* the answer being taken */
	bool acting, closing;
	size_t min_n; /* of participants_get() */
	participants_fn *enough;
	void *enough_arg;
	uint64_t answers, vanished, moved, late;
};

/* participants_seat.c */
struct seat *seat_new(struct participants *ps, struct call *call,
		      struct err *err); /* NULL: full */
struct seat *seat_find(const struct participants *ps, int64_t id);
void seat_free(struct seat *seat); /* of whom the pool has forgotten */
void seat_ask(struct seat *seat);  /* hands over the initiative */
/* What the participant says to its instruction; NULL err: taken, or too late.
 * INVALID_ARGUMENT: it says nothing of the kind, and still works. */
int seat_answer(struct seat *seat, const ParticipantMessage *msg,
		struct err *err) MUST_CHECK;
void seat_vanish(struct seat *seat); /* and is freed */
/* Its instruction has ended without it. NULL is nothing. */
void seat_rest(struct seat *seat);
/* It answers what is its own no more. */
void seat_late(struct participants *ps, int64_t who, int64_t instruction);

/* participants_act.c */
void participants_act(struct participants *ps);  /* after each event */
void participants_look(struct participants *ps); /* are there enough? */
void run_free(struct participants *ps, struct run *run);

/* participants_stream.c */
void stream_serve(struct call *call, const ProtobufCMessage *in, void *arg);
void seat_send(struct seat *seat, const CoordinatorMessage *msg);
void seat_hang_up(struct seat *seat, int reconnect_in_s); /* below 0: done */

/* participants_ask.c */
void ask_serve(struct call *call, const ProtobufCMessage *in, void *arg);
void ask_reply(struct seat *seat, int64_t job, const CoordinatorMessage *msg);
void ask_hang_up(struct seat *seat, int reconnect_in_s);
/* What it works on has ended without it: it is to ask within the lease. */
void ask_rest(struct seat *seat);

/* participants_list.c */
void list_serve(struct call *call, const ProtobufCMessage *in, void *arg);
void list_metrics(struct buf *text, void *arg);

#endif
